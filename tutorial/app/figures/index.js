// Every figure of the tutorial, in the order of the page.

import { bet } from "./bet.js";
import { circle } from "./circle.js";
import { matrix } from "./matrix.js";

export const FIGURES = { bet, circle, matrix };
import { meter } from "./meter.js";
import { overflow } from "./overflow.js";
import { steps } from "./steps.js";

export const FIGURES = { bet, circle, steps, overflow, meter };
import { methods } from "./methods.js";
import { sandbox } from "./sandbox.js";

export const FIGURES = { bet, circle, methods, sandbox };
