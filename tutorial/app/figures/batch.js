// One batch as a matrix: who is whose positive, who a negative, and which cells are left out.

import { choice, field, slider } from "../controls.js";
import { ICONS, icon } from "../icons.js";
import { fill, html, live, shown } from "../markup.js";
import { mark } from "../marks.js";
import { TEMPERATURE } from "../examples.js";
import { infoNce, partnerOf } from "../math.js";

const PICTURES = Object.keys(ICONS);
const SIDE = 330; // of the matrix
const EDGE = 48; // for what stands before its rows and above its columns
const within = (value, low, high) => Math.min(high, Math.max(low, Math.round(value)));
const clip = ({ kind }) => kind === "clip";
const sizeOf = (state) => (clip(state) ? 1 : 2) * state.pairs;
const itemOf = (i, { kind, rows, pairs }) => (kind === "clip" ? i : rows === "interleaved" ? i >> 1 : i % pairs);
const viewOf = (i, { rows, pairs }) => (rows === "interleaved" ? i % 2 : Number(i >= pairs));
const declared = (i, state) => (clip(state) ? i : partnerOf(i, state.pairs, state.reads));

/** A picture in a frame; a view of it is cropped and turned, and every second one mirrored. */
function picture(item, view, x, y, size) {
  const side = item % 2 ? -1 : 1;
  const change = view < 0 ? "scale(0.8)" : view ? `rotate(${17 * side}) scale(-0.92 0.92) translate(1.5 -1)` : `rotate(${-13 * side}) scale(1.22) translate(${-3 * side} -2)`;
  return html`<g transform="translate(${x} ${y}) scale(${size / 24})"><rect class="frame" width="24" height="24" rx="3"/><g clip-path="url(#batch-crop)"><g transform="translate(12 12) ${change}">${icon(PICTURES[item], -12, -12, 24)}</g></g></g>`;
}

const round = (value) => Math.round(value * 100) / 100;
/** One cell of each row. */
const squares = (kind, every, cell, column) =>
  html`<path class="${kind}" d="${every.map((i) => `M${round(column(i) * cell)} ${round(i * cell)}h${round(cell)}v${round(cell)}h${round(-cell)}z`).join("")}"/>`;

function heading(i, state, words, cell, column) {
  const [x, y] = column ? [i * cell + cell / 2, -EDGE / 2] : [-EDGE / 2, i * cell + cell / 2];
  const name = column && clip(state);
  if (state.pairs > 4) return sizeOf(state) <= 16 && html`<text x="${x}" y="${y + 4}">${i}</text>`;
  const size = Math.min(36, cell - 5);
  return html`<g class="heading${i === state.anchor && !column ? " asks" : ""}">${
    name ? html`<text x="${x}" y="${y + 12}">${words.captions[i]}</text>` : picture(itemOf(i, state), clip(state) ? -1 : viewOf(i, state), x - size / 2, y - size / 2, size)
  }</g>`;
}

function matrix(state, numbers, words) {
  const size = sizeOf(state);
  const cell = SIDE / size;
  const every = Array.from({ length: size }, (_, i) => i);
  const roomy = size <= 16;
  const dot = Math.min(7, cell / 4);
  const centre = (i) => (i + 0.5) * cell;
  const own = (i, j) => i !== j && itemOf(i, state) === itemOf(j, state);
  const lines = every.slice(1).map((i) => `M0 ${round(i * cell)}h${SIDE}M${round(i * cell)} 0v${SIDE}`);
  return html`<svg class="matrix" viewBox="${-EDGE - 2} ${-EDGE - 2} ${SIDE + EDGE + 6} ${SIDE + EDGE + 6}" role="group" aria-label="${words.picture}"><title>${words.picture}</title>
    <defs><clipPath id="batch-crop"><rect x="0.5" y="0.5" width="23" height="23" rx="2.5"/></clipPath>
      <pattern id="batch-hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="ground" width="6" height="6"/><path class="hatch" d="M1.5 0v6"/></pattern></defs>
    <rect class="negatives" width="${SIDE}" height="${SIDE}"/>
    ${!clip(state) && squares(roomy ? "masked" : "masked solid", every, cell, (i) => i)}
    ${squares(roomy ? "positives" : "positives solid", every, cell, (i) => declared(i, state))}
    ${size <= 64 && html`<path class="grid" d="${lines.join("")}"/>`}
    ${roomy && every.map((i) => every.map((j) => {
      const positive = j === declared(i, state);
      if ((i === j && !clip(state)) || (size > 8 && !positive && !own(i, j))) return "";
      return html`${mark(positive ? "positive" : "negative", centre(j), centre(i), positive ? dot : dot * 0.7)}${!positive && own(i, j) && html`<circle class="missed" cx="${centre(j)}" cy="${centre(i)}" r="${dot + 4}"/>`}`;
    }))}
    ${every.map((i) => html`${heading(i, state, words, cell, false)}${heading(i, state, words, cell, true)}`)}
    <g class="handle" data-drag="anchor" data-nudge="anchor" role="slider" tabindex="0" aria-orientation="vertical" aria-label="${words.anchor}" aria-valuemin="0" aria-valuemax="${size - 1}" aria-valuenow="${state.anchor}"
      aria-valuetext="${fill(words.said, { row: state.anchor, partner: numbers.partner, n: numbers.negatives })}"><rect class="hit" width="${SIDE}" height="${SIDE}"/><rect class="asking" x="-2" y="${round(state.anchor * cell - 1)}" width="${SIDE + 4}" height="${round(cell + 2)}" rx="3"/></g>
  </svg>`;
}

/** The anchor's picture, the anchor, and what the loss calls its positive. */
function trio(state, { partner }, words) {
  if (state.pairs > 4) return "";
  const [item, other] = [itemOf(state.anchor, state), itemOf(partner, state)];
  const box = (kind, name, drawn, x) => html`<g class="box ${kind}" transform="translate(${x} 0)">${drawn}<rect class="around" width="72" height="72" rx="8"/><text x="36" y="90">${name}</text></g>`;
  const drawn = [
    box(...(clip(state) ? ["asks", words.anchor] : ["original", words.original]), picture(item, -1, 0, 0, 72), 0),
    clip(state) ? "" : box("asks", words.anchor, picture(item, viewOf(state.anchor, state), 0, 0, 72), 118),
    box(item === other ? "right" : "wrong", words.itsPositive, clip(state) ? html`<text class="caption" x="36" y="41">${words.captions[other]}</text>` : picture(other, viewOf(partner, state), 0, 0, 72), clip(state) ? 118 : 236),
  ];
  return html`<svg class="trio" viewBox="-4 -4 320 100" role="img" aria-label="${words.trio}"><title>${words.trio}</title>
    <path class="becomes" d="M80 36h28m-6-5 6 5-6 5"/>${!clip(state) && html`<path class="becomes" d="M198 36h28m-22-5-6 5 6 5m16-10 6 5-6 5"/>`}${drawn}</svg>`;
}

export const batch = {
  name: "batch",
  state: { pairs: 4, kind: "simclr", rows: "interleaved", reads: "interleaved", anchor: 2 },

  fits(state) {
    const layout = (name) => (name === "stacked" ? name : "interleaved");
    const fitting = { ...state, pairs: within(state.pairs, 2, 256), kind: state.kind === "clip" ? "clip" : "simclr", rows: layout(state.rows), reads: layout(state.reads) };
    return { ...fitting, anchor: within(state.anchor, 0, sizeOf(fitting) - 1) };
  },

  derive(state) {
    const size = sizeOf(state);
    const candidates = clip(state) ? size : size - 1;
    const right = clip(state) || state.rows === state.reads;
    // Perfect embeddings: partners alike, strangers at right angles. A partner that is not called so is a negative.
    const similarities = Array.from({ length: candidates }, (_, j) => (j === (right ? 0 : 1) ? 1 : 0));
    return {
      size,
      candidates,
      negatives: candidates - 1,
      all: size * (candidates - 1),
      guessing: Math.log(candidates),
      partner: declared(state.anchor, state),
      perfect: infoNce(similarities, TEMPERATURE).loss,
      right: right ? size : 0,
    };
  },

  view: (state, numbers, words) => html`<div class="batch mechanics two">
    <div>${matrix(state, numbers, words)}
      <p class="legend">${["positives", "negatives", !clip(state) && "masked", !clip(state) && state.rows !== state.reads && state.pairs <= 8 && "missed"].filter(Boolean).map((kind) => html`<span><svg class="sign" viewBox="-9 -9 18 18" aria-hidden="true">${kind === "missed" ? html`<circle class="missed" r="7"/>` : html`<rect class="${kind}" x="-9" y="-9" width="18" height="18"/>`}</svg> ${words.legend[kind]}</span>`)}</p></div>
    <div>
      ${choice({ key: "kind", label: words.method, value: state.kind, options: [["clip", words.clip], ["simclr", words.simclr]] })}
      ${!clip(state) && ["rows", "reads"].map((key) => choice({ key, label: words[key], value: state[key], options: ["interleaved", "stacked"].map((layout) => [layout, words[layout]]) }))}
      ${slider({ key: "pairs", label: words.pairs, value: state.pairs, min: 2, max: 256, step: 1, scale: "log" })}
      ${trio(state, numbers, words)}
      <div class="row">${field({ key: "anchor", label: words.row, value: state.anchor, min: 0, max: numbers.size - 1, step: 1 })}<span>${words.partnerRow} ${live("batch.partner", numbers.partner, 0)}</span></div>
      <table class="wide"><caption class="unseen">${words.numbers}</caption><tbody>
        ${[["size", 0], ["negatives", 0], ["all", 0], ["guessing", 4], ["right", 0], ["perfect", 6]].map(([name, digits]) => html`<tr><th scope="row">${words.counts[name]}</th><td>${live(`batch.${name}`, numbers[name], digits)}</td></tr>`)}</tbody></table>
    </div>
  </div>`,

  drag: (state, what, { y }) => ({ anchor: Math.floor((y / SIDE) * sizeOf(state)) }),
  nudge: (state, what, steps) => ({ anchor: Number.isFinite(steps) ? state.anchor - steps : steps < 0 ? 0 : sizeOf(state) - 1 }),

  says: (state, { partner, negatives }, words) => fill(words.said, { row: state.anchor, partner, n: negatives }),

  tasks: {
    many: (state, { negatives }) => !clip(state) && negatives === 510,
    mixed: (state) => !clip(state) && state.rows !== state.reads,
  },
};
