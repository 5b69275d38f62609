// A matrix as a picture: the hue of a cell says what kind of pair it is, its strength how large the value.

import { html } from "./markup.js";

const LEFT = 52;
const TOP = 44;

/**
 * rows and columns are labels; kinds, texts and inks (from 0 to 1) are matrices; groups [{ label, from, length }] stand above the
 * columns; what is pressed in row i does `pick` with i; the chosen row has a frame; size is a cell's, in pixels.
 */
export function cells({ name, title, rows, columns, kinds, texts, inks, groups = [], pick, chosen = -1, size = 30 }) {
  const [width, height] = [columns.length * size, rows.length * size];
  const middle = (i) => (i + 0.5) * size;
  return html`<svg class="cells" viewBox="${-LEFT} ${-TOP} ${LEFT + width + 4} ${TOP + height + 4}" style="--drawn:${LEFT + width + 4}px" role="img" aria-label="${title}">
    <title>${title}</title>
    <defs><pattern id="${name}-hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><path d="M0 0V6" class="hatch"/></pattern></defs>
    ${groups.map(
      ({ label, from, length }) =>
        html`<g class="group"><path d="M${from * size + 4} -24H${(from + length) * size - 4}"/><text x="${(from + length / 2) * size}" y="-30">${label}</text></g>`,
    )}
    ${columns.map((label, j) => html`<text x="${middle(j)}" y="-8">${label}</text>`)}
    ${rows.map(
      (label, i) => html`<g class="line" data-link="${name}:${i}"><text class="of-row" x="-8" y="${middle(i) + 4.5}">${label}</text>${columns.map((_, j) => {
        const kind = kinds[i][j];
        return html`<rect class="square ${kind}" x="${j * size + 1.5}" y="${i * size + 1.5}" width="${size - 3}" height="${size - 3}" rx="3"${
          kind === "masked" ? html` style="fill:url(#${name}-hatch)"` : kind === "none" ? "" : html` fill-opacity="${(0.06 + 0.34 * inks[i][j]).toFixed(3)}"`
        }/>${texts[i][j] !== "" && html`<text class="in" x="${middle(j)}" y="${middle(i) + 4.5}">${texts[i][j]}</text>`}`;
      })}${i === chosen && html`<rect class="asking" x="-0.5" y="${i * size - 0.5}" width="${width + 1}" height="${size + 1}" rx="4"/>`}${
        pick && html`<rect class="pick" data-do="${pick}:${i}" x="${-LEFT}" y="${i * size}" width="${LEFT + width}" height="${size}"/>`
      }</g>`,
    )}
  </svg>`;
}
