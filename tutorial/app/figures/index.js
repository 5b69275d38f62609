// Every figure of the tutorial, in the order of the page.

import { bet } from "./bet.js";
import { bound } from "./bound.js";
import { circle } from "./circle.js";
import { coin } from "./coin.js";
import { nce } from "./nce.js";
import { shared } from "./shared.js";

export const FIGURES = { bet, circle, coin, shared, nce, bound };
