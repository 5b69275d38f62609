// Questions to commit to before the answer is shown. Without this script, each is a note to be opened.

import { remembered } from "./memory.js";

const answers = remembered("predictions", {});

for (const form of document.querySelectorAll("form.predict")) {
  const note = form.querySelector("details");
  const verdict = form.querySelector(".verdict");
  const options = [...form.querySelectorAll("input[type=radio]")];
  const commit = form.querySelector("button");
  const judge = (value) => {
    const chosen = options.find((option) => option.value === value);
    if (!chosen) return;
    chosen.checked = true;
    note.open = true;
    const right = chosen.value === form.dataset.right;
    verdict.textContent = right ? form.dataset.yes : form.dataset.no;
    form.classList.toggle("right", right);
    form.classList.toggle("wrong", !right);
    commit.disabled = true;
    for (const option of options) option.disabled = true;
  };
  form.addEventListener("change", () => (commit.disabled = false));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const chosen = options.find((option) => option.checked);
    if (!chosen) return;
    answers.set({ ...answers.get(), [form.id]: chosen.value });
    judge(chosen.value);
    verdict.focus();
  });
  if (form.id in answers.get()) judge(answers.get()[form.id]);
}
