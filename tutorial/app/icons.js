// Four small drawings: the pictures of the examples with four pairs.

import { html, trusted } from "./markup.js";

const DRAWN = [
  '<circle cx="7.5" cy="21" r="6"/><circle cx="24.5" cy="21" r="6"/><path d="M7.5 21 12.5 12h9l3 9M12.5 12l4 9h-9M16.5 21l5-9M10.5 9.5h4.5M12.5 12l-.8-2.5M21.5 12l-1-4h3.5"/>',
  '<path d="M7 7v13a9 8 0 0 0 18 0V7l-5.5 4a12 12 0 0 0-7 0zM12 17v1.5M20 17v1.5M14.5 21.5h3L16 23zM16 23v1.5M4 19.5l5 .8M4 24l5-1.3M28 19.5l-5 .8M28 24l-5-1.3"/>',
  '<path d="M9 15c-3 4-3.5 9-2 12h16c1.5-3 1-8-2-12zM9 15a6 5 0 0 1 12 0M8 14C7 3.5 23 3.5 22 14M22.5 18.5 29 14l-3.5 9.5-2 1"/><circle cx="15" cy="9" r="1"/>',
  '<path d="M15 28c-1-6-.5-11 2-16M17 12C13 7 7 7.5 4 13M17 12c-5-1-9 2-9.5 8M17 12c3-5 9-5.5 12-.5M17 12c5-1 8.5 2 9 7.5M17 12c-1.5-4 0-7.5 4-8.5M8 28h16"/>',
];

/** A drawing by its number, with its name. */
export const icon = (i, name) =>
  html`<svg class="icon" viewBox="0 0 32 32" role="img"><title>${name}</title>${trusted(DRAWN[i])}</svg>`;
