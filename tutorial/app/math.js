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
