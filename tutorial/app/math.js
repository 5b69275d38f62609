// Every quantity of the tutorial, in double precision; nats. Pure: numbers in, numbers out. Tests compare it with torch.

export const sum = (values) => values.reduce((total, value) => total + value, 0);
export const mean = (values) => sum(values) / values.length;
export const dot = (a, b) => sum(a.map((value, i) => value * b[i]));
export const transposed = (matrix) => matrix[0].map((_, j) => matrix.map((row) => row[j]));
export const argmax = (values) => values.indexOf(Math.max(...values));
export const radians = (degrees) => (degrees * Math.PI) / 180;
export const degrees = (angle) => (angle * 180) / Math.PI;
export const onCircle = (angle) => [Math.cos(radians(angle)), Math.sin(radians(angle))];

/** log(exp(v1) + exp(v2) + ...), however large the values are: the largest one is taken out first. */
export function logSumExp(values) {
  const largest = Math.max(...values);
  return largest + Math.log(sum(values.map((value) => Math.exp(value - largest))));
}

export function softmax(logits) {
  const total = logSumExp(logits);
  return logits.map((logit) => Math.exp(logit - total));
}

/** -sum p log p: how undecided a distribution is. */
export const entropy = (probabilities) => -sum(probabilities.map((p) => (p > 0 ? p * Math.log(p) : 0)));

/** One query against its candidates, given by their similarities; `positive` says which one is its own. */
export function infoNce(similarities, temperature, positive = 0) {
  const logits = similarities.map((s) => s / temperature);
  const p = softmax(logits);
  const loss = logSumExp(logits) - logits[positive];
  // With respect to the similarities, hence the 1 / temperature: below 0 pulls closer, above 0 pushes away.
  const gradient = p.map((share, j) => (share - (j === positive ? 1 : 0)) / temperature);
  const pushes = gradient.filter((_, j) => j !== positive);
  const push = sum(pushes);
  return {
    logits,
    p,
    loss,
    gradient,
    pull: -gradient[positive],
    push,
    shares: pushes.map((force) => (push > 0 ? force / push : 0)),
    perplexity: Math.exp(entropy(p)),
  };
}

/** A square matrix of similarities, row i belonging to column i, read by rows and by columns. */
export function symmetric(matrix, temperature) {
  const rows = matrix.map((row, i) => infoNce(row, temperature, i));
  const columns = transposed(matrix).map((column, j) => infoNce(column, temperature, j));
  const n = matrix.length;
  const [rowLoss, columnLoss] = [rows, columns].map((lines) => mean(lines.map((line) => line.loss)));
  return {
    rows,
    columns,
    rowLoss,
    columnLoss,
    loss: (rowLoss + columnLoss) / 2,
    gradient: matrix.map((row, i) =>
      row.map((_, j) => (rows[i].gradient[j] + columns[j].gradient[i]) / (2 * n)),
    ),
  };
}

// How vectors move: points of length one, and the forces of the symmetric loss on them.

/** Numbers in [0, 1) by chance, the same ones for the same seed (mulberry32). */
export function chance(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Points on the circle (d = 2) or the sphere (d = 3), no direction likelier than another. */
export function scattered(count, d, seed) {
  const next = chance(seed);
  return Array.from({ length: count }, () => {
    const [x, y] = onCircle(360 * next());
    if (d === 2) return [x, y];
    const z = 2 * next() - 1;
    return [Math.sqrt(1 - z * z) * x, Math.sqrt(1 - z * z) * y, z];
  });
}

/** A weighted sum of vectors without its part along `point`: what can move a point that stays on the sphere. */
function tangent(point, vectors, weights) {
  const total = point.map((_, axis) => sum(vectors.map((vector, j) => weights[j] * vector[axis])));
  const outward = dot(total, point);
  return total.map((x, axis) => x - outward * point[axis]);
}

/** The symmetric loss of pairs (left[i], right[i]), and what it does to each point: minus its gradient, in two parts. */
export function pairForces(left, right, temperature) {
  const cosines = left.map((a) => right.map((b) => dot(a, b)));
  const found = symmetric(cosines, temperature);
  const on = (points, others, gradient) =>
    points.map((point, i) => {
      const part = (wanted) => tangent(point, others, gradient[i].map((g, j) => ((i === j) === wanted ? -g : 0)));
      return { pull: part(true), push: part(false) };
    });
  return { ...found, cosines, left: on(left, right, found.gradient), right: on(right, left, transposed(found.gradient)) };
}

/** A step along a force, and back to length one. */
export function moved(point, force, rate) {
  const to = point.map((x, axis) => x + rate * force[axis]);
  const length = Math.hypot(...to);
  return to.map((x) => x / length);
}

/** The lowest symmetric loss of n pairs: partners alike, strangers at -1 / (n - 1). It takes n - 1 dimensions. */
export const lowestLoss = (n, temperature) => Math.log1p((n - 1) * Math.exp(-n / ((n - 1) * temperature)));

/** Who belongs with row i of 2n views: its neighbour, or the row n places away. */
export const partnerOf = (i, n, layout) => (layout === "interleaved" ? i ^ 1 : (i + n) % (2 * n));

/** Of one anchor's 2n - 2 negatives, how many are of its own class, if c classes are equally frequent. */
export const falseNegatives = (n, c) => ({ negatives: 2 * n - 2, share: 1 / c, expected: (2 * n - 2) / c });

/** The symmetric loss of n pairs that lie evenly around the circle, partners together: the best there is in two dimensions. */
export function evenly(n, temperature) {
  const points = Array.from({ length: n }, (_, i) => onCircle((360 * i) / n));
  return pairForces(points, points, temperature);
}
