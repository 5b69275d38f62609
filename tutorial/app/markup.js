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

/** A number as people read it: a true minus sign, and as many decimals as asked for. */
export function shown(value, digits = 4) {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value < 0 ? "\u2212\u221e" : "\u221e";
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
