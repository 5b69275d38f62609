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
