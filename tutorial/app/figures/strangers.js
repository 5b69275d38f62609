// A batch with classes that the loss does not know: how many of an anchor's negatives are of its own kind.

import { button, field, slider, table } from "../controls.js";
import { ICONS, icon } from "../icons.js";
import { fill, html, live, shown } from "../markup.js";
import { bar } from "../marks.js";
import { chance, falseNegatives } from "../math.js";

const WIDE = 380;
const BATCHES = [4, 32, 256, 4096];
const round = (value) => Math.round(value * 100) / 100;
const within = (value, low, high) => Math.min(high, Math.max(low, Math.round(value)));

/** The negatives of one anchor, side by side: squares, and in some of them what the anchor shows, too. */
function crowd(alike, words) {
  const columns = Math.max(8, Math.ceil(Math.sqrt(alike.length * 1.9)));
  const cell = WIDE / columns;
  const place = (i) => [(i % columns) * cell, Math.floor(i / columns) * cell];
  const gap = cell * 0.07;
  const side = round(cell - 2 * gap);
  const square = (i) => `M${place(i).map((v) => round(v + gap))}h${side}v${side}h${-side}z`;
  const some = (wanted) => alike.map((own, i) => (own === wanted ? square(i) : "")).join("");
  return html`<svg viewBox="0 0 ${WIDE} ${round(Math.ceil(alike.length / columns) * cell)}" role="img" aria-label="${words.picture}"><title>${words.picture}</title>
    <defs><g id="strangers-cat">${ICONS.cat()}</g></defs>
    <path class="others" d="${some(false)}"/><path class="alike${cell < 18 ? " solid" : ""}" d="${some(true)}"/>
    ${cell >= 18 && alike.map((own, i) => own && html`<use class="icon" href="#strangers-cat" transform="translate(${String(place(i).map((v) => round(v + cell * 0.12)))}) scale(${round((cell * 0.76) / 24)})"/>`)}</svg>`;
}

export const strangers = {
  name: "strangers",
  state: { pairs: 32, classes: 4, seed: 2 },

  fits: ({ pairs, classes, seed }) => ({ pairs: within(pairs, 2, 256), classes: within(classes, 2, 1000), seed: within(seed, 1, 9999) }),

  derive({ pairs, classes, seed }) {
    const next = chance(seed);
    // Both views of a picture are of one class; the classes are drawn evenly, and class 0 is the anchor's.
    const alike = Array.from({ length: pairs - 1 }, () => Math.floor(classes * next()) === 0).flatMap((own) => [own, own]);
    const { negatives, share, expected } = falseNegatives(pairs, classes);
    return { negatives, share, expected, alike, found: alike.filter(Boolean).length };
  },

  view: (state, numbers, words) => html`<div class="strangers mechanics two">
    <div><p class="asks"><svg class="portrait" viewBox="-1 -1 26 26" aria-hidden="true"><rect class="around" width="24" height="24" rx="3"/>${icon("cat", 2, 2, 20)}</svg> <span>${fill(words.asks, { n: numbers.negatives })}</span></p>
      ${crowd(numbers.alike, words)}
      <div class="measures">
        ${[["share", 1, 4], ["expected", 510, 1], ["found", 510, 0]].map(([name, whole, digits]) => html`<div><span>${words[name]}</span><span class="share">${bar("guess", numbers[name] / whole)}${live(`strangers.${name}`, numbers[name], digits)}</span></div>`)}
      </div></div>
    <div>
      ${slider({ key: "pairs", label: words.pairs, value: state.pairs, min: 2, max: 256, step: 1, scale: "log" })}
      ${slider({ key: "classes", label: words.classes, value: state.classes, min: 2, max: 1000, step: 1, scale: "log" })}
      <div class="row">${field({ key: "seed", label: words.seed, value: state.seed, min: 1, max: 9999, step: 1 })}${button("other", words.other)}</div>
      ${table(fill(words.table, { c: state.classes }), words.head, BATCHES.map((pairs) => {
        const { negatives, share, expected } = falseNegatives(pairs, state.classes);
        return [pairs, negatives, shown(share, 4), shown(expected, 1)];
      }))}
    </div>
  </div>`,

  actions: { other: ({ seed }) => ({ seed: (seed % 9999) + 1 }) },

  says: (state, { negatives, found, share }, words) => fill(words.said, { n: negatives, found, share: shown(100 * share, 1) }),

  tasks: {
    many: ({ pairs, classes }) => pairs === 256 && classes === 10,
    few: ({ pairs }, { expected }) => pairs >= 128 && expected < 1,
  },
};
