"""The commands: train, evaluate, report, runs, data; and those of `commands_after` and `commands_plot`.

Whatever a person can put right is one panel and exit code 2; anything else is a bug and shows where it happened.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, make_dataclass
from importlib.metadata import PackageNotFoundError, version
from inspect import cleandoc
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar, Union

from info_nce.checks import ArgumentError
from info_nce.errors import SettingError, UserError, needs_extra
from info_nce.recipes import RECIPES, recipe_class

with needs_extra("train"):
    import tyro
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.panel import Panel
    from rich.table import Column, Table
    from rich.text import Text
    from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, Positional, arg, subcommand

    from info_nce.commands_after import Doctor, Embed, Export, RunFolder, Search, Tutorial
    from info_nce.commands_plot import Plot
    from info_nce.recipes.base import Recipe
    from info_nce.recipes.processes import Processes
    from info_nce.recipes.runs import Weights, load_run, recipe_of, started_by

STOPPED = 130

Folder = Annotated[str, arg(metavar="FOLDER")]


R = TypeVar("R", bound=Recipe[Any])


@dataclass(frozen=True)
class Train(Generic[R]):
    """Train, evaluate, and say what to do next.

    Args:
        settings: every setting of a run has its default here; the run's config.json keeps them.
        run: the folder to train into, new or empty; runs/RECIPE-DATE-TIME if left out.
        resume: go on with the run in this folder, exactly where it was stopped.
        debug: show where an error happened.
    """

    settings: OmitArgPrefixes[R]
    run: Folder = ""
    resume: Folder = ""
    debug: bool = False

    def do(self, console: Console, words: Sequence[str]) -> int:
        """Train, on several processes if a launcher has started several; all the rest is for the main one."""
        from info_nce.recipes.train import train  # noqa: PLC0415 (a command loads only what it needs)

        processes = Processes()
        folder, recipe = processes.first(self._place)
        finished = train(recipe, folder, console, resume=bool(self.resume), command=["info-nce", *words])
        processes.leave()
        if not processes.main:
            return 0 if finished else STOPPED
        if not finished:
            again = f"{started_by(processes.count)} train {recipe.name} --resume {folder}"
            console.print(f"Stopped; nothing is lost. Go on with:\n  {again}", soft_wrap=True)
            return STOPPED
        Evaluate(folder).do(console, words)
        console.print(
            "\nNext:",
            f"  info-nce report {folder}            all this as one page",
            f"  info-nce search {folder} test:7     what is most like an item; a file of yours works, too",
            f"  info-nce embed {folder} --out vectors.safetensors",
            sep="\n",
            highlight=False,
        )
        return 0

    def _place(self) -> tuple[Path, Recipe[Any]]:
        if not self.resume:
            named = self.run or f"runs/{self.settings.name}-{time.strftime('%Y%m%d-%H%M%S')}"
            return Path(named).expanduser(), self.settings
        folder = Path(self.resume).expanduser()
        then = recipe_of(folder)
        if type(then) is not type(self.settings):
            raise SettingError(
                f"{folder} is the run of another recipe.",
                got=f"train {self.settings.name}",
                expected=f"train {then.name}",
                advice=f"info-nce train {then.name} --resume {folder}",
            )
        new = [f.name for f in fields(then) if getattr(self.settings, f.name) not in (f.default, getattr(then, f.name))]
        if new or self.run:
            raise SettingError(
                "a run is resumed with the settings that it began with.",
                got=", ".join(f"--{name.replace('_', '-')}" for name in (*new, *(["run"] if self.run else []))),
                expected="no other option beside --resume",
                advice=f"info-nce train {then.name} --resume {folder}",
            )
        return folder, then


@dataclass(frozen=True, slots=True)
class Evaluate:
    """Score a run on its test part, beside chance, raw features and no training.

    Args:
        run: its folder.
        weights: the last ones, or those with the best validation loss.
        debug: show where an error happened.
    """

    run: RunFolder
    weights: Weights = "last"
    debug: bool = False

    def do(self, console: Console, words: Sequence[str]) -> int:  # noqa: ARG002 (one signature for all commands)
        """Evaluate and show."""
        run = load_run(self.run, self.weights)
        from info_nce.evaluation import show  # noqa: PLC0415 (a command loads only what it needs)

        with console.status("evaluating beside raw features and the untrained model"):
            card = run.recipe.evaluate(run)
        card.save(self.run)
        show(card, console)
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
class Runs:
    """List the runs of a folder: what each was, how far it came, and what it reached.

    Args:
        folder: with runs in it.
        debug: show where an error happened.
    """

    folder: Annotated[Positional[Path], arg(metavar="FOLDER")] = Path("runs")
    debug: bool = False

    def do(self, console: Console, words: Sequence[str]) -> int:  # noqa: ARG002 (one signature for all commands)
        """Show the list."""
        from info_nce.evaluation import headline  # noqa: PLC0415 (a command loads only what it needs)
        from info_nce.recipes.listing import list_runs  # noqa: PLC0415 (see above)

        table = Table(
            Column("run", overflow="fold"),
            "recipe",
            "data",
            "begun",
            "step",
            "loss",
            "reached",
            box=SIMPLE_HEAD,
            pad_edge=False,
        )
        for run in list_runs(self.folder.expanduser()):
            done, steps = run.steps
            cells = (
                str(run.path),
                run.recipe,
                run.data,
                run.begun,
                f"{steps:,}" if run.finished else f"{'?' if done is None else f'{done:,}'} of {steps:,}",
                "" if run.loss is None else f"{run.loss:.2f}",
                headline(run.path),
            )
            table.add_row(*map(Text, cells))
        console.print(table)
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


def _commands(word: str) -> Any:
    """All commands; of the recipes, only the one that is asked for is opened, as each needs packages of its own."""
    # "train simclr" is one name with a space in it, so that `info-nce --help` lists every recipe at once.
    trains = (
        Annotated[
            Train[recipe_class(name)] if word == f"train {name}" else make_dataclass(f"Train_{name}", ()),  # type: ignore[misc]  # known when it runs
            subcommand(f"train {name}", description=_about(name) if word == f"train {name}" else f"{summary}."),
        ]
        for name, (_, summary) in RECIPES.items()
    )
    others = (Evaluate, Embed, Search, Doctor, Export, Report, Plot, Runs, Data, Tutorial)
    commands = (*trains, *(Annotated[other, subcommand(other.__name__.lower())] for other in others))
    return Union[commands]  # noqa: UP007 (of a tuple, which no | can join)


def _about(name: str) -> str:
    # what a recipe's docstring says before its arguments, which tyro shows one by one
    return cleandoc(recipe_class(name).__doc__ or "").partition("\n\nArgs:")[0]


def parsed(words: Sequence[str]) -> Any:
    """The command that a line asks for, not done yet."""
    joined = [" ".join(words[:2]), *words[2:]] if words[:1] == ["train"] and words[1:2] != ["--help"] else list(words)
    commands = _commands(joined[0] if joined else "")
    return tyro.cli(commands, prog="info-nce", args=joined, description=_DESCRIPTION, config=(FlagCreatePairsOff,))


def run(words: Sequence[str]) -> int:
    """Parse and run a command line; see `info_nce.cli.main`."""
    console, errors = Console(), Console(stderr=True)
    _warn_of_the_namesake(errors)
    command = parsed(words)
    try:
        code: int = command.do(console, words)
    except (UserError, ArgumentError) as error:
        if command.debug:
            raise
        if Processes().main:  # which has been told of those of the others
            errors.print(_panel(error))
        return 2
    except KeyboardInterrupt:
        errors.print("Stopped.")
        return STOPPED
    return code


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
