// The exponential in three number formats: as written, and with the largest logit taken out first.

import { choice, slider, table } from "../controls.js";
import { S6 } from "../examples.js";
import { fill, html, live, shown } from "../markup.js";
import { mark, sign } from "../marks.js";
import { LARGEST, infoNceIn } from "../math.js";

const [LEAST, MOST] = [0.001, 1];
const END = 180; // pixels from the middle to either end of a lane
const kind = (i) => (i ? "negative" : "positive");

/** A lane of logits, with the place from which the exponential is infinite. */
function lane(top, label, logits, cliff) {
  const at = (logit) => Math.max(-END, Math.min(END, Math.round(20 + (125 * logit) / cliff)));
  return html`<g transform="translate(0 ${top})"><text class="title" x="-${END}" y="-32">${label}</text>
    <path class="beyond" d="M${at(cliff)} -22H${END}V22H${at(cliff)}z"/><text class="infinity" x="163" y="7">∞</text>
    <path class="axis" d="M-${END} 0H${END}M20 -22V22"/><path class="cliff" d="M${at(cliff)} -22V22"/><text x="20" y="39">0</text><text x="${at(cliff)}" y="39">${shown(cliff, 2)}</text>
    ${logits.map((logit, i) => html`<g data-link="overflow:${i}">${mark(kind(i), at(logit), 0, 5.5)}</g>`).reverse()}</g>`;
}

export const overflow = {
  name: "overflow",
  state: { format: "float16", temperature: 0.1 },

  fits: ({ format, temperature }) => ({
    format: Object.hasOwn(LARGEST, format) ? format : "float16",
    temperature: Math.min(MOST, Math.max(LEAST, temperature)),
  }),

  derive: ({ format, temperature }) => ({
    ...infoNceIn(format, S6, temperature),
    exact: infoNceIn("float64", S6, temperature).stable,
    cliff: Math.log(LARGEST[format]),
  }),

  view({ format, temperature }, numbers, words) {
    const { logits, lowered, powers, naive, stable, cliff } = numbers;
    const cell = (path, value, digits) => html`<span class="${Number.isFinite(value) || "broken"}">${live(`overflow.${path}`, value, digits)}</span>`;
    const power = (path, value) => cell(path, value, value < 1000 ? 2 : 0);
    const rows = [
      ...S6.map((_, i) => [
        html`<span data-link="overflow:${i}">${sign(kind(i))} ${i ? fill(words.negativeNumber, { n: i }) : words.positive}</span>`,
        cell(`logits.${i}`, logits[i], 2), power(`powers.${i}`, powers[i]), cell(`loweredPowers.${i}`, numbers.loweredPowers[i], 4),
      ]),
      [words.sum, "", power("total", numbers.total), cell("loweredTotal", numbers.loweredTotal, 4)],
      [words.loss, "", cell("naive", naive, 4), cell("stable", stable, 4)],
    ];
    return html`<div class="overflow">
      <div class="set">${choice({ key: "format", label: words.format, options: Object.keys(LARGEST).map((name) => [name, name]), value: format })}
        ${slider({ key: "temperature", label: words.temperature, value: temperature, min: LEAST, max: MOST, step: 0.01, scale: "log" })}</div>
      <div class="two"><svg viewBox="-190 -48 380 212" role="img" aria-label="${words.picture}"><title>${words.picture}</title>
        ${lane(0, words.naive, logits, cliff)}${lane(120, words.stable, lowered, cliff)}</svg>
      ${table(words.numbers, [words.candidate, "z", "exp z", "exp (z − m)"], rows)}</div>
      <p class="found"><strong>${words.verdicts[Number.isFinite(naive) ? 0 : Number.isNaN(naive) ? 1 : 2]}</strong> ${fill(words.exactly, { loss: shown(stable), exact: shown(numbers.exact) })}</p>
    </div>`;
  },

  says: ({ format }, { naive, stable, powers }, words) =>
    fill(words.said, { format, n: powers.filter((power) => power === Infinity).length, naive: shown(naive, 2), stable: shown(stable, 2) }),

  tasks: Object.fromEntries(
    Object.keys(LARGEST).map((name) => [name, ({ format }, { naive }) => format === name && !Number.isFinite(naive)]),
  ),
};
