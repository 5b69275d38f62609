// What the reader has set, as the part of the address after #, so that a link shows the same numbers.
// #circle.temperature=0.2&circle.angles=37,44,63,78,93,107 : only what differs from how the page begins.

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/** The reader's settings of all figures, as text. */
export function toHash(states, initial) {
  const parts = [];
  for (const [figure, state] of Object.entries(states)) {
    for (const [key, value] of Object.entries(state)) {
      if (key in initial[figure] && !same(value, initial[figure][key])) {
        parts.push(`${figure}.${key}=${encodeURIComponent(flat(value))}`);
      }
    }
  }
  return parts.join("&");
}

/** Settings from such a text; whatever does not fit how a figure begins is left out, never half taken. */
export function fromHash(hash, initial) {
  const found = {};
  for (const part of hash.replace(/^#/, "").split("&")) {
    const [, figure, key, text] = part.match(/^(\w+)\.(\w+)=(.*)$/) ?? [];
    if (!figure || !Object.hasOwn(initial, figure) || !Object.hasOwn(initial[figure], key)) continue;
    const value = like(initial[figure][key], decoded(text));
    if (value !== undefined) (found[figure] ??= {})[key] = value;
  }
  return found;
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

const flat = (value) =>
  Array.isArray(value) ? value.map((inner) => (Array.isArray(inner) ? inner.join(",") : inner)).join(Array.isArray(value[0]) ? ";" : ",") : String(value);

/** Text as a value of the kind of `example`; undefined if it is not one. */
function like(example, text) {
  if (typeof example === "number") return text !== "" && Number.isFinite(Number(text)) ? Number(text) : undefined;
  if (typeof example === "boolean") return { true: true, false: false }[text];
  if (typeof example === "string") return text;
  const parts = text.split(Array.isArray(example[0]) ? ";" : ",").map((part) => like(example[0], part));
  const sized = Array.isArray(example[0]) ? parts.length === example.length : parts.length > 0;
  return sized && !parts.includes(undefined) ? parts : undefined;
}
