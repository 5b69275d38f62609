"""From settings to a trained run: the same for every recipe."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from info_nce.data.splits import Splits
from info_nce.errors import needs_extra
from info_nce.recipes.base import Recipe
from info_nce.recipes.batches import Batches, batches_of
from info_nce.recipes.loop import Loop, Training, fit
from info_nce.recipes.processes import Processes
from info_nce.recipes.runs import begin_run, finish_run, reopen_run

with needs_extra("train"):
    from rich.console import Console

LOG = "log.txt"


def train(
    recipe: Recipe[Any], folder: Path, console: Console, *, resume: bool = False, command: Sequence[str] = ()
) -> bool:
    """Train into a run folder; a run that was stopped goes on from its last checkpoint.

    Args:
        recipe: with its settings; to resume, those of the run.
        folder: of the run: new or empty, or the run to resume.
        console: where progress goes; the run's log.txt gets it too.
        resume: go on with the run that is in the folder.
        command: the words that started this, for the record.

    Returns:
        Whether training came to its end, rather than being asked to stop.

    Raises:
        DataError: the data cannot be used.
        SettingError: a setting is out of its range.
        RunError: the folder is in use, training diverged, or the disk is full.
    """
    recipe.check()
    processes = Processes()
    console = console if processes.main else Console(quiet=True, force_terminal=False)
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    recipe = replace(recipe, threads=torch.get_num_threads())
    with console.status("reading the data"):
        splits, run_id = _opened(recipe, folder, processes, resume=resume, command=command)

    torch.manual_seed(recipe.seed)
    about = splits.train.about()
    model, loss = recipe.model(about), recipe.criterion(about)
    if processes.rank:  # the same weights, but views of its own
        torch.manual_seed(_seed_of(recipe.seed, processes.rank))
    training = Training(model, loss, _loop(recipe), folder, run_id, recipe.positives)
    training.validation = _batches(recipe, splits.validation, training) if len(splits.validation) else None
    batches = _batches(recipe, splits.train, training)
    facts, consoles = splits.facts, [console]
    with ExitStack() as opened:
        if processes.main:
            log = opened.enter_context((folder / LOG).open("a", encoding="utf-8"))
            consoles.append(Console(file=log, width=120))
        for each in consoles:
            notes = (*facts.notes, *_crowded(batches, len(splits.train)))
            each.print(f"{facts.what}: {facts.counts}", *notes, sep="\n", highlight=False, soft_wrap=True)
        finished = fit(training, batches, *consoles) == recipe.steps
    with processes.together():
        if finished and processes.main:
            finish_run(folder, model)
    return finished


def _crowded(batches: Batches, items: int) -> list[str]:
    # Less than a batch is what any order leaves over.
    count = getattr(batches.order, "left_out", 0)
    if count < len(batches.order.batch(0)):
        return []
    return [
        f"Left out of each epoch, others every time: {count:,} of {items:,} items.",
        "For some groups have more items than there are batches, and a batch takes one of each.",
    ]


def _loop(recipe: Recipe[Any]) -> Loop:
    names = ("warmup", "clip", "checkpoint_seconds", "chunk_size", "precision", "track")
    return Loop(
        recipe.steps, recipe.learning_rate, recipe.weight_decay, **{name: getattr(recipe, name) for name in names}
    )


def _batches(recipe: Recipe[Any], part: Any, training: Training) -> Batches:
    place = training.processes.rank, training.processes.count
    return batches_of(recipe, part, training.accelerator.device, place)


def _opened(
    recipe: Recipe[Any], folder: Path, processes: Processes, *, resume: bool, command: Sequence[str]
) -> tuple[Splits[Any], str]:
    count = processes.count
    with processes.together():
        if processes.main and not resume:
            splits, run_id = begin_run(folder, recipe, command, processes=count)
        elif processes.main:
            splits, run_id = reopen_run(folder, processes=count)
    # The others come after, to find a data set that was fetched, and the run's own settings.
    with processes.together():
        if not processes.main:
            splits, run_id = reopen_run(folder, processes=count)
    return splits, run_id


def _seed_of(seed: int, rank: int) -> int:
    # Not seed + rank, which is the seed of another run.
    return int(np.random.SeedSequence((seed, rank)).generate_state(1, np.uint64)[0])
