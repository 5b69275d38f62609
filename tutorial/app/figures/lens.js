// The lines of three losses, and what each of them makes of the same four pairs: its shape and its numbers.

import { choice, slider } from "../controls.js";
import { M4 } from "../examples.js";
import { fill, html, live, shown } from "../markup.js";
import { listing } from "../listing.js";
import { dot, ntXentInterleaved, sum, symmetric, transposed, withProducts } from "../math.js";

// How alike the four pictures are, and the four captions: whatever leaves room for vectors with the products of M4.
const PICTURES = [[1, 0.3, 0.5, 0.2], [0.3, 1, 0.3, 0.4], [0.5, 0.3, 1, 0.4], [0.2, 0.4, 0.4, 1]];
const CAPTIONS = [[1, 0.1, 0.5, -0.1], [0.1, 1, 0.5, 0.5], [0.5, 0.5, 1, 0.1], [-0.1, 0.5, 0.1, 1]];
const beside = (a, b) => a.map((row, i) => [...row, ...b[i]]);
const count = (rows) => rows.map((_, i) => i);
// Turned by a Hadamard matrix, which changes no product, so that they look as vectors of an encoder do: no zeros.
const odd = (n) => [...n.toString(2)].filter((digit) => digit === "1").length % 2;
const turned = (vector) => count(vector).map((k) => sum(vector.map((x, i) => (odd(i & k) ? -x : x))) / Math.sqrt(vector.length));
const VECTORS = withProducts([...beside(CAPTIONS, transposed(M4)), ...beside(M4, PICTURES)]).map(turned);
const [KEY, QUERY] = [VECTORS.slice(0, 4), VECTORS.slice(4)];
const VIEWS = QUERY.flatMap((query, i) => [query, KEY[i]]);
const products = (a, b, temperature) => a.map((row) => b.map((column) => dot(row, column) / temperature));
const [WIDE, HIGH] = [47, 30];

const STEPS = {
  info_nce: ({ rowLoss }, t) => [["query", QUERY], ["key", KEY], ["logits", products(QUERY, KEY, t)], ["own", count(M4)], ["mean", rowLoss]],
  symmetric_info_nce: ({ rowLoss, columnLoss, loss }, t) => [
    ["query", QUERY], ["key", KEY], ["logits", products(QUERY, KEY, t)], ["own", count(M4)], ["rows", rowLoss], ["columns", columnLoss], ["both", loss],
  ],
  nt_xent: (_, t) => {
    const logits = products(VIEWS, VIEWS, t);
    return [
      ["views", VIEWS],
      ["products", logits],
      ["itself", logits.map((row, i) => row.map((_, j) => i === j))],
      ["masked", logits.map((row, i) => row.map((value, j) => (i === j ? -Infinity : value)))],
      ["partner", count(VIEWS).map((i) => i ^ 1)],
      ["mean", ntXentInterleaved(products(VIEWS, VIEWS, 1), t)],
    ];
  },
};
const shape = (value) => (Array.isArray(value) ? [value.length, ...(Array.isArray(value[0]) ? [value[0].length] : [])] : []);
const PLACES = ["own", "partner"];
const text = (key, value) => (typeof value === "boolean" ? (value ? "True" : "·") : shown(value, PLACES.includes(key) ? 0 : 2));
const MATRICES = ["logits", "products", "masked"];

/** Hue says what a cell is, ink how much; a vector's entries are neither positive nor negative. */
function cell(key, value, i, j, most) {
  const kind = !MATRICES.includes(key) ? "plain" : (key === "logits" ? i === j : j === (i ^ 1)) ? "positive" : i === j && key !== "logits" ? "itself" : "negative";
  const ink = Number.isFinite(value) ? 0.04 + (0.26 * Math.max(0, kind === "plain" ? Math.abs(value) : value)) / most : 0;
  return html`<g class="entry ${kind}"><rect x="${j * WIDE + 1}" y="${i * HIGH + 1}" width="${WIDE - 2}" height="${HIGH - 2}" rx="${kind === "positive" ? 12 : 2}" style="--ink-share:${ink.toFixed(3)}"/><text x="${(j + 0.5) * WIDE}" y="${(i + 0.5) * HIGH + 4.5}">${text(key, value)}</text></g>`;
}

function tensor([key, value], label) {
  const rows = Array.isArray(value) ? (Array.isArray(value[0]) ? value : [value]) : [[value]];
  const most = Math.max(1e-9, ...rows.flat().filter(Number.isFinite).map(Math.abs));
  const width = rows[0].length * WIDE;
  return html`<div class="scroll" role="group" tabindex="0" aria-label="${label}"><svg class="tensor" viewBox="0 0 ${width} ${rows.length * HIGH}" style="width:${width}px" role="group" aria-label="${label}"><title>${label}</title>${rows.map((row, i) => row.map((one, j) => cell(key, one, i, j, most)))}</svg></div>`;
}

export const lens = {
  name: "lens",
  state: { of: "info_nce", line: 3, temperature: 0.07 },

  fits: ({ of, line, temperature }) => {
    const known = Object.hasOwn(STEPS, of) ? of : "info_nce";
    const t = Math.min(1, Math.max(0.01, temperature));
    const last = STEPS[known](symmetric(M4, t), t).length;
    return { of: known, line: Math.min(last, Math.max(1, Math.round(line))), temperature: t };
  },

  derive: ({ of, line, temperature }) => {
    const found = symmetric(M4, temperature);
    const steps = STEPS[of](found, temperature);
    const { rowLoss, columnLoss, loss } = found;
    return { steps, made: steps[line - 1], result: steps.at(-1)[1], rowLoss, columnLoss, loss, ntXent: STEPS.nt_xent(found, temperature).at(-1)[1] };
  },

  view: (state, { steps, made, result }, words) => {
    const name = `torch.${typeof [made[1]].flat(2)[0] === "boolean" ? "bool" : PLACES.includes(made[0]) ? "int64" : "float64"}`;
    const size = `[${shape(made[1]).join(", ")}]`;
    return html`<div class="lens">
    ${choice({ key: "of", label: words.which, options: Object.keys(STEPS).map((of) => [of, of]), value: state.of })}
    ${listing(words.code[state.of], ({ statement }) => statement > 0 && `set:line=${statement}`, ({ statement }) =>
      statement > 0 ? { pressed: statement === state.line, beside: `[${shape(steps[statement - 1][1]).join(", ")}]` } : {})}
    <div class="made" data-link="set:line=${state.line}">
      <div><p class="eyebrow">${name} ${size}</p><p>${words.means[made[0]]}</p></div>
      ${Array.isArray(made[1]) ? tensor(made, fill(words.picture, { name: made[0], size })) : html`<p class="sum"><strong>${live(`lens.steps.${state.line - 1}.1`, made[1])}</strong> ${words.nats}</p>`}
    </div>
    <div class="row">${slider({ key: "temperature", label: words.temperature, value: state.temperature, min: 0.01, max: 1, step: 0.01, scale: "log" })}
      <p class="sum">${words.loss} <strong>${live("lens.result", result)}</strong> ${words.nats}</p></div>
  </div>`;
  },

  says: (state, { made, result }, words) =>
    fill(words.said, { what: words.means[made[0]], size: shape(made[1]).join(" × ") || "1", loss: shown(result) }),

  tasks: {
    partner: ({ of, line }) => of === "nt_xent" && line === 5,
    small: ({ of }, { rowLoss }) => of === "info_nce" && rowLoss < 0.1,
  },
};
