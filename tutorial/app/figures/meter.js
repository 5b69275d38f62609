// What a loss says: as unsure as among exp(L) equally likely candidates, to be held against ln N for guessing.

import { button, choice, field, table } from "../controls.js";
import { fill, html, live, shown } from "../markup.js";
import { candidatesOf } from "../math.js";

const MOST = 14; // nats on the meter
const [END, HIGH, SQUARES] = [180, 130, 1024]; // half the width, the height of the crowd, how many of it are drawn at most
const at = (nats) => Math.round((2 * END * nats) / MOST - END);
const within = (nats) => Math.min(MOST, Math.max(0, nats));
const hundredth = (nats) => Math.round(within(nats) * 100) / 100;
const few = (left) => shown(left, left < 100 ? 1 : 0);

/** A square for each candidate, of which as many are filled as are equally likely, the last one in part. */
function crowd(all, left) {
  const count = Math.min(all, SQUARES);
  const columns = 2 ** Math.ceil(Math.log2(2 * count) / 2);
  const rows = Math.ceil(count / columns);
  const size = Math.min(48, (2 * END) / columns, HIGH / rows);
  const top = -20 - size * rows;
  const squares = (many) =>
    Array.from({ length: Math.ceil(many) }, (_, i) => {
      const width = (0.84 * size * Math.min(1, many - i)).toFixed(1);
      return `M${(size * (i % columns) - END).toFixed(1)} ${(top + size * Math.floor(i / columns)).toFixed(1)}h${width}v${(0.84 * size).toFixed(1)}h-${width}z`;
    }).join("");
  return html`<path class="all" d="${squares(count)}"/><path class="left" d="${squares((count * Math.min(all, left)) / all)}"/>`;
}

export const meter = {
  name: "meter",
  state: { kind: "pairs", n: 256, loss: 3 },

  fits: ({ kind, n, loss }) => ({
    kind: Object.hasOwn(candidatesOf, kind) ? kind : "pairs",
    n: Math.min(65536, Math.max(2, Math.round(n))),
    loss: within(loss),
  }),

  derive({ kind, n, loss }) {
    const candidates = candidatesOf[kind](n);
    const chance = Math.log(candidates);
    return { candidates, negatives: candidates - 1, chance, loss, left: Math.exp(loss), share: Math.exp(-loss), gained: chance - loss };
  },

  view({ kind, n, loss }, numbers, words) {
    const { candidates, chance, left, gained } = numbers;
    const line = at(chance);
    const scale = (y, label, ticks) => html`<g transform="translate(0 ${y})"><text class="title" x="-${END}" y="19">${label}</text>${ticks.map(([text, nats]) => html`<text x="${at(nats)}">${text}</text>`)}</g>`;
    return html`<div class="meter">
      <div class="row">${choice({ key: "kind", label: words.kind, options: Object.entries(words.kinds), value: kind })}</div>
      <div class="row">${field({ key: "n", label: words.counts[kind], value: n, min: 2, max: 65536, step: 1 })}${field({ key: "loss", label: words.loss, value: hundredth(loss), min: 0, max: MOST, step: 0.1 })}${button("guess", words.guess)}</div>
      <div class="two"><svg viewBox="-190 -${HIGH + 22} 380 ${HIGH + 161}" role="group" aria-label="${words.picture}"><title>${words.picture}</title>
        ${crowd(candidates, left)}
        <path class="better" d="M-${END} 22H${line}v22H-${END}z"/><path class="worse" d="M${line} 22H${END}v22H${line}z"/><path class="chance" d="M${line} 16v34"/><text x="${Math.max(-75, line)}" y="8">${words.guessing}</text>
        <g class="handle" data-key="loss" data-drag="loss" data-nudge="loss" role="slider" tabindex="0" aria-label="${words.loss}" aria-valuemin="0" aria-valuemax="${MOST}" aria-valuenow="${hundredth(loss)}" aria-valuetext="${fill(words.reading, { loss: shown(loss, 2), left: few(left) })}">
          <circle class="hit" cx="${at(loss)}" cy="36" r="20"/><path class="pointer" d="M${at(loss)} 20v26m-6 7l6 -7l6 7z"/></g>
        ${scale(70, words.lossInNats, [0, 2, 4, 6, 8, 10, 12, 14].map((nats) => [nats, nats]))}${scale(117, words.equal, ["1", "10", "100", "10³", "10⁴", "10⁵", "10⁶"].map((text, i) => [text, i * Math.LN10]))}</svg>
      <div><p class="sum">${words.equally[0]} <strong>${live("meter.left", left, left < 100 ? 1 : 0)}</strong> ${words.equally[1]} ${live("meter.candidates", candidates, 0)}${words.equally[2]}</p>
        <p>${words.verdicts[Math.abs(gained) < 0.005 ? 1 : gained > 0 ? 0 : 2]} ${candidates > SQUARES && fill(words.each, { n: shown(candidates / SQUARES, 1) })}</p>
        ${table(words.numbers, [], Object.entries(words.rows).map(([key, label]) => [label, live(`meter.${key}`, numbers[key], key.endsWith("es") ? 0 : 4)]))}</div></div>
    </div>`;
  },

  actions: { guess: (state, argument, { chance }) => ({ loss: chance }) },

  drag: (state, what, { x }) => ({ loss: hundredth((MOST * (x + END)) / (2 * END)) }),

  nudge: ({ loss }, what, steps) => ({ loss: Number.isFinite(steps) ? hundredth(loss + steps / 10) : steps < 0 ? 0 : MOST }),

  says: ({ loss }, { left, chance }, words) => fill(words.said, { loss: shown(loss, 2), left: few(left), chance: shown(chance, 2) }),

  tasks: {
    guessing: (state, { gained }) => Math.abs(gained) < 0.01,
    ten: (state, { left }) => Math.abs(left - 10) < 0.06,
    views: ({ kind, n }) => kind === "views" && n === 256,
  },
};
