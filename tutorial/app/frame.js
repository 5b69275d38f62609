// What every figure has around it: its claim, what to do, the stage, what to see, and the way back to the beginning.

import { button } from "./controls.js";
import { html, trusted } from "./markup.js";

/**
 * A figure is an object:
 *   name      of its folder in the words, its numbers and its part of the address
 *   state     how it begins: numbers, texts, booleans, and lists of those; what may differ from that is kept in the address
 *   derive    state -> every number that is shown, by name
 *   view      (state, numbers, words) -> markup of the stage
 *   fits      (state) -> the same state with every value within its range (optional)
 *   actions   { name: (state, argument, numbers) -> changes } for data-do="name" or "name:argument" (optional)
 *   drag      (state, what, {x, y}) -> changes, for data-drag="what", in the coordinates of its svg (optional)
 *   nudge     (state, what, steps) -> changes, for arrow keys on data-nudge="what"; shift and page keys give ten steps (optional)
 *   keys      (state, key) -> changes, or nothing, for keys on data-keys: the cells of a grid, one of which has tabindex 0 (optional)
 *   step      (state) -> changes, for the player; null when it has come to the end (optional)
 *   from      changes with which the player begins anew when it is played at the end (optional)
 *   pace      milliseconds between the player's steps, where these are not to be a film (optional)
 *   says      (state, numbers, words) -> one sentence for who cannot see the stage (optional)
 *   tasks     { name: (state, numbers) -> is it done? } (optional)
 */
export function frame(figure, state, numbers, words, { done = [], playing = false } = {}) {
  const own = words[figure.name];
  return html`<header>
      <h3 id="fig-${figure.name}-title">${trusted(own.title)}</h3>
      ${own.task && html`<p class="task">${trusted(own.task)}</p>`}
    </header>
    <div class="stage">${figure.view(state, numbers, { ...words.common, ...own, playing })}</div>
    ${Object.keys(figure.tasks ?? {}).length > 0 &&
    html`<ul class="tasks" aria-label="${words.common.tasks}">${Object.keys(figure.tasks).map(
      (task) =>
        html`<li data-task="${task}" class="${done.includes(task) ? "done" : ""}"><span class="tick" aria-hidden="true">${
          done.includes(task) ? "✓" : ""
        }</span><span>${trusted(own.tasks[task])}<span class="unseen">${done.includes(task) ? ` (${words.common.done})` : ""}</span></span></li>`,
    )}</ul>`}
    <footer>
      ${own.see && html`<p class="see">${trusted(own.see)}</p>`}
      <div class="after">${button("reset", words.common.reset, { kind: "quiet" })}${button("copy", words.common.copyLink, { kind: "quiet" })}</div>
    </footer>`;
}
