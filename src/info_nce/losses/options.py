"""The settings that every loss shares, written once."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal, ParamSpec, TypedDict, TypeVar

import torch
from torch import Tensor

from info_nce.checks import ArgumentError, check_choice, check_ids, check_number, fail
from info_nce.compiler import compiled_where_followed
from info_nce.distributed import ALONE, Ranks
from info_nce.engines import Auto, Engine
from info_nce.engines.base import check_engine
from info_nce.precision import without_autocast
from info_nce.similarity import Cosine, Similarity, check_similarity

__all__ = ["Options", "Settings", "Shared", "Tensors", "loss_function"]

P = ParamSpec("P")
R = TypeVar("R")

_COSINE = Cosine()


class Settings(TypedDict, total=False):
    """What a face is built with; the fields are described in `Options`."""

    similarity: Similarity
    same_id: Literal["out", "positive"]
    margin: float | None
    label_smoothing: float
    engine: Engine | None


class Tensors(TypedDict, total=False):
    """What goes with one batch; the fields are described in `Options`."""

    ids: Tensor | None
    guide: Sequence[Tensor] | None
    log_q: Tensor | Sequence[Tensor] | None


class Shared(Settings, Tensors, total=False):
    """All of them, as keywords of a function."""


@dataclass(frozen=True)
class Options:
    """The settings that every loss shares.

    Args:
        similarity: how a query and a key are compared: `Cosine()`, `DotProduct()`, `NegativeSquaredDistance()`,
            `Bilinear(d, e)`, or your own `Similarity`.
        ids: one integer per item. Equal integers mean the same item: such a candidate is never a negative.
        same_id: "out" leaves candidates with the query's id out; "positive" makes them further positives, outside the
            log.
        margin: leave out negatives more similar than the query's best positive plus this (in units of similarity):
            they are likely false negatives. None keeps all. A negative margin leaves more out.
        guide: embeddings of another model for the same tensors, in the same order; their cosine decides instead of the
            similarity being trained (Solatorio 2024, arXiv:2402.16829). The margin is then 0 unless given.
        log_q: log of the probability with which each candidate was sampled, subtracted from its logit, the positive's
            included (Yi et al. 2019, RecSys, section 4).
        label_smoothing: share of the target that goes to all candidates evenly, in [0, 1).
        engine: how the statistics are computed; `Auto()` chooses. The result does not depend on it, but for
            `Gathered()`, `TwoSided()` and `Ring()`, which take the batches of all ranks for one.
    """

    similarity: Similarity = _COSINE
    ids: Tensor | None = None
    same_id: Literal["out", "positive"] = "out"
    margin: float | None = None
    guide: Sequence[Tensor] | None = None
    log_q: Tensor | Sequence[Tensor] | None = None
    label_smoothing: float = 0.0
    engine: Engine | None = None

    def __post_init__(self) -> None:
        """Refuse what no loss can use."""
        check_similarity(self.similarity)
        check_engine(self.engine)
        check_choice("same_id", self.same_id, ("out", "positive"))
        check_number(
            "label_smoothing", self.label_smoothing, low=0, high=1, high_open=True, hint="0.1 is usual, 0 is off"
        )
        if self.margin is not None:
            check_number("margin", self.margin, hint="0.1 in Qwen3-Embedding; None is off")

    def refuse(self, loss: str, **reasons: str) -> "Options":
        """Say in an error what does not compose with this loss, instead of ignoring it."""
        for name, reason in reasons.items():
            given, default = getattr(self, name), getattr(_DEFAULTS, name)
            if given is not default and given != default and not (name == "similarity" and isinstance(given, Cosine)):
                fail(
                    ArgumentError,
                    f"{loss} cannot take {name}: {reason}.",
                    got=f"{name}={_short(given)}",
                    expected=f"{name} left out",
                    hint=f"leave {name} out, or use a loss with a softmax target such as InfoNCE or NTXent",
                )
        return self

    def checked_ids(self, shape: tuple[int, ...], device: torch.device) -> Tensor | None:
        """The ids, if there are any, one per item."""
        if self.ids is not None:
            check_ids("ids", self.ids, shape, device)
        return self.ids

    @property
    def ranks(self) -> Ranks:
        """The processes whose batches are one: with an engine across ranks all of its group, else this one alone."""
        return ALONE if self.engine is None else self.engine.ranks

    @property
    def alone(self) -> bool:
        """Whether no other process takes part; then this one must have something to compare."""
        return self.ranks.size == 1

    @property
    def chosen_engine(self) -> Engine:
        """The engine, or the default one."""
        return Auto() if self.engine is None else self.engine


def _short(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return f"({', '.join(_short(part) for part in value)})"
    return f"a tensor {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)


_DEFAULTS = Options()


def loss_function(**defaults: object) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a loss compute in full precision under autocast, and show the shared options in its signature.

    Args:
        defaults: shared options that this loss has another default for.
    """
    # given at every call, as Options' own default is nothing that torch.compile could follow
    defaults = {"similarity": _COSINE, **defaults}

    def wrap(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def full_precision(*args: P.args, **kwargs: P.kwargs) -> R:
            engine = kwargs.get("engine")
            across = engine if isinstance(engine, Engine) and engine.ranks.size > 1 else None
            with across.together(said(args, kwargs)) if across else nullcontext():
                unknown = next((name for name in kwargs if name not in names), None)
                if unknown is not None:
                    raise TypeError(f"{function.__name__}() got an unexpected keyword argument {unknown!r}")
                kwargs.update({name: value for name, value in defaults.items() if name not in kwargs})
                first = next((a for a in (*args, *kwargs.values()) if isinstance(a, Tensor)), None)
                with without_autocast("cpu" if first is None else first.device.type):
                    return function(*args, **kwargs)

        def said(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
            """The call with its settings: what ranks must have in common."""
            given = {**dict(zip(positional, args, strict=False)), **kwargs}
            plain = {n: v for n, v in given.items() if v is None or isinstance(v, (bool, int, float, str))}
            return f"{function.__name__}({', '.join(f'{name}={value!r}' for name, value in sorted(plain.items()))})"

        signature = inspect.signature(function)
        positional = [p.name for p in signature.parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        shown = signature.replace(parameters=own + [_parameter(f, defaults) for f in dataclasses.fields(Options)])
        full_precision.__signature__ = shown  # type: ignore[attr-defined]  # `inspect.signature` looks for it
        names = set(shown.parameters)
        return compiled_where_followed(full_precision)

    return wrap


def _parameter(field: dataclasses.Field[Any], defaults: dict[str, object]) -> inspect.Parameter:
    default = defaults.get(field.name, getattr(_DEFAULTS, field.name))
    return inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=field.type)
