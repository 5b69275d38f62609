"""The tutorial, built once from its sources, its JavaScript in Python, and its pages in a real browser."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tutorial.build import HERE, build
from tutorial.engine import Engine
from tutorial.look import QUIET, served

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

Open = Callable[..., Any]
"""Opens a page of the tutorial: open(language, "#circle.angles=...", width=390, dark=True)."""


@pytest.fixture(scope="session")
def engine() -> Engine:
    return Engine(HERE / "app")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tutorial") / "site"
    build(folder)
    return folder


@pytest.fixture(scope="session")
def address(site: Path) -> Iterator[str]:
    with served(site) as found:
        yield found


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if BROWSER is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright (no browser download needed)")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=BROWSER, args=QUIET)
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser: Any, address: str) -> Iterator[Open]:
    """Open pages, and see at the end that none complained or asked anyone else for anything."""
    contexts: list[Any] = []
    trouble: list[str] = []

    def note(what: str, *, fine: bool = False) -> None:
        if not fine:
            trouble.append(what)

    def opened(language: str = "en", state: str = "", *, width: int = 1280, dark: bool = False, **options: Any) -> Any:
        scheme = "dark" if dark else "light"
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: note(message.text))
        page.on("pageerror", lambda error: note(str(error)))
        page.on("request", lambda request: note(request.url, fine=request.url.startswith(address)))
        page.on("response", lambda answer: note(f"{answer.status} {answer.url}", fine=answer.status < 400))
        page.goto(f"{address}/{language}/{state}")
        if options.get("java_script_enabled", True):
            page.wait_for_selector("html[data-ready]", state="attached")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert trouble == []


def value(page: Any, name: str) -> float:
    """A number of a figure as the page holds it, in full precision."""
    return float(page.get_attribute(f'[data-bind="{name}"]', "data-value"))


RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def check_accessible(page: Any, part: str = "html") -> None:
    """See that axe finds no violation of its rules in a part of the page."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python")
    # what passed needs no report, whose making took most of the time
    found = axe.Axe().run(page, context=part, options={"runOnly": RULES, "resultTypes": ["violations"]})
    assert found.violations_count == 0, found.generate_report()


def address_of(page: Any) -> str:
    """The page's address from "#" on, once it has followed the last change."""
    # Timers of one page fire in the order of their time: this one after that which writes the address.
    page.evaluate("new Promise((done) => setTimeout(done, 160))")
    return str(page.evaluate("location.hash"))
