"""Is the built site whole, and does it ask no other one? `python -m website.check SITE` says so."""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

__all__ = ["faults", "main"]

_FETCHED = {("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("link", "href")}
_NOT_FETCHED = {"canonical", "prev", "next"}
_CODE = {"script", "style", "code", "pre"}


class _Page(HTMLParser):
    """What a page fetches, and its text outside of code."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.text: list[str] = []
        self.formulas = 0
        self._within: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if not set((found.get("rel") or "").split()) & _NOT_FETCHED:
            self.fetched += [value or "" for name, value in attrs if (tag, name) in _FETCHED]
        self.formulas += tag == "math"
        if tag in _CODE:
            self._within.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._within and self._within[-1] == tag:
            self._within.pop()

    def handle_data(self, data: str) -> None:
        if not self._within:
            self.text.append(data)


def faults(site: Path) -> list[str]:
    """What is wrong with the site, a line each: formulas that were not made, and what other sites are asked for."""
    found = []
    for path in sorted(site.rglob("*.html")):
        page = _Page()
        page.feed(path.read_text(encoding="utf-8"))
        name = path.relative_to(site)
        text = "".join(page.text)
        found += [f"{name}: a formula is left over: {left}" for left in re.findall(r"\$\$.{0,40}|\\[A-Za-z{}]+", text)]
        found += [f"{name}: asks another site: {url}" for url in page.fetched if re.match(r"(https?:)?//", url)]
    for path in sorted(site.rglob("*.css")):
        urls = re.findall(
            r"""(?:url\(\s*["']?|@import\s+["'])((?:https?:)?//[^"')]+)""", path.read_text(encoding="utf-8")
        )
        found += [f"{path.relative_to(site)}: asks another site: {url}" for url in urls]
    return found


def main(words: list[str]) -> int:
    """Print the faults of a site; 1 if there are any."""
    site = Path(words[0])
    pages = len(list(site.rglob("*.html")))
    found = faults(site) if pages else [f"{site}: no page"]
    print("\n".join(found) if found else f"{site}/index.html: {pages} pages, which ask no other site for anything")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
