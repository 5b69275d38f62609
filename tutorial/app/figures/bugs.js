// Five functions with a line that is wrong: run them, and find it. What is printed was recorded.

import { button, choice, slider } from "../controls.js";
import { listing, transcript } from "../listing.js";
import { fill, html, path, shown } from "../markup.js";
import { infoNce, logSumExp } from "../math.js";

const [BY, LAST] = [3, 147]; // steps of training between the losses, and the last of them
const [UNKNOWN, FOUND, SHOWN] = [0, 1, 2];
const NONE = [-1, -1, -1, -1, -1];
const PERFECT = [1, 0, 0, 0, 0, 0, 0];
const names = ["inverse", "undivided", "layout", "guessing", "rounding"];

const at = ([low, high], wide, value) => ((value - low) / (high - low)) * wide;

/** The loss of both runs so far. */
function curves({ runs }, step, { chance }, words) {
  const [wide, high, span] = [300, 150, [4, 9]];
  const y = (loss) => high - at(span, high, loss);
  const line = (kind) => {
    const points = runs[kind].losses.slice(0, step / BY + 1).map((loss, i) => [at([0, LAST], wide, i * BY), y(loss)]);
    return html`<path class="course ${kind}" d="${path(points)}"/><circle class="tip ${kind}" cx="${points.at(-1)[0].toFixed(1)}" cy="${points.at(-1)[1].toFixed(1)}" r="4"/>`;
  };
  return html`<svg class="courses" viewBox="-24 -8 332 186" role="img"><title>${words.curves}</title>
    ${[4, 5, 6, 7, 8].map((tick) => html`<line class="rule" x2="${wide}" y1="${y(tick)}" y2="${y(tick)}"/><text class="unit" x="-8" y="${y(tick) + 4}">${tick}</text>`)}
    <line class="level" x2="${wide}" y1="${y(chance)}" y2="${y(chance)}"/><text x="${wide}" y="${y(chance) - 7}" class="end">ln 511 = ${shown(chance)}</text>
    ${["right", "wrong"].map(line)}<text class="wrong" x="70" y="${y(chance) - 8}">cat</text><text class="right" x="70" y="${y(4.3) - 10}">stack</text>
    ${[0, 50, 100].map((tick) => html`<text class="unit" x="${at([0, LAST], wide, tick) + 4}" y="${high + 20}">${tick}</text>`)}</svg>`;
}

function sphere({ runs }, kind, step, title) {
  const moment = runs.moments.findLastIndex((when) => when <= step);
  return html`<figure class="ball"><svg viewBox="-56 -56 112 112" role="img"><title>${title}</title><circle class="ring" r="50"/>${runs[kind].frames[
    moment
  ].map(([x, y, z]) => html`<circle class="spot ${kind}" cx="${50 * x}" cy="${-50 * y}" r="${z < 0 ? 2.2 : 3.4}" opacity="${z < 0 ? 0.4 : 0.9}"/>`)}</svg><figcaption>${title}</figcaption></figure>`;
}

function meter({ guess, chance, strangers }, words) {
  const x = (loss) => at([5.2, 7.4], 320, loss);
  const mark = (kind, loss, label) =>
    html`<g class="${kind}"><line x1="${x(loss)}" x2="${x(loss)}" y1="-12" y2="12"/><text class="big" x="${x(loss)}" y="-20">${shown(loss, 2)}</text><text x="${x(loss)}" y="30">${label}</text></g>`;
  return html`<svg class="gauge" viewBox="-10 -46 340 84" role="img"><title>${words.meter}</title><line class="axis" x2="320"/>
    ${mark("negative", guess, "ln 255")}${mark("positive", chance, "ln 511")}${mark("strange", strangers, words.measured)}</svg>`;
}

export const bugs = {
  name: "bugs",
  state: { puzzle: 0, found: [0, 0, 0, 0, 0], missed: NONE, ran: [0, 0, 0, 0, 0], step: LAST },

  fits: ({ puzzle, found, missed, ran, step }) => {
    const five = (list, otherwise) => (list.length === 5 ? list : otherwise);
    return {
      puzzle: Math.min(4, Math.max(0, Math.round(puzzle))),
      found: five(found, [0, 0, 0, 0, 0]),
      missed: five(missed, NONE),
      ran: five(ran, [0, 0, 0, 0, 0]),
      step: BY * Math.round(Math.min(LAST, Math.max(0, step)) / BY),
    };
  },

  derive: () => ({
    start: 0.07,
    inverse: 1 / 0.07,
    undivided: logSumExp(PERFECT) - 1,
    perfect: infoNce(PERFECT, 0.07).loss,
    guess: Math.log(255),
    chance: Math.log(511),
    random: Math.log(511) + 1 / (2 * 128 * 0.07 ** 2),
    rounding: 2 ** -23,
  }),

  view: (state, numbers, words) => {
    const { puzzle, step } = state;
    const [bug, puzzleWords] = [words.recorded.bugs[puzzle], words.puzzles[puzzle]];
    const [found, missed, ran] = [state.found[puzzle], state.missed[puzzle], state.ran[puzzle]];
    const lines = words.code[puzzle];
    const { session } = words.recorded.bugs[3];
    const strangers = Number(session[1][1].match(/[\d.]+/)[0]);
    const [low, high] = session[3][1].split(" to ");
    return html`<div class="bugs">
      ${choice({ key: "puzzle", label: words.which, options: names.map((_, i) => [i, state.found[i] === FOUND ? `${i + 1} ✓` : i + 1]), value: puzzle })}
      <p class="asked">${puzzleWords.ask}</p>
        ${listing(lines, ({ html: code, statement }, i) => statement !== null && code.trim() !== "" && (i === bug.line ? "find" : `miss:${i}`), (_, i) => ({
          pressed: found ? i === bug.line : i === missed,
          kind: found && i === bug.line ? "culprit" : i === missed && !found ? "innocent" : "",
        }))}
        <div class="console">${ran ? transcript(bug.session) : html`<p class="idle">${words.idle}</p>`}</div>
      <div class="row">${button("run", words.run, { kind: "first", disabled: Boolean(ran) })}${button("show", words.showMe, { disabled: Boolean(found) })}</div>
      <div class="verdict-of-bug">${
        found
          ? html`<p><strong>${found === FOUND ? words.itIs : words.itWas}</strong></p><pre class="mended"><code>${bug.right}</code></pre>
            <p>${fill(puzzleWords.answer, { ...Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, shown(value, name === "random" ? 2 : 4)])), tiny: numbers.perfect.toExponential(2), eps: numbers.rounding.toExponential(1), strangers: shown(strangers, 2), low, high })}</p>`
          : missed >= 0 && html`<p>${words.innocent}</p>`
      }</div>
      ${ran && names[puzzle] === "layout" ? html`<div class="two-runs">${curves(words.recorded, step, numbers, words)}<div class="balls">${sphere(words.recorded, "wrong", step, "cat")}${sphere(words.recorded, "right", step, "stack")}</div></div>
        ${slider({ key: "step", label: words.steps, value: step, min: 0, max: LAST, step: BY })}` : ""}
      ${ran && names[puzzle] === "guessing" ? meter({ ...numbers, strangers }, words) : ""}
    </div>`;
  },

  actions: {
    run: ({ puzzle, ran }) => ({ ran: ran.with(puzzle, 1) }),
    show: ({ puzzle, found }) => ({ found: found.with(puzzle, SHOWN) }),
    find: ({ puzzle, found }) => ({ found: found.with(puzzle, found[puzzle] || FOUND) }),
    miss: ({ puzzle, missed }, line) => ({ missed: missed.with(puzzle, Number(line)) }),
  },

  says: ({ puzzle, found, missed, ran }, numbers, words) =>
    found[puzzle] !== UNKNOWN ? words.itWas : missed[puzzle] >= 0 ? words.innocent : ran[puzzle] ? words.hasRun : "",

  tasks: Object.fromEntries(names.map((name, i) => [name, ({ found }) => found[i] === FOUND])),
};
