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

export const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

/** What a bet costs on average where p happens and q was bet; the entropy of p is the least there is. */
export const averagePenalty = (p, q) => -sum(p.map((share, i) => (share > 0 ? share * Math.log(q[i]) : 0)));

/** KL(p || q), the part of the average penalty that is the bet's own fault. */
export const divergence = (p, q) => sum(p.map((share, i) => (share > 0 ? share * Math.log(share / q[i]) : 0)));

/** Four weights as a joint distribution of two by two. */
export function jointOf(weights) {
  const p = weights.map((weight) => weight / sum(weights));
  return [p.slice(0, 2), p.slice(2)];
}

/** What the rows X of a joint distribution and its columns Y say about themselves and each other. */
export function information(joint) {
  const px = joint.map(sum);
  const py = transposed(joint).map(sum);
  const ratios = joint.map((row, x) => row.map((p, y) => (p > 0 ? p / (px[x] * py[y]) : 0)));
  const [hx, hy, hxy] = [px, py, joint.flat()].map(entropy);
  // The uncertainty about X that each y leaves, and its average over all y.
  const left = transposed(joint).map((column, y) => (py[y] > 0 ? entropy(column.map((p) => p / py[y])) : 0));
  const terms = joint.map((row, x) => row.map((p, y) => (p > 0 ? p * Math.log(ratios[x][y]) : 0)));
  return {
    px,
    py,
    ratios,
    hx,
    hy,
    hxy,
    left,
    terms,
    given: dot(py, left),
    difference: hx - dot(py, left),
    overlap: hx + hy - hxy,
    divergence: sum(terms.flat()),
  };
}

/** [m, its chance] for every number of hits m in n throws, from the likeliest outwards as far as doubles can tell. */
export function binomial(n, q) {
  const chances = [];
  const top = Math.min(n, Math.floor((n + 1) * q));
  for (let m = top, chance = 1; m <= n && chance > 1e-20; chance *= ((n - m) * q) / (++m * (1 - q))) chances.push([m, chance]);
  for (let m = top, chance = 1; m > 0 && chance > 1e-20; ) {
    chance *= (m * (1 - q)) / ((n - --m) * q);
    chances.push([m, chance]);
  }
  const total = sum(chances.map(([, chance]) => chance));
  return chances.map(([m, chance]) => [m, chance / total]);
}

// How candidates look from each x: of two kinds, the second drawn with some chance, with density ratios p(y|x) / p(y).
export function viewsOf(joint) {
  const { px, py, ratios } = information(joint);
  return px.map((weight, x) => ({ weight, chance: py[1], ratios: ratios[x] })).filter(({ weight }) => weight > 0);
}
/** Y is X itself, one of so many symbols: a candidate is the same or another. */
export const noiseless = (symbols) => [{ weight: 1, chance: 1 / symbols, ratios: [0, symbols] }];

/** The exact InfoNCE loss of the critic ratio^power with n candidates: every count of kinds, by its chance. */
export function expectedLoss(views, n, power = 1) {
  return sum(
    views.map(({ weight, chance, ratios }) => {
      const scores = ratios.map((ratio) => ratio ** power);
      const others = binomial(n - 1, chance);
      return sum(
        [1 - chance, chance].map((q, kind) => {
          const own = weight * q * ratios[kind];
          if (own === 0) return 0;
          const rest = (m) => (m * scores[1] + (n - 1 - m) * scores[0]) / scores[kind];
          return own * sum(others.map(([m, share]) => share * Math.log1p(rest(m))));
        }),
      );
    }),
  );
}

/** log n - L, and what keeps it below I: the critic's divergence from the true answer, and I(X; Y_1..n). Each by itself. */
export function mutualBound(views, n, power = 1) {
  const xlog = (x, y) => (x > 0 ? x * Math.log(x / y) : 0);
  let [mutual, critic, finite] = [0, 0, 0];
  for (const { weight, chance, ratios } of views) {
    mutual += weight * sum([1 - chance, chance].map((q, kind) => q * xlog(ratios[kind], 1)));
    const scores = ratios.map((ratio) => ratio ** power);
    for (const [m, share] of binomial(n, chance)) {
      const counts = [n - m, m];
      const average = dot(counts, ratios) / n;
      if (average === 0) continue;
      const total = dot(counts, scores);
      const wrong = sum(counts.map((count, kind) => count && count * xlog(ratios[kind] / (n * average), scores[kind] / total)));
      finite += weight * share * xlog(average, 1);
      critic += weight * share * average * wrong;
    }
  }
  const loss = expectedLoss(views, n, power);
  return { mutual, loss, ceiling: Math.log(n), bound: Math.log(n) - loss, critic, finite };
}

/** "Own, or noise?", asked of each y alone, with `noises` noises to one datum; `counted` is how many the answer reckons with. */
export function nce(own, noise, noises, counted = noises) {
  const answers = own.map((p, y) => (p > 0 ? p / (p + counted * noise[y]) : 0));
  return { answers, claims: dot(own.map((p, y) => p + noises * noise[y]), answers) };
}

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

/** How many lines of a square matrix are largest at their own place, the diagonal; a tie is not right. */
export const hits = (lines) =>
  lines.filter((line, k) => line.every((value, m) => m === k || value < line[k])).length;

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

/** Vectors whose inner products are a given matrix (symmetric, positive): the rows of its Cholesky factor. */
export function withProducts(products) {
  const rows = [];
  for (const [i, wanted] of products.entries()) {
    rows.push(wanted.map(() => 0));
    for (let j = 0; j <= i; j++) {
      const left = wanted[j] - dot(rows[i].slice(0, j), rows[j].slice(0, j));
      rows[i][j] = i === j ? Math.sqrt(left) : left / rows[j][j];
    }
  }
  return rows;
}

/** NT-Xent of the similarities of views a1 a2 b1 b2 ...: nobody is a candidate of itself, the neighbour is the partner. */
export const ntXentInterleaved = (similarities, temperature) =>
  mean(similarities.map((row, i) => infoNce(row.filter((_, j) => j !== i), temperature, i - (i % 2)).loss));
