// Pairs on the circle or the sphere, moved by nothing but the gradient of the symmetric loss.

import { button, choice, field, player, slider } from "../controls.js";
import { fill, html, live, shown } from "../markup.js";
import { arrow, bar, mark, reach, sign } from "../marks.js";
import { chance, degrees, dot, lowestLoss, mean, moved, pairForces, radians, scattered, sum } from "../math.js";

const RADIUS = 130;
const REST = 1e-5; // a gradient shorter than this moves nothing that could be seen
const PACE = 0.2; // the learning rate, times the number of pairs and the temperature: steps of one size at all of them
const KINDS = ["pull", "push"];
const round = (value) => Math.round(value * 100) / 100;
const within = (value, low, high) => Math.min(high, Math.max(low, value));
const begun = ([pairs, dimensions, seed]) => ({
  drawn: [pairs, dimensions, seed],
  steps: 0,
  points: scattered(2 * pairs, dimensions, seed).flat(),
});
/** The points themselves: pictures first, then the captions in the same order. */
const pointsOf = ({ points, dimensions: d }) =>
  Array.from({ length: points.length / d }, (_, i) => points.slice(i * d, (i + 1) * d));

/** Where a point or a direction is seen: across, down, and towards the reader. */
function seen([x, y, z = 0], { dimensions, turn, tilt }) {
  if (dimensions === 2) return [x, -y, 1];
  const [t, k] = [radians(turn), radians(tilt)];
  const [across, depth] = [x * Math.cos(t) + z * Math.sin(t), z * Math.cos(t) - x * Math.sin(t)];
  return [across, depth * Math.sin(k) - y * Math.cos(k), depth * Math.cos(k) + y * Math.sin(k)];
}

/** A great circle of the sphere, by the direction it stands square to: its nearer half and its farther one. */
function greatCircle(normal, state) {
  const [a, b, c] = seen(normal, state);
  const [x, y] = [-b, a].map((v) => round((RADIUS * v) / (Math.hypot(a, b) || 1)));
  return [c < 0, c >= 0].map((sweep, i) => html`<path class="ring${i ? " behind" : ""}" d="M${-x} ${-y}A${RADIUS} ${round(RADIUS * Math.abs(c))} ${round(degrees(Math.atan2(y, x)))} 0 ${Number(sweep)} ${x} ${y}"/>`);
}

/** The forces on a point, as arrows beside each other. */
function pushed(i, state, { forces: all }, [x, y, towards]) {
  return html`<g class="${towards < 0 ? "behind" : ""}">${(state.mode === "both" ? KINDS : [state.mode]).map((kind) => {
    const force = all[i][kind];
    const strength = Math.hypot(...force) || 1e-9;
    const [dx, dy] = seen(force, state).map((part) => (part / strength) * reach(strength * state.pairs, 75));
    const long = Math.hypot(dx, dy) || 1;
    const [ux, uy] = [dx / long, dy / long];
    const side = kind === "pull" ? 4 : -4;
    return arrow(kind, x + 12 * ux - side * uy, y + 12 * uy + side * ux, dx, dy);
  })}</g>`;
}

function point(i, { pairs }, [x, y, towards]) {
  const picture = i < pairs;
  return html`<g class="point${towards < 0 ? " behind" : ""}" data-link="forces:${i % pairs}">${mark(picture ? "anchor" : "positive", x, y, picture ? 11 : 7.5)}<text class="${picture ? "" : "inside"}"${!picture && html` data-ground="--positive"`} x="${x}" y="${round(y + 3.8)}">${(i % pairs) + 1}</text></g>`;
}

function stage(state, numbers, words) {
  const places = pointsOf(state).map((p) => seen(p, state).map((v) => round(RADIUS * v)));
  const order = places.map((_, i) => i).sort((i, j) => places[i][2] - places[j][2]);
  return html`<svg viewBox="-180 -168 360 336" role="img" aria-label="${words.picture}"><title>${words.picture}</title>
    <circle class="ring" r="${RADIUS}"/>
    ${state.dimensions === 3 && [[1, 0, 0], [0, 1, 0], [0, 0, 1]].map((normal) => greatCircle(normal, state))}
    ${places.slice(0, state.pairs).map(([x, y], i) => html`<line class="partners" data-link="forces:${i}" x1="${x}" y1="${y}" x2="${places[i + state.pairs][0]}" y2="${places[i + state.pairs][1]}"/>`)}
    ${order.map((i) => point(i, state, places[i]))}${order.map((i) => pushed(i, state, numbers, places[i]))}</svg>`;
}

/** All cosines on one line: partners above it, strangers below. */
function line({ cosines, apart }, words) {
  const across = (cosine) => round(150 * cosine);
  const held = (x) => Math.max(-95, Math.min(95, x)); // a long label stays within the picture
  const tick = (cosine, text, y, kind = "") => html`<g class="tick-at ${kind}" transform="translate(${across(cosine)})"><path d="M0-7v14"/><text${kind && html` x="${held(across(cosine)) - across(cosine)}"`} y="${y}">${text}</text></g>`;
  return html`<svg class="cosines" viewBox="-180 -44 360 84" role="img" aria-label="${words.cosines}"><title>${words.cosines}</title>
    <path class="axis" d="M-150 0h300"/>${[-1, 0, 1].map((cosine) => tick(cosine, shown(cosine, 0), 36))}
    ${cosines.map((row, i) => html`<g data-link="forces:${i}">${row.map((cosine, j) => mark(i === j ? "positive" : "negative", across(cosine), i === j ? -13 : 13, 5))}</g>`)}
    ${tick(apart, fill(words.best, { n: shown(apart, 2) }), -30, "best")}</svg>`;
}

/** One of the two equal bars. */
function total(kind, { temperature, mode }, numbers, words) {
  const off = mode !== "both" && mode !== kind;
  const name = kind === "pull" ? "positive" : "negative";
  return html`<div class="${off ? "off" : ""}"><span>${sign(name)} ${words[kind]}${off && html` (${words.off})`}</span>
    <span class="share">${bar(name, numbers[kind] * temperature)}${live(`forces.${kind}`, numbers[kind])}</span></div>`;
}

export const forces = {
  name: "forces",
  state: { pairs: 3, dimensions: 2, seed: 74, temperature: 0.5, mode: "both", turn: 25, tilt: 20, ...begun([3, 2, 74]) },

  fits(state) {
    const pairs = within(Math.round(state.pairs), 2, 8);
    const dimensions = state.dimensions === 3 ? 3 : 2;
    const seed = within(Math.round(state.seed), 1, 9999);
    const mode = KINDS.includes(state.mode) ? state.mode : "both";
    const fitting = { ...state, pairs, dimensions, seed, mode, temperature: within(state.temperature, 0.05, 1) };
    const drawn = [pairs, dimensions, seed];
    const sound = state.points.length === 2 * pairs * dimensions && pointsOf(fitting).every((p) => Math.abs(dot(p, p) - 1) < 1e-6);
    return String(drawn) === String(state.drawn) && sound ? fitting : { ...fitting, ...begun(drawn) };
  },

  derive(state) {
    const { pairs: n, temperature, mode } = state;
    const points = pointsOf(state);
    const found = pairForces(points.slice(0, n), points.slice(n), temperature);
    const both = [...found.left, ...found.right];
    const acting = both.map(({ pull, push }) => pull.map((x, axis) => (mode === "push" ? 0 : x) + (mode === "pull" ? 0 : push[axis])));
    const anchors = [...found.rows, ...found.columns];
    return {
      loss: found.loss,
      lowest: lowestLoss(n, temperature),
      partners: mean(found.cosines.map((row, i) => row[i])),
      strangers: mean(found.cosines.flatMap((row, i) => row.filter((_, j) => j !== i))),
      apart: -1 / (n - 1),
      pull: mean(anchors.map(({ pull }) => pull)),
      push: mean(anchors.map(({ push }) => push)),
      slope: Math.sqrt(sum(acting.map((force) => dot(force, force)))),
      rate: PACE * n * temperature,
      needed: n - 1,
      cosines: found.cosines,
      forces: both,
      acting,
    };
  },

  view: (state, numbers, words) => html`<div class="forces mechanics two">
    <div>${stage(state, numbers, words)}
      ${state.dimensions === 3 && html`<div class="turning">${[["turn", 180], ["tilt", 90]].map(([key, max]) => slider({ key, label: words[key], value: state[key], min: -max, max, step: 1 }))}</div>`}
      <p class="legend"><span>${sign("anchor")} ${words.left}</span><span>${sign("positive")} ${words.right}</span>${KINDS.map((kind) => html`<span><svg class="sign" viewBox="-9 -9 18 18" aria-hidden="true">${arrow(kind, -9, 0, 18, 0)}</svg> ${words.legend[kind]}</span>`)}</p>
      ${line(numbers, words)}
      <div class="measures">${KINDS.map((kind) => total(kind, state, numbers, words))}<p class="note">${words.equal}</p></div></div>
    <div>
      <div class="row">${player(words, words.playing)}${button("end", words.end)}${button("again", words.again)}</div>
      <p class="note">${fill(words.at, { steps: state.steps })} ${live("forces.rate", numbers.rate, 2)}</p>
      ${choice({ key: "mode", label: words.acting, value: state.mode, options: ["both", ...KINDS].map((mode) => [mode, words.modes[mode]]) })}
      <div class="row">${button("together", words.together)}${button("jostle", words.jostle)}</div>
      ${choice({ key: "dimensions", label: words.space, value: state.dimensions, options: [[2, words.circle], [3, words.sphere]] })}
      ${slider({ key: "pairs", label: words.pairs, value: state.pairs, min: 2, max: 8, step: 1 })}
      ${slider({ key: "temperature", label: words.temperature, value: state.temperature, min: 0.05, max: 1, step: 0.01, scale: "log" })}
      <div class="row">${field({ key: "seed", label: words.seed, value: state.seed, min: 1, max: 9999, step: 1 })}${button("other", words.other)}</div>
      <table class="wide"><caption class="unseen">${words.numbers}</caption><thead><tr><th scope="col"><span class="unseen">${words.measure}</span></th><th scope="col">${words.now}</th><th scope="col">${words.atFloor}</th></tr></thead><tbody>
        ${[["loss", "lowest"], ["partners", 1], ["strangers", "apart"], ["slope", 0]].map(
          ([name, best]) => html`<tr><th scope="row">${words.rows[name]}</th><td>${live(`forces.${name}`, numbers[name])}</td><td>${best in numbers ? live(`forces.${best}`, numbers[best]) : best}</td></tr>`,
        )}</tbody></table>
      <p class="note">${fill(numbers.needed <= state.dimensions ? words.room : words.noRoom, { n: numbers.needed, d: state.dimensions })}</p>
    </div>
  </div>`,

  step(state) {
    const { acting, rate, slope } = forces.derive(state);
    if (slope < REST) return null;
    return { steps: state.steps + 1, points: pointsOf(state).flatMap((p, i) => moved(p, acting[i], rate)) };
  },

  actions: {
    end(state) {
      let now = state;
      for (let i = 0, next = state; next && i < 500; i++, next = forces.step(now)) now = { ...now, ...next };
      return now;
    },
    again: ({ drawn }) => begun(drawn),
    other: ({ seed }) => ({ seed: (seed % 9999) + 1 }),
    together: (state) => ({ steps: 0, points: pointsOf(state).flatMap((_, i, all) => all[0]) }),
    jostle(state) {
      const next = chance(state.steps + 1);
      return { points: pointsOf(state).flatMap((p) => moved(p, p.map(() => next() - 0.5), 0.1)) };
    },
  },

  says: (state, { loss, partners, strangers, slope }, words) =>
    fill(words.said, { steps: state.steps, loss: shown(loss, 3), partners: shown(partners, 2), strangers: shown(strangers, 2) }) + (slope < REST ? ` ${words.rest}` : ""),

  tasks: {
    floor: ({ pairs, mode }, { loss, lowest }) => pairs > 2 && mode === "both" && loss - lowest < 1e-3,
    merge: ({ mode, steps }, { partners }) => mode === "pull" && steps > 0 && partners > 0.999,
    room: ({ pairs, dimensions }, { loss, lowest }) => pairs === 4 && dimensions === 3 && loss - lowest < 1e-3,
    together: ({ pairs }, { loss, slope }) => slope < 1e-9 && Math.abs(loss - Math.log(pairs)) < 1e-9,
  },
};
