// Code that can be pressed, line by line. The lines come marked from the builder.

import { html, trusted } from "./markup.js";

/** `act` says what pressing line i does, `look` what it looks like and what stands beside it; no act: no button. */
export const listing = (lines, act, look) =>
  html`<div class="scroll"><ol class="listing">${lines.map((line, i) => {
    const { pressed = false, kind = "", beside = "" } = look(line, i);
    const inside = html`<code>${trusted(line.html || " ")}</code>${beside && html`<span class="beside">${beside}</span>`}`;
    const action = act(line, i);
    return action
      ? html`<li><button type="button" class="${kind}" data-do="${action}" data-link="${action}" aria-pressed="${pressed}">${inside}</button></li>`
      : html`<li class="plain">${inside}</li>`;
  })}</ol></div>`;

/** What was typed at a prompt, and what was said. */
export const transcript = (session) =>
  html`<pre>${session.map(([typed, ...said]) => html`<kbd>&gt;&gt;&gt; ${typed}</kbd>\n${said.map((line) => html`${line}\n`)}`)}</pre>`;
