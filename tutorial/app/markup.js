// Markup as text, so that the same functions draw in the browser and when the pages are built.

const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
class Markup extends String {}

const written = (value) =>
  value instanceof Markup ? String(value)
  : Array.isArray(value) ? value.map(written).join("")
  : value === false || value === null || value === undefined ? ""
  : String(value).replace(/[&<>"]/g, (sign) => ENTITIES[sign]);

/** A tagged template: whatever is put in is escaped, unless it is markup already; false and undefined are nothing. */
export const html = (texts, ...values) =>
  new Markup(texts.reduce((made, text, i) => made + written(values[i - 1]) + text));

/** Markup that comes from the words of the page, which are written by us. */
export const trusted = (text) => new Markup(text);

/** "{n} candidates" with { n: 5 } becomes "5 candidates". */
export const fill = (text, values) =>
  text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));

const RAISED = "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079";

/** A number as people read it: a true minus sign, as many decimals as asked for, and powers of ten from a thousand million on. */
export function shown(value, digits = 4) {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value < 0 ? "\u2212\u221e" : "\u221e";
  if (Math.abs(value) >= 1e9) {
    const [factor, power] = value.toExponential(2).split("e+");
    return `${factor.replace("-", "\u2212")}\u00b710${[...power].map((digit) => RAISED[digit]).join("")}`;
  }
  const text = Math.abs(value).toFixed(digits);
  return (value < 0 && Number(text) !== 0 ? "\u2212" : "") + text;
}

/** What a path such as "p.0" leads to. */
export const at = (object, path) => path.split(".").reduce((inner, key) => inner?.[key], object);

/** A number that follows its figure: `name` is "figure.path". */
export const live = (name, value, digits = 4, tag = "span") =>
  trusted(
    `<${tag} class="number" data-bind="${name}" data-digits="${digits}" data-value="${value}">${shown(value, digits)}</${tag}>`,
  );

/** A curve through points, as the d of an SVG path. */
export const path = (points) =>
  points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(2)} ${y.toFixed(2)}`).join("");
