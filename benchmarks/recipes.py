"""Every recipe on its built-in data, over several seeds, beside its baselines: one table, docs/recipes-measured.md.

    python -m benchmarks.recipes [--recipes clip text] [--seeds 0 1 2] [--out runs/recipes]

Each run is a process of its own, on an otherwise quiet machine. A run that is finished is not made again, and one that
was stopped goes on. What was found is kept in benchmarks/recipes.json, from which the page is written: recipes that are
not asked for keep their rows, unless their settings have changed since. Seconds are those of training alone, as its
metrics say.
"""

import json
import statistics
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Any

from rich.console import Console

from benchmarks.machine import machine
from info_nce.errors import needs_extra
from info_nce.evaluation import Scorecard, load_scorecard
from info_nce.evaluation.scorecard import TRAINED, Unit, scorecard_from
from info_nce.recipes import RECIPES, recipe_class
from info_nce.recipes.files import write_safely
from info_nce.recipes.runs import FINAL, load_run, read_config

with needs_extra("train"):
    import tyro

PAGE, RESULTS = Path("docs/recipes-measured.md"), Path("benchmarks/recipes.json")
THREADS = 2
_INTRO = (
    "`make recipes`: each recipe with its defaults on its built-in data, {threads} threads on {machines}. Minutes are "
    "those of the fastest seed, for some had other work beside them. Numbers are means over the seeds of shares of "
    "held-out items (ranks and correlations as they are), smallest and largest in brackets; baselines that "
    "no seed touches have none. In bold: what was trained, and the measure that the recipe is judged by. What each "
    "measure and baseline is, and what the data are: [recipes.md](recipes.md), [data.md](data.md)."
)


@dataclass(frozen=True, slots=True)
class Measured:
    """One run.

    Args:
        recipe: by name.
        seed: of training.
        seconds: of training.
        data: that it was trained on.
        machine: that trained it, in words.
        settings: of the recipe.
        card: its scores.
    """

    recipe: str
    seed: int
    seconds: float
    data: str
    machine: str
    settings: dict[str, Any]
    card: Scorecard

    @property
    def of_today(self) -> bool:
        """Whether the recipe's defaults are still those that were measured; a setting added since has no say."""
        defaults = {field.name: field.default for field in fields(recipe_class(self.recipe))}
        return defaults | self.settings == defaults | {"seed": self.seed, "threads": THREADS}


def measured(recipe: str, seed: int, out: Path) -> Measured:
    """Train and evaluate, as a user would, unless that has been done."""
    folder = out / f"{recipe}-{seed}"
    program = [sys.executable, "-m", "info_nce"]
    if not (folder / FINAL).exists():
        start = ["--resume", str(folder)] if (folder / "config.json").exists() else ["--run", str(folder)]
        chosen = [] if start[0] == "--resume" else ["--seed", str(seed), "--threads", str(THREADS)]
        subprocess.run([*program, "train", recipe, *start, *chosen], check=True)  # noqa: S603 (our own words)
    elif not (folder / "evaluation.json").exists():
        subprocess.run([*program, "evaluate", str(folder)], check=True)  # noqa: S603 (as above)
    run, here = load_run(folder), "{cores} cores of {cpu}".format(**machine())
    seconds, settings = run.metrics()[-1]["seconds"], read_config(folder).config
    found = Measured(recipe, seed, seconds, run.data["name"], here, settings, load_scorecard(folder))
    if not found.of_today:
        raise SystemExit(f"{folder} was trained with other settings than today's defaults: remove it, and try again")
    return found


def remembered(file: Path) -> list[Measured]:
    """What was measured before, and is still what the defaults are."""
    if not file.exists():
        return []
    rows = json.loads(file.read_text(encoding="utf-8"))
    return [run for row in rows if (run := Measured(**row | {"card": scorecard_from(row["card"])})).of_today]


def remember(runs: Iterable[Measured], file: Path) -> None:
    """Keep what was measured."""
    rows = [asdict(run) | {"card": run.card.plain()} for run in runs]
    write_safely(file, f"{json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False)}\n".encode())


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
        minutes = min(run.seconds for run in runs) / 60
        cells = (recipe, runs[0].data, f"{minutes:.1f}", card.headline, _cell(runs, TRAINED, card.headline))
        lines.append(f"| {' | '.join(cells)} | {'; '.join(others)} |")
    return lines


def page(found: dict[str, list[Measured]]) -> str:
    """All of it as a page."""
    every = [run for runs in found.values() for run in runs]
    machines = " and ".join(dict.fromkeys(run.machine for run in every))
    text = ["# What the recipes reach", "", _INTRO.format(machines=machines, threads=THREADS), "", *summary(found)]
    for recipe, runs in found.items():
        seeds = ", ".join(str(run.seed) for run in runs)
        minutes = min(run.seconds / 60 for run in runs)
        text += [
            "",
            f"## {recipe}",
            "",
            f"{RECIPES[recipe][1]}. Data: {runs[0].data}; {minutes:.1f} minutes of training; seeds {seeds}.",
            "",
            *table(runs),
        ]
    return "\n".join(text) + "\n"


def main(
    recipes: Annotated[tuple[str, ...], tyro.conf.arg(help="which; all by default")] = tuple(RECIPES),
    seeds: tuple[int, ...] = (0, 1, 2),
    out: Path = Path("runs/recipes"),
    results: Path = RESULTS,
    page_file: Path = PAGE,
) -> None:
    """Measure, and write the page.

    Args:
        recipes: by name.
        seeds: of training.
        out: where the runs go.
        results: where the numbers are kept.
        page_file: what to write.
    """
    rows = {(run.recipe, run.seed): run for run in remembered(results)}
    for recipe in recipes:
        for seed in seeds:
            rows[recipe, seed] = measured(recipe, seed, out)
            remember((rows[key] for key in sorted(rows)), results)
    found = {recipe: [rows[key] for key in sorted(rows) if key[0] == recipe] for recipe in RECIPES}
    page_file.write_text(page({recipe: runs for recipe, runs in found.items() if runs}), encoding="utf-8")
    Console().print(f"written: {page_file}")


if __name__ == "__main__":
    tyro.cli(main)
