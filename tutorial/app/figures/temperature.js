// One temperature, six candidates: who gets which share of the bet, and who takes the push.

import { field, slider } from "../controls.js";
import { S6, TEMPERATURE } from "../examples.js";
import { brief, hardest, kindOf, lanes, moving, nameOf } from "../lanes.js";
import { fill, html, live, shown } from "../markup.js";
import { bar, sign } from "../marks.js";
import { infoNce } from "../math.js";

const few = ({ p, perplexity }, temperature) => ({ p, perplexity, temperature });

function small({ p, perplexity, temperature }, key, words) {
  const name = fill(words.atTemperature, { t: brief(temperature) });
  return html`<figure class="small-bars ${key === "own" ? "own" : ""}"><svg viewBox="0 0 280 118" role="img" aria-label="${name}: ${p.map((share) => shown(share, 2)).join(", ")}"><title>${name}</title>
      <line class="grid" x1="2" x2="278" y1="98" y2="98"/>
      ${p.map((share, j) => html`<g data-link="temperature:${j}"><rect class="mark ${kindOf(j)}" x="${9 + 45 * j}" y="${(98 - 92 * share).toFixed(2)}" width="34" height="${(92 * share).toFixed(2)}"/><text class="small middle" x="${26 + 45 * j}" y="114">${j || "+"}</text></g>`)}
    </svg><figcaption><strong>${name}</strong><span>${words.perplexity} ${live(`temperature.${key}.perplexity`, perplexity, 2)}</span></figcaption></figure>`;
}

export const temperature = {
  name: "temperature",
  state: { temperature: TEMPERATURE, similarities: S6 },
  ...moving,

  derive: ({ temperature: t, similarities }) => {
    const found = infoNce(similarities, t);
    return {
      ...found,
      temperature: t,
      cosines: similarities,
      sharp: few(infoNce(similarities, 0.07), 0.07),
      own: few(found, t),
      even: few(infoNce(similarities, 1), 1),
    };
  },

  view: ({ temperature: t, similarities }, numbers, words) => html`<div class="warm">
    ${slider({
      key: "temperature", label: words.temperature, value: t, min: 0.01, max: 1, step: 0.01, scale: "log", said: brief(t),
    })}
    <div class="chips" role="group" aria-label="${words.chips}">${words.presets.map(
        ([value, who]) => html`<button type="button" data-do="set:temperature=${value}" aria-pressed="${Number(value) === t}"><b>${value}</b> <span>${who}</span></button>`,
    )}</div>
    <div class="two">
      ${lanes("temperature", words.picture, similarities, words, { gradient: numbers.gradient, forces: "gradient" })}
      <div class="scroll" role="group" tabindex="0" aria-label="${words.numbers}"><table class="bars"><caption class="unseen">${words.numbers}</caption>
        <thead><tr><th scope="col">${words.candidate}</th><th scope="col">${words.cosine}</th><th scope="col">${words.probability}</th><th scope="col">${words.pushShare}</th></tr></thead>
        <tbody>${similarities.map(
          (s, i) => html`<tr data-link="temperature:${i}" class="${kindOf(i)}"><th scope="row">${sign(kindOf(i))} ${nameOf(i, words)}</th>
            <td>${field({ key: `similarities.${i}`, label: fill(words.cosineOf, { name: nameOf(i, words) }), value: s, min: -1, max: 1, step: 0.01, hidden: true })}</td>
            <td><div class="share">${bar(kindOf(i), numbers.p[i])}${live(`temperature.p.${i}`, numbers.p[i])}</div></td>
            <td>${i === 0 ? words.pulled : html`<div class="share">${bar("negative", numbers.shares[i - 1])}${live(`temperature.shares.${i - 1}`, numbers.shares[i - 1])}</div>`}</td></tr>`,
        )}</tbody></table></div>
    </div>
    <dl class="readings">
      <div><dt>${words.lossInNats}</dt><dd>${live("temperature.loss", numbers.loss)}</dd></div>
      <div><dt>${words.perplexityOf}</dt><dd>${live("temperature.perplexity", numbers.perplexity, 3)}</dd></div>
      <div><dt class="pulls">${sign("positive")} ${words.pull}</dt><dd>${live("temperature.pull", numbers.pull, 3)}</dd></div>
      <div><dt class="pushes">${sign("negative")} ${words.push}</dt><dd>${live("temperature.push", numbers.push, 3)}</dd></div>
    </dl>
    <div class="multiples">${["sharp", "own", "even"].map((key) => small(numbers[key], key, words))}</div>
  </div>`,

  says: ({ temperature: t }, { p, shares, loss }, words) =>
    fill(words.said, { t: brief(t), p: shown(100 * p[0], 0), share: shown(100 * Math.max(...shares), 0), loss: shown(loss, 2) }),

  tasks: {
    even: (state, { perplexity }) => perplexity > 5.5,
    sharp: ({ similarities }, { shares }) => Math.max(...shares) > 0.999 && similarities[0] > hardest(similarities),
    behind: ({ similarities }, { pull }) => pull > 50 && similarities[0] < hardest(similarities),
  },
};
