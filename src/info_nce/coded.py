"""Spell out an object as text, tensors and numbers, which is all that an operator of torch can be given.

A compiler follows `encode` and keeps the text as a constant; sizes stay numbers, so that they may change from batch to
batch without a new text.
"""

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar

import torch
from torch import Tensor

from info_nce.checks import DTypeError, fail

__all__ = ["Coded", "Spelled", "decode", "encode"]

_CLASSES: dict[str, type] = {}


class Coded:
    """An object that is nothing but its attributes: tensors, numbers, texts and other such objects.

    A user's own statistic or objective is one by its base class, wherever it is defined.
    """

    code: ClassVar[str]
    """Stands for the class. Unique: a class defined again, as in a notebook, is another one."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Make the class known."""
        super().__init_subclass__(**kwargs)
        name = f"{cls.__module__}.{cls.__qualname__}"
        cls.code = name if name not in _CLASSES else f"{name}#{len(_CLASSES)}"
        _CLASSES[cls.code] = cls


@dataclass(frozen=True)
class Spelled:
    """An object as text and what the text refers to."""

    text: str
    tensors: Sequence[Tensor] = field(default_factory=list)
    whole: Sequence[int] = field(default_factory=list)
    real: Sequence[float] = field(default_factory=list)


def encode(value: object) -> Spelled:
    """Spell a value out. One tensor in several places stays one."""
    tensors: list[Tensor] = []
    whole: list[int] = []
    real: list[float] = []
    return Spelled(_spell(value, tensors, whole, real), tensors, whole, real)


def _spell(value: object, tensors: list[Tensor], whole: list[int], real: list[float]) -> str:
    """Write a Python literal: a constant, or a tuple of a tag and what belongs to it."""
    if isinstance(value, (tuple, list)):
        return "('tuple', " + "".join([_spell(item, tensors, whole, real) + ", " for item in value]) + ")"
    if isinstance(value, dict):
        return f"('dict', {_items(value, tensors, whole, real)})"
    if isinstance(value, Coded):
        return f"('object', {value.code!r}, {_items(vars(value), tensors, whole, real)})"
    if isinstance(value, torch.device):
        return f"('device', {value.type!r}, {value.index!r})"
    if value is None or isinstance(value, (bool, str)):
        return repr(value)
    return _refer(value, tensors, whole, real)


def _items(named: dict[str, Any], tensors: list[Tensor], whole: list[int], real: list[float]) -> str:
    return "".join([f"({name!r}, {_spell(item, tensors, whole, real)}), " for name, item in named.items()])


def _refer(value: object, tensors: list[Tensor], whole: list[int], real: list[float]) -> str:
    """Keep the value beside the text, and say where."""
    if isinstance(value, Tensor):
        for i, tensor in enumerate(tensors):
            if tensor is value:
                return f"('tensor', {i})"
        tensors.append(value)
        return f"('tensor', {len(tensors) - 1})"
    if isinstance(value, int):
        whole.append(value)
        return f"('whole', {len(whole) - 1})"
    if isinstance(value, float):
        real.append(value)
        return f"('real', {len(real) - 1})"
    return fail(
        DTypeError,
        f"A {type(value).__name__} cannot be made part of a compiled graph.",
        got=f"an attribute of type {type(value).__name__}",
        expected="tensors, numbers, texts, and objects made of them",
        hint="engine=Dense(), which is compiled as it is; or call the loss outside of what is compiled",
    )


def decode(spelled: Spelled) -> Any:
    """Make the object again."""
    return _made(_parsed(spelled.text), spelled)


_parsed = lru_cache(maxsize=256)(ast.literal_eval)


def _made(plan: Any, spelled: Spelled) -> Any:
    if not isinstance(plan, tuple):
        return plan
    tag, *rest = plan
    return _MAKERS[tag](spelled, *rest)


def _named(spelled: Spelled, *items: tuple[str, Any]) -> dict[str, Any]:
    return {name: _made(item, spelled) for name, item in items}


def _object(spelled: Spelled, code: str, *items: tuple[str, Any]) -> object:
    made: object = object.__new__(_CLASSES[code])
    vars(made).update(_named(spelled, *items))
    return made


_MAKERS: dict[str, Callable[..., Any]] = {
    "tuple": lambda spelled, *items: tuple([_made(item, spelled) for item in items]),
    "dict": _named,
    "object": _object,
    "device": lambda _, kind, index: torch.device(kind, index),
    "tensor": lambda spelled, i: spelled.tensors[i],
    "whole": lambda spelled, i: spelled.whole[i],
    "real": lambda spelled, i: spelled.real[i],
}
