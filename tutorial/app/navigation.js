// The theme, the languages, and where in the page the reader is.

import { remembered } from "./memory.js";

const root = document.documentElement;
const theme = remembered("theme", null);
const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
const toggle = document.querySelector("#theme");

toggle.setAttribute("aria-pressed", dark());
toggle.addEventListener("click", () => {
  theme.set(dark() ? "light" : "dark");
  root.dataset.theme = theme.get();
  toggle.setAttribute("aria-pressed", dark());
});

// Another language shows the same numbers at the same place.
const languages = document.querySelectorAll("[data-language]");
for (const link of languages) link.addEventListener("click", () => remembered("language").set(link.dataset.language));
const follow = () => {
  for (const link of languages) link.hash = location.hash;
};
document.addEventListener("address", follow);
follow();

const links = new Map([...document.querySelectorAll("#contents a")].map((link) => [link.hash.slice(1), link]));
const seen = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      for (const [id, link] of links) {
        if (id === entry.target.id) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      }
    }
  },
  { rootMargin: "-20% 0px -75% 0px" },
);
for (const id of links.keys()) seen.observe(document.getElementById(id));

const progress = document.querySelector("#progress");
const measure = () => {
  const length = root.scrollHeight - innerHeight;
  progress.style.setProperty("--read", length > 0 ? Math.min(1, scrollY / length) : 0);
};
addEventListener("scroll", measure, { passive: true });
measure();
