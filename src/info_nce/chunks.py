"""Tensors in dictionaries, lists and tuples: counted, cut and joined along their rows."""

import copy
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

import torch
from torch import Tensor

from info_nce.checks import DTypeError, ShapeError, fail, shapes

__all__ = ["cut", "joined", "mapped", "rows_of", "tensors"]


def tensors(tree: object, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every tensor, with the expression that leads to it: `batch['ids']`."""
    if isinstance(tree, Tensor):
        yield name, tree
    elif isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from tensors(value, f"{name}[{key!r}]")
    elif isinstance(tree, (list, tuple)):
        for index, value in enumerate(tree):
            yield from tensors(value, f"{name}[{index}]")


def mapped(function: Callable[..., Tensor], *trees: Any) -> Any:
    """The same structure with every tensor replaced; what is no tensor stays as it is in the first."""
    first = trees[0]
    if isinstance(first, Tensor):
        return function(*trees)
    if isinstance(first, Mapping):
        # a copy, so that classes of other packages with rules of their own stay what they are
        made = copy.copy(first) if isinstance(first, MutableMapping) else dict(first)
        for key in first:
            made[key] = mapped(function, *(tree[key] for tree in trees))
        return made
    if isinstance(first, (list, tuple)):
        values = [mapped(function, *each) for each in zip(*trees, strict=True)]
        return type(first)(*values) if hasattr(first, "_fields") else type(first)(values)
    return first


def cut(tree: Any, start: int, stop: int) -> Any:
    """Some of the rows, as views."""
    return mapped(lambda tensor: tensor[start:stop], tree)


def joined(parts: list[Any]) -> Any:
    """All rows of all parts."""
    return mapped(lambda *each: torch.cat(each), *parts) if len(parts) > 1 else parts[0]


def rows_of(name: str, tree: object, *, hint: str) -> int:
    """How many rows do all tensors of it have?

    Raises:
        DTypeError: there is no tensor in it.
        ShapeError: a tensor has no rows, or others have another number.
    """
    found = dict(tensors(tree, name))
    if not found:
        fail(
            DTypeError,
            f"{name} must hold a tensor.",
            got=f"{name} of type {type(tree).__name__}, without a tensor in it",
            expected="a tensor, or dictionaries, lists and tuples of tensors, one row for each item",
            hint=hint,
        )
    first = next(iter(found.values()))
    rows = first.shape[:1]
    wrong = {path: tensor for path, tensor in found.items() if tensor.dim() == 0 or tensor.shape[:1] != rows}
    if wrong:
        path, tensor = next(iter(wrong.items()))
        bare = tensor.dim() == 0
        fail(
            ShapeError,
            f"{path} must have {'rows' if bare else f'as many rows as {next(iter(found))}'}.",
            got=shapes(**(wrong if bare else {next(iter(found)): first, **wrong})),
            expected="one row for each item in every tensor, and the same number of items",
            hint=hint,
        )
    return len(first)
