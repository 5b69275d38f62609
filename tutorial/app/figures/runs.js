// Real trainings, recorded: where fifty held-out digits lie, step by step, and what their neighbours say of them.

import { choice, player, slider, table } from "../controls.js";
import { fill, html, live, path, shown } from "../markup.js";
import { bar } from "../marks.js";
import { mean } from "../math.js";
import { RUNS } from "../recorded/runs.js";

const { steps: STEPS, labels: LABELS, runs: RECORDED, raw_knn: RAW } = RUNS;
const GRID = 99; // places are whole numbers of 99ths of the radius
const LAST = STEPS.length - 1;
const nearest = (step) => STEPS.reduce((best, other) => (Math.abs(other - step) < Math.abs(best - step) ? other : best));

const points = (places) => LABELS.map((label, i) => ({ label, x: places[2 * i] / GRID, y: places[2 * i + 1] / GRID }));

/** What all seeds say after a step. */
const summary = (recorded, at) => {
  const votes = recorded.map((run) => run.knn[at]);
  return {
    right: mean(votes),
    least: Math.min(...votes),
    most: Math.max(...votes),
    uniformity: mean(recorded.map((run) => run.uniformity[at])),
  };
};

function sphere(name, places, digit, words) {
  return html`<svg class="shadow" viewBox="-108 -108 216 216" role="img" aria-label="${name}"><title>${name}</title>
    <circle class="ring" r="100"/>
    ${points(places).map(
      ({ label, x, y }) => html`<text class="${label === digit ? "chosen" : "digit"}" x="${(100 * x).toFixed(1)}" y="${(4 - 100 * y).toFixed(1)}">${label}</text>`,
    )}</svg>`;
}

/** How the share of right votes grew, with a mark where the reader is. */
function growth(recorded, at) {
  const place = (i) => [(100 * STEPS[i]) / STEPS[LAST], 26 - 24 * summary(recorded, i).right];
  const [x, y] = place(at);
  return html`<svg class="growth" viewBox="-3 0 106 28" aria-hidden="true"><path d="${path(STEPS.map((_, i) => place(i)))}"/><circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="3"/></svg>`;
}

/** A figure of some of the recorded trainings. */
const scrubbed = (name, keys) => ({
  name,
  pace: 350,
  from: { step: 0 },
  state: { step: STEPS[LAST], digit: 3 },

  fits: ({ step, digit }) => ({ step: nearest(step), digit: Math.min(9, Math.max(0, Math.round(digit))) }),

  derive: ({ step }) => {
    const at = STEPS.indexOf(step);
    return { at, step, raw: RAW, seeds: RUNS.seeds, all: keys.map((key) => summary(RECORDED[key], at)) };
  },

  view: (state, { at, all }, words) => {
    const title = (key) => words.names?.[key] ?? fill(words.atTemperature, { t: key });
    return html`<div class="scrubbed">
      <div class="row">${player(words, words.playing)}
        <div class="grow">${slider({ key: "step", label: words.steps, value: state.step, min: 0, max: STEPS[LAST], step: 10, said: fill(words.after, { n: state.step }) })}</div></div>
      ${choice({ key: "digit", label: words.highlight, value: state.digit, options: [...Array(10).keys()].map((d) => [d, d]) })}
      <div class="spheres many${keys.length}">${keys.map(
        (key, i) => html`<div data-link="${name}:${i}"><p class="of">${title(key)}</p>${sphere(fill(words.shadowOf, { name: title(key) }), RECORDED[key][0].places[at], state.digit, words)}</div>`,
      )}</div>
      ${table(
        fill(words.counted, { n: RUNS.held_out, seeds: RUNS.seeds }),
        words.head,
        [
          ...keys.map((key, i) => [
            title(key),
            html`<span class="share">${bar("plain", all[i].right)}${live(`${name}.all.${i}.right`, all[i].right, 3)}</span>`,
            html`<span class="number">${shown(all[i].least, 3)} – ${shown(all[i].most, 3)}</span>`,
            growth(RECORDED[key], at),
            live(`${name}.all.${i}.uniformity`, all[i].uniformity, 2),
          ]),
          [words.raw, html`<span class="share">${bar("plain", RAW)}${live(`${name}.raw`, RAW, 3)}</span>`, "", "", ""],
        ],
      )}
    </div>`;
  },

  step: ({ step }) => {
    const at = STEPS.indexOf(step);
    return at < LAST ? { step: STEPS[at + 1] } : null;
  },

  says: (state, { all }, words) =>
    fill(words.said, { n: state.step, list: keys.map((key, i) => `${words.names?.[key] ?? key}: ${shown(all[i].right, 2)}`).join(", ") }),

  tasks: {
    back: ({ step }) => step === 0,
    middle: ({ step }) => step > 0 && step <= 200,
  },
});

export const runs = scrubbed("runs", Object.keys(RECORDED).filter((key) => key !== "alignment").sort((a, b) => a - b));
export const collapse = scrubbed("collapse", ["alignment", "0.2"]);
