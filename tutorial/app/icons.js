// Four small drawings: the pictures of the examples with four pairs.

import { html, trusted } from "./markup.js";

const DRAWN = [
  '<circle cx="7.5" cy="21" r="6"/><circle cx="24.5" cy="21" r="6"/><path d="M7.5 21 12.5 12h9l3 9M12.5 12l4 9h-9M16.5 21l5-9M10.5 9.5h4.5M12.5 12l-.8-2.5M21.5 12l-1-4h3.5"/>',
  '<path d="M7 7v13a9 8 0 0 0 18 0V7l-5.5 4a12 12 0 0 0-7 0zM12 17v1.5M20 17v1.5M14.5 21.5h3L16 23zM16 23v1.5M4 19.5l5 .8M4 24l5-1.3M28 19.5l-5 .8M28 24l-5-1.3"/>',
  '<path d="M8 27h14c3-3.5 3-8.5-1-12H9c-4 3.5-4 8.5-1 12zM10.5 15c.5-4 8.5-4 9 0M23.5 21.5l3-7h2.5M6 18.5c-5-1-5 5.5.3 5.5"/><circle cx="15" cy="10.5" r="1.2"/>',
  '<path d="M15 28c-1-6-.5-11 2-16M17 12C13 7 7 7.5 4 13M17 12c-5-1-9 2-9.5 8M17 12c3-5 9-5.5 12-.5M17 12c5-1 8.5 2 9 7.5M17 12c-1.5-4 0-7.5 4-8.5M8 28h16"/>',
];

/** A drawing by its number, with its name. */
export const icon = (i, name) =>
  html`<svg class="icon" viewBox="0 0 32 32" role="img"><title>${name}</title>${trusted(DRAWN[i])}</svg>`;
