"""Several processes that train as one, started by `torchrun` or `accelerate launch`; or this one alone.

Law: what can go wrong on one process alone is done in `together` or `first`, so that all of them end with the same
error instead of waiting for the one that has left. Everything else is the same on all of them, its errors too.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch

from info_nce.errors import RunError, UserError, needs_extra

with needs_extra("train"):
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list, gather_object

T = TypeVar("T")

# How long one process waits for another: longer than it takes to read many pictures, and not for ever.
PATIENCE = timedelta(minutes=30)


class Processes:
    """This process, and those that were started with it.

    Example:
        >>> alone = Processes()
        >>> alone.rank, alone.count, alone.main, alone.gathered("me")
        (0, 1, True, ['me'])
    """

    def __init__(self) -> None:
        # accelerate joins the group when it is asked for the first time, and remembers it.
        state = PartialState(cpu=not torch.accelerator.is_available(), timeout=PATIENCE)
        self.rank: int = state.process_index
        self.count: int = state.num_processes

    @property
    def main(self) -> bool:
        """Whether this is the one that reads and writes the run folder, and speaks."""
        return self.rank == 0

    def leave(self) -> None:
        """Part for good, so that nobody waits for what one of them does alone from here on."""
        PartialState().destroy_process_group()

    def gathered(self, thing: T) -> list[T]:
        """What each of them has, in their order."""
        return list(gather_object([thing]))

    def first(self, make: Callable[[], T]) -> T:
        """What the main process makes, on all of them; so is its error."""
        with self.together():
            made = [make() if self.main else None]
        broadcast_object_list(made)
        return made[0]  # type: ignore[return-value]  # the main process has made it

    @contextmanager
    def together(self) -> Iterator[None]:
        """What goes wrong in here on one of them is raised on all.

        Raises:
            RunError: it went wrong on another process, which raises the error itself.
        """
        try:
            yield
        except Exception as error:
            self.gathered(_said(error))
            raise
        for rank, said in enumerate(self.gathered(None)):
            if said is not None:
                what, got, expected, advice = said
                raise RunError(f"process {rank} of {self.count}: {what}", got=got, expected=expected, advice=advice)


def _said(error: Exception) -> tuple[str, str, str, str]:
    if isinstance(error, UserError):
        return error.what, error.got, error.expected, error.advice
    return (
        "an error that nobody has foreseen.",
        f"{type(error).__name__}: {error}",
        "processes that all go on",
        "read what that process has printed: it shows where the error happened",
    )
