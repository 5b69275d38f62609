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
