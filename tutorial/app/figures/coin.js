// A bet on a coin is a straight line that touches the entropy curve: nowhere does it cost less.

import { slider } from "../controls.js";
import { fill, html, live, path, shown } from "../markup.js";
import { handle, levels } from "../marks.js";
import { averagePenalty, clamp, divergence, entropy } from "../math.js";

const [LEFT, WIDTH, FLOOR, NAT] = [34, 350, 244, 96];
const X = (share) => LEFT + WIDTH * share;
const Y = (nats) => FLOOR - NAT * nats;
const both = (share) => [share, 1 - share];
const CURVE = path(Array.from({ length: 81 }, (_, i) => [X(i / 80), Y(entropy(both(i / 80)))]));
const RANGES = { coin: [0, 100], bet: [10, 90] };

export const coin = {
  name: "coin",
  state: { coin: 70, bet: 30 },

  fits: (state) => Object.fromEntries(Object.entries(RANGES).map(([key, range]) => [key, clamp(state[key], ...range)])),

  derive(state) {
    const [p, q] = [state.coin, state.bet].map((percent) => both(percent / 100));
    return { p, q, penalties: q.map((share) => -Math.log(share)), cost: averagePenalty(p, q), entropy: entropy(p), excess: divergence(p, q) };
  },

  view(state, { p, q, penalties, cost, entropy: least, excess }, words) {
    const held = { bet: [X(q[0]), Y(entropy(q))], coin: [X(p[0]), Y(cost)] };
    const said = { bet: fill(words.percent, { n: state.bet }), coin: fill(words.place, { n: state.coin, cost: shown(cost, 2) }) };
    const [at, sums] = [held.coin[0], [["coin", "cost", cost], ["least", "entropy", least], ["excess", "excess", excess]]];
    return html`<div class="coin two">
      <svg viewBox="0 0 400 290" role="group" aria-label="${words.picture}"><title>${words.picture}</title>
        ${levels([0, 0.5, 1, 1.5, 2], [LEFT, LEFT + WIDTH], Y, 1)}
        ${[0, 0.5, 1].map((share) => html`<text class="mid" x="${X(share)}" y="${FLOOR + 18}">${100 * share}&#8239;%</text>`)}
        <text class="mid" x="${X(0.5)}" y="${FLOOR + 40}">${words.coin}</text><text x="6" y="12">${words.nats}</text>
        <path class="curve" d="${CURVE}"/><path class="line" d="${path([[X(0), Y(penalties[1])], [X(1), Y(penalties[0])]])}"/>
        <line class="least" data-link="least" x1="${at}" x2="${at}" y1="${FLOOR}" y2="${Y(least)}"/>
        <line class="excess" data-link="excess" x1="${at}" x2="${at}" y1="${Y(least)}" y2="${held.coin[1]}"/>
        ${Object.entries(held).map(([what, [x, y]]) =>
          handle({ what, x, y, label: words[what], min: RANGES[what][0], max: RANGES[what][1], now: state[what], place: said[what] },
            what === "bet" ? html`<rect class="touch" x="${x - 6}" y="${y - 6}" width="12" height="12" transform="rotate(45 ${x} ${y})"/>` : html`<circle class="held" cx="${x}" cy="${y}" r="7"/>`))}
      </svg>
      <div>
        ${Object.keys(RANGES).map((key) => html`<div data-link="${key}">${slider({ key, label: words[key], value: state[key], min: RANGES[key][0], max: RANGES[key][1], step: 1, said: said[key] })}</div>`)}
        <ul class="sums">${sums.map(([link, key, value]) => html`<li data-link="${link}">${words.sums[key]}<span>${
          key === "cost" && html`${shown(p[0], 2)}&nbsp;×&nbsp;${live("coin.penalties.0", penalties[0])} + ${shown(p[1], 2)}&nbsp;×&nbsp;${live("coin.penalties.1", penalties[1])} = `
        }<strong>${live(`coin.${key}`, value)}</strong></span></li>`)}</ul>
      </div>
    </div>`;
  },

  drag: (state, what, { x }) => ({ [what]: Math.round((100 * (x - LEFT)) / WIDTH) }),
  nudge: (state, what, steps) => ({ [what]: state[what] + clamp(steps, -100, 100) }),
  says: (state, { cost, entropy: least, excess }, words) => fill(words.said, { cost: shown(cost, 2), least: shown(least, 2), excess: shown(excess, 2) }),

  tasks: {
    touch: (state, { excess }) => Math.abs(state.coin - 50) >= 10 && excess < 0.0005,
    dear: (state, { excess }) => excess > 1,
  },
};
