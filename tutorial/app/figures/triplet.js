// The triplet loss and InfoNCE on the same candidates: one negative with a margin, all negatives with a temperature.

import { choice, slider } from "../controls.js";
import { S6, TEMPERATURE } from "../examples.js";
import { brief, lanes, moving } from "../lanes.js";
import { fill, html, live, shown } from "../markup.js";
import { infoNce, tripletLoss } from "../math.js";

export const triplet = {
  name: "triplet",
  state: { similarities: S6, negative: 1, margin: 0.2, temperature: TEMPERATURE },
  ...moving,

  fits: ({ negative, margin, ...rest }) => ({
    ...moving.fits(rest),
    negative: [1, 2, 3, 4, 5].includes(negative) ? negative : 1,
    margin: Math.min(1, Math.max(0, margin)),
  }),

  derive: ({ similarities, negative, margin, temperature }) => {
    const { p, loss } = infoNce(similarities, temperature);
    const hard = tripletLoss(similarities, margin, negative);
    // The gradient of temperature times loss, so that both are of one scale.
    const soft = { loss: temperature * loss, gradient: p.map((share, j) => share - Number(j === 0)) };
    return { hard, soft, apart: Math.max(...soft.gradient.map((g, j) => Math.abs(g - hard.gradient[j]))) };
  },

  view: ({ similarities, negative, margin, temperature }, { hard, soft, apart }, words) => {
    const side = (key, head, { loss, gradient }, controls) => html`<div><h4>${words[key]}</h4>
      ${lanes("triplet", words[key], similarities, words, { gradient, forces: `${key}.gradient`, head, longest: 110 })}
      <p class="sum">${words[`${key}Loss`]} = <strong>${live(`triplet.${key}.loss`, loss)}</strong></p>${controls}</div>`;
    return html`<div class="triplet">
      <div class="two">
        ${side("hard", "∂L/∂s", hard, html`${choice({ key: "negative", label: words.which, value: negative, options: [1, 2, 3, 4, 5].map((j) => [j, j]) })}
          ${slider({ key: "margin", label: words.margin, value: margin, min: 0, max: 1, step: 0.01, said: shown(margin, 2) })}`)}
        ${side("soft", "∂(τL)/∂s", soft, slider({ key: "temperature", label: words.temperature, value: temperature, min: 0.01, max: 1, step: 0.01, scale: "log", said: brief(temperature) }))}
      </div>
      <p class="apart">${words.apart} ${live("triplet.apart", apart)}</p>
    </div>`;
  },

  says: (state, { hard, soft, apart }, words) => fill(words.said, { hard: shown(hard.loss, 2), soft: shown(soft.loss, 2), apart: shown(apart, 2) }),

  tasks: {
    silent: (state, { hard, soft }) => hard.loss === 0 && soft.gradient[0] < -0.2,
    meet: (state, { hard, apart }) => hard.loss > 0 && apart < 0.01,
  },
};
