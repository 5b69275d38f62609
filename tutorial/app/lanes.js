// Candidates by their similarity to the anchor, the forces on them, and plots over the temperature.

import { S6 } from "./examples.js";
import { fill, html, live, path, shown } from "./markup.js";
import { arrow, mark, reach } from "./marks.js";

const LEFT = 34;
const WIDTH = 262;
const LANE = 40;
const held = (value, low, high) => Math.min(high, Math.max(low, value));
const hundredth = (value) => Math.round(value * 100) / 100;
const across = (similarity) => LEFT + (WIDTH * (similarity + 1)) / 2;

export const kindOf = (i) => (i === 0 ? "positive" : "negative");
export const nameOf = (i, words) => (i === 0 ? words.positive : fill(words.negativeNumber, { n: i }));
export const hardest = (similarities) => Math.max(...similarities.slice(1));
/** A temperature in as few digits as tell it. */
export const brief = (temperature) => String(Number(temperature.toPrecision(3)));

/** What a state with similarities and a temperature must keep to, and how its candidates are moved. */
export const moving = {
  fits: ({ similarities, temperature, ...rest }) => ({
    ...rest,
    similarities: similarities.length === S6.length ? similarities.map((s) => held(s, -1, 1)) : S6,
    temperature: held(temperature, 0.01, 1),
  }),
  drag: ({ similarities }, what, { x }) => ({
    similarities: similarities.with(Number(what), hundredth(held((2 * (x - LEFT)) / WIDTH - 1, -1, 1))),
  }),
  nudge: ({ similarities }, what, steps) => {
    const moved = Number.isFinite(steps) ? hundredth(similarities[what] + steps / 100) : Math.sign(steps);
    return { similarities: similarities.with(Number(what), held(moved, -1, 1)) };
  },
};

/**
 * Every candidate on a lane of its own, with its force; `forces` is the path of the gradient among the figure's numbers.
 * Without forces: one lane for the positive, which can be moved, and one for all negatives.
 */
export function lanes(figure, title, similarities, words, { gradient, forces = "", head = "∂L/∂s", longest = 60 } = {}) {
  const flat = !gradient;
  const y = (i) => 34 + LANE * (flat ? Math.min(i, 1) : i);
  const bottom = y(similarities.length - 1) + 22;
  return html`<svg class="lanes" viewBox="0 0 ${flat ? 330 : 400} ${bottom + 30}" role="group" aria-label="${title}">
    <title>${title}</title>
    <text class="small" x="${LEFT}" y="12">${words.axis}</text>${!flat && html`<text class="small end" x="398" y="12">${head}</text>`}
    ${[-1, -0.5, 0, 0.5, 1].map(
      (s) => html`<line class="grid" x1="${across(s)}" x2="${across(s)}" y1="20" y2="${bottom}"/><text class="small middle" x="${across(s)}" y="${bottom + 16}">${shown(s, s % 1 ? 1 : 0)}</text>`,
    )}
    <line class="spoke positive" x1="${across(similarities[0])}" x2="${across(similarities[0])}" y1="${y(0)}" y2="${bottom}"/>
    ${similarities.map((s, i) => {
      const [kind, x] = [kindOf(i), across(s)];
      const force = gradient?.[i] ?? 0;
      const can = !flat || i === 0;
      const slides = html`data-drag="${i}" data-nudge="${i}" role="slider" tabindex="0" aria-label="${nameOf(i, words)}" aria-valuemin="-1" aria-valuemax="1" aria-valuenow="${s}" aria-valuetext="${fill(words.cosineIs, { s: shown(s, 2) })}"`;
      return html`<g data-link="${figure}:${i}" class="lane">${!flat && html`<line class="track" x1="${LEFT}" x2="${LEFT + WIDTH}" y1="${y(i)}" y2="${y(i)}"/>`}
        ${!flat || i === 0 ? html`<text class="${kind}" x="6" y="${y(i) + 4}">${i === 0 ? "+" : i}</text>` : ""}
        ${arrow(force < 0 ? "pull" : "push", x - 10 * Math.sign(force), y(i), -Math.sign(force) * reach(force, longest), 0)}
        ${can ? html`<g class="handle" data-key="${i}" ${slides}><circle class="hit" cx="${x.toFixed(2)}" cy="${y(i)}" r="19.8"/>${mark(kind, x, y(i))}</g>` : html`${mark(kind, x, y(i), 6)}<text class="small middle" x="${x.toFixed(2)}" y="${y(i) - 11}">${i}</text>`}
        ${!flat && html`<text class="end" x="398" y="${y(i) + 4}">${live(`${figure}.${forces}.${i}`, force, 3, "tspan")}</text>`}</g>`;
    })}
  </svg>`;
}

const [X, Y, WIDE, HIGH] = [40, 12, 250, 160];

/**
 * A curve over the temperature, on a logarithmic axis from 0.01 to `most`, with where the reader is; `ghosts` are what it
 * comes near to. `rise` is the range of the other axis, `log` if that is logarithmic, too; `shut` what may not be entered.
 */
export function plot({ title, curve, ghosts = [], point, rise, ticks, log = false, most = 10, shut = "", force = 0 }) {
  const scale = (value, [low, high], steps) => (steps ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low));
  const x = (temperature) => X + WIDE * scale(temperature, [0.01, most], true);
  const y = (value) => Y + HIGH * (1 - scale(value, rise, log));
  const grid = Array.from({ length: 121 }, (_, i) => 0.01 * (most / 0.01) ** (i / 120));
  const drawn = (of) => path(grid.map((t) => [t, of(t)]).filter(([, v]) => v >= rise[0] && v <= rise[1]).map(([t, v]) => [x(t), y(v)]));
  const there = [x(point[0]), y(held(point[1], ...rise))];
  return html`<svg class="plot" viewBox="0 0 300 214" role="img" aria-label="${title}"><title>${title}</title>
    ${shut && html`<rect class="shut" x="${X - 12}" y="${Y}" width="12" height="${HIGH}"/>`}
    ${ticks.map((v) => html`<line class="grid" x1="${X}" x2="${X + WIDE}" y1="${y(v)}" y2="${y(v)}"/><text class="small end" x="${X - 15}" y="${y(v) + 4}">${v}</text>`)}
    ${[0.01, 0.1, 1, 10].filter((t) => t <= most).map((t) => html`<text class="small middle" x="${x(t)}" y="${Y + HIGH + 18}">${t}</text>`)}
    <text class="small middle" x="${X + WIDE / 2}" y="${Y + HIGH + 38}">τ</text>
    ${ghosts.map(({ of, name, at: [t, v, anchor = "start"] }) => html`<path class="ghost" d="${drawn(of)}"/><text class="small ghostly" x="${x(t)}" y="${y(v)}" text-anchor="${anchor}">${name}</text>`)}
    <path class="curve" d="${drawn(curve)}"/>
    <line class="cursor" x1="${there[0]}" x2="${there[0]}" y1="${Y}" y2="${Y + HIGH}"/>
    ${arrow("step", ...there, Math.sign(force) * reach(force, 220), 0)}
    <circle class="here" cx="${there[0]}" cy="${there[1]}" r="6"/>
  </svg>`;
}
