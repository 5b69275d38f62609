// Parts that follow each other become tabs, of which one is open; without this script they are read one after the other.

for (const box of document.querySelectorAll(".tabs")) {
  const panels = [...box.children];
  const list = document.createElement("div");
  list.setAttribute("role", "tablist");
  list.setAttribute("aria-label", box.dataset.label);
  const tabs = panels.map((panel) => {
    const heading = panel.querySelector("h4");
    const tab = Object.assign(document.createElement("button"), { type: "button", id: `${panel.id}-tab`, textContent: heading.textContent });
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", panel.id);
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", tab.id);
    heading.hidden = true;
    return tab;
  });
  const open = (chosen) => {
    tabs.forEach((tab, i) => {
      tab.setAttribute("aria-selected", i === chosen);
      tab.tabIndex = i === chosen ? 0 : -1;
      panels[i].hidden = i !== chosen;
    });
  };
  const byAddress = () => {
    const named = panels.findIndex((panel) => `#${panel.id}` === location.hash);
    if (named >= 0) open(named);
  };
  list.addEventListener("click", (event) => tabs.includes(event.target) && open(tabs.indexOf(event.target)));
  list.addEventListener("keydown", (event) => {
    const now = tabs.indexOf(event.target);
    const next = { ArrowRight: (now + 1) % tabs.length, ArrowLeft: (now + tabs.length - 1) % tabs.length, Home: 0, End: tabs.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    open(next);
    tabs[next].focus();
  });
  list.append(...tabs);
  box.prepend(list);
  open(0);
  byAddress();
  addEventListener("hashchange", byAddress);
  box.classList.add("ready");
}
