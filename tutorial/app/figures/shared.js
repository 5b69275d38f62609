// Weather and umbrella: a joint of two by two as tiles, and its entropies as areas that overlap by their information.

import { button } from "../controls.js";
import { UMBRELLA } from "../examples.js";
import { jointTable, weighed } from "../joint.js";
import { fill, html, live, shown } from "../markup.js";
import { handle } from "../marks.js";
import { clamp, information, jointOf } from "../math.js";

const [LEFT, TOP, SIDE] = [6, 22, 230];
const NAT = 388 / (2 * Math.LN2); // both fair and independent: as wide as it gets
const PRESETS = { umbrella: UMBRELLA, independent: [35, 35, 15, 15], dependent: [50, 0, 0, 50] };
const FORMS = ["given", "difference", "overlap", "divergence"];

// The shares that can be moved one by one: of sun, and of umbrellas in the sun and in the rain.
const parts = (weights) => {
  const [sun, rain] = jointOf(weights);
  return [sun[0] + sun[1], ...[sun, rain].map(([yes, no]) => (yes + no > 0 ? yes / (yes + no) : 0.5))];
};
function moved({ joint }, what, share) {
  const i = Number(what);
  const [sun, ...umbrella] = parts(joint).with(i, i ? clamp(share, 0, 1) : clamp(share, 0.02, 0.98));
  const shares = [sun, 1 - sun].flatMap((p, x) => [p * umbrella[x], p * (1 - umbrella[x])]);
  return { joint: shares.map((p) => Number((100 * p).toFixed(2))) };
}

export const shared = {
  name: "shared",
  state: { joint: UMBRELLA, form: "difference" },

  fits: ({ joint, form }) => ({ joint: weighed(joint), form: FORMS.includes(form) ? form : "difference" }),

  derive({ joint }) {
    const found = information(jointOf(joint));
    return { ...found, bits: found.divergence / Math.LN2 };
  },

  view({ joint, form }, numbers, words) {
    const [sun, ...umbrella] = parts(joint);
    const { hx, hy, hxy, given, py, terms } = numbers;
    const starts = [LEFT, LEFT + SIDE * sun, LEFT + SIDE];
    const middle = (x) => (starts[x] + starts[x + 1]) / 2;
    const level = (share) => TOP + SIDE * (1 - share);
    const tiles = [0, 1].flatMap((x) => [0, 1].map((y) => ({ x, y, width: starts[x + 1] - starts[x], top: y ? TOP : level(umbrella[x]), bottom: y ? level(umbrella[x]) : TOP + SIDE })));
    const knob = (i, x, y, share) => handle({ what: `${i}`, link: `knob ${i}`, x, y, label: words.knobs[i], max: 100, now: Math.round(100 * share), place: fill(words.percent, { n: shown(100 * share, 0) }) }, html`<circle class="knob" cx="${x}" cy="${y}" r="6.5"/>`);
    const X = (nats) => Number((6 + NAT * nats).toFixed(2));
    const on = (...forms) => (forms.includes(form) ? "on" : "");
    const bracket = (from, to, y, name, chosen) => html`<g class="bracket ${chosen}"><path d="M${X(from)} ${y - 5}v10m0-5H${X(to)}m0-5v10"/><text class="${from ? "ending" : ""}" x="${X(from ? Math.max(to, 0.42) : 0)}" y="${y - 9}">${name} = ${shown(to - from)}</text></g>`;
    const area = (kind, from, to, name, chosen) => html`<g class="area ${kind} ${chosen}"><rect x="${X(from)}" y="66" width="${Math.max(0, X(to) - X(from))}" height="84"/>${
      NAT * (to - from) > 52 && html`<text class="mid" x="${X((from + to) / 2)}" y="104">${name}</text><text class="mid" x="${X((from + to) / 2)}" y="124">${shown(to - from)}</text>`
    }</g>`;
    const number = (name, value = numbers[name]) => live(`shared.${name}`, value);
    const sums = {
      given: html`${shown(py[0], 2)}&nbsp;×&nbsp;${number("left.0", numbers.left[0])} + ${shown(py[1], 2)}&nbsp;×&nbsp;${number("left.1", numbers.left[1])}`,
      difference: html`${number("hx")} − ${number("given")}`,
      overlap: html`${number("hx")} + ${number("hy")} − ${number("hxy")}`,
      divergence: html`${terms.map((row, x) => row.map((term, y) => html`${x + y > 0 && " + "}${term < 0 && x + y > 0 ? html`(${number(`terms.${x}.${y}`, term)})` : number(`terms.${x}.${y}`, term)}`))}`,
    };
    return html`<div class="shared two">
      <div>
        <svg class="tiles" viewBox="0 0 330 280" role="group" aria-label="${words.tiles}"><title>${words.tiles}</title>
          ${words.rows.map((row, x) => starts[x + 1] - starts[x] > 30 && html`<text class="mid" x="${middle(x)}" y="12">${row}</text>`)}
          ${tiles.map(({ x, y, width, top, bottom }) => html`<rect class="tile ${y ? "" : "with"}" x="${starts[x]}" y="${top}" width="${width}" height="${bottom - top}"/>`)}
          <line class="overall" x1="${LEFT}" x2="${LEFT + SIDE + 6}" y1="${level(py[0])}" y2="${level(py[0])}"/>
          ${tiles.map(({ x, y, width, top, bottom }) => width > 50 && bottom - top > 40 && html`<text class="mid" x="${middle(x)}" y="${(top + bottom) / 2 + 5}">${shown((form === "divergence" ? terms : jointOf(joint))[x][y], 3)}</text>`)}
          ${words.overall.map((text, i) => html`<text x="${LEFT + SIDE + 11}" y="${level(py[0]) + 16 * i - 3}">${text}</text>`)}
          <path class="stem" d="M${starts[1]} ${TOP + SIDE}v14"/>
          ${knob(0, starts[1], TOP + SIDE + 14, sun)}${[0, 1].map((x) => knob(x + 1, middle(x), level(umbrella[x]), umbrella[x]))}
        </svg>
        ${jointTable("shared", joint, numbers, words)}
        <div class="row">${Object.keys(PRESETS).map((preset) => button(`preset:${preset}`, words.presets[preset]))}</div>
      </div>
      <div>
        <svg viewBox="0 0 400 206" role="img" aria-label="${words.picture}"><title>${words.picture}</title>
          ${bracket(0, hx, 18, "H(X)", on("difference", "overlap"))}${bracket(hxy - hy, hxy, 50, "H(Y)", on("overlap"))}
          ${area("x", 0, given, "H(X|Y)", on("given", "difference"))}${area("y", hx, hxy, "H(Y|X)")}${area("both", given, hx, "I(X;Y)", on("difference", "overlap", "divergence"))}
          ${bracket(0, hxy, 190, "H(X,Y)", on("overlap"))}
        </svg>
        <ol class="sums">${FORMS.map((key) => html`<li>${button(`set:form=${key}`, words.forms[key], { pressed: form === key })}<span>${sums[key]} = <strong>${number(key)}</strong></span></li>`)}</ol>
        <p class="sum">I(X;Y) = ${number("divergence")} ${words.nats} = <strong>${live("shared.bits", numbers.bits, 5)}</strong> ${words.bits}</p>
      </div>
    </div>`;
  },

  actions: { preset: (state, name) => ({ joint: PRESETS[name] }) },
  drag: (state, what, { x, y }) => moved(state, what, what === "0" ? (x - LEFT) / SIDE : 1 - (y - TOP) / SIDE),
  nudge: (state, what, steps) => moved(state, what, parts(state.joint)[what] + steps / 100),
  says: (state, { hx, given, divergence }, words) => fill(words.said, { before: shown(hx, 2), after: shown(given, 2), shared: shown(divergence, 2) }),

  tasks: {
    apart: (state, { hx, hy, divergence }) => divergence < 0.001 && Math.min(hx, hy) > 0.3,
    bit: (state, { divergence }) => divergence > Math.LN2 - 0.001,
  },
};
