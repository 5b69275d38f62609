// A joint distribution of two by two, as readers edit it: four weights, at most 100 each.

import { field, table } from "./controls.js";
import { UMBRELLA } from "./examples.js";
import { fill, html, live } from "./markup.js";
import { clamp, sum } from "./math.js";

/** The weights within their range; the umbrella's if they are no joint. */
export function weighed(weights) {
  const held = weights.map((weight) => clamp(weight, 0, 100));
  return held.length === 4 && sum(held) > 0 ? held : UMBRELLA;
}

/** Fields for the weights, and what they come to at the edges; `numbers` are those of the figure `name`. */
export const jointTable = (name, weights, numbers, words) => {
  const edge = (path, i) => live(`${name}.${path}.${i}`, numbers[path][i], 3);
  return html`<div class="joint">${table(words.weights, ["%", ...words.columns, words.altogether], [
    ...words.rows.map((row, x) => [
      row,
      ...words.columns.map((column, y) => field({ key: `joint.${2 * x + y}`, label: fill(words.weightOf, { row, column }), value: Number(weights[2 * x + y].toFixed(2)), min: 0, max: 100, step: 1, hidden: true })),
      edge("px", x),
    ]),
    [words.altogether, edge("py", 0), edge("py", 1), ""],
  ])}</div>`;
};
