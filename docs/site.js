// What scrolls can be reached with the keyboard; the theme sees to that for code alone.
const reachable = () => {
  for (const box of document.querySelectorAll(".formula, .matrix > div, .md-typeset__scrollwrap, p:has(> img:only-child)"))
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
};
addEventListener("load", reachable);
addEventListener("resize", reachable);
