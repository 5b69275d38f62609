// The page at work: it draws figures anew when their state changes, listens to the reader, and keeps the address.

import { fromHash, toHash } from "./address.js";
import { FIGURES } from "./figures/index.js";
import { frame } from "./frame.js";
import { at, shown } from "./markup.js";
import { remembered } from "./memory.js";
import { patch } from "./patch.js";
import "./predictions.js";
import "./navigation.js";
import "./tabs.js";

const words = JSON.parse(document.querySelector("#words").textContent);
const initial = Object.fromEntries(Object.entries(FIGURES).map(([name, figure]) => [name, figure.state]));
const states = {};
const done = remembered("tasks", {});
const timers = {};
const stages = Object.fromEntries(
  [...document.querySelectorAll("[data-figure]")].map((element) => [element.dataset.figure, element]),
);
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const STEP = 60; // milliseconds between the steps of a player
const PAUSE = 500; // milliseconds without a change before it is said

const within = (figure, state) => (figure.fits ? figure.fits(state) : state);

function draw(name, numbers = FIGURES[name].derive(states[name])) {
  const about = { done: done.get()[name], playing: name in timers };
  patch(stages[name], frame(FIGURES[name], states[name], numbers, words, about));
  for (const element of document.querySelectorAll(`[data-bind^="${name}."]`)) {
    if (stages[name].contains(element)) continue;
    const value = at(numbers, element.dataset.bind.slice(name.length + 1));
    element.dataset.value = value;
    element.textContent = shown(value, Number(element.dataset.digits));
  }
}

/** Take the reader's changes, see what is done by them, draw, and keep the address. */
function change(name, changes, { quiet = false } = {}) {
  if (!changes) return;
  const figure = FIGURES[name];
  states[name] = within(figure, { ...states[name], ...changes });
  const numbers = figure.derive(states[name]);
  for (const [task, isDone] of Object.entries(figure.tasks ?? {})) {
    const before = done.get()[name] ?? [];
    if (!before.includes(task) && isDone(states[name], numbers)) done.set({ ...done.get(), [name]: [...before, task] });
  }
  draw(name, numbers);
  if (!quiet) {
    write();
    say(name);
  }
}

let writing;
function write() {
  clearTimeout(writing);
  writing = setTimeout(() => {
    const hash = toHash(states, initial);
    history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
    document.dispatchEvent(new Event("address"));
  }, 150);
}

const saying = {};
function say(name) {
  const figure = FIGURES[name];
  if (!figure.says) return;
  clearTimeout(saying[name]);
  saying[name] = setTimeout(() => {
    status(name, figure.says(states[name], figure.derive(states[name]), { ...words.common, ...words[name] }));
  }, PAUSE);
}

function status(name, text) {
  stages[name].parentElement.querySelector("[role=status]").textContent = text;
}

function stop(name) {
  clearInterval(timers[name]);
  delete timers[name];
}

function step(name) {
  const changes = FIGURES[name].step(states[name]);
  if (changes) change(name, changes, { quiet: true });
  else {
    stop(name);
    change(name, {});
  }
}

const ACTIONS = {
  reset(name) {
    stop(name);
    change(name, structuredClone(initial[name]));
  },
  async copy(name) {
    change(name, {});
    const link = `${location.origin}${location.pathname}#${toHash(states, initial)}`;
    try {
      await navigator.clipboard.writeText(link);
      status(name, words.common.copied);
    } catch {
      status(name, link);
    }
  },
  play(name) {
    if (name in timers) {
      stop(name);
      change(name, {});
    } else if (calm.matches) {
      step(name);
      change(name, {});
    } else {
      if (!FIGURES[name].step(states[name])) change(name, FIGURES[name].from, { quiet: true });
      timers[name] = setInterval(() => step(name), FIGURES[name].pace ?? STEP);
      draw(name);
    }
  },
  step(name) {
    step(name);
    change(name, {});
  },
};

function act(name, text) {
  const [action, argument] = text.split(/:(.*)/s);
  const figure = FIGURES[name];
  if (action === "set") {
    const [key, value] = argument.split("=");
    change(name, set(states[name], key, typeof at(states[name], key) === "string" ? value : JSON.parse(value)));
  } else if (figure.actions?.[action]) {
    change(name, figure.actions[action](states[name], argument, figure.derive(states[name])));
  } else ACTIONS[action](name);
}

/** Changes that put a value at a path: "angles.2". */
function set(state, path, value) {
  const [key, ...rest] = path.split(".");
  if (rest.length === 0) return { [key]: value };
  const copy = structuredClone(state[key]);
  let inner = copy;
  for (const part of rest.slice(0, -1)) inner = inner[part];
  inner[rest.at(-1)] = value;
  return { [key]: copy };
}

function typed(name, input) {
  const path = input.dataset.set;
  if (input.type === "checkbox") return change(name, set(states[name], path, input.checked));
  if (input.tagName === "SELECT" || input.type === "text" || input.tagName === "TEXTAREA") {
    return change(name, set(states[name], path, input.value));
  }
  if (input.value === "" || !Number.isFinite(input.valueAsNumber)) return undefined;
  let value = input.valueAsNumber;
  if (input.type === "number") value = Math.min(Number(input.max || Infinity), Math.max(Number(input.min || -Infinity), value));
  else if (input.dataset.scale === "log") value = Number((10 ** value).toPrecision(3));
  return change(name, set(states[name], path, value));
}

const NUDGES = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10, Home: -Infinity, End: Infinity };

function listen(name, element) {
  const figure = FIGURES[name];
  element.addEventListener("click", (event) => {
    const target = event.target.closest("[data-do]");
    if (target && !target.disabled) act(name, target.dataset.do);
  });
  element.addEventListener("input", (event) => {
    if (!event.target.dataset.set) return;
    event.target.dataset.held = "typing"; // so that "0." is not written over while "0.5" is being typed
    typed(name, event.target);
  });
  element.addEventListener("focusout", (event) => {
    if (event.target.dataset?.held) {
      delete event.target.dataset.held;
      draw(name);
    }
  });
  element.addEventListener("keydown", (event) => {
    const held = event.target.closest("[data-nudge]");
    if (held && event.key in NUDGES && figure.nudge && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      change(name, figure.nudge(states[name], held.dataset.nudge, NUDGES[event.key] * (event.shiftKey ? 10 : 1)));
    }
    // In a grid, keys go from cell to cell and change them; the focus goes to the one cell that the Tab key reaches.
    if (event.target.dataset.keys !== undefined && !event.ctrlKey && !event.metaKey && !event.altKey) {
      const changes = figure.keys(states[name], event.key);
      if (changes) {
        event.preventDefault();
        change(name, changes);
        element.querySelector('[data-keys][tabindex="0"]').focus();
      }
    }
    // A number field goes by its own step from whatever stands in it; browsers would only know the step's multiples.
    const field = event.target;
    if (field.type === "number" && field.dataset.step && /^Arrow(Up|Down)$/.test(event.key)) {
      event.preventDefault();
      const by = Number(field.dataset.step) * (event.shiftKey ? 10 : 1) * (event.key === "ArrowUp" ? 1 : -1);
      field.value = Number((field.valueAsNumber + by).toFixed(6));
      typed(name, field);
    }
  });
  element.addEventListener("pointerdown", (event) => {
    const held = event.target.closest("[data-drag]");
    if (!held || !figure.drag || event.button !== 0) return;
    const svg = held.ownerSVGElement;
    const move = (moved) => {
      const point = new DOMPoint(moved.clientX, moved.clientY).matrixTransform(svg.getScreenCTM().inverse());
      change(name, figure.drag(states[name], held.dataset.drag, point));
    };
    const let_go = () => {
      svg.removeEventListener("pointermove", move);
      svg.removeEventListener("pointerup", let_go);
      svg.removeEventListener("pointercancel", let_go);
    };
    event.preventDefault();
    held.focus({ preventScroll: true });
    svg.setPointerCapture(event.pointerId);
    svg.addEventListener("pointermove", move);
    svg.addEventListener("pointerup", let_go);
    svg.addEventListener("pointercancel", let_go);
  });
  // One thing in several places (a point, its bar, its cell, its term) lights up in all of them.
  const light = (event) => {
    const link = event.target.closest?.("[data-link]")?.dataset.link;
    for (const linked of element.querySelectorAll("[data-link]")) {
      linked.classList.toggle("lit", event.type !== "pointerleave" && linked.dataset.link === link);
    }
  };
  for (const kind of ["pointerover", "focusin", "pointerleave"]) element.addEventListener(kind, light);
}

/** Take what a link says. Figures that stay as they are were drawn when the page was built. */
function open(hash) {
  const found = fromHash(hash, initial);
  for (const name of Object.keys(stages)) {
    const before = states[name] ?? initial[name];
    states[name] = within(FIGURES[name], { ...structuredClone(initial[name]), ...found[name] });
    if (done.get()[name] || JSON.stringify(states[name]) !== JSON.stringify(before)) draw(name);
  }
}

open(location.hash);
for (const [name, element] of Object.entries(stages)) listen(name, element);
addEventListener("hashchange", () => location.hash.includes("=") && open(location.hash));
document.documentElement.dataset.ready = "";
