"""Pictures of the tutorial, to be looked at: python -m tutorial.look FOLDER [--part bet] [--language en].

Builds the pages, and takes each section (or one figure) light and dark, 1280 and 390 pixels wide. Needs playwright and
a chromium of the machine.
"""

import argparse
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from pathlib import Path

from tutorial.build import build

QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
"""What keeps the browser to itself."""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name it has in the base class)
        """Say nothing."""


@contextmanager
def served(site: Path) -> Iterator[str]:
    """Serve a folder to this machine while the block runs; its address is given."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def look(folder: Path, part: str, language: str, state: str, clicks: list[str]) -> None:
    """Write the pictures.

    Args:
        folder: that they go to.
        part: a section's id or a figure's name; every section if empty.
        language: of the page.
        state: the part of the address after the page, from "#" on.
        clicks: what to press before, as selectors.
    """
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 (tests serve the pages without it)

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made, served(Path(made) / "site") as address, sync_playwright() as playwright:
        build(Path(made) / "site")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=QUIET)
        for width, dark in product((1280, 390), (False, True)):
            scheme = "dark" if dark else "light"
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light")
            page.on("console", lambda message: print("console:", message.text))
            page.on("pageerror", lambda error: print("error:", error))
            page.goto(f"{address}/{language}/{state}")
            page.wait_for_selector("html[data-ready]", state="attached")
            for selector in clicks:
                page.click(selector)
            page.add_style_tag(
                content=".top, .slider { position: static !important }"
            )  # a long picture would show it midway
            page.wait_for_timeout(300)
            if (across := page.evaluate("document.documentElement.scrollWidth")) > width:
                print(f"at {width} pixels the page is {across} wide")
            wanted = [part] if part else [s.get_attribute("id") for s in page.query_selector_all("main > section")]
            for name in wanted:
                found = page.locator(f"#fig-{name}, section#{name}").first
                found.screenshot(path=folder / f"{name}-{language}-{width}-{scheme}.png")
            page.close()
        browser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=look.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--part", default="")
    parser.add_argument("--language", default="en")
    parser.add_argument("--state", default="")
    parser.add_argument("--click", action="append", default=[])
    words = parser.parse_args()
    look(words.folder, words.part, words.language, words.state, words.click)
