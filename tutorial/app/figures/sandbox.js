// The reader's own vectors: the matrix, the probabilities and the loss, and a program that finds the same number.

import { cells } from "../cells.js";
import { button, choice, field, slider, table } from "../controls.js";
import { fill, html, live, shown } from "../markup.js";
import { cosines, drawnPairs, hardestTriplet, ntXent, symmetric } from "../math.js";

const FACES = { infoNce: "InfoNCE", symmetric: "SymmetricInfoNCE", ntXent: "NTXent" };
const SHOWS = { infoNce: ["cosines", "rows"], symmetric: ["cosines", "rows", "columns"], ntXent: ["cosines", "rows"], triplet: ["cosines"] };
const LOSSES = Object.keys(SHOWS);
const PAIRS = 16;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const python = (x) => (/[.e]/.test(String(x)) ? `${x}` : `${x}.0`);
const written = (vectors) => vectors.map((vector) => vector.join(", ")).join("\n");
const [QUERIES, KEYS] = drawnPairs(4, 3, 1).map(written);

/** Text as vectors, one a line; or the first thing in it that is none, by name. Nothing is guessed. */
export function readVectors(text) {
  const clean = text.replace(/^\ufeff/, "").replaceAll("\u2212", "-").replaceAll("\uff0c", ",").replaceAll("\uff1b", ";");
  const lines = clean.trimEnd().split(/\r\n|\r|\n/);
  if (clean.trim() === "") return { problem: "empty" };
  // One separator for all: so that a comma in "0,5; 0,3" is no separator, but what makes it no number.
  const separator = [";", "\t", ","].find((sign) => clean.includes(sign)) ?? /[ \u00a0]+/;
  const vectors = [];
  for (const [i, whole] of lines.entries()) {
    const line = i + 1;
    if (whole.trim() === "") return { problem: "gap", line };
    const parts = whole.trim().split(separator).map((part) => part.trim());
    const wrong = parts.find((part) => !NUMBER.test(part) || !Number.isFinite(Number(part)));
    if (wrong === "") return { problem: "blank", line };
    if (wrong !== undefined) return { problem: /^[+-]?\d+,\d+$/.test(wrong) ? "comma" : "word", line, word: [...wrong].slice(0, 20).join("") };
    const vector = parts.map(Number);
    if (vectors.length > 0 && vector.length !== vectors[0].length) return { problem: "ragged", line, n: vector.length, first: vectors[0].length };
    if (vector.every((x) => x === 0)) return { problem: "zero", line };
    vectors.push(vector);
  }
  return { vectors };
}

function read(state) {
  const found = [readVectors(state.queries), readVectors(state.keys)];
  const side = found.findIndex(({ problem }) => problem);
  if (side >= 0) return { ...found[side], side };
  const [queries, keys] = found.map(({ vectors }) => vectors);
  const numbers = { queries: queries.length, keys: keys.length, a: queries[0].length, b: keys[0].length, most: PAIRS };
  const problem = queries.length !== keys.length ? "pairs" : numbers.a !== numbers.b ? "widths" : queries.length < 2 ? "single" : queries.length > PAIRS ? "many" : "";
  return problem ? { problem, ...numbers } : { queries, keys };
}

function derive(state) {
  const found = read(state);
  if (found.problem) return { problem: found };
  const { queries, keys } = found;
  const pairs = cosines(queries, keys);
  const both = symmetric(pairs, state.temperature);
  const every = [...queries, ...keys];
  const wide = cosines(every, every);
  const views = ntXent(wide, state.temperature);
  const triplet = hardestTriplet(pairs, state.margin);
  const [rows, matrix] = {
    infoNce: [both.rows, pairs],
    symmetric: [both.rows.map((row, i) => ({ ...row, loss: (row.loss + both.columns[i].loss) / 2 })), pairs],
    ntXent: [views.rows, wide],
    triplet: [triplet.rows, pairs],
  }[state.loss];
  const all = { infoNce: both.rowLoss, symmetric: both.loss, ntXent: views.loss, triplet: triplet.loss };
  const p = state.show === "columns" ? pairs.map((_, i) => both.columns.map((column) => column.p[i])) : rows.map((row) => row.p);
  const partner = rows.map((_, i) => (state.loss === "ntXent" ? (i + queries.length) % rows.length : i));
  return { queries, keys, matrix, p, partner, all, loss: all[state.loss], losses: rows.map((row) => row.loss), hardest: triplet.rows.map((row) => row.hardest), guessing: Math.log(queries.length) };
}

/** A program that prints the number on the screen. */
export function snippet(state, { queries, keys, loss }, words) {
  const tensor = (name, vectors) => `${name} = torch.tensor([\n${vectors.map((vector) => `    [${vector.map(python).join(", ")}],\n`).join("")}], dtype=torch.float64)`;
  const face = FACES[state.loss];
  return `import torch
${face ? `from info_nce import ${face}` : "from info_nce.similarity import Cosine"}

${tensor("queries", queries)}
${tensor("keys", keys)}

${
  face
    ? `loss = ${face}(temperature=${state.temperature})(queries, keys)`
    : `cosines = Cosine()(queries, keys)
own = cosines.diagonal()
hardest = (cosines - 4 * torch.eye(len(cosines))).amax(1)
loss = (${state.margin} + hardest - own).clamp(min=0).mean()`
}
print(f"{loss.item():.6f}")  # ${fill(words.onThePage, { n: loss.toFixed(6) })}
`;
}

const area = (key, label, value) =>
  html`<label class="area"><span class="label">${label}</span><textarea data-set="${key}" rows="6" spellcheck="false" autocomplete="off" aria-describedby="sandbox-help">${"\n"}${value}</textarea></label>`;

function outcome(state, numbers, words) {
  const { matrix, p, partner, all, hardest } = numbers;
  const values = state.show === "cosines" ? matrix : p;
  const n = numbers.queries.length;
  const label = (i) => (i < n ? `q${i + 1}` : `k${i - n + 1}`);
  const kind = (i, j) => (j === partner[i] ? "positive" : state.loss === "ntXent" && i === j ? "masked" : "negative");
  const kinds = matrix.map((row, i) => row.map((_, j) => (kind(i, j) === "negative" && state.loss === "triplet" && j !== hardest[i] ? "none" : kind(i, j))));
  const many = matrix.length > 12;
  const short = (value) => shown(value, 2).replace(/^(\u2212?)0\./, "$1.");
  return html`<div class="two"><div>
      ${p[0] && choice({ key: "show", label: words.inCells, options: SHOWS[state.loss].map((show) => [show, words.shows[show]]), value: state.show })}
      <div class="scroll" role="group" tabindex="0" aria-label="${words.picture}">${cells({
        name: "sandbox",
        title: words.picture,
        rows: matrix.map((_, i) => label(i)),
        columns: matrix[0].map((_, j) => (many ? j + 1 : label(state.loss === "ntXent" ? j : j + n))),
        kinds,
        texts: values.map((row, i) => row.map((value, j) => (many || kinds[i][j] === "masked" ? "" : short(value)))),
        size: many ? 24 : 38,
        inks: values.map((row) => row.map((value) => Math.max(0, value))),
      })}</div>
      <p class="note">${fill(words.read, { n, d: numbers.queries[0].length })} ${words.notes[state.loss]}</p>
    </div><div>
      <p class="sum">${words.loss} = <strong>${live("sandbox.loss", numbers.loss, 6)}</strong> ${state.loss === "triplet" ? words.asCosine : words.nats}</p>
      ${table(words.all, [words.variant, words.loss], LOSSES.map((name) => [words.losses[name], live(`sandbox.all.${name}`, all[name], 6)]))}
      <div class="scroll" role="group" tabindex="0" aria-label="${words.each}"><table><caption>${words.each}</caption>
        <thead><tr>${[words.query, words.ownCosine, ...(p[0] ? [words.shows[state.show === "columns" ? "columns" : "rows"]] : []), words.loss].map((head) => html`<th scope="col">${head}</th>`)}</tr></thead>
        <tbody>${matrix.map((row, i) => html`<tr data-link="sandbox:${i}"><th scope="row">${label(i)}</th>
          <td>${live(`sandbox.matrix.${i}.${partner[i]}`, row[partner[i]])}</td>
          ${p[0] && html`<td>${live(`sandbox.p.${i}.${partner[i]}`, p[i][partner[i]])}</td>`}<td>${live(`sandbox.losses.${i}`, numbers.losses[i])}</td></tr>`)}</tbody></table></div>
    </div></div>
    <div class="snippet"><p><strong>${words.inPython}</strong> <span class="note">${words.select}</span></p>
      <pre tabindex="0" aria-label="${words.inPython}"><code>${snippet(state, numbers, words)}</code></pre></div>`;
}

export const sandbox = {
  name: "sandbox",
  state: { queries: QUERIES, keys: KEYS, loss: "infoNce", temperature: 0.1, margin: 0.2, show: "cosines", n: 4, d: 3, seed: 1 },

  fits(state) {
    const whole = (value, low, high) => Math.min(high, Math.max(low, Math.round(value)));
    const loss = LOSSES.includes(state.loss) ? state.loss : "infoNce";
    const show = SHOWS[loss].includes(state.show) ? state.show : (SHOWS[loss][1] ?? "cosines");
    return {
      ...state,
      loss,
      show,
      temperature: Math.min(2, Math.max(0.01, state.temperature)),
      margin: Math.min(2, Math.max(0, state.margin)),
      n: whole(state.n, 2, PAIRS),
      d: whole(state.d, 1, 16),
      seed: whole(state.seed, 0, 9999),
    };
  },

  derive,

  view: (state, numbers, words) => html`<div class="sandbox">
    ${choice({ key: "loss", label: words.variant, options: LOSSES.map((name) => [name, words.losses[name]]), value: state.loss })}
    <div class="areas">${area("queries", words.queries, state.queries)}${area("keys", words.keys, state.keys)}</div>
    <p class="note" id="sandbox-help">${words.help}</p>
    <div class="row">${field({ key: "n", label: words.pairs, value: state.n, min: 2, max: PAIRS, step: 1 })}${field({ key: "d", label: words.width, value: state.d, min: 1, max: 16, step: 1 })}${field({ key: "seed", label: words.seed, value: state.seed, min: 0, max: 9999, step: 1 })}${button("draw", words.draw)}${button("alike", words.alike)}</div>
    ${
      state.loss === "triplet"
        ? slider({ key: "margin", label: words.margin, value: state.margin, min: 0, max: 2, step: 0.01 })
        : slider({ key: "temperature", label: words.temperature, value: state.temperature, min: 0.01, max: 2, step: 0.01, scale: "log" })
    }
    ${numbers.problem ? html`<p class="problem">${said(numbers.problem, words)}</p>` : outcome(state, numbers, words)}
  </div>`,

  actions: {
    draw({ n, d, seed }) {
      const [queries, keys] = drawnPairs(n, d, seed).map(written);
      return { queries, keys };
    },
    alike: ({ n, d }) => {
      const text = written(Array.from({ length: n }, () => Array.from({ length: d }, () => 1)));
      return { queries: text, keys: text };
    },
  },

  says: (state, { problem, loss }, words) => (problem ? said(problem, words) : fill(words.said, { variant: words.losses[state.loss], loss: shown(loss, 4) })),

  tasks: {
    own: (state, { problem }) => !problem && state.queries !== QUERIES && state.keys !== KEYS,
    guessing: (state, { problem, all, guessing }) => !problem && Math.abs(all.infoNce - guessing) < 1e-9,
    content: (state, { problem, all }) => !problem && all.triplet === 0 && all.infoNce > 0.2,
  },
};

const said = ({ problem, side, ...values }, words) => fill(words.problems[problem], { side: words.sides[side ?? 0], ...values });
