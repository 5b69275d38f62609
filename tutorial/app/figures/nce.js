// The same candidates asked twice: each by itself, genuine or noise; and all at once, which one is genuine.

import { button, checkbox, choice, slider } from "../controls.js";
import { UMBRELLA } from "../examples.js";
import { fill, html, live, shown } from "../markup.js";
import { bar, sign } from "../marks.js";
import { clamp, information, jointOf, nce as asked, softmax, sum } from "../math.js";

const { px, py, ratios } = information(jointOf(UMBRELLA));
const happens = (x) => jointOf(UMBRELLA)[x].map((p) => p / px[x]);

export const nce = {
  name: "nce",
  state: { weather: 1, noises: 4, kinds: [0, 1, 0, 1, 1, 0, 1, 0], forgotten: false },

  fits({ weather, noises, kinds, forgotten }) {
    const x = weather ? 1 : 0;
    const all = Array.from({ length: 8 }, (_, i) => (kinds[i] ? 1 : 0));
    // Genuine is what happened in this weather: in the rain, nobody goes without.
    return { weather: x, noises: clamp(Math.round(noises), 1, 7), kinds: happens(x)[all[0]] > 0 ? all : all.with(0, 0), forgotten };
  },

  derive({ weather, noises, kinds, forgotten }) {
    const { answers, claims } = asked(happens(weather), py, noises, forgotten ? 1 : noises);
    const drawn = kinds.slice(0, noises + 1);
    const ratio = drawn.map((kind) => ratios[weather][kind]);
    const two = drawn.map((kind) => answers[kind]);
    const many = softmax(ratio.map(Math.log));
    const losses = [-sum(two.map((share, i) => Math.log(i ? 1 - share : share))), -Math.log(many[0])];
    return { ratio, two, many, claims, totals: [sum(two), sum(many)], losses };
  },

  view(state, numbers, words) {
    const share = (name, i) => html`<div class="share">${bar(i ? "negative" : "positive", numbers[name][i])}${live(`nce.${name}.${i}`, numbers[name][i])}</div>`;
    const both = (key, digits) => [0, 1].map((i) => html`<td>${live(`nce.${key}.${i}`, numbers[key][i], digits)}</td>`);
    return html`<div class="nce">
      <div class="two">${choice({ key: "weather", label: words.weather, options: [...words.rows.entries()], value: state.weather })}
        ${slider({ key: "noises", label: words.noises, value: state.noises, min: 1, max: 7, step: 1 })}</div>
      <div class="scroll" role="group" tabindex="0" aria-label="${words.numbers}"><table><caption class="unseen">${words.numbers}</caption>
        <thead><tr>${words.head.map((cell) => html`<th scope="col">${cell}</th>`)}</tr></thead>
        <tbody>${numbers.ratio.map((ratio, i) => html`<tr data-link="${i}"><th scope="row">${sign(i ? "negative" : "positive")} <span class="unseen">${i ? fill(words.noise, { n: i }) : words.genuine}</span>
          ${button(`turn:${i}`, words.columns[state.kinds[i]], { disabled: i === 0 && happens(state.weather)[1 - state.kinds[0]] === 0 })}</th>
          <td>${live(`nce.ratio.${i}`, ratio, 3)}</td><td>${share("two", i)}</td><td>${share("many", i)}</td></tr>`)}</tbody>
        <tfoot><tr><th scope="row">${words.total}</th><td></td>${both("totals")}</tr><tr><th scope="row">${words.loss}</th><td></td>${both("losses")}</tr></tfoot></table></div>
      ${checkbox({ key: "forgotten", label: words.forgotten, value: state.forgotten })}
      <p class="sum">${words.claims} <strong>${live("nce.claims", numbers.claims)}</strong></p>
    </div>`;
  },

  actions: { turn: ({ kinds }, i) => ({ kinds: kinds.with(Number(i), 1 - kinds[i]) }) },
  says: (state, { two, many, claims }, words) => fill(words.said, { two: shown(two[0], 2), many: shown(many[0], 2), claims: shown(claims, 2) }),

  tasks: {
    forget: ({ forgotten }, { claims }) => forgotten && claims > 2.5,
    alone: (state, { many }) => many.length > 3 && many[0] > 0.999,
  },
};
