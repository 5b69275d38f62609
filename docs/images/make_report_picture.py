"""Make docs/images/report.png: the verdict and the map of a run's report, as a browser shows them.

    python docs/images/make_report_picture.py runs/demo

Needs the dependency group `dev` (playwright, which drives the installed chromium and downloads nothing).
"""

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from info_nce.recipes.runs import load_run
from info_nce.report import write_report

TARGET = Path(__file__).with_name("report.png")
WIDTH, SCALE, COLOURS = 1120, 1.5, 128
SHOWN = ("header", "figure[aria-labelledby=map-of-pictures-title]")
MARGIN = 28


def photographs(page: Path) -> list[Image.Image]:
    """Show a page in a browser and take pictures of its most telling parts."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        shown = browser.new_page(viewport={"width": WIDTH, "height": 900}, device_scale_factor=SCALE)
        shown.goto(page.resolve().as_uri())
        taken = [Image.open(io.BytesIO(shown.locator(part).screenshot())).convert("RGB") for part in SHOWN]
        browser.close()
    return taken


def stacked(parts: list[Image.Image]) -> Image.Image:
    """Put pictures below each other on the colour of the page, and save colours."""
    paper = parts[0].getpixel((0, 0))
    margin = round(MARGIN * SCALE)
    width = max(part.width for part in parts) + 2 * margin
    whole = Image.new("RGB", (width, sum(part.height + margin for part in parts)), paper)
    top = 0
    for part in parts:
        whole.paste(part, ((width - part.width) // 2, top))
        top += part.height + margin
    return whole.quantize(COLOURS, dither=Image.Dither.NONE)


def main() -> None:
    """Write the picture."""
    report = write_report(load_run(sys.argv[1]))
    stacked(photographs(report)).save(TARGET, optimize=True)
    sys.stdout.write(f"{TARGET}: {TARGET.stat().st_size / 1e3:.0f} kB\n")


if __name__ == "__main__":
    main()
