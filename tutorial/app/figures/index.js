// Every figure of the tutorial, in the order of the page.

import { bet } from "./bet.js";
import { circle } from "./circle.js";
import { forces } from "./forces.js";
import { batch } from "./batch.js";
import { strangers } from "./strangers.js";

export const FIGURES = { bet, circle, forces, batch, strangers };
