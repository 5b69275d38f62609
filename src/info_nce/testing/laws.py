"""What both checks do: compare numbers, and name the law that is broken."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NoReturn

import torch
from torch import Tensor

from info_nce.checks import BrokenLawError

__all__ = ["broken", "compare", "guarded"]


def broken(law: str, what: str, *, got: object, expected: str, hint: str) -> NoReturn:
    """Raise the error that names the law."""
    raise _error(law, what, got, expected, hint)


@contextmanager
def guarded(law: str, what: str, *, hint: str) -> Iterator[None]:
    """Within, whatever is raised breaks the law."""
    try:
        yield
    except Exception as error:
        text = str(error).partition("\n")[0]
        raise _error(law, what, f"{type(error).__name__}: {text}", "no error", hint) from error


def _error(law: str, what: str, got: object, expected: str, hint: str) -> BrokenLawError:
    error = BrokenLawError(f"{what}\n  got       {got}\n  expected  {expected}\n  try       {hint}")
    error.law = law
    return error


def compare(
    law: str, what: str, found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], *, than: str, hint: str
) -> None:
    """Refuse numbers that differ by more than the rounding of float64 sums: 1e-9 of the largest one."""
    for name in wanted:
        if name not in found or found[name].shape != wanted[name].shape:
            got = f"shape {tuple(found[name].shape)}" if name in found else "nothing"
            broken(law, f"{what}: {name}.", got=got, expected=f"shape {tuple(wanted[name].shape)}", hint=hint)
        right, mine = wanted[name].detach(), found[name].detach().to(wanted[name].dtype)
        scale = max([1.0, *right[right.isfinite()].abs().flatten().tolist()])
        differ = ~torch.isclose(mine, right, rtol=0, atol=1e-9 * scale, equal_nan=True)
        if not differ.any():
            continue
        where = tuple(int(i) for i in differ.nonzero()[0]) if right.dim() else ()
        place = f"[{', '.join(map(str, where))}]" if where else ""
        broken(
            law,
            f"{what}: {name}.",
            got=f"{name}{place} = {mine[where].item():.9g}",
            expected=f"{right[where].item():.9g}, as {than}",
            hint=hint,
        )
