"""Measure how fast the losses are, how much memory they take and how exact they are.

make bench          a look at everything, in about four minutes
make bench-full     everything, in at most forty minutes; what is left is measured by the next call
make bench-peers    the environments of the libraries that they are compared with
"""

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from tyro.conf import FlagCreatePairsOff, arg

from benchmarks import cases, homes, machine, plan
from benchmarks.agreement import disagreements
from benchmarks.harness import Harness
from benchmarks.processes import Processes
from benchmarks.results import Results
from benchmarks.systems import SYSTEMS
from benchmarks.verdict import missed, verdict

__all__ = ["main", "measure"]

_LATER, _STOPPED = 3, 130


def main(
    *,
    full: bool = False,
    out: Path = Path("runs/benchmarks/short.json"),
    only: Annotated[tuple[str, ...], arg(metavar="TABLE")] = (),
    minutes: float = 40.0,
    fresh: bool = False,
    show: bool = False,
    peers: Path = homes.FOLDER,
    threads: int = 0,
) -> int:
    """Measure the losses beside the limit and other libraries.

    Args:
        full: everything, and not a look at it.
        out: the file of results; the cases that it has already are not measured again.
        only: tables, such as `memory`; all of them by default.
        minutes: the budget; a case that would not fit is left for the next call.
        fresh: start anew, whatever the file has.
        show: say what would be measured and for how long, and measure nothing.
        peers: the folder of the other environments.
        threads: how many a worker may use; 0 leaves it to torch.
    """
    console = Console(stderr=True, highlight=False)
    chosen = [case for case in (cases.full() if full else cases.short()) if not only or case.table in only]
    missing = [name for name, system in SYSTEMS.items() if not system.home.is_built(peers)]
    seconds = {case.key: plan.seconds_of(case, missing, machine.total_bytes()) for case in chosen}
    if show:
        for case in chosen:
            console.print(f"{seconds[case.key]:7.0f} s  {case.key}  ({len(case.entries)} figures)")
        console.print(f"{sum(seconds.values()) / 60:7.1f} minutes in all")
        return 0
    if fresh:
        out.unlink(missing_ok=True)
    if machine.load() > machine.BUSY:
        console.print(f"This machine is busy (load {machine.load()}): the figures will mean little.", style="bold")
    results = Results.resume(out, _command(full, only, threads))
    with Processes(peers, threads or None) as processes:
        try:
            left = measure(chosen, Harness(processes, results), results, console, seconds, minutes)
        except KeyboardInterrupt:
            console.print(f"Stopped; {len(results.cases)} cases are in {out}. Run it again to go on.")
            return _STOPPED
    return _conclude(results, left, console)


def measure(
    chosen: Sequence[cases.Case],
    harness: Harness,
    results: Results,
    console: Console,
    seconds: Mapping[str, float],
    minutes: float = 40.0,
) -> list[str]:
    """Measure what the results do not have yet, and name what did not fit into the budget."""
    start, left = time.monotonic(), []
    with _progress(console) as progress:
        task = progress.add_task("", total=len(chosen))
        for case in chosen:
            progress.update(task, description=case.key)
            if case.key not in results.cases:
                spent = time.monotonic() - start
                if spent + seconds[case.key] > minutes * 60:
                    left.append(case.key)
                else:
                    harness.measure(case)
                    if not console.is_terminal:
                        console.print(f"{time.monotonic() - start:6.0f} s  {case.key}")
            progress.advance(task)
    return left


def _command(full: bool, only: Sequence[str], threads: int) -> list[str]:
    """What someone else would type for the same figures; where files lie is their own business."""
    words = ["python", "-m", "benchmarks", *(["--full"] if full else [])]
    words += ["--only", *only] if only else []
    return [*words, *(["--threads", str(threads)] if threads else [])]


def _conclude(results: Results, left: Sequence[str], console: Console) -> int:
    met, goals = verdict(results)
    different = disagreements(results.cases)
    for line in different:
        console.print(f"NOT THE SAME NUMBER: {line}", style="bold red", soft_wrap=True)
    for line in missed(results):
        console.print(f"missed: {line}", soft_wrap=True)
    console.print(f"{met} of {goals} goals met; {len(results.cases)} cases in {results.path}")
    if machine.code_of() != results.head["code"]:
        console.print("The package changed meanwhile: start anew.", style="bold red")
    if left:
        more = f" and {len(left) - _LATER} more" if len(left) > _LATER else ""
        console.print(f"No time was left for {', '.join(left[:_LATER])}{more}: run it again to go on.")
    return 1 if different else 0


def _progress(console: Console) -> Progress:
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    return Progress(*columns, console=console, disable=not console.is_terminal)


if __name__ == "__main__":
    sys.exit(tyro.cli(main, prog="python -m benchmarks", config=(FlagCreatePairsOff,)))
