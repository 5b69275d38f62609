// Bring what is on the page to what it should be, touching only what differs: focus, open notes and typing stay.

export function patch(target, markup) {
  const made = document.createElement("template");
  made.innerHTML = markup;
  children(target, made.content);
}

function children(now, wanted) {
  const all = [...wanted.childNodes]; // a list of its own: nodes that are taken over leave the other one
  all.forEach((fresh, i) => {
    let old = now.childNodes[i];
    // What has a key is never moved, for it would lose the focus: what is before it comes and goes.
    if (key(fresh) && [...now.childNodes].slice(i).some((node) => key(node) === key(fresh))) {
      for (; key(old) !== key(fresh); old = now.childNodes[i]) old.remove();
    }
    if (!old) now.append(fresh);
    else if (key(old) && key(old) !== key(fresh)) old.before(fresh);
    else if (old.nodeName !== fresh.nodeName || key(old) !== key(fresh)) old.replaceWith(fresh);
    else if (old.nodeType !== Node.ELEMENT_NODE) old.data !== fresh.data && (old.data = fresh.data);
    // What is the same is left alone, unless the reader may have written into it.
    else if (!old.isEqualNode(fresh) || old.querySelector("input") || old.matches("input")) {
      attributes(old, fresh);
      children(old, fresh);
    }
  });
  while (now.childNodes.length > all.length) now.lastChild.remove();
}

const key = (node) => node.dataset?.key;

function attributes(old, fresh) {
  for (const { name, value } of [...fresh.attributes]) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    // What the reader opened stays open; which cell of a grid the Tab key reaches is the reader's, too.
    if (!fresh.hasAttribute(name) && name !== "open" && name !== "data-held") old.removeAttribute(name);
  }
  if (old instanceof HTMLInputElement) {
    old.checked = fresh.hasAttribute("checked");
    const value = fresh.getAttribute("value") ?? "";
    if (old.value !== value && (old.type !== "number" || !old.dataset.held)) old.value = value;
  } else if (old instanceof HTMLTextAreaElement && !old.dataset.held && old.value !== fresh.value) old.value = fresh.value;
}
