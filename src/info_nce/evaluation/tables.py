"""A scorecard as a table for a terminal, 80 columns wide."""

import math
from pathlib import Path

from info_nce.errors import RunError, needs_extra
from info_nce.evaluation.scorecard import TRAINED, Score, Scorecard, load_scorecard

with needs_extra("train"):
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

# With fewer items, one of them is worth more than a quarter of a percent.
_TENTHS = 400


def show(card: Scorecard, console: Console) -> None:
    """Print the table, what it means, and what to mind when reading it."""
    if card.scores:
        console.print(_table(card))
    console.print(Text(card.verdict or verdict(card)))
    for note in card.notes:
        console.print(Text(f"• {note}", style="yellow"))


def verdict(card: Scorecard) -> str:
    """Is the trained model better than its baselines, by the measure that the recipe is judged by?"""
    trained = card.find(TRAINED, card.headline)
    if trained is None:
        return "There is nothing to compare answers with, so nobody can say how good this is."
    others = [
        f"{system} {number(found)}"
        for system in card.systems()
        if system != TRAINED and (found := card.find(system, card.headline)) is not None
    ]
    return f"{card.headline}: {number(trained)} trained, beside {', '.join(others)}. ± is one standard error."


def headline(folder: Path) -> str:
    """What a run has reached by the measure that its recipe is judged by, in half a line; "" if nobody measured it."""
    try:
        card = load_scorecard(folder)
    except RunError:
        return ""
    found = card.find(TRAINED, card.headline)
    return "" if found is None else f"{card.headline}: {number(found)}"


def number(score: Score, *, tenths: bool = True) -> str:
    """Write a value as people read it: shares in %, with the standard error where there is one."""
    digits, scale, sign = {"share": (int(tenths), 100, " %"), "rank": (1, 1, ""), "correlation": (3, 1, "")}[score.unit]
    if not math.isfinite(score.value):
        return "–"
    error = f" ± {scale * score.standard_error:.{digits}f}" if math.isfinite(score.standard_error) else ""
    return f"{scale * score.value:.{digits}f}{error}{sign}"


def _table(card: Scorecard) -> Table:
    tested, far = card.counts.get("test", 0), card.counts.get("far")
    caption = f"{tested:,} test items; ± one standard error"
    if far is not None:
        caption += f"; far: the {far:,} of them without a look-alike in training"
    table = Table(
        title=Text(f"{card.run}", style="bold"),
        caption=Text(caption),
        box=box.SIMPLE_HEAD,
        caption_justify="left",
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("%", overflow="fold")
    systems = card.systems()
    for system in systems:
        table.add_column(system, justify="right", style="bold" if system == TRAINED else "")
    for measure in card.measures():
        cells = [card.find(system, measure) for system in systems]
        table.add_row(measure, *(_cell(score, tested) for score in cells))
    return table


def _cell(score: Score | None, tested: int) -> str:
    return "" if score is None else number(score, tenths=tested >= _TENTHS).removesuffix(" %").replace(" ± ", "±")
