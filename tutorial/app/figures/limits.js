// Pull, loss, and temperature times loss over all temperatures, with the simple curves that they come near to.

import { field, slider } from "../controls.js";
import { S6, TEMPERATURE } from "../examples.js";
import { brief, hardest, lanes, moving, plot } from "../lanes.js";
import { fill, html, live, shown } from "../markup.js";
import { infoNce, strongestPull, tripletLoss } from "../math.js";

const leads = (similarities) => similarities[0] > hardest(similarities);

export const limits = {
  name: "limits",
  state: { temperature: TEMPERATURE, similarities: S6 },
  ...moving,

  derive: ({ temperature, similarities }) => {
    const { pull, loss } = infoNce(similarities, temperature);
    const chance = Math.log(similarities.length);
    return { pull, loss, scaled: temperature * loss, hinge: tripletLoss(similarities).loss, chance, best: strongestPull(similarities) };
  },

  view: ({ temperature, similarities }, { pull, loss, scaled, hinge, chance }, words) => {
    const over = (key) => (t) => infoNce(similarities, t)[key];
    const one = (key, value, options) => html`<figure><figcaption><strong>${words[key]}</strong> <span>${live(`limits.${key}`, value)}</span></figcaption>
      ${plot({ title: fill(words.over, { what: words[key], n: shown(value, 3), t: brief(temperature) }), curve: over(key), point: [temperature, value], ...options })}</figure>`;
    const last = Math.max(0.5, 2 * hinge);
    return html`<div class="limits">
      <div class="two">${lanes("limits", words.picture, similarities, words)}
        <div>${slider({ key: "temperature", label: words.temperature, value: temperature, min: 0.01, max: 1, step: 0.01, scale: "log", said: brief(temperature) })}
          <div class="row">${field({ key: "similarities.0", label: words.cosineOfPositive, value: similarities[0], min: -1, max: 1, step: 0.01 })}</div></div>
      </div>
      <div class="multiples">
        ${one("pull", pull, { log: true, rise: [0.01, 200], ticks: [0.01, 0.1, 1, 10, 100], ghosts: [{ of: (t) => 1 / t, name: "1/τ", at: [0.25, 7] }] })}
        ${one("loss", loss, { rise: [0, 4], ticks: [0, 1, 2, 3, 4], ghosts: [
          { of: () => chance, name: `ln ${similarities.length}`, at: [0.012, chance + 0.12] },
          ...(hinge > 0 ? [{ of: (t) => hinge / t, name: words.hingeOver, at: [Math.max(0.013, hinge / 3), 3.75] }] : []),
        ] })}
        ${one("scaled", scaled, { curve: (t) => t * infoNce(similarities, t).loss, rise: [0, last], ticks: [0, last / 2, last].map((v) => Number(v.toFixed(2))), ghosts: [
          { of: () => hinge, name: words.hinge, at: [10, hinge + last * 0.04, "end"] },
          { of: (t) => t * chance, name: `τ ln ${similarities.length}`, at: [0.8 * (last / chance), last * 0.93, "end"] },
        ] })}
      </div>
    </div>`;
  },

  says: ({ temperature }, { pull, loss }, words) => fill(words.said, { t: brief(temperature), pull: shown(pull, 2), loss: shown(loss, 2) }),

  tasks: {
    peak: ({ similarities }, { pull, best }) => leads(similarities) && pull > best.pull - 0.0005,
    follow: ({ similarities, temperature }, { scaled, hinge }) => !leads(similarities) && hinge > 0.1 && temperature < 0.05 && scaled - hinge < 0.001,
  },
};
