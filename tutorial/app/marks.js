// The signs that all figures share. Positive and negative differ by colour, and by shape and line for whoever sees none.

import { html, shown } from "./markup.js";

/** A positive is a round dot, a negative a square with a dashed edge, the anchor a ring. */
export function mark(kind, x, y, size = 7) {
  if (kind === "negative") {
    return html`<rect class="mark negative" x="${x - size * 0.9}" y="${y - size * 0.9}" width="${size * 1.8}" height="${size * 1.8}" rx="1.5"/>`;
  }
  return html`<circle class="mark ${kind}" cx="${x}" cy="${y}" r="${size}"/>`;
}

/** The same sign beside words. */
export const sign = (kind) =>
  html`<svg class="sign" viewBox="-9 -9 18 18" aria-hidden="true">${mark(kind, 0, 0, 6.5)}</svg>`;

/** An arrow: a pull is solid with an open head, a push dashed with a filled one. Too short to be seen: nothing. */
export function arrow(kind, x, y, dx, dy) {
  const length = Math.hypot(dx, dy);
  if (length < 2) return "";
  const [ux, uy] = [dx / length, dy / length];
  const head = Math.min(8, length * 0.6);
  const [tx, ty] = [x + dx, y + dy];
  const wing = (side) => `${(tx - head * ux + side * head * 0.55 * uy).toFixed(2)} ${(ty - head * uy - side * head * 0.55 * ux).toFixed(2)}`;
  const shaft = kind === "push" ? head * 0.8 : 0;
  return html`<g class="arrow ${kind}"><path class="shaft" d="M${x.toFixed(2)} ${y.toFixed(2)}L${(tx - shaft * ux).toFixed(2)} ${(ty - shaft * uy).toFixed(2)}"/><path class="head" d="M${wing(1)}L${tx.toFixed(2)} ${ty.toFixed(2)}L${wing(-1)}${kind === "push" ? "Z" : ""}"/></g>`;
}

/** How long an arrow is drawn: forces differ a thousandfold, so the length grows with their logarithm. */
export const reach = (force, longest = 60) => (longest * Math.log1p(10 * Math.abs(force))) / Math.log1p(10 * 100);

/** A horizontal bar of a share between 0 and 1, as wide as its box. */
export const bar = (kind, share) =>
  html`<span class="bar ${kind}" style="--share:${Math.max(0, Math.min(1, share)).toFixed(5)}"></span>`;

/** What is dragged, or moved with arrow keys: a slider on a picture. `place` says in words where it is. */
export const handle = ({ what, link = what, x, y, label, min = 0, max, now, place }, drawn) =>
  html`<g class="handle" data-key="${what}" data-link="${link}" data-drag="${what}" data-nudge="${what}" role="slider" tabindex="0" aria-label="${label}"
    aria-valuemin="${min}" aria-valuemax="${max}" aria-valuenow="${now}" aria-valuetext="${place}"><circle class="hit" cx="${x}" cy="${y}" r="21"/>${drawn}</g>`;

/** Horizontal lines of a chart, with their values at the left. */
export const levels = (values, [left, right], Y, digits) =>
  values.map((value) => html`<line class="grid" x1="${left}" x2="${right}" y1="${Y(value)}" y2="${Y(value)}"/><text class="ending" x="${left - 6}" y="${Y(value) + 4}">${shown(value, digits)}</text>`);
