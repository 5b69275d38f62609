// log N - L against N: never above the information nor above log N, and what is missing has two names.

import { choice, slider } from "../controls.js";
import { UMBRELLA } from "../examples.js";
import { jointTable, weighed } from "../joint.js";
import { fill, html, live, path, shown } from "../markup.js";
import { handle, levels } from "../marks.js";
import { clamp, expectedLoss, information, jointOf, mutualBound, noiseless, viewsOf } from "../math.js";

const [LEFT, RIGHT, CEILING, FLOOR] = [40, 400, 12, 300];
const SYMBOLS = 64;
const LINES = ["mutual", "ceiling", "loss", "bound", "critic", "finite"];
const doublings = (source) => (source === "symbols" ? 12 : 9);
const X = (source, n) => LEFT + ((RIGHT - LEFT) * (Math.log2(n) - 1)) / (doublings(source) - 1);

export const bound = {
  name: "bound",
  state: { source: "joint", joint: UMBRELLA, n: 8, power: 1 },

  fits: ({ source, joint, n, power }) => ({
    source: source === "symbols" ? source : "joint",
    joint: weighed(joint),
    n: clamp(Math.round(n), 2, 2 ** doublings(source)),
    power: clamp(power, 0, 4),
  }),

  derive({ source, joint, n, power }) {
    const views = source === "symbols" ? noiseless(SYMBOLS) : viewsOf(jointOf(joint));
    const found = mutualBound(views, n, power);
    const counts = [...new Set(Array.from({ length: 4 * doublings(source) - 3 }, (_, i) => Math.round(2 ** (1 + i / 4))))];
    const curve = (bent) => counts.map((count) => [count, Math.log(count) - expectedLoss(views, count, bent)]);
    const best = curve(1);
    const { px, py } = information(jointOf(joint));
    return { ...found, best: found.bound + found.critic, curves: { best, yours: power === 1 ? best : curve(power) }, px, py };
  },

  view({ source, joint, n, power }, numbers, words) {
    const [top, by] = source === "symbols" ? [5, 1] : numbers.mutual < 0.38 ? [0.4, 0.1] : [0.8, 0.2];
    const lowest = Math.min(...numbers.curves.yours.map(([, nats]) => nats));
    const low = -clamp(by * Math.ceil(-lowest / by - 1e-9), 0, top);
    const Y = (nats) => FLOOR - ((FLOOR - CEILING) * (clamp(nats, low, top) - low)) / (top - low);
    const most = 2 ** doublings(source);
    const drawn = (points) => path(points.filter(([, nats]) => nats >= low && nats <= top).map(([count, nats]) => [X(source, count), Y(nats)]));
    const logN = Array.from({ length: 61 }, (_, i) => 2 * (most / 2) ** (i / 60)).map((count) => [count, Math.log(count)]);
    const x = X(source, n);
    const upright = (name, from, to) => html`<line class="${name}" data-link="${name}" x1="${x}" x2="${x}" y1="${Y(from)}" y2="${Y(to)}"/>`;
    const sample = (name) => (name === "bound" ? html`<circle class="held" cx="13" cy="6" r="4.5"/>` : name !== "loss" && html`<line class="${name}" x1="1" x2="25" y1="6" y2="6"/>`);
    return html`<div class="bound">
      ${choice({ key: "source", label: words.source, options: Object.entries(words.sources), value: source })}
      <div class="two">
        <div>
          <svg viewBox="0 0 410 346" role="group" aria-label="${words.picture}"><title>${words.picture}</title>
            ${levels(Array.from({ length: Math.round((top - low) / by) + 1 }, (_, i) => low + i * by), [LEFT, RIGHT], Y, by < 1 ? 1 : 0)}
            ${[2, 8, 32, 128, 512, 2048].filter((count) => count <= most).map((count) => html`<text class="mid" x="${X(source, count)}" y="${FLOOR + 18}">${count}</text>`)}
            <text class="mid" x="${(LEFT + RIGHT) / 2}" y="${FLOOR + 40}">${words.candidates}</text>
            <line class="zero" x1="${LEFT}" x2="${RIGHT}" y1="${Y(0)}" y2="${Y(0)}"/>
            ${top < Math.LN2 && html`<text x="${LEFT + 6}" y="${CEILING + 18}">${words.above}</text>`}
            <path class="ceiling" data-link="ceiling" d="${drawn(logN)}"/>
            <line class="mutual" data-link="mutual" x1="${LEFT}" x2="${RIGHT}" y1="${Y(numbers.mutual)}" y2="${Y(numbers.mutual)}"/>
            <path class="best" d="${drawn(numbers.curves.best)}"/>${power !== 1 && html`<path class="yours" d="${drawn(numbers.curves.yours)}"/>`}
            ${upright("critic", numbers.bound, numbers.best)}${upright("finite", numbers.best, numbers.mutual)}
            ${handle({ what: "n", link: "bound", x, y: Y(numbers.bound), label: words.candidates, min: 2, max: most, now: n, place: fill(words.place, { n, bound: shown(numbers.bound) }) }, html`<circle class="held" cx="${x}" cy="${Y(numbers.bound)}" r="7"/>`)}
          </svg>
          ${slider({ key: "n", label: words.candidates, value: n, min: 2, max: most, step: 1, scale: "log", by: Math.log10(2) / 2 })}
          ${slider({ key: "power", label: words.power, value: power, min: 0, max: 4, step: 0.05 })}
        </div>
        <div>
          ${source === "joint" ? jointTable("bound", joint, numbers, words) : html`<p class="note">${words.noiseless}</p>`}
          <table><caption>${words.readings}</caption><tbody>${LINES.map((name) => html`<tr data-link="${name}"><th scope="row"><svg class="sample" viewBox="0 0 26 12" aria-hidden="true">${sample(name)}</svg> ${words.lines[name]}</th><td>${live(`bound.${name}`, numbers[name])}</td></tr>`)}</tbody></table>
          <p class="sum">${shown(numbers.bound)} + ${shown(numbers.critic)} + ${shown(numbers.finite)} = <strong>${live("bound.mutual", numbers.mutual)}</strong></p>
        </div>
      </div>
    </div>`;
  },

  drag: ({ source }, what, { x }) => ({ n: 2 ** (1 + ((x - LEFT) / (RIGHT - LEFT)) * (doublings(source) - 1)) }),
  nudge: ({ n }, what, steps) => ({ n: clamp(n + steps, 2, 4096) }),
  says: (state, { bound: value, mutual, ceiling }, words) => fill(words.said, { bound: shown(value, 3), mutual: shown(mutual, 3), ceiling: shown(ceiling, 3) }),

  tasks: {
    near: ({ source }, { mutual, bound: value }) => source === "joint" && mutual > 0.2 && mutual - value < 0.005,
    negative: (state, { bound: value }) => value < -0.02,
    many: ({ source }, { mutual, bound: value }) => source === "symbols" && mutual - value < 0.1,
  },
};
