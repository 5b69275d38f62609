"""Every recipe on its built-in data, over several seeds, beside its baselines: one table, docs/recipes-measured.md.

    python -m benchmarks.recipes [--recipes clip text] [--seeds 0 1 2] [--out runs/recipes]

Each run is a process of its own, on an otherwise quiet machine. A run that is finished is not made again, and one that
was stopped goes on. Seconds are those of training alone, as its metrics say.
"""

import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from rich.console import Console

from benchmarks.machine import machine
from info_nce.errors import needs_extra
from info_nce.evaluation import Scorecard, load_scorecard
from info_nce.evaluation.scorecard import TRAINED, Unit
from info_nce.recipes import RECIPES
from info_nce.recipes.runs import FINAL, load_run

with needs_extra("train"):
    import tyro

PAGE = Path("docs/recipes-measured.md")
THREADS = 2
_INTRO = (
    "`make recipes`, on {cores} cores of {cpu}: each recipe with its defaults on its built-in data, seeds {seeds}, "
    "{threads} threads. Numbers are means over the seeds of shares of held-out items (ranks and correlations as they "
    "are), with the smallest and the largest in brackets; baselines that no seed touches have none. In bold: what was "
    "trained, and the measure that the recipe is judged by. What each measure and baseline is, and what the data are: "
    "[recipes.md](recipes.md), [data.md](data.md)."
)


@dataclass(frozen=True, slots=True)
class Measured:
    """One run.

    Args:
        seconds: of training.
        data: that it was trained on.
        card: its scores.
    """

    seconds: float
    data: str
    card: Scorecard


def measured(recipe: str, seed: int, out: Path) -> Measured:
    """Train and evaluate, as a user would, unless that has been done."""
    folder = out / f"{recipe}-{seed}"
    program = [sys.executable, "-m", "info_nce"]
    if not (folder / FINAL).exists():
        start = ["--resume", str(folder)] if (folder / "config.json").exists() else ["--run", str(folder)]
        settings = [] if start[0] == "--resume" else ["--seed", str(seed), "--threads", str(THREADS)]
        subprocess.run([*program, "train", recipe, *start, *settings], check=True)  # noqa: S603 (our own words)
    elif not (folder / "evaluation.json").exists():
        subprocess.run([*program, "evaluate", str(folder)], check=True)  # noqa: S603 (as above)
    run = load_run(folder)
    return Measured(run.metrics()[-1]["seconds"], run.data["name"], load_scorecard(folder))


def table(runs: Sequence[Measured]) -> list[str]:
    """One recipe: measures down, systems across; the mean over the seeds, with the smallest and the largest."""
    card = runs[0].card
    systems = card.systems()
    lines = [f"| measure | {' | '.join(systems)} |", f"|---|{'---|' * len(systems)}"]
    for measure in card.measures():
        cells = (_cell(runs, system, measure) for system in systems)
        lines.append(f"| {f'**{measure}**' if measure == card.headline else measure} | {' | '.join(cells)} |")
    return lines


def _cell(runs: Sequence[Measured], system: str, measure: str) -> str:
    found = [score for run in runs if (score := run.card.find(system, measure)) is not None]
    if not found:
        return ""
    values = [score.value for score in found]
    text = _number(statistics.fmean(values), found[0].unit)
    if max(values) > min(values):
        text += f" ({_number(min(values), found[0].unit)} to {_number(max(values), found[0].unit)})"
    return f"**{text}**" if system == TRAINED else text


def _number(value: float, unit: Unit) -> str:
    return f"{value:.1f}" if unit == "rank" else f"{value:.3f}"


def summary(found: dict[str, list[Measured]]) -> list[str]:
    """All recipes, each by the measure that it is judged by."""
    lines = ["| recipe | data | minutes | measure | trained | beside |", "|---|---|---|---|---|---|"]
    for recipe, runs in found.items():
        card = runs[0].card
        others = (f"{s} {cell}" for s in card.systems() if s != TRAINED and (cell := _cell(runs, s, card.headline)))
        minutes = statistics.median(run.seconds for run in runs) / 60
        cells = (recipe, runs[0].data, f"{minutes:.1f}", card.headline, _cell(runs, TRAINED, card.headline))
        lines.append(f"| {' | '.join(cells)} | {'; '.join(others)} |")
    return lines


def page(found: dict[str, list[Measured]], seeds: Sequence[int]) -> str:
    """All of it as a page."""
    text = [
        "# What the recipes reach",
        "",
        _INTRO.format(**machine(), seeds=", ".join(map(str, seeds)), threads=THREADS),
        "",
        *summary(found),
    ]
    for recipe, runs in found.items():
        minutes = [run.seconds / 60 for run in runs]
        text += [
            "",
            f"## {recipe}",
            "",
            f"{RECIPES[recipe][1]}. Data: {runs[0].data}; {statistics.median(minutes):.1f} minutes of training.",
            "",
            *table(runs),
        ]
    return "\n".join(text) + "\n"


def main(
    recipes: Annotated[tuple[str, ...], tyro.conf.arg(help="which; all by default")] = tuple(RECIPES),
    seeds: tuple[int, ...] = (0, 1, 2),
    out: Path = Path("runs/recipes"),
    page_file: Path = PAGE,
) -> None:
    """Measure, and write the page.

    Args:
        recipes: by name.
        seeds: of training.
        out: where the runs go.
        page_file: what to write.
    """
    found = {recipe: [measured(recipe, seed, out) for seed in seeds] for recipe in recipes}
    page_file.write_text(page(found, seeds), encoding="utf-8")
    Console().print(f"written: {page_file}")


if __name__ == "__main__":
    tyro.cli(main)
