// Every figure of the tutorial, in the order of the page.

import { bet } from "./bet.js";
import { circle } from "./circle.js";
import { coin } from "./coin.js";
import { shared } from "./shared.js";
import { nce } from "./nce.js";
import { steps } from "./steps.js";
import { overflow } from "./overflow.js";
import { meter } from "./meter.js";
import { bound } from "./bound.js";
import { forces } from "./forces.js";
import { batch } from "./batch.js";
import { strangers } from "./strangers.js";
import { temperature } from "./temperature.js";
import { limits } from "./limits.js";
import { collapse, runs } from "./runs.js";
import { learned } from "./learned.js";
import { triplet } from "./triplet.js";
import { matrix } from "./matrix.js";
import { lens } from "./lens.js";
import { bugs } from "./bugs.js";
import { methods } from "./methods.js";
import { sandbox } from "./sandbox.js";

export const FIGURES = {
  bet,
  circle,
  coin,
  shared,
  nce,
  steps,
  overflow,
  meter,
  bound,
  forces,
  collapse,
  batch,
  strangers,
  temperature,
  limits,
  runs,
  learned,
  triplet,
  matrix,
  lens,
  bugs,
  methods,
  sandbox,
};
