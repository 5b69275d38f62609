"""Run studies of published results, and write the page of all of them.

make papers                               all of them
python -m benchmarks.papers simplex       one, in place of what it found before
python -m benchmarks.papers --render      none; the page of what is there
"""

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from tyro.conf import FlagCreatePairsOff, Positional, arg

from benchmarks.papers import STUDIES
from benchmarks.papers.kept import RESULTS, keep, kept
from benchmarks.papers.page import PAGE, render
from benchmarks.papers.study import Run, Study

__all__ = ["main", "runs_of"]


def runs_of(study: Study[Any]) -> list[Run]:
    """Run a study, once per seed."""
    found = []
    for seed in study.seeds:
        began = time.perf_counter()
        rows = list(study.run(study.settings, seed))
        found.append(Run(seed, round(time.perf_counter() - began, 1), rows))
        sys.stderr.write(f"{study.name}, seed {seed}: {found[-1].seconds:.0f} s\n")
    return found


def main(
    studies: Annotated[Positional[tuple[str, ...]], arg(metavar="NAME", help="which; all by default")] = (),
    *,
    tiny: bool = False,
    render_only: Annotated[bool, arg(name="render")] = False,
    out: Path = RESULTS,
    page: Path = PAGE,
) -> int:
    """Run studies of published results, and write the page.

    Args:
        studies: by name.
        tiny: with settings that take a moment and say nothing; give `--out` and `--page`, too.
        render_only: run nothing.
        out: the file of what was found.
        page: the page; pictures go to the folder `images` beside it.
    """
    unknown = sorted(set(studies) - set(STUDIES))
    if unknown:
        raise SystemExit(f"There is no study {', '.join(unknown)}. There are: {', '.join(STUDIES)}.")
    # the nets are small: a second thread would cost more than it brings, and sums would come in another order
    torch.set_num_threads(1)
    for name in () if render_only else studies or tuple(STUDIES):
        study = replace(STUDIES[name], settings=STUDIES[name].tiny) if tiny else STUDIES[name]
        keep(study, runs_of(study), out)
    for path in render(kept(out), page):
        sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(tyro.cli(main, prog="python -m benchmarks.papers", config=(FlagCreatePairsOff,)))
