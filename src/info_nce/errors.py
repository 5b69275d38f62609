"""What a person can put right: every message says what is wrong, what was got, what was expected, and what to try."""

from collections.abc import Iterator
from contextlib import contextmanager

# `info-nce-kit` is not on a package index yet, so the line printed is the one that works today, from a checkout.
INSTALL_EXTRAS = 'pip install -e ".[train,images,text,audio,video,plots]"'


class UserError(ValueError):
    """Something about the user's files, settings or machine is not as it must be; the text says what to do.

    Args:
        what: one sentence, naming the thing that is wrong.
        got: what was found.
        expected: what would have been right.
        advice: what to try, best a line that can be copied.
    """

    def __init__(self, what: str, *, got: object, expected: object, advice: str) -> None:
        super().__init__(f"{what}\n  got       {got}\n  expected  {expected}\n  try       {advice}")
        self.what, self.got, self.expected, self.advice = what, str(got), str(expected), advice


class DataError(UserError):
    """A data set or one of its files cannot be used."""


class SettingError(UserError):
    """A setting has a value that means nothing."""


class RunError(UserError):
    """A run folder or a checkpoint in it cannot be used, or training cannot go on."""


class MissingExtraError(UserError, ImportError):
    """A package of an optional extra is not installed."""


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Name the command that installs a missing package, in place of a bare ModuleNotFoundError.

    Args:
        extra: the extra of this distribution that brings the packages imported inside the block.

    Raises:
        MissingExtraError: one of them is not installed.

    Example:
        >>> with needs_extra("train"):
        ...     import json
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"the package {error.name!r} is not installed.",
            got="an installation without it",
            expected=f"the extra {extra!r}",
            advice=f"{INSTALL_EXTRAS}   (in a checkout)",
        ) from error
