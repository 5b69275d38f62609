// The four pictures of the running example, drawn by hand: lines of the text's colour in a box of 24 by 24.

import { html } from "./markup.js";

export const bicycle = () =>
  html`<circle cx="5.4" cy="16.4" r="3.9"/><circle cx="18.6" cy="16.4" r="3.9"/><path d="M5.4 16.4 9 9.9h7.1l-4.6 6.5zM8.2 7.8l3.3 8.6M6.6 7.6q1.7-.5 3.5 0M18.6 16.4 15.4 6.6q1.2-1.2 2.9-.5"/>`;

export const cat = () =>
  html`<path d="M7.2 9.4 6.8 3.4q1.9.5 3.2 2.1 1.8-.5 3.6 0 1.3-1.6 3.2-2.1l-.4 6q0 3.7-4.6 3.7T7.2 9.4zM8.9 12.5Q5.6 16 6.1 21h10.9q.6-4.7-2.3-8.5M10.1 21v-3.4M13.4 21v-3.4M17 20.7c3.8.7 5.6-2 4.4-5.2M11.2 10.7l.6.5.6-.5M9.7 8.5v.4M13.9 8.5v.4"/>`;

export const kettle = () =>
  html`<path d="M5.2 20.6Q2.6 11.4 10.8 11.4T16.4 20.6zM7.6 11.7q.5-2.4 3.2-2.4t3.2 2.4M10.8 9.2V7.8M5.1 13Q4.2 3.5 10.8 3.5T16.5 13M17.2 16.2q2.3-.8 2.6-4 .1-1.2 1.8-1.5M4.6 17.1h12.4"/>`;

export const palm = () =>
  html`<path d="M9.6 20.3Q10 13.5 13.2 9M12 20.3q0-5 1.6-9.6M13.2 9Q9.7 4.6 4.6 7.9q4.5-.5 8.6 1.1-6 .2-7.7 5.3Q8.8 10.3 13.2 9q-.6-4.6 3.9-6.4-1.6 3.1-3.9 6.4 4.5-3.3 8.1.5-4.1-1-8.1-.5 4.8 1.3 5.4 6.3-2-4-5.4-6.3M3.6 21.2q7.9-2.4 16.8 0"/>`;

export const ICONS = { bicycle, cat, kettle, palm };

/** A picture within an svg, `size` wide. */
export const icon = (name, x, y, size) =>
  html`<g class="icon" transform="translate(${x} ${y}) scale(${size / 24})">${ICONS[name]()}</g>`;

/** A picture of its own, with its name. */
export const portrait = (name, label) =>
  html`<svg class="icon" viewBox="0 0 24 24" role="img"><title>${label}</title>${ICONS[name]()}</svg>`;
