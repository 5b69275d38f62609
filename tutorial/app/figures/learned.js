// Only the temperature is trained: real gradient steps on a = log(1 / temperature), down the loss.

import { button, field, player, slider } from "../controls.js";
import { S6, TEMPERATURE } from "../examples.js";
import { brief, hardest, lanes, moving, plot } from "../lanes.js";
import { fill, html, live, shown } from "../markup.js";
import { bestTemperature, infoNce, learnTemperature, slopeOfScale } from "../math.js";

const RATE = 0.5;
const still = ({ temperature, similarities }) =>
  Math.abs(Math.log(learnTemperature(similarities, temperature, RATE) / temperature)) < 1e-6;

export const learned = {
  name: "learned",
  state: { temperature: TEMPERATURE, similarities: S6, steps: 0 },
  ...moving,

  derive: ({ temperature, similarities, steps }) => ({
    temperature,
    steps,
    a: -Math.log(temperature),
    scale: 1 / temperature,
    loss: infoNce(similarities, temperature).loss,
    slope: slopeOfScale(similarities, temperature),
    best: bestTemperature(similarities),
  }),

  view: (state, numbers, words) => {
    const { temperature, similarities, steps } = state;
    const { slope, loss } = numbers;
    const ended = still(state);
    const outcome = ended ? (temperature <= 0.01 ? words.floor : temperature >= 1 ? words.ceiling : words.settled) : slope < 0 ? words.falls : words.rises;
    return html`<div class="learned">
      <div class="two"><div>${lanes("learned", words.picture, similarities, words)}
          <div class="row">${field({ key: "similarities.0", label: words.cosineOfPositive, value: similarities[0], min: -1, max: 1, step: 0.01 })}</div>
          <div class="row">${button("lead", words.lead, { pressed: similarities[0] === 0.8 })}${button("trail", words.trail, { pressed: similarities[0] === 0.6 })}</div>
          ${slider({ key: "temperature", label: words.temperature, value: Number(temperature.toPrecision(4)), min: 0.01, max: 1, step: 0.01, scale: "log", said: brief(temperature) })}
          <div class="row">${player({ ...words, play: words.train }, words.playing, { ended })}</div>
          <p class="outcome">${fill(outcome, { steps, t: shown(temperature) })}</p></div>
        <div>${plot({ title: words.landscape, curve: (t) => infoNce(similarities, t).loss, point: [temperature, loss], rise: [0, 3], ticks: [0, 1, 2, 3], most: 1, shut: true, force: ended ? 0 : slope })}
          <dl class="readings">
            <div><dt>τ</dt><dd>${live("learned.temperature", temperature)}</dd></div>
            <div><dt>${words.inverse}</dt><dd>${live("learned.scale", numbers.scale, 2)}</dd></div>
            <div><dt>a = ln (1/τ)</dt><dd>${live("learned.a", numbers.a)}</dd></div>
            <div><dt>${words.lossInNats}</dt><dd>${live("learned.loss", loss)}</dd></div>
            <div><dt>∂L/∂a</dt><dd>${live("learned.slope", slope, 5)}</dd></div>
          </dl></div>
      </div>
    </div>`;
  },

  actions: {
    lead: ({ similarities }) => ({ similarities: similarities.with(0, 0.8), temperature: TEMPERATURE, steps: 0 }),
    trail: ({ similarities }) => ({ similarities: similarities.with(0, 0.6), temperature: TEMPERATURE, steps: 0 }),
  },

  step: (state) =>
    still(state) ? null : { temperature: learnTemperature(state.similarities, state.temperature, RATE), steps: state.steps + 1 },

  says: (state, { loss, slope }, words) => fill(words.said, { t: brief(state.temperature), loss: shown(loss, 2), slope: shown(slope, 3) }),

  tasks: {
    floor: (state) => state.steps > 0 && state.temperature <= 0.01 && state.similarities[0] > hardest(state.similarities),
    settle: (state) => state.steps > 0 && still(state) && state.temperature > 0.01 && state.temperature < 1,
  },
};
