// Six methods, one question: whose matrix is this? Who is compared with whom, and where the negatives come from.

import { cells } from "../cells.js";
import { choice, slider } from "../controls.js";
import { fill, html, live, shown } from "../markup.js";
import { sign } from "../marks.js";
import { comparisons, sum } from "../math.js";

const METHODS = ["clip", "simclr", "moco", "cpc", "wav2vec2", "videomoco"];
const SIGNS = { positive: "+", negative: "\u2212", masked: "", none: "" };
const within = (value, low, high) => Math.min(high, Math.max(low, Math.round(value)));
const plan = (state) => comparisons(state.method, state.n, state);
const named = (names, { group, index }) => fill(names[group], { n: index + 1 });
const weighed = (weight) => (weight === 1 ? "1" : shown(weight, 2).replace(/^0/, ""));

export const methods = {
  name: "methods",
  state: { method: "clip", n: 4, ahead: 1, decay: 0.8, query: 1 },

  fits(state) {
    const n = within(state.n, 3, 6);
    const fitting = {
      ...state,
      n,
      method: METHODS.includes(state.method) ? state.method : "clip",
      ahead: within(state.ahead, 1, n - 1),
      decay: Math.min(1, Math.max(0.5, state.decay)),
    };
    return { ...fitting, query: within(state.query, 1, plan(fitting).rows.length) };
  },

  derive(state) {
    const { rows, cells: kinds, weights } = plan(state);
    const own = kinds[state.query - 1];
    const count = (kind) => own.filter((found) => found === kind).length;
    const negatives = count("negative");
    // What the negatives count for: with equal scores, the loss is the logarithm of 1 and this.
    const effective = sum(weights.filter((_, j) => own[j] === "negative"));
    return { queries: rows.length, positives: count("positive"), negatives, masked: count("masked"), unused: count("none"), effective, guessing: Math.log(1 + effective) };
  },

  view(state, numbers, words) {
    const { rows, columns, cells: kinds, weights } = plan(state);
    const own = words.methods[state.method];
    const groups = (own.groups ?? []).map((label, i) => {
      const first = columns[0].group + i;
      const from = columns.findIndex(({ group }) => group === first);
      return { label, from, length: columns.filter(({ group }) => group === first).length };
    });
    const video = state.method === "videomoco";
    const fades = video && state.decay < 1;
    return html`<div class="methods">
      ${choice({ key: "method", label: words.method, options: METHODS.map((name) => [name, words.methods[name].name]), value: state.method })}
      <div class="two"><div>
        <div class="scroll" role="group" tabindex="0" aria-label="${words.picture}">${cells({
          name: "methods",
          title: fill(words.said, { method: own.name, ...numbers }),
          rows: rows.map((row) => named(own.rows, row)),
          columns: columns.map((column) => named(own.columns, column)),
          kinds,
          texts: kinds.map((row) => row.map((kind, j) => (kind === "negative" && fades ? weighed(weights[j]) : SIGNS[kind]))),
          inks: kinds.map((row) => row.map((kind, j) => (kind === "positive" ? 1 : 0.6 * weights[j]))),
          groups,
          pick: "ask",
          chosen: state.query - 1,
        })}</div>
        <ul class="legend"><li>${sign("positive")} ${words.positive}</li><li>${sign("negative")} ${words.negative}</li>
          <li><span class="swatch masked"></span> ${words.masked}</li><li><span class="swatch"></span> ${words.unused}</li></ul>
      </div><div>
        <dl>${["asks", "own", "others", "apart"].map(
          (fact) => html`<div><dt>${words.facts[fact]}</dt><dd>${own[fact]}</dd></div>`,
        )}</dl>
        <p class="sum">${fill(words.counted[0], { row: named(own.rows, rows[state.query - 1]) })}${live("methods.positives", numbers.positives, 0)}${words.counted[1]}${live("methods.negatives", numbers.negatives, 0)}${words.counted[2]}<strong class="number">ln ${shown(1 + numbers.effective, fades ? 2 : 0)} = ${live("methods.guessing", numbers.guessing)}</strong> ${words.nats}</p>
      </div></div>
      <div class="sliders">
        ${slider({ key: "n", label: own.size, value: state.n, min: 3, max: 6, step: 1 })}
        ${slider({ key: "query", label: words.whose, value: state.query, min: 1, max: numbers.queries, step: 1, said: named(own.rows, rows[state.query - 1]) })}
        ${state.method === "cpc" && slider({ key: "ahead", label: words.ahead, value: state.ahead, min: 1, max: state.n - 1, step: 1 })}
        ${video && slider({ key: "decay", label: words.decay, value: state.decay, min: 0.5, max: 1, step: 0.01 })}
      </div>
    </div>`;
  },

  actions: { ask: (state, row) => ({ query: Number(row) + 1 }) },

  says: (state, numbers, words) => fill(words.said, { method: words.methods[state.method].name, ...numbers }),

  tasks: {
    views: (state, { negatives }) => state.method === "simclr" && negatives === 10,
    farther: (state) => state.method === "cpc" && state.ahead >= 3,
    moco: (state) => state.method === "videomoco" && state.decay === 1,
  },
};
