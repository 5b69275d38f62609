// Every figure of the tutorial, in the order of the page.

import { bet } from "./bet.js";
import { circle } from "./circle.js";
import { methods } from "./methods.js";
import { sandbox } from "./sandbox.js";

export const FIGURES = { bet, circle, methods, sandbox };
