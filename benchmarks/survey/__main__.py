"""Train many small encoders, healthy and broken, diagnose each, and write what came out into a page.

make survey                                 the seeds of the page
python -m benchmarks.survey --seeds A B     those from A to before B; --fresh: also those that were done
python -m benchmarks.survey --render        none; the page of what is there
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import torch
import tyro
from tyro.conf import FlagCreatePairsOff, arg

from benchmarks.survey import outcomes
from benchmarks.survey.outcomes import RESULTS, Outcome, Run
from benchmarks.survey.page import PAGE, render
from benchmarks.survey.trainings import drawn

__all__ = ["SEEDS", "complete", "main"]

SEEDS = (500, 505)
"""From the first to before the second: no threshold of `diagnose` was chosen on these."""


def complete(seeds: tuple[int, int], out: Path, *, fresh: bool = False, tiny: bool = False) -> None:
    """Run each seed that is missing, and keep it at once, so that a survey that is stopped goes on."""
    plan = {seed: drawn(seed, tiny=tiny) for seed in range(*seeds)}
    runs = [] if fresh else outcomes.begun(out, plan)
    command = f"python -m benchmarks.survey --fresh --seeds {seeds[0]} {seeds[1]}"
    for seed, trainings in plan.items():
        if all(run.seed != seed for run in runs):
            runs = sorted([*runs, outcomes.survey(seed, trainings)], key=lambda run: run.seed)
            outcomes.keep(runs, command, out)
            sys.stderr.write(f"{_told(seed, runs)}\n")


def _told(seed: int, runs: Sequence[Run]) -> str:
    (run,) = (run for run in runs if run.seed == seed)
    healthy = [outcome for outcome in run.outcomes if outcome.healthy]
    shown = [outcome for outcome in run.outcomes if not outcome.healthy and not outcome.hidden]
    return (
        f"seed {seed}: nothing found in {_expected(healthy)} of {len(healthy)} healthy trainings; "
        f"named {_expected(shown)} of {len(shown)} broken ones; {run.seconds:.0f} s"
    )


def _expected(found: Sequence[Outcome]) -> int:
    return sum(outcome.as_expected for outcome in found)


def main(
    *,
    seeds: Annotated[tuple[int, int], arg(metavar="A B")] = SEEDS,
    fresh: bool = False,
    tiny: bool = False,
    render_only: Annotated[bool, arg(name="render")] = False,
    out: Path = RESULTS,
    page: Path = PAGE,
) -> int:
    """Train, diagnose, and write what came out into a page.

    Args:
        seeds: from A to before B.
        fresh: run again what was run already.
        tiny: with trainings that take a moment and say nothing; give `--out` and `--page`, too.
        render_only: run nothing.
        out: the file of what was found.
        page: the page, which has marks where this belongs.
    """
    if seeds[0] >= seeds[1]:
        raise SystemExit(f"There is no seed from {seeds[0]} to before {seeds[1]}.")
    # the nets are small: a second thread would cost more than it brings, and sums would come in another order
    torch.set_num_threads(1)
    if not render_only:
        complete(seeds, out, fresh=fresh, tiny=tiny)
    sys.stdout.write(f"{render(*outcomes.kept(out), page)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(tyro.cli(main, prog="python -m benchmarks.survey", config=(FlagCreatePairsOff,)))
