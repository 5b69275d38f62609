// The two sets of numbers that run through the whole tutorial.

/** Similarities of one anchor with six candidates; its own comes first. */
export const S6 = [0.8, 0.72, 0.45, 0.2, -0.05, -0.3];

/** Similarities of four pictures (rows) with four captions (columns); the pairs are on the diagonal. */
export const M4 = [
  [0.82, 0.31, 0.64, 0.05],
  [0.12, 0.58, 0.55, 0.1],
  [0.4, 0.22, 0.71, 0.18],
  [0.02, 0.47, 0.33, 0.66],
];

/** MoCo's temperature, and where CLIP starts. */
export const TEMPERATURE = 0.07;

/** Percentages of sun with an umbrella, sun without, rain with, rain without. */
export const UMBRELLA = [20, 50, 30, 0];
