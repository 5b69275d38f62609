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

/** How many lines of a square matrix are largest at their own place, the diagonal; a tie is not right. */
export const hits = (lines) =>
  lines.filter((line, k) => line.every((value, m) => m === k || value < line[k])).length;
/** How long a vector is, and where it points: the same vector brought to length one. */
export const magnitude = (vector) => Math.hypot(...vector);
export const direction = (vector) => vector.map((value) => value / magnitude(vector));

/** The nearest number of half precision, ties to even: steps of a 1024th of a power of two, and infinity from 65520 on. */
export function toHalf(value) {
  const size = Math.abs(value);
  if (!(size < 65520)) return value * Infinity;
  const step = 2 ** (Math.max(-14, Math.floor(Math.log2(size))) - 10);
  const shift = 1.5 * 2 ** 52 * step; // next to it doubles lie one step apart, so that the sum is rounded to whole steps
  return value + shift - shift;
}

/** The largest number of each format; beyond its logarithm, the exponential is infinite. */
export const LARGEST = { float16: 65504, float32: (2 - 2 ** -23) * 2 ** 127, float64: Number.MAX_VALUE };
const ROUNDED = { float16: toHalf, float32: Math.fround, float64: (value) => value };

/** InfoNCE as a machine of that format finds it, rounding after every operation: as written, and by log-sum-exp. */
export function infoNceIn(format, similarities, temperature, positive = 0) {
  const round = ROUNDED[format];
  const added = (values) => values.reduce((total, value) => round(total + value), 0);
  const logits = similarities.map((s) => round(round(s) / round(temperature)));
  const powers = logits.map((logit) => round(Math.exp(logit)));
  const total = added(powers);
  const share = round(powers[positive] / total);
  const largest = Math.max(...logits);
  const lowered = logits.map((logit) => round(logit - largest));
  const loweredPowers = lowered.map((logit) => round(Math.exp(logit)));
  const loweredTotal = added(loweredPowers);
  return {
    logits,
    powers,
    total,
    share,
    naive: -round(Math.log(share)),
    largest,
    lowered,
    loweredPowers,
    loweredTotal,
    stable: round(round(Math.log(loweredTotal)) - lowered[positive]),
  };
}

/** How many candidates an anchor has: other pairs' partners, all other views of a batch of pairs, or a queue and its own. */
export const candidatesOf = { pairs: (n) => n, views: (n) => 2 * n - 1, queue: (n) => n + 1 };
/** The cosine of every vector of one list with every vector of another, however long or short the vectors are. */
export function cosines(rows, columns) {
  const unit = (vector) => {
    const largest = Math.max(...vector.map(Math.abs)); // first, so that no square is too large or too small
    const scaled = vector.map((x) => x / largest);
    const length = Math.hypot(...scaled);
    return scaled.map((x) => x / length);
  };
  const others = columns.map(unit);
  return rows.map(unit).map((row) => others.map((column) => dot(row, column)));
}

/** NT-Xent of a square matrix over all views, view 1 of every item first: each looks for the other one of its item. */
export function ntXent(matrix, temperature) {
  const n = matrix.length / 2;
  const rows = matrix.map((row, i) => {
    const partner = (i + n) % (2 * n);
    const found = infoNce(row.filter((_, j) => j !== i), temperature, partner - (partner > i));
    return { ...found, p: found.p.toSpliced(i, 0, 0) };
  });
  return { rows, loss: mean(rows.map((row) => row.loss)) };
}

/** Each row's own cosine should be larger than its hardest negative's by a margin; nothing else counts. */
export function hardestTriplet(matrix, margin) {
  const rows = matrix.map((row, i) => {
    const hardest = argmax(row.map((s, j) => (j === i ? -Infinity : s)));
    return { hardest, loss: Math.max(0, margin + row[hardest] - row[i]) };
  });
  return { rows, loss: mean(rows.map((row) => row.loss)) };
}

/** Pairs of vectors that belong together, drawn from a seed: the second is the first with noise. */
export function drawnPairs(count, width, seed) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (((mixed ^ (mixed >>> 14)) >>> 0) + 0.5) / 2 ** 32;
  };
  const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  const hundredth = (x) => Number(x.toFixed(2)) || 0.01; // no vector is all zeros
  const drawn = (vector) => vector.map((x) => hundredth(x));
  const first = Array.from({ length: count }, () => drawn(Array.from({ length: width }, normal)));
  return [first, first.map((vector) => drawn(vector.map((x) => x + 0.6 * normal())))];
}

/**
 * Who is compared with whom, by method: rows ask, columns answer. A cell is "positive", "negative", "masked" (left out of
 * the sum) or "none" (never compared). `weights` is what a column's part of the sum is multiplied by.
 */
export function comparisons(method, n, { queue = 6, ahead = 1, decay = 1 } = {}) {
  const line = (group, length, from = 0) => Array.from({ length }, (_, i) => ({ group, index: from + i }));
  const square = (rows, columns, kind) => rows.map((row) => columns.map((column) => kind(row, column)));
  const same = (row, column) => row.index === column.index;
  let [rows, columns, kind] = [line(0, n), line(1, n), (row, column) => (same(row, column) ? "positive" : "negative")];
  if (method === "simclr") {
    rows = columns = [...line(0, n), ...line(1, n)];
    kind = (row, column) => (!same(row, column) ? "negative" : row.group === column.group ? "masked" : "positive");
  } else if (method === "moco" || method === "videomoco") {
    columns = [...columns, ...line(2, queue)];
    kind = (row, column) => (column.group === 2 ? "negative" : same(row, column) ? "positive" : "none");
  } else if (method === "cpc") {
    rows = [0, 1].flatMap((recording) => line(recording, n - ahead));
    columns = [0, 1].flatMap((recording) => line(recording, n));
    kind = (row, column) => (row.group === column.group && row.index + ahead === column.index ? "positive" : "negative");
  } else if (method === "wav2vec2") {
    rows = [0, 1].flatMap((recording) => line(recording, n, 1));
    columns = [0, 1].flatMap((recording) => line(recording, n + 2));
    const masked = (column) => column.index > 0 && column.index <= n;
    kind = (row, column) =>
      row.group !== column.group || !masked(column) ? "none" : same(row, column) ? "positive" : "negative";
  }
  // The newest key of the queue has waited for nothing yet.
  const weights = columns.map(({ group, index }) => (method === "videomoco" && group === 2 ? decay ** index : 1));
  return { rows, columns, cells: square(rows, columns, kind), weights };
}

/** What the triplet loss asks: a negative stays behind the positive by a margin. Without `negative`, the hardest one. */
export function tripletLoss(similarities, margin = 0, negative = 1 + argmax(similarities.slice(1))) {
  const loss = Math.max(0, similarities[negative] - similarities[0] + margin);
  return { loss, gradient: similarities.map((_, j) => (loss > 0 ? Number(j === negative) - Number(j === 0) : 0)) };
}

/** How the loss changes with a = log(1 / temperature): what is expected of the logits, less the positive's. */
export function slopeOfScale(similarities, temperature) {
  const { logits, p } = infoNce(similarities, temperature);
  return dot(p, logits) - logits[0];
}

/** One step of gradient descent on a = log(1 / temperature) alone; the temperature stays between 0.01 and 1. */
export const learnTemperature = (similarities, temperature, rate) =>
  Math.min(1, Math.max(0.01, Math.exp(Math.log(temperature) + rate * slopeOfScale(similarities, temperature))));

/** The temperature of the least loss: that is where the slope changes its sign, or an end of the range. */
export function bestTemperature(similarities, low = 0.01, high = 1) {
  for (let i = 0; i < 60; i++) {
    const middle = Math.sqrt(low * high);
    if (slopeOfScale(similarities, middle) < 0) high = middle;
    else low = middle;
  }
  return low;
}

/** The temperature between 0.01 and 1 at which the positive is pulled hardest. */
export function strongestPull(similarities) {
  const pull = (place) => infoNce(similarities, 10 ** place).pull;
  let [low, high] = [-2, 0];
  for (let i = 0; i < 60; i++) {
    const [left, right] = [low + (high - low) / 3, high - (high - low) / 3];
    if (pull(left) < pull(right)) low = left;
    else high = right;
  }
  return { temperature: 10 ** low, pull: pull(low) };
}

/** InfoNCE, corrected for a share of the negatives that are positives in truth (Chuang and others, 2020). */
export function debiasedInfoNce(similarities, temperature, share) {
  const [positive, ...negatives] = similarities.map((s) => Math.exp(s / temperature));
  const each = Math.max((mean(negatives) - share * positive) / (1 - share), Math.exp(-1 / temperature));
  return Math.log(1 + (negatives.length * each) / positive);
}
