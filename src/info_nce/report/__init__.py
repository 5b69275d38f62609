"""A run as one HTML file that explains itself: what was learned, how sure that is, and how it was made."""

from pathlib import Path
from typing import Any

from info_nce.recipes.files import write_safely
from info_nce.recipes.runs import Run
from info_nce.report.gather import gather
from info_nce.report.page import page

__all__ = ["write_report"]

FILE = "report.html"


def write_report(run: Run[Any]) -> Path:
    """Write one page with a run's verdict, curves, maps, neighbours and settings.

    Args:
        run: with a trained encoder, finished or not; it is evaluated first if that has not been done.

    Returns:
        The file: report.html in the run's folder. It needs no network, no script and no other file.

    Raises:
        RunError: the data is not what the run was trained on, or the folder cannot be written to.
    """
    write_safely(run.path / FILE, page(gather(run)).encode())
    return run.path / FILE
