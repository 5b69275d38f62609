// What readers hold in their hands. Each takes what it is called and its value; the page listens (data-set, data-do).

import { html } from "./markup.js";

/**
 * A slider with a field beside it, for the same number: whoever cannot drag types.
 * `scale: "log"` moves through orders of magnitude evenly, by `by` of them; `said` is the value in words.
 */
export function slider({ key, label, value, min, max, step, scale = "linear", said = "", list = "", by = 0.01 }) {
  const log = scale === "log";
  const place = log ? Math.log10(value) : value;
  const [low, high, move] = log ? [Math.log10(min), Math.log10(max), by] : [min, max, step];
  return html`<div class="slider">
    <label><span class="label">${label}</span>
      <input type="range" data-set="${key}" data-scale="${scale}" min="${low}" max="${high}" step="${move}"
        value="${place}" aria-valuetext="${said || value}"></label>
    <input type="number" data-set="${key}" min="${min}" max="${max}" step="any" data-step="${step}" value="${value}"
      aria-label="${label}">
    ${list}
  </div>`;
}

/** A field for a number alone. */
export const field = ({ key, label, value, min, max, step, hidden = false }) =>
  html`<label class="field"><span class="${hidden ? "unseen" : "label"}">${label}</span>
    <input type="number" data-set="${key}" min="${min}" max="${max}" step="any" data-step="${step}" value="${value}"></label>`;

export const button = (action, label, { pressed, disabled = false, kind = "" } = {}) =>
  html`<button type="button" data-do="${action}" class="${kind}"${
    pressed === undefined ? "" : html` aria-pressed="${String(pressed)}"`
  }${disabled ? html` disabled` : ""}>${label}</button>`;

/** One of several: buttons of which one is pressed. */
export const choice = ({ key, label, options, value }) =>
  html`<div class="choice" role="group" aria-label="${label}"><span class="label" aria-hidden="true">${label}</span>${options.map(
    ([option, name]) => button(`set:${key}=${option}`, name, { pressed: String(option) === String(value) }),
  )}</div>`;

export const checkbox = ({ key, label, value }) =>
  html`<label class="check"><input type="checkbox" data-set="${key}"${value ? html` checked` : ""}> ${label}</label>`;

/** Play or pause, one step, and from the beginning. Nothing starts by itself. */
export const player = (words, playing, { ended = false } = {}) =>
  html`<div class="player">${button("play", playing ? words.pause : words.play, { pressed: playing, disabled: ended, kind: "play" })}
    ${button("step", words.step, { disabled: playing || ended })}</div>`;

/** A table of numbers: its heading cells, and rows of which the first cell is a heading. */
export const table = (caption, head, rows) =>
  html`<div class="scroll" role="group" aria-label="${caption}" tabindex="0"><table><caption>${caption}</caption>
    <thead><tr>${head.map((cell) => html`<th scope="col">${cell}</th>`)}</tr></thead>
    <tbody>${rows.map(([first, ...rest]) => html`<tr><th scope="row">${first}</th>${rest.map((cell) => html`<td>${cell}</td>`)}</tr>`)}</tbody>
  </table></div>`;
