"""The page in a real browser: quiet, alone, as wide as a phone, and without an accessibility violation."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from info_nce.report import write_report
from tests.evaluation.fakes import labelled, run_on

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
if BROWSER is None:
    pytest.skip("no chromium on this machine: apt-get install chromium", allow_module_level=True)
sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright (no browser download needed)")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    names = ("bear", "a class with a very long name, longer than any column", "<b>&")
    return write_report(run_on(labelled([40, 40, 40], names), tmp_path_factory.mktemp("run")))


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )
        yield launched
        launched.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [380, 1200])
def test_the_page_is_quiet_alone_accessible_and_fits(browser: object, report: Path, scheme: str, width: int) -> None:
    said: list[str] = []
    asked: list[str] = []
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)  # type: ignore[attr-defined]  # a fixture without types
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(report.as_uri())
    for summary in page.query_selector_all("summary"):
        summary.click()
    found = axe.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [report.as_uri()]
    page.close()


def test_the_schemes_differ_and_figures_follow(browser: object, report: Path) -> None:
    colours = {}
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme)  # type: ignore[attr-defined]  # a fixture without types
        page.goto(report.as_uri())
        text = "getComputedStyle(document.querySelector('svg text')).fill"
        colours[scheme] = (page.evaluate("getComputedStyle(document.body).backgroundColor"), page.evaluate(text))
        page.close()
    assert colours["light"][0] != colours["dark"][0]
    assert colours["light"][1] != colours["dark"][1]
