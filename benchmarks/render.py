"""Make the page of a file of results, and its pictures.

python -m benchmarks.render benchmarks/full.json
"""

import sys
from io import BytesIO
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional, arg

from benchmarks import plots
from benchmarks.page import PICTURES, page_of
from benchmarks.results import Results

__all__ = ["main", "render"]

_DRAWN = {"time": plots.times, "memory": plots.memory, "others": plots.others}
_DPI = 130


def main(
    file: Annotated[Positional[Path], arg(metavar="FILE")] = Path("benchmarks/full.json"),
    page: Path = Path("docs/benchmarks.md"),
) -> int:
    """Write the page of a file of results, and its pictures beside it.

    Args:
        file: the results.
        page: the page; pictures go to the folder `images` beside it.
    """
    for path in render(Results.load(file), page):
        sys.stdout.write(f"{path}\n")
    return 0


def render(results: Results, page: Path) -> list[Path]:
    """Write the page and its pictures, and say which files these are."""
    folder = page.parent / "images"
    folder.mkdir(parents=True, exist_ok=True)
    page.write_text(page_of(results), encoding="utf-8")
    written = [page]
    for name in PICTURES:
        if any(results.of_table(name)):
            written.append(folder / f"bench-{name}.png")
            written[-1].write_bytes(_png(_DRAWN[name](results)))
    return written


def _png(figure: plots.Figure) -> bytes:
    drawn = BytesIO()
    figure.savefig(drawn, format="png", dpi=_DPI, metadata={"Software": None})
    return drawn.getvalue()


if __name__ == "__main__":
    sys.exit(tyro.cli(main, prog="python -m benchmarks.render"))
