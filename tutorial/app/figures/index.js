// Every figure of the tutorial, in the order of the page.

import { bet } from "./bet.js";
import { circle } from "./circle.js";
import { learned } from "./learned.js";
import { limits } from "./limits.js";
import { temperature } from "./temperature.js";
import { triplet } from "./triplet.js";

export const FIGURES = { bet, circle, temperature, limits, learned, triplet };
