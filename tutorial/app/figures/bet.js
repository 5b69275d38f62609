// Share out your certainty over five candidates, then see which one it was: the penalty is InfoNCE.

import { button, slider } from "../controls.js";
import { fill, html, live, shown } from "../markup.js";
import { bar } from "../marks.js";
import { sum } from "../math.js";

const TRUE = 2;
const SURE = [90, 2.5, 2.5, 2.5, 2.5];
const total = (weights) => sum(weights) || 1;

export const bet = {
  name: "bet",
  state: { weights: [20, 20, 20, 20, 20], revealed: false },

  fits: ({ weights, revealed }) => {
    const held = weights.slice(0, 5).map((weight) => Math.min(100, Math.max(0, weight)));
    return { weights: held.length === 5 && sum(held) > 0 ? held : [20, 20, 20, 20, 20], revealed };
  },

  derive: ({ weights }) => {
    const p = weights.map((weight) => weight / total(weights));
    return { p, right: p[TRUE], penalty: -Math.log(p[TRUE]), guessing: Math.log(p.length) };
  },

  view: (state, { p, penalty, guessing }, words) => html`<div class="bet">
    <p class="asked">${words.asked}</p>
    <ol class="candidates">${state.weights.map(
      (weight, i) => html`<li class="${state.revealed ? (i === TRUE ? "right" : "other") : ""}" data-link="bet:${i}">
        <span class="caption">${words.captions[i]}${state.revealed && i === TRUE && html` <strong class="its-own">✓ ${words.itsOwn}</strong>`}</span>
        ${slider({ key: `weights.${i}`, label: fill(words.certainty, { caption: words.captions[i] }), value: weight, min: 0, max: 100, step: 1, said: fill(words.percent, { n: shown(100 * p[i], 0) }) })}
        <span class="share">${bar(state.revealed && i === TRUE ? "positive" : "plain", p[i])}<output>${shown(100 * p[i], 0)}&#8239;%</output></span>
      </li>`,
    )}</ol>
    <div class="row">${button("reveal", words.reveal, { disabled: state.revealed, kind: "first" })}${button("guess", words.guess)}${button("sure", words.sure)}</div>
    <div class="outcome" aria-hidden="${!state.revealed}">${
      state.revealed
        ? html`<p class="sum"><span>−ln </span>${live("bet.right", p[TRUE], 3)}<span> = </span><strong>${live("bet.penalty", penalty, 4)}</strong> <span>${words.nats}</span></p>
          <p>${fill(words.compare, { n: shown(guessing) })}</p>`
        : html`<p class="hidden-sum">−ln p = ?</p>`
    }</div>
  </div>`,

  actions: {
    reveal: () => ({ revealed: true }),
    guess: () => ({ weights: [20, 20, 20, 20, 20] }),
    sure: () => ({ weights: SURE }),
  },

  says: (state, { penalty }, words) => (state.revealed ? fill(words.said, { n: shown(penalty, 2) }) : ""),

  tasks: {
    reveal: (state) => state.revealed,
    brave: (state, { right }) => state.revealed && right >= 0.9,
  },
};

