// What the page remembers on the reader's machine; where that is forbidden, until it is closed.

const PREFIX = "info-nce:";

export function remembered(name, otherwise) {
  let value = otherwise;
  try {
    value = JSON.parse(localStorage.getItem(PREFIX + name)) ?? otherwise;
  } catch {
    // no storage, or something else's text: begin anew
  }
  return {
    get: () => value,
    set(next) {
      value = next;
      try {
        localStorage.setItem(PREFIX + name, JSON.stringify(next));
      } catch {
        // kept for this visit
      }
    },
  };
}
