"""The commands: train, evaluate, search, report, data.

Whatever a person can put right is one panel and exit code 2; anything else is a bug and shows where it happened.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

from info_nce.checks import ArgumentError
from info_nce.errors import SettingError, UserError, needs_extra

with needs_extra("train"):
    import tyro
    from rich.console import Console
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text
    from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, Positional, arg, subcommand

with needs_extra("images"):
    from info_nce.recipes import simclr
    from info_nce.recipes.processes import Processes
    from info_nce.recipes.runs import load_run, started_by

STOPPED = 130

Folder = Annotated[str, arg(metavar="FOLDER")]
RunFolder = Annotated[Positional[Path], arg(metavar="RUN")]


@dataclass(frozen=True, slots=True)
class TrainSimCLR:
    """Train an image encoder without labels, evaluate it, and say what to do next.

    Args:
        settings: of SimCLR, arXiv:2002.05709.
        run: the folder to train into, new or empty; runs/simclr-DATE-TIME if left out.
        resume: go on with the run in this folder, exactly where it was stopped.
        debug: show where an error happened.
    """

    settings: OmitArgPrefixes[simclr.SimCLR]
    run: Folder = ""
    resume: Folder = ""
    debug: bool = False

    def do(self, console: Console, words: Sequence[str]) -> int:
        """Train, on several processes if a launcher has started several; all the rest is for the main one."""
        processes = Processes()
        folder, settings = processes.first(self._place)
        finished = simclr.train(settings, folder, console, resume=bool(self.resume), command=["info-nce", *words])
        processes.leave()
        if not processes.main:
            return 0 if finished else STOPPED
        if not finished:
            again = f"{started_by(processes.count)} train simclr --resume {folder}"
            console.print(f"Stopped; nothing is lost. Go on with:\n  {again}", soft_wrap=True)
            return STOPPED
        Evaluate(folder).do(console, words)
        console.print(
            "\nNext:",
            f"  info-nce report {folder}            pictures of all this, in one page",
            f"  info-nce search {folder} IMAGE      the pictures that look most like one of yours",
            sep="\n",
            highlight=False,
        )
        return 0

    def _place(self) -> tuple[Path, simclr.SimCLR]:
        if not self.resume:
            return Path(self.run or f"runs/simclr-{time.strftime('%Y%m%d-%H%M%S')}").expanduser(), self.settings
        folder = Path(self.resume).expanduser()
        then = simclr.settings_of(folder)
        new = [f.name for f in fields(then) if getattr(self.settings, f.name) not in (f.default, getattr(then, f.name))]
        if new or self.run:
            raise SettingError(
                "a run is resumed with the settings that it began with.",
                got=", ".join(f"--{name.replace('_', '-')}" for name in (*new, *(["run"] if self.run else []))),
                expected="no other option beside --resume",
                advice=f"info-nce train simclr --resume {folder}",
            )
        return folder, then


@dataclass(frozen=True, slots=True)
class Evaluate:
    """Score a run beside raw pixels and an untrained encoder.

    Args:
        run: its folder.
        debug: show where an error happened.
    """

    run: RunFolder
    debug: bool = False

    def do(self, console: Console, words: Sequence[str]) -> int:  # noqa: ARG002 (one signature for all commands)
        """Evaluate and show."""
        run = load_run(self.run)
        from info_nce.evaluation import evaluate_run, show  # noqa: PLC0415 (scikit-learn takes seconds)

        with console.status("evaluating beside raw pixels and the untrained encoder"):
            evaluation = evaluate_run(run)
        show(evaluation, console)
        return 0


@dataclass(frozen=True, slots=True)
class Search:
    """Find the pictures of a run's data that look most like a given one.

    Args:
        run: its folder.
        image: the picture to look for: a file, or one of the run's own, such as test:7.
        top: how many to show.
        debug: show where an error happened.
    """

    run: RunFolder
    image: Annotated[Positional[Path], arg(metavar="IMAGE")]
    top: int = 10
    debug: bool = False

    def do(self, console: Console, words: Sequence[str]) -> int:  # noqa: ARG002 (one signature for all commands)
        """Search and say where the picture of the result is."""
        run = load_run(self.run)
        from info_nce.evaluation import search  # noqa: PLC0415 (a command loads only what it needs)

        console.print(search(run, self.image, self.top))
        return 0


@dataclass(frozen=True, slots=True)
class Report:
    """Write one page with the curves, the scores and the pictures of a run.

    Args:
        run: its folder.
        debug: show where an error happened.
    """

    run: RunFolder
    debug: bool = False

    def do(self, console: Console, words: Sequence[str]) -> int:  # noqa: ARG002 (one signature for all commands)
        """Write it and say where it is."""
        run = load_run(self.run)
        from info_nce.report import write_report  # noqa: PLC0415 (a command loads only what it needs)

        with console.status("drawing the report"):
            page = write_report(run)
        console.print(f"report: {page}", highlight=False, soft_wrap=True)
        return 0


@dataclass(frozen=True, slots=True)
class Data:
    """List the data sets: what each is, how many, whose, where it came from and what it is used for."""

    debug: bool = False

    def do(self, console: Console, words: Sequence[str]) -> int:  # noqa: ARG002 (one signature for all commands)
        """Show the list; nothing is fetched for it."""
        from info_nce.data.catalogue import CATALOGUE  # noqa: PLC0415 (a command loads only what it needs)

        for name, facts in CATALOGUE.items():
            table = Table("", name, show_lines=False, title_justify="left")
            for field in fields(facts):
                value = getattr(facts, field.name)
                table.add_row(field.name.replace("_", " "), "\n".join(value) if isinstance(value, tuple) else value)
            console.print(table)
        return 0


# "train simclr" is one name with a space in it, so that `info-nce --help` lists every recipe at once.
Command = (
    Annotated[TrainSimCLR, subcommand("train simclr")]
    | Annotated[Evaluate, subcommand("evaluate")]
    | Annotated[Search, subcommand("search")]
    | Annotated[Report, subcommand("report")]
    | Annotated[Data, subcommand("data")]
)


def run(words: Sequence[str]) -> int:
    """Parse and run a command line; see `info_nce.cli.main`."""
    console, errors = Console(), Console(stderr=True)
    _warn_of_the_namesake(errors)
    joined = [" ".join(words[:2]), *words[2:]] if words[:1] == ["train"] and words[1:2] != ["--help"] else list(words)
    command = tyro.cli(Command, prog="info-nce", args=joined, description=_DESCRIPTION, config=(FlagCreatePairsOff,))
    try:
        return command.do(console, words)
    except (UserError, ArgumentError) as error:
        if command.debug:
            raise
        if Processes().main:  # which has been told of those of the others
            errors.print(_panel(error))
        return 2
    except KeyboardInterrupt:
        errors.print("Stopped.")
        return STOPPED


_DESCRIPTION = "Contrastive learning: train an encoder without labels, see how good it is, search with it."


def _panel(error: Exception) -> Panel:
    what, *lines = str(error).split("\n")
    return Panel(Text("\n".join((what, "", *lines))), title="cannot go on", title_align="left", border_style="red")


def _warn_of_the_namesake(errors: Console) -> None:
    try:
        found = version("info-nce-pytorch")
    except PackageNotFoundError:
        return
    errors.print(
        f"info-nce-pytorch {found} is installed too. Both are imported as info_nce, so one hides the other; "
        "all of its names are here, unchanged.\n  try       pip uninstall info-nce-pytorch, then install this again",
        style="yellow",
        highlight=False,
    )
