"""The site in a real browser: every page fits a phone, is whole, quiet and alone; each kind is accessible."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tutorial.look import QUIET, served

ROOT = Path(__file__).parents[2]
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
if BROWSER is None:
    pytest.skip("no chromium on this machine: apt-get install chromium", allow_module_level=True)
sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright (no browser download needed)")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python")
commands = pytest.importorskip("mkdocs.commands.build", reason="make docs installs what builds the site")
pytest.importorskip("mkdocstrings", reason="make docs installs what builds the site")

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]  # landmarks beyond these are the theme's business
PAGES = ["index.html", "losses/InfoNCE.html", "benchmarks.html", "migrating/open_clip.html", "reference/losses.html"]
"""One of each kind."""

FAULTS = """() => {
  const found = [], page = document.documentElement, text = document.querySelector(".md-content");
  const within = (box) => box !== page && (getComputedStyle(box).overflowX !== "visible" || within(box.parentElement));
  if (page.scrollWidth > innerWidth) found.push(`the page is ${page.scrollWidth} wide`);
  for (const box of text.querySelectorAll("*"))
    if (box.getBoundingClientRect().right > innerWidth + 1 && !within(box)) found.push(`sticks out: ${box.outerHTML}`);
  for (const image of document.images)
    if (!image.naturalWidth || !image.alt) found.push(`no picture, or none in words: ${image.src}`);
  for (const { hash, pathname } of document.querySelectorAll("a[href*='#']"))
    if (pathname === location.pathname && hash && !document.getElementById(decodeURIComponent(hash.slice(1))))
      found.push(`leads nowhere: ${hash}`);
  const levels = [...text.querySelectorAll("h1, h2, h3, h4, h5, h6")].map((heading) => +heading.tagName[1]);
  if (levels.filter((level) => level === 1).length !== 1) found.push("not one title");
  if (levels.some((level, i) => level > (levels[i - 1] ?? 0) + 1)) found.push(`headings of levels ${levels}`);
  for (const { textContent } of text.querySelectorAll(".doc-symbol-module")) found.push("a module for a function");
  return found.map((line) => line.slice(0, 200));
}"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    config = pytest.importorskip("mkdocs.config").load_config(
        str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path_factory.mktemp("docs")), strict=True
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        commands.build(config)
    with served(Path(config.site_dir)) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=BROWSER, args=QUIET)
        yield launched
        launched.close()


@pytest.mark.filterwarnings("default")  # what the site's builders warn of is not ours
def test_every_page_fits_is_whole_quiet_and_alone(browser: Any, address: str) -> None:
    said: list[str] = []
    page = browser.new_page()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.extend([request.url] * (not request.url.startswith(address))))
    names = [f"{path.removesuffix('.md')}.html" for path in pages()]
    assert len(names) > 60
    found = {}
    for width, some in ((390, names), (1280, PAGES)):
        page.set_viewport_size({"width": width, "height": 900})
        for name in some:
            assert page.goto(f"{address}/{name}").ok, name
            found[f"{name}, {width} wide"] = page.evaluate(FAULTS)
    page.close()
    assert {name: faults for name, faults in found.items() if faults} == {}
    assert said == []


def pages() -> list[str]:
    """The pages that the site lists, by their files."""
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    return [word for line in text.splitlines() for word in line.split() if word.endswith(".md")]


@pytest.mark.filterwarnings("default")  # what the site's builders warn of is not ours
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_of_each_kind_is_accessible(browser: Any, address: str, name: str, scheme: str) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 900}, color_scheme=scheme)
    page.goto(f"{address}/{name}")
    # the corner of a table may be empty: its rows have names, too
    rules = {"runOnly": RULES, "resultTypes": ["violations"], "rules": {"empty-table-header": {"enabled": False}}}
    found = axe.Axe().run(page, options=rules)
    assert found.violations_count == 0, found.generate_report()
    page.close()


def test_faults_are_found(browser: Any) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 900})
    page.set_content(
        '<main class="md-content"><h2>no title</h2><p style="width: 600px">wide</p><img src="data:,"><a href="#x">x</a>'
        '<div style="overflow-x: auto"><p style="width: 600px">scrolled</p></div></main>'
    )
    found = " ".join(page.evaluate(FAULTS))
    page.close()
    for word in ("600", "sticks out: <p", "no picture", "not one title", "levels 2"):
        assert word in found
    assert "scrolled" not in found
