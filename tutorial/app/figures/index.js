// Every figure of the tutorial, in the order of the page.

import { bet } from "./bet.js";
import { circle } from "./circle.js";
import { matrix } from "./matrix.js";

export const FIGURES = { bet, circle, matrix };
