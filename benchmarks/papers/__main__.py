"""Run studies of published results, and write the page of all of them.

make papers                               all of them
python -m benchmarks.papers NAME          one, unless that was done; --fresh: in any case
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
from benchmarks.papers.kept import RESULTS, begun, keep, kept
from benchmarks.papers.page import PAGE, render
from benchmarks.papers.study import Run, Study

__all__ = ["complete", "main"]


def complete(study: Study[Any], out: Path, *, fresh: bool) -> None:
    """Run a study once per seed that is missing; each is kept at once, so a study that is stopped goes on."""
    found = [] if fresh else begun(study, out)
    for seed in study.seeds:
        if all(run.seed != seed for run in found):
            began = time.perf_counter()
            rows = list(study.run(study.settings, seed))
            found.append(Run(seed, round(time.perf_counter() - began, 1), rows))
            keep(study, found, out)
            sys.stderr.write(f"{study.name}, seed {seed}: {found[-1].seconds:.0f} s\n")


def main(
    names: Annotated[Positional[tuple[str, ...]], arg(metavar="NAME", help="which; all by default")] = (),
    *,
    fresh: bool = False,
    tiny: bool = False,
    render_only: Annotated[bool, arg(name="render")] = False,
    out: Path = RESULTS,
    page: Path = PAGE,
) -> int:
    """Run studies of published results, and write the page.

    Args:
        names: of the studies.
        fresh: run again what was run already.
        tiny: with settings that take a moment and say nothing; give `--out` and `--page`, too.
        render_only: run nothing.
        out: the file of what was found.
        page: the page; pictures go to the folder `images` beside it.
    """
    unknown = sorted(set(names) - {study.name for study in STUDIES})
    if unknown:
        raise SystemExit(f"There is no study {', '.join(unknown)}; {', '.join(study.name for study in STUDIES)} are.")
    # the nets are small: a second thread would cost more than it brings, and sums would come in another order
    torch.set_num_threads(1)
    studies = [replace(study, settings=study.tiny, seeds=study.seeds[:2]) if tiny else study for study in STUDIES]
    for study in studies:
        if not render_only and (not names or study.name in names):
            complete(study, out, fresh=fresh)
    for path in render(kept(out), studies, page):
        sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(tyro.cli(main, prog="python -m benchmarks.papers", config=(FlagCreatePairsOff,)))
