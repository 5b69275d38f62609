// From two vectors to a loss in seven steps: the reader's own vectors go through all of them.

import { button, field, table } from "../controls.js";
import { S6, TEMPERATURE } from "../examples.js";
import { at, fill, html, live, path, shown, trusted } from "../markup.js";
import { mark, sign } from "../marks.js";
import { degrees, direction, dot, infoNce, magnitude, onCircle, sum } from "../math.js";

const [VECTOR, LENGTH, COSINE, LOGIT, POWER, SHARE, LOSS] = [0, 1, 2, 3, 4, 5, 6];
const MADE = { [COSINE]: "cosines", [LOGIT]: "logits", [POWER]: "powers", [SHARE]: "p", [LOSS]: "p" };
const times = (vector, factor) => vector.map((value) => value * factor);
const ANCHOR = [1.2, 0.5];
const VECTORS = [
  ANCHOR,
  ...S6.map((cosine, i) => {
    const [x, y] = direction(ANCHOR);
    const sine = [1, -1, 1, 1, -1, -1][i] * Math.sqrt(1 - cosine * cosine); // sides as on the circle of the introduction
    return times([cosine * x - sine * y, cosine * y + sine * x], [1.5, 1.9, 1.7, 0.6, 1.4, 0.9][i]);
  }),
];
const SCALE = 82; // pixels for a length of one
const MOST = 2;
const held = (value) => Math.min(MOST, Math.max(-MOST, value));
const near = (value) => Math.round(held(value) * 100) / 100;
const kind = (i) => ["anchor", "positive"][i] ?? "negative";
const name = (i, words) => [words.anchor, words.positive][i] ?? fill(words.negativeNumber, { n: i - 1 });
const n = (value) => value.toFixed(2);
const line = (kinds, [x1, y1], [x2, y2]) => html`<path class="${kinds}" d="${path([[SCALE * x1, -SCALE * y1], [SCALE * x2, -SCALE * y2]])}"/>`;

/** The formula; the term of a step is lit, and what is not computed yet is pale. */
function symbols(now) {
  const term = (step, inside) => html`<mrow data-link="steps:${step}" class="term ${step === now && "now"}">${inside}</mrow>`;
  const fraction = (above, below) => html`<mfrac>${above}${below}</mfrac>`;
  const bars = html`<mo stretchy="false">‖</mo>`;
  const power = (index) => {
    const c = html`<msub class="${index === "+" && "positive"}"><mi>c</mi><mi>${index}</mi></msub>`;
    const cosine = fraction(term(VECTOR, html`<mi>a</mi><mo>·</mo>${c}`), term(LENGTH, html`${bars}<mi>a</mi>${bars}<mspace width="0.15em"/>${bars}${c}${bars}`));
    return term(POWER, html`<mi>exp</mi><mo>&#x2061;</mo><mo>(</mo>${term(LOGIT, html`${term(COSINE, cosine)}<mo>/</mo><mi>τ</mi>`)}<mo>)</mo>`);
  };
  const share = fraction(power("+"), html`<mrow><munder><mo movablelimits="false">∑</mo><mi>j</mi></munder>${power("j")}</mrow>`);
  return html`<math display="block" class="symbols"><mi>L</mi><mo>=</mo>${term(LOSS, html`<mo form="prefix">−</mo><mi>ln</mi><mo>&#x2061;</mo><mspace width="0.1em"/>${term(SHARE, share)}`)}</math>`;
}

const LINES = [
  "a = ( vectors.0.0 , vectors.0.1 ) _ c+ = ( vectors.1.0 , vectors.1.1 )",
  "‖ a ‖ = lengths.0 _ ‖ c+ ‖ = lengths.1",
  "s+ = dots.0 / ( lengths.0 × lengths.1 ) = cosines.0",
  "s+ / τ = cosines.0 / temperature = logits.0",
  "exp ( logits.0 ) = powers.0",
  "p+ = powers.0 / total = p.0",
  "L = − ln ( p.0 ) = loss",
];

/** The lit term once more, with the numbers of the positive. */
const arithmetic = (step, numbers) =>
  html`<math display="block">${LINES[step].split(" ").map((token) => {
    const value = at(numbers, token);
    // Shares with as many decimals as it takes to see that they are not 0.
    const digits = { "p.0": Math.max(4, 3 - Math.floor(Math.log10(value))), loss: 4 }[token] ?? 2;
    if (value !== undefined) return live(`steps.${token}`, value, digits, "mn");
    if (token === "_") return html`<mspace width="1.2em"/>`;
    if (token.endsWith("+")) return html`<msub class="positive"><mi>${token[0]}</mi><mo>+</mo></msub>`;
    return /\w|τ/.test(token) ? html`<mi>${token}</mi>` : html`<mo stretchy="false"${token === "−" && trusted(' form="prefix"')}>${token}</mo>`;
  })}</math>`;

/** The vectors in the plane: as they are, then of length one, then with the shadows that they cast on the anchor's line. */
function plane({ step, vectors }, { units, cosines, lengths }, words) {
  const end = (i) => (step >= LENGTH ? units[i] : vectors[i]);
  const order = [6, 5, 4, 3, 2, 1, 0]; // what matters most lies on top
  const shadow = (i) => times(units[0], cosines[i - 1]);
  return html`<svg viewBox="-190 -185 380 370" role="group" aria-label="${words.picture}"><title>${words.picture}</title>
    ${step >= LENGTH && html`<circle class="ring" r="${SCALE}"/>${vectors.map((vector) => line("spoke", [0, 0], vector))}`}
    ${step >= COSINE && line("spoke", times(units[0], -MOST), times(units[0], MOST))}
    ${order.map((i) => html`${i > 0 && step >= COSINE && line("fall", units[i], shadow(i))}${line(`vector ${kind(i)}`, [0, 0], end(i))}`)}
    ${step >= COSINE && order.slice(0, -1).map((i) => {
      const [x, y] = times(shadow(i), SCALE);
      return html`<circle class="shadow ${kind(i)}" cx="${n(x)}" cy="${n(-y)}" r="3.2"/>`;
    })}
    ${order.map((i) => {
      const [[x, y], [mx, my], [tx, ty]] = [vectors[i], end(i), times(units[i], Math.max(lengths[i], magnitude(end(i))) + 0.23)].map((at) => times(at, SCALE));
      return html`<g class="handle" data-key="${i}" data-link="steps:c${i}" data-drag="${i}" data-nudge="${i}" role="slider" tabindex="0" aria-label="${name(i, words)}"
          aria-valuemin="-180" aria-valuemax="180" aria-valuenow="${Math.round(degrees(Math.atan2(y, x)))}" aria-valuetext="${fill(words.place, { x: shown(vectors[i][0], 2), y: shown(vectors[i][1], 2), length: n(lengths[i]) })}">
        <circle class="hit" cx="${n(x)}" cy="${n(-y)}" r="19"/>${step >= LENGTH && html`<circle class="tip" cx="${n(x)}" cy="${n(-y)}" r="3"/>`}${mark(kind(i), +n(mx), +n(-my), 6.5)}
        <text class="${kind(i)}" x="${n(tx)}" y="${n(4 - ty)}">${["a", "+"][i] ?? i - 1}</text></g>`;
    })}</svg>`;
}

/** What the step has made of every vector: numbers, with bars from one end of their range to the other. */
function results({ step, vectors }, numbers, words) {
  const number = (key, digits = 2) => live(`steps.${key}`, at(numbers, key), digits);
  const digits = step < SHARE ? 2 : 4;
  const most = { [LOGIT]: 1 / numbers.temperature, [POWER]: Math.max(...numbers.powers) }[step] ?? 1;
  const least = step < POWER ? -most : 0;
  const part = (value) => ((value - least) / (most - least)).toFixed(4);
  const cells = (i) => {
    if (step === VECTOR) return ["x", "y"].map((axis, k) => field({ key: `vectors.${i}.${k}`, label: fill(words.coordinate, { axis, name: name(i, words) }), value: near(vectors[i][k]), min: -MOST, max: MOST, step: 0.1, hidden: true }));
    if (step === LENGTH) return [`lengths.${i}`, `units.${i}.0`, `units.${i}.1`].map((key) => number(key));
    const value = numbers[MADE[step]][i - 1];
    return [html`<span class="share"><span class="bar ${kind(i)}" style="--from:${part(Math.min(0, value))};--share:${part(least + Math.abs(value))}"></span>${number(`${MADE[step]}.${i - 1}`, digits)}</span>`];
  };
  const head = [...words.heads[step]];
  if (step >= COSINE && step !== POWER) head[0] = html`<span class="share"><span class="ends"><span>${shown(least, 0)}</span><span>${shown(most, 0)}</span></span><span>${head[0]}</span></span>`;
  const summed = { [POWER]: "total", [SHARE]: "one" }[step];
  const rows = (step < COSINE ? [0, 1, 2, 3, 4, 5, 6] : step < LOSS ? [1, 2, 3, 4, 5, 6] : [1]).map((i) => [html`<span data-link="steps:c${i}">${sign(kind(i))} ${name(i, words)}</span>`, ...cells(i)]);
  return table(words.numbers, [words.vector, ...head], summed ? [...rows, [words.sum, number(summed, digits)]] : rows);
}

/** -ln p, and where the positive is on it. */
function curve({ p, loss }, words) {
  const high = loss > 5 ? 30 : 5;
  const [x, y] = [(share) => 42 + 300 * share, (nats) => 150 - (135 * nats) / high];
  const points = Array.from({ length: 61 }, (_, i) => high * (1 - i / 60) ** 2).map((nats) => [x(Math.exp(-nats)), y(nats)]);
  return html`<svg viewBox="0 0 380 190" aria-hidden="true"><path class="axis" d="M42 10V150H350"/>
    ${[0, 0.5, 1].map((share) => html`<text x="${x(share)}" y="167">${share}</text>`)}${[0, 1, 2, 3, 4, 5].map((tick) => html`<text x="26" y="${154 - 27 * tick}">${(tick * high) / 5}</text>`)}
    <text x="192" y="186">${words.shareOfPositive}</text><text x="110" y="19">${words.lossInNats}</text>
    <path class="fall" d="M42 ${n(y(loss))}H${n(x(p[0]))}V150"/><path class="slope" d="${path(points)}"/>${mark("positive", +n(x(p[0])), +n(y(loss)))}</svg>`;
}

export const steps = {
  name: "steps",
  state: { step: 0, vectors: VECTORS },

  fits({ step, vectors }) {
    const fit = vectors.length === VECTORS.length && vectors.every((vector) => vector.length === 2);
    // A vector of no length has no direction: it keeps a tenth.
    const long = (vector) => (magnitude(vector) < 0.1 ? times(magnitude(vector) ? direction(vector) : [1, 0], 0.1) : vector.map(held));
    return { step: Math.min(LOSS, Math.max(0, Math.round(step))), vectors: fit ? vectors.map(long) : VECTORS };
  },

  derive({ vectors }) {
    const [lengths, units] = [vectors.map(magnitude), vectors.map(direction)];
    const withAnchor = ([anchor, ...candidates]) => candidates.map((candidate) => dot(anchor, candidate));
    const cosines = withAnchor(units);
    const found = infoNce(cosines, TEMPERATURE);
    const powers = found.logits.map((logit) => Math.exp(logit));
    return { ...found, vectors, lengths, units, dots: withAnchor(vectors), cosines, powers, total: sum(powers), one: sum(found.p), temperature: TEMPERATURE };
  },

  view(state, numbers, words) {
    const { step } = state;
    const values = { tau: shown(TEMPERATURE, 2), times: shown(1 / TEMPERATURE, 2), e: shown(Math.E, 3) };
    return html`<div class="steps">
      <ol class="chain" aria-label="${words.chain}">${words.steps.map(
        ([title], i) => html`<li><button type="button" data-do="set:step=${i}" data-link="steps:${i}"${i === step && trusted(' aria-current="step"')}><span class="count">${i + 1}</span> ${title}</button></li>`,
      )}</ol>
      <div class="walk">${button(`set:step=${step - 1}`, words.back, { disabled: step === 0 })}${button(`set:step=${step + 1}`, words.next, { disabled: step === LOSS, kind: "first" })}
        <p><strong>${fill(words.heading, { n: step + 1, title: words.steps[step][0] })}</strong> ${fill(words.steps[step][1], values)}</p></div>
      <div class="formula" role="group" tabindex="0" aria-label="${words.formula}">${symbols(step)}${arithmetic(step, numbers)}</div>
      <div class="two">${plane(state, numbers, words)}<div>${results(state, numbers, words)}${step === LOSS && curve(numbers, words)}
        <p class="sum">${words.loss} = <strong>${live("steps.loss", numbers.loss)}</strong> ${words.nats}</p></div></div>
    </div>`;
  },

  drag: ({ vectors }, what, { x, y }) => ({ vectors: vectors.with(Number(what), [near(x / SCALE), near(-y / SCALE)]) }),

  nudge({ vectors }, what, steps) {
    const [x, y] = vectors[Number(what)];
    return Number.isFinite(steps) && { vectors: vectors.with(Number(what), times(onCircle(degrees(Math.atan2(y, x)) + steps), magnitude([x, y]))) };
  },

  says: ({ step }, { loss, p }, words) =>
    fill(words.said, { n: step + 1, title: words.steps[step][0], p: shown(100 * p[0], 0), loss: shown(loss, 2) }),

  tasks: {
    end: ({ step }) => step === LOSS,
    favourite: (state, { p }) => Math.max(...p.slice(1)) > 0.5,
    sure: (state, { loss }) => loss < 0.01,
  },
};
