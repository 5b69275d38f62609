// Every figure of the tutorial, in the order of the page.

import { bet } from "./bet.js";
import { circle } from "./circle.js";
import { lens } from "./lens.js";
import { bugs } from "./bugs.js";

export const FIGURES = { bet, circle, lens, bugs };
