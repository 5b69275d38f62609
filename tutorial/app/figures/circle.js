// One anchor and six candidates on a circle: arrows are the loss's own forces on their angles.

import { field } from "../controls.js";
import { S6, TEMPERATURE } from "../examples.js";
import { fill, html, live, shown } from "../markup.js";
import { arrow, bar, mark, reach, sign } from "../marks.js";
import { degrees, infoNce, onCircle, radians } from "../math.js";

const RADIUS = 130;
const CLEAR = 58; // around the loss in the middle
const SIDES = [1, -1, 1, 1, -1, -1]; // of the anchor, so that marks do not lie upon each other
const ANGLES = S6.map((similarity, i) => SIDES[i] * degrees(Math.acos(similarity)));
const kind = (i) => (i === 0 ? "positive" : "negative");
const turned = (angle) => (Math.abs(angle) <= 180 ? angle : ((((angle + 180) % 360) + 360) % 360) - 180);
const tenth = (angle) => Math.round(angle * 10) / 10;
const place = (angle, radius = RADIUS) => onCircle(angle).map((x, axis) => radius * (axis ? -x : x));
const name = (i, words) => (i === 0 ? words.positive : fill(words.negativeNumber, { n: i }));

export const circle = {
  name: "circle",
  state: { angles: ANGLES },

  fits: ({ angles }) => ({ angles: angles.length === ANGLES.length ? angles.map(turned) : ANGLES }),

  derive: ({ angles }) => {
    const cosines = angles.map((angle) => Math.cos(radians(angle)));
    const found = infoNce(cosines, TEMPERATURE);
    // cos falls as the angle grows: what lowers the loss turns by gradient times sine.
    return { ...found, cosines, turns: found.gradient.map((g, j) => g * Math.sin(radians(angles[j]))), temperature: TEMPERATURE };
  },

  view: (state, numbers, words) => html`<div class="circle two">
    <svg viewBox="-190 -170 380 340" role="group" aria-label="${words.picture}">
      <title>${words.picture}</title>
      <circle class="ring" r="${RADIUS}"/>
      <line class="spoke" x1="${CLEAR}" x2="${RADIUS}"/>
      ${state.angles.map((angle, i) => {
        const [[x1, y1], [x2, y2]] = [place(angle, CLEAR), place(angle)];
        return html`<line class="spoke ${kind(i)}" x1="${x1.toFixed(2)}" y1="${y1.toFixed(2)}" x2="${x2.toFixed(2)}" y2="${y2.toFixed(2)}"/>`;
      })}
      ${state.angles.map((angle, i) => {
        const [x, y] = place(angle, RADIUS);
        const along = Math.sign(numbers.turns[i]) * reach(numbers.turns[i]);
        const [ux, uy] = [-Math.sin(radians(angle)), -Math.cos(radians(angle))];
        return arrow(i === 0 ? "pull" : "push", x + 11 * Math.sign(along) * ux, y + 11 * Math.sign(along) * uy, along * ux, along * uy);
      })}
      <g class="anchor">${mark("anchor", RADIUS, 0, 8)}<text x="${RADIUS + 14}" y="4">${words.anchor}</text></g>
      ${state.angles.map((angle, i) => {
        const [x, y] = place(angle);
        const [tx, ty] = place(angle, RADIUS - 22);
        return html`<g class="handle" data-key="${i}" data-link="circle:${i}" data-drag="${i}" data-nudge="${i}" role="slider" tabindex="0"
            aria-label="${name(i, words)}" aria-valuemin="-180" aria-valuemax="180" aria-valuenow="${tenth(angle)}"
            aria-valuetext="${fill(words.place, { angle: shown(angle, 1), cosine: shown(numbers.cosines[i], 2) })}">
          <circle class="hit" cx="${x.toFixed(2)}" cy="${y.toFixed(2)}" r="17"/>${mark(kind(i), x, y)}
          <text class="${kind(i)}" x="${tx.toFixed(2)}" y="${(ty + 4).toFixed(2)}">${i === 0 ? "+" : i}</text></g>`;
      })}
      <g class="centre"><text class="big" y="-6">${shown(numbers.loss)}</text><text y="14">${words.lossInNats}</text></g>
    </svg>
    <div class="scroll" role="group" tabindex="0" aria-label="${words.numbers}"><table class="bars"><caption class="unseen">${words.numbers}</caption>
      <thead><tr><th scope="col">${words.candidate}</th><th scope="col">${words.angle}</th><th scope="col">${words.cosine}</th><th scope="col">${words.probability}</th></tr></thead>
      <tbody>${state.angles.map(
        (angle, i) => html`<tr data-link="circle:${i}" class="${kind(i)}">
          <th scope="row">${sign(kind(i))} ${name(i, words)}</th>
          <td>${field({ key: `angles.${i}`, label: fill(words.angleOf, { name: name(i, words) }), value: tenth(angle), min: -180, max: 180, step: 1, hidden: true })}</td>
          <td>${live(`circle.cosines.${i}`, numbers.cosines[i], 2)}</td>
          <td><span class="share">${bar(kind(i), numbers.p[i])}${live(`circle.p.${i}`, numbers.p[i])}</span></td></tr>`,
      )}</tbody></table>
    <p class="sum">${words.loss} = −ln ${live("circle.p.0", numbers.p[0])} = <strong>${live("circle.loss", numbers.loss)}</strong> ${words.nats}</p></div>
  </div>`,

  drag: ({ angles }, what, { x, y }) => ({ angles: angles.with(Number(what), tenth(degrees(Math.atan2(-y, x)))) }),

  nudge: ({ angles }, what, steps) => {
    const i = Number(what);
    const angle = Number.isFinite(steps) ? tenth(turned(angles[i] + steps)) : steps < 0 ? 0 : 180;
    return { angles: angles.with(i, angle) };
  },

  says: (state, { p, loss }, words) => fill(words.said, { loss: shown(loss, 2), p: shown(100 * p[0], 0) }),

  tasks: {
    lower: (state, { loss }) => loss < 0.05,
    worse: (state, { loss }) => loss > 2.5,
    farther: ({ angles }) => Math.abs(angles[5]) > 160 && Math.abs(angles[1]) < 90,
  },
};
