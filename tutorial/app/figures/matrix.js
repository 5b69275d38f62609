// Four pictures and four captions: sixteen similarities, shared out along the rows and down the columns.

import { button, player, slider, table } from "../controls.js";
import { M4, TEMPERATURE } from "../examples.js";
import { ICONS, portrait } from "../icons.js";
import { at, fill, html, live, shown } from "../markup.js";
import { arrow, bar, reach, sign } from "../marks.js";
import { argmax, hits, sum, symmetric, transposed } from "../math.js";

const N = M4.length;
const PHASES = 3; // of each line: it is chosen, exponentiated, divided by its sum
const SHOWN = ["similarity", "rows", "columns", "gradient"];
const WAYS = { rows: ["rows"], columns: ["columns"], both: ["rows", "columns"] };
const DIGITS = { similarity: 2, rows: 4, columns: 4, gradient: 3 };
const ARROW = 30; // its room; forces are small beside those of a circle, so it grows twice as fast

const held = (value, low, high) => Math.min(high, Math.max(low, value));
const hundredth = (value) => held(Math.round(value * 100) / 100, -1, 1);
const kind = (i, j) => (i === j ? "positive" : "negative");
const last = ({ way }) => WAYS[way].length * N * PHASES;
const changed = (matrix) => sum(matrix.map((row, i) => row.filter((s, j) => s !== M4[i][j]).length));
const edited = (matrix, [i, j], s) => ({ matrix: matrix.with(i, matrix[i].with(j, hundredth(s))) });

/** Which line is being read, or null; and how far each line has come: 0 is untouched, 3 is shared out. */
function reading({ way, at: now }) {
  const line = Math.ceil(now / PHASES) - 1;
  const come = (direction, k) => {
    const place = WAYS[way].indexOf(direction);
    if (now === 0) return PHASES;
    return place < 0 ? 0 : held(now - (place * N + k) * PHASES, 0, PHASES);
  };
  return { come, direction: now ? WAYS[way][Math.floor(line / N)] : null, line: line % N };
}

/** A number that may be large or small beyond all decimals: 1.2·10⁵. */
function power(path, numbers) {
  const value = at(numbers, path);
  const [digits, exponent] = value.toExponential(1).split("e").map(Number);
  const text = exponent >= -1 && exponent < 3 ? shown(value, 1) : html`${shown(digits, 1)}·10<sup>${shown(exponent, 0)}</sup>`;
  return html`<span class="number" data-bind="matrix.${path}" data-value="${value}">${text}</span>`;
}

/** What stands in a cell, and how much ink it gets. */
function content(state, numbers, i, j) {
  const { come, direction } = reading(state);
  const line = direction === "columns" ? j : i;
  const phase = direction ? come(direction, line) : 0;
  if (phase === 2) {
    const { p } = numbers[direction][line];
    return { text: power(`exponentials.${i}.${j}`, numbers), ink: p[i + j - line] / Math.max(...p) };
  }
  const what = !direction ? state.show : phase === PHASES ? direction : "similarity";
  const path = { similarity: `matrix.${i}.${j}`, rows: `rows.${i}.p.${j}`, columns: `columns.${j}.p.${i}`, gradient: `gradient.${i}.${j}` }[what];
  const value = at(numbers, path);
  const text = live(`matrix.${path}`, value, DIGITS[what]);
  if (what !== "gradient") return { text, ink: Math.max(0, value) };
  const along = Math.sign(value) * Math.min(ARROW, reach(value, 2 * ARROW));
  return {
    text: html`${text}<svg viewBox="-8 -${ARROW / 2} 16 ${ARROW}" aria-hidden="true">${arrow(i === j ? "pull" : "push", 0, -along / 2, 0, along)}</svg>`,
    ink: Math.sqrt(Math.abs(value) * N * state.temperature),
  };
}

/** A line's shares, one after the other: together they fill the box. */
function margin(state, numbers, words, direction, k) {
  const { come } = reading(state);
  const phase = come(direction, k);
  const { p } = numbers[direction][k];
  const summed = phase > 1 && (state.at > 0 || state.show === direction);
  const total = phase === 2 ? power(`totals.${direction}.${k}`, numbers) : live(`matrix.sums.${direction}.${k}`, numbers.sums[direction][k], 2);
  return html`<div class="margin ${direction}" style="--line:${k + 2}"><span class="unseen">${fill(words.line[direction], { name: words.names[k] })}</span>
    <span class="stack" aria-hidden="true">${phase === PHASES && p.map((share, m) => html`<i class="${kind(k, m)}" style="flex-grow:${share.toFixed(5)}" data-link="matrix:${direction === "rows" ? `${k}.${m}` : `${m}.${k}`}"></i>`)}</span>
    <span class="total">${summed && html`Σ ${total}`}</span></div>`;
}

function board(state, numbers, words) {
  const { direction, line } = reading(state);
  return html`<div class="scroll"><div class="board">
    <div role="grid" aria-label="${words.grid}">
      <div role="row"><span role="columnheader" class="corner"><span class="unseen">${words.picture}</span></span>${words.names.map((name) => html`<span role="columnheader">${fill(words.caption, { name })}</span>`)}</div>
      ${state.matrix.map(
        (row, i) => html`<div role="row"><span role="rowheader">${portrait(Object.keys(ICONS)[i], fill(words.pictureOf, { name: words.names[i] }))}</span>${row.map((_, j) => {
          const { text, ink } = content(state, numbers, i, j);
          const chosen = state.cell[0] === i && state.cell[1] === j;
          return html`<div role="gridcell" class="cell ${kind(i, j)}" data-do="cell:${i},${j}" data-keys data-link="matrix:${i}.${j}" tabindex="${chosen ? 0 : -1}" aria-selected="${String(chosen)}" style="--shade:${held(ink, 0, 1).toFixed(4)}">${text}</div>`;
        })}</div>`,
      )}
    </div>
    ${["rows", "columns"].map((way) => words.names.map((_, k) => margin(state, numbers, words, way, k)))}
    ${direction && html`<div class="reader ${direction}" style="--line:${line + 2}"></div>`}
  </div></div>`;
}

function legend(state, numbers, words) {
  const { come, direction, line } = reading(state);
  if (!direction) return words.legend[state.show];
  const { p, loss } = numbers[direction][line];
  return fill(words.phases[come(direction, line) - 1], {
    line: fill(words.line[direction], { name: words.names[line] }), p: shown(p[line]), loss: shown(loss),
  });
}

function panel(state, numbers, words) {
  const [i, j] = state.cell;
  const { logit, row, column, gradient } = numbers.chosen;
  const pair = kind(i, j);
  const own = i === j ? 2 : 0;
  return html`<div class="chosen">
    <p class="asked">${sign(pair)} ${fill(words.cellOf, { picture: words.names[i], caption: words.names[j] })} <span class="label">${words[pair]}</span></p>
    ${slider({ key: `matrix.${i}.${j}`, label: words.similarity, value: state.matrix[i][j], min: -1, max: 1, step: 0.01 })}
    <table class="bars"><caption class="unseen">${words.numbers}</caption><tbody>
      <tr><th scope="row">s / τ</th><td>${live("matrix.chosen.logit", logit)}</td></tr>
      <tr><th scope="row">${words.shareOf.rows}</th><td class="share">${bar(pair, row)}${live("matrix.chosen.row", row)}</td></tr>
      <tr><th scope="row">${words.shareOf.columns}</th><td class="share">${bar(pair, column)}${live("matrix.chosen.column", column)}</td></tr>
      <tr><th scope="row">${words.shows.gradient}</th><td>${live("matrix.chosen.gradient", gradient)}</td></tr>
    </tbody></table>
    <p class="note">(${shown(row)}&nbsp;+&nbsp;${shown(column)}&nbsp;−&nbsp;${own}) / (2&nbsp;·&nbsp;${N}&nbsp;·&nbsp;${state.temperature}) = ${shown(gradient)}</p>
    <div class="row">${button("lift", fill(words.lift, { name: words.names[i] }), { disabled: Math.max(...state.matrix[i]) > 0.9 })}</div>
  </div>`;
}

function losses(state, numbers, words) {
  const directions = ["rows", "columns"];
  const { come } = reading(state);
  // As long as a line has not been read, its loss is not known.
  const known = (k, cell) => directions.map((direction) => (come(direction, k) < PHASES ? "…" : cell(direction)));
  const own = (k) => known(k, (direction) => {
    const { p, loss } = numbers[direction][k];
    const won = argmax(p) === k;
    return html`${sign(won ? "positive" : "negative")}<span class="unseen">${won ? words.won : words.lost} </span> ${live(`matrix.${direction}.${k}.loss`, loss)}`;
  });
  return html`<div class="losses">${table(words.losses, [words.pair, ...directions.map((direction) => words.asked[direction])], [
    ...words.names.map((name, k) => [name, ...own(k)]),
    [words.mean, ...known(N - 1, (direction) => html`<strong>${live(`matrix.means.${direction}`, numbers.means[direction])}</strong>`)],
    [words.right, ...known(N - 1, (direction) => fill(words.of, { k: numbers.right[direction], n: N }))],
  ])}<p class="sum">${words.both} = ${directions.every((direction) => come(direction, N - 1) === PHASES) ? html`<strong>${live("matrix.loss", numbers.loss)}</strong> ${words.nats}` : "…"}</p></div>`;
}

export const matrix = {
  name: "matrix",
  state: { matrix: M4, temperature: TEMPERATURE, show: "similarity", way: "rows", at: 0, cell: [1, 2] },
  pace: 700,

  fits: ({ matrix: found, temperature, show, way, at: now, cell }) => {
    const fitting = Object.hasOwn(WAYS, way) ? way : "rows";
    return {
      matrix: found.every((row) => row.length === N) ? found.map((row) => row.map((s) => held(s, -1, 1))) : M4,
      temperature: held(temperature, 0.01, 1),
      show: SHOWN.includes(show) ? show : "similarity",
      way: fitting,
      at: held(Math.round(now), 0, last({ way: fitting })),
      cell: cell.length === 2 ? cell.map((place) => held(Math.round(place), 0, N - 1)) : [1, 2],
    };
  },

  derive: ({ matrix: similarities, temperature, cell: [i, j] }) => {
    const found = symmetric(similarities, temperature);
    const { rows, columns } = found;
    const exponentials = similarities.map((row) => row.map((s) => Math.exp(s / temperature)));
    return {
      ...found,
      matrix: similarities,
      exponentials,
      means: { rows: found.rowLoss, columns: found.columnLoss },
      totals: { rows: exponentials.map(sum), columns: transposed(exponentials).map(sum) },
      sums: { rows: rows.map(({ p }) => sum(p)), columns: columns.map(({ p }) => sum(p)) },
      right: { rows: hits(similarities), columns: hits(transposed(similarities)) },
      chosen: { logit: rows[i].logits[j], row: rows[i].p[j], column: columns[j].p[i], gradient: found.gradient[i][j] },
    };
  },

  view: (state, numbers, words) => html`<div class="matrix two">
    <div>
      <div class="choice" role="group" aria-label="${words.show}"><span class="label" aria-hidden="true">${words.show}</span>${SHOWN.map((what) => button(`look:${what}`, words.shows[what], { pressed: state.at === 0 && state.show === what }))}</div>
      ${board(state, numbers, words)}
      <p class="legend">${legend(state, numbers, words)}</p>
      <div class="choice" role="group" aria-label="${words.read}"><span class="label" aria-hidden="true">${words.read}</span>${Object.keys(WAYS).map((way) => button(`read:${way}`, words.ways[way], { pressed: state.at > 0 && state.way === way }))}</div>
      <div class="row">${player(words, words.playing, { ended: state.at === last(state) })}
        <input class="scripted-only" type="range" data-set="at" min="0" max="${last(state)}" step="1" value="${state.at}" aria-label="${words.place}" aria-valuetext="${fill(words.stepOf, { k: state.at, n: last(state) })}"></div>
      ${slider({ key: "temperature", label: words.temperature, value: state.temperature, min: 0.01, max: 1, step: 0.01, scale: "log" })}
    </div>
    <div>
      ${panel(state, numbers, words)}
      ${losses(state, numbers, words)}
    </div>
  </div>`,

  actions: {
    look: (_, show) => ({ show, at: 0 }),
    read: (_, way) => ({ way, at: 1 }),
    cell: (_, place) => ({ cell: place.split(",").map(Number) }),
    lift: ({ matrix: found, cell: [i] }) => ({ matrix: found.with(i, found[i].map((s) => hundredth(s + 0.1))) }),
  },

  keys: ({ matrix: found, cell: [i, j] }, key) => {
    const by = { "+": 0.01, "=": 0.01, "-": -0.01, "−": -0.01, PageUp: 0.1, PageDown: -0.1 }[key];
    if (by) return edited(found, [i, j], found[i][j] + by);
    const to = { ArrowUp: [i - 1, j], ArrowDown: [i + 1, j], ArrowLeft: [i, j - 1], ArrowRight: [i, j + 1], Home: [i, 0], End: [i, N - 1] }[key];
    return to && { cell: to.map((place) => held(place, 0, N - 1)) };
  },

  step: (state) => (state.at < last(state) ? { at: state.at + 1 } : null),

  says: (state, numbers, words) => {
    if (state.at > 0) return legend(state, numbers, words);
    const [i, j] = state.cell;
    const { row, column } = numbers.chosen;
    const [picture, text] = [words.names[i], words.names[j]];
    return fill(words.said, {
      cell: fill(words.cellOf, { picture, caption: text }), row: shown(100 * row, 0), column: shown(100 * column, 0),
      rows: shown(numbers.rowLoss), columns: shown(numbers.columnLoss),
    });
  },

  tasks: {
    read: (state) => state.at === last(state),
    split: ({ matrix: found }, { right }) => changed(found) === 1 && right.rows === N && right.columns === N - 1,
    blind: ({ matrix: found, temperature }, { rowLoss, columnLoss }) => {
      const before = symmetric(M4, temperature);
      return changed(found) > 0 && Math.abs(rowLoss - before.rowLoss) < 1e-4 && columnLoss > 2 * before.columnLoss;
    },
  },
};
