"""What an engine computes as one operator of torch, so that a compiler need not look inside.

An operator is given text, tensors and numbers: a question to an engine, spelled out. It answers as the engine would
have without a compiler; of a reduced loss it forms the gradients at once, as a complete sweep does.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

# there is no public way to record inside of an operator; torch's own operators that hold functions do it so
from torch._C import (
    DispatchKey,
    _dispatch_tls_local_exclude_set,
    _dispatch_tls_local_include_set,
    _ForceDispatchKeyGuard,
)

from info_nce.checks import ArgumentError, fail
from info_nce.coded import Coded, Spelled, decode, encode
from info_nce.engines.base import Engine, Problem, Statistics, Totals
from info_nce.precision import without_autocast
from info_nce.scores import ScoreMatrix

__all__ = ["hardest", "loss", "totals"]


def loss(engine: Engine, problem: Problem) -> Tensor:
    """What the engine makes of the problem."""
    arguments = _arguments(_Loss(engine, problem))
    formed = problem.reduction != "none" and any(arguments[-1])
    answer: Tensor = (_value_and_gradients if formed else _answer)(*arguments)[0]
    return answer


def totals(
    engine: Engine, matrices: Sequence[ScoreMatrix], statistics: Statistics, directions: tuple[int, ...]
) -> tuple[Totals, ...]:
    """The statistics, by direction."""
    supply = iter(_answer(*_arguments(_Totals(engine, matrices, statistics, directions))))
    return tuple({name: next(supply) for name in statistics} for _ in directions)


def hardest(engine: Engine, matrix: ScoreMatrix, count: int) -> tuple[Tensor, Tensor]:
    """The negatives with the largest logits: values and columns."""
    values, columns = _answer(*_arguments(_Hardest(engine, matrix, count)))
    return values, columns


class _Question(Coded, ABC):
    """An engine, and what it is asked."""

    @abstractmethod
    def answer(self) -> list[Tensor]:
        """Let the engine compute."""

    @abstractmethod
    def alike(self) -> list[Tensor]:
        """Tensors of the shapes and types of the answer, for the compiler."""


@dataclass(frozen=True)
class _Loss(_Question):
    engine: Engine
    problem: Problem

    def answer(self) -> list[Tensor]:
        """The loss."""
        return [self.engine.loss(self.problem)]

    def alike(self) -> list[Tensor]:
        """One number, or one per query."""
        query = self.problem.matrices[0].query
        return [query.new_empty(len(query) if self.problem.reduction == "none" else ())]


@dataclass(frozen=True)
class _Totals(_Question):
    engine: Engine
    matrices: Sequence[ScoreMatrix]
    statistics: Statistics
    directions: tuple[int, ...]

    def answer(self) -> list[Tensor]:
        """All totals."""
        sides = self.engine.totals_along(self.matrices, self.statistics, self.directions)
        return [side[name] for side in sides for name in self.statistics]

    def alike(self) -> list[Tensor]:
        """One number per line."""
        first = self.matrices[0]
        return [first.query.new_empty(first.shape[1 - dim]) for dim in self.directions for _ in self.statistics]


@dataclass(frozen=True)
class _Hardest(_Question):
    engine: Engine
    matrix: ScoreMatrix
    count: int

    def answer(self) -> list[Tensor]:
        """Values and columns."""
        return list(self.engine.hardest(self.matrix, self.count))

    def alike(self) -> list[Tensor]:
        """Some for each query."""
        rows, columns = self.matrix.shape
        shape, query = (rows, min(self.count, columns)), self.matrix.query
        return [query.new_empty(shape), query.new_empty(shape, dtype=torch.int64)]


def _arguments(question: _Question) -> tuple[str, Sequence[Tensor], list[int], list[float], list[bool]]:
    """The question spelled out, and which of its tensors need a gradient, as every operator here takes them."""
    spelled, tracked = encode(question), torch.is_grad_enabled()
    wanted = [tracked and tensor.requires_grad for tensor in spelled.tensors]
    # one more, which nothing refers to: torch takes an empty list for one of tensors
    return spelled.text, spelled.tensors, [*spelled.whole, 0], [*spelled.real, 0.0], wanted


# spelled out: what torch reads from annotations hangs on its version
_TAKEN = "str text, Tensor[] tensors, SymInt[] whole, float[] real, bool[] wanted"


@torch.library.custom_op("info_nce::value_and_gradients", mutates_args=(), schema=f"({_TAKEN}) -> Tensor[]")
def _value_and_gradients(
    text: str, tensors: Sequence[Tensor], whole: Sequence[int], real: Sequence[float], wanted: Sequence[bool]
) -> list[Tensor]:
    """The answer, one number, and its gradients."""
    with _recording(tensors[0].device.type):
        leaves, question = _asked(text, tensors, whole, real, wanted)
        value = question.answer()[0]
        return [value.detach(), *_gradients([value], leaves)]


@torch.library.custom_op("info_nce::answer", mutates_args=(), schema=f"({_TAKEN}) -> Tensor[]")
def _answer(
    text: str, tensors: Sequence[Tensor], whole: Sequence[int], real: Sequence[float], wanted: Sequence[bool]
) -> list[Tensor]:
    """The answer alone."""
    del wanted  # for the way back
    with torch.no_grad(), without_autocast(tensors[0].device.type):
        question: _Question = decode(Spelled(text, tensors, whole, real))
        return [found.contiguous() for found in question.answer()]


@torch.library.custom_op(
    "info_nce::answer_backward", mutates_args=(), schema=f"({_TAKEN}, Tensor[] slopes) -> Tensor[]"
)
def _answer_backward(
    text: str,
    tensors: Sequence[Tensor],
    whole: Sequence[int],
    real: Sequence[float],
    wanted: Sequence[bool],
    slopes: Sequence[Tensor],
) -> list[Tensor]:
    """The gradients, from those of the answer, which is worked out again."""
    with _recording(tensors[0].device.type):
        leaves, question = _asked(text, tensors, whole, real, wanted)
        return _gradients(question.answer(), leaves, slopes)


def _asked(
    text: str, tensors: Sequence[Tensor], whole: Sequence[int], real: Sequence[float], wanted: Sequence[bool]
) -> tuple[list[Tensor], _Question]:
    leaves = [tensor.detach().requires_grad_(flag) for tensor, flag in zip(tensors, wanted, strict=True)]
    return leaves, decode(Spelled(text, leaves, whole, real))


def _gradients(
    outputs: Sequence[Tensor], leaves: Sequence[Tensor], slopes: Sequence[Tensor] | None = None
) -> list[Tensor]:
    slopes = slopes or [torch.ones_like(output) for output in outputs]
    pairs = [(output, slope) for output, slope in zip(outputs, slopes, strict=True) if output.requires_grad]
    found = torch.autograd.grad(
        [output for output, _ in pairs],
        [leaf for leaf in leaves if leaf.requires_grad],
        [slope for _, slope in pairs],
        allow_unused=True,
        materialize_grads=True,
    )
    return [gradient.contiguous() for gradient in found]


def _recording(device_type: str) -> AbstractContextManager[object]:
    """Let torch record, which it does not inside of an operator, even where gradients are enabled."""
    left_out = _dispatch_tls_local_exclude_set()
    for key in (DispatchKey.AutogradFunctionality, DispatchKey.ADInplaceOrView):
        left_out = left_out.remove(key)
    stack = ExitStack()
    stack.enter_context(_ForceDispatchKeyGuard(_dispatch_tls_local_include_set(), left_out))
    stack.enter_context(torch.enable_grad())
    stack.enter_context(without_autocast(device_type))
    return stack


def _like_wanted(tensors: Sequence[Tensor], wanted: Sequence[bool]) -> list[Tensor]:
    return [tensor.new_empty(tensor.shape) for tensor, flag in zip(tensors, wanted, strict=True) if flag]


@_answer.register_fake
def _(text: str, tensors: Any, whole: Any, real: Any, wanted: Any) -> list[Tensor]:  # noqa: ARG001 - as the operator
    question: _Question = decode(Spelled(text, tensors, whole, real))
    return question.alike()


@_value_and_gradients.register_fake
def _(text: str, tensors: Any, whole: Any, real: Any, wanted: Any) -> list[Tensor]:
    question: _Question = decode(Spelled(text, tensors, whole, real))
    return question.alike() + _like_wanted(tensors, wanted)


@_answer_backward.register_fake
def _(text: str, tensors: Any, whole: Any, real: Any, wanted: Any, slopes: Any) -> list[Tensor]:  # noqa: ARG001 - as the operator
    return _like_wanted(tensors, wanted)


def _keep_gradients(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    ctx.wanted = inputs[-1]
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*output[1:])


def _scaled(ctx: Any, slopes: list[Tensor | None]) -> tuple[Any, ...]:
    slope, *others = slopes
    if any(other is not None for other in others):
        fail(
            ArgumentError,
            "A compiled graph has no gradient of this loss's gradient.",
            got="a second derivative",
            expected="a first one",
            hint="engine=Dense(), or leave the loss out of what is compiled: torch.compiler.disable(loss)",
        )
    supply = iter(ctx.saved_tensors)
    gradients = [next(supply) if flag else None for flag in ctx.wanted]
    return None, [g if g is None or slope is None else g * slope for g in gradients], None, None, None


def _keep_question(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:  # noqa: ARG001 - as torch calls it
    text, tensors, *rest = inputs
    ctx.plan = text, *rest
    ctx.save_for_backward(*tensors)


def _asked_again(ctx: Any, slopes: list[Tensor | None]) -> tuple[Any, ...]:
    text, whole, real, wanted = ctx.plan
    supply = iter(_answer_backward(text, list(ctx.saved_tensors), whole, real, wanted, slopes))
    return None, [next(supply) if flag else None for flag in wanted], None, None, None


_value_and_gradients.register_autograd(_scaled, setup_context=_keep_gradients)
_answer.register_autograd(_asked_again, setup_context=_keep_question)
