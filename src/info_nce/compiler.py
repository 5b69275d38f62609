"""Which releases of torch can compile a loss."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

__all__ = ["FOLLOWED", "compiled_where_followed"]

P = ParamSpec("P")
R = TypeVar("R")

FOLLOWED = torch.__version__ >= "2.13"
"""Whether this torch's compiler follows a loss; older ones stumble over the frozen dataclasses that it is made of."""


def compiled_where_followed(function: Callable[P, R]) -> Callable[P, R]:
    """Leave the function out of the graph where the compiler cannot follow it: what is around it is compiled."""
    if FOLLOWED:
        return function
    apart: Callable[P, R] = torch.compiler.disable(function)  # type: ignore[no-untyped-call]  # torch does not type it
    return apart
