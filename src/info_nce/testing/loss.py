"""Is a function of yours InfoNCE? If it is not, which of the usual mistakes does it make?"""

# N pairs, D features

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from inspect import signature

import torch
from torch import Tensor

from info_nce.checks import DTypeError, WrongLossError, check_choice, fail
from info_nce.mistakes import REMEDIES, RIGHT, Kind, Loss, known_mistakes, views_of

__all__ = ["check_loss"]

_OF_PAIRS = {"info_nce", "symmetric"}


@torch.inference_mode(False)  # which ends no_grad, too
def check_loss(function: Callable[..., object], kind: Kind = "info_nce") -> str:
    """Does this function compute the loss, in value and gradient, also where numbers become extreme?

    It is tried on seven pairs, on 24, on short vectors, then at a small temperature. Where it differs from the
    library, it is compared with functions that are wrong in the ways that people have found; the one that it agrees
    with is its mistake.

    Args:
        function: of yours: `function(query, positive_key, temperature)` with two tensors (N, D); for NT-Xent,
            `function(views, temperature)` with one tensor (2 N, D).
        kind: what it is meant to be: "info_nce"; "symmetric", as in CLIP; NT-Xent of views that are "interleaved"
            (a1 a2 b1 b2 ...) or "stacked" (a1 b1 ... a2 b2 ...).

    Returns:
        A sentence that says so, if it does.

    Raises:
        WrongLossError: it does not. The text names the mistake, or calls it unknown, and shows both numbers;
            `error.mistake` is the name, or None.
        ArgumentError: kind is unknown.
        DTypeError: function cannot be called like that.

    Example:
        >>> from info_nce import from_scratch
        >>> check_loss(from_scratch.info_nce)
        'This is InfoNCE: value, gradient, and small temperatures agree.'
        >>> def mine(query, key, temperature):
        ...     logits = query @ key.T / temperature
        ...     return torch.nn.functional.cross_entropy(logits, torch.arange(len(query)))
        >>> try:
        ...     check_loss(mine)
        ... except WrongLossError as error:
        ...     error.mistake
        'not normalised'
    """
    check_choice("kind", kind, RIGHT)
    _takes(function, ("query", "positive_key", "temperature") if kind in _OF_PAIRS else ("views", "temperature"))
    right, name = RIGHT[kind]
    yours = partial(_called, function, kind)
    for trial in _trials():
        _is_scalar(yours(*trial.inputs(), trial.temperature), trial)
        found, wanted = (_measured(loss, trial) for loss in (yours, right))
        if not _agree(found, wanted):
            mistake, remedy = _recognised(yours, kind, trial, found, wanted)
            raise _error(mistake, f"{trial.what}: {_shown(found)}", f"{_shown(wanted)}, as {name} has it", remedy)
    return f"This is {name}: value, gradient, and small temperatures agree."


def _takes(function: object, arguments: tuple[str, ...]) -> None:
    """Refuse what cannot be called like that; a module is called as its `forward` is."""
    try:
        signature(getattr(function, "forward", function)).bind(*arguments)  # type: ignore[arg-type]  # it may be anything
    except TypeError as error:
        fail(
            DTypeError,
            "function must take what the loss is made of.",
            got=f"{function!r}: {error}",
            expected=f"function({', '.join(arguments)}), by position",
            hint="lambda q, k, t: mine(q, k, temperature=t); kind says what is given",
        )
    except ValueError:  # what is built in or scripted does not say what it takes
        return


def _called(function: Callable[..., object], kind: Kind, query: Tensor, key: Tensor, temperature: float) -> Tensor:
    given = (query, key) if kind in _OF_PAIRS else (views_of(query, key, kind),)
    return function(*given, temperature)  # type: ignore[return-value]  # _is_scalar looks at it


@dataclass(frozen=True)
class _Trial:
    """What is tried; a wrong function is known by the first trial in which it differs."""

    what: str
    query: Tensor
    key: Tensor
    temperature: float
    gradients: bool = False

    def inputs(self) -> tuple[Tensor, Tensor]:
        return self.query.clone().requires_grad_(), self.key.clone().requires_grad_()


def _trials() -> Iterator[_Trial]:
    ordinary = _Trial("the value for seven pairs", *_pairs(7), 0.3)
    yield ordinary
    yield replace(ordinary, what="the gradient for seven pairs", gradients=True)
    query, key = _pairs(24)
    yield _Trial("the value for 24 pairs", query, key, 0.3)  # ten hardest negatives are not all of them
    # in float32, in which nobody sees an epsilon that does no harm
    yield _Trial("the value for 24 pairs of short vectors", 0.05 * query.float(), 0.05 * key.float(), 0.3)
    axes = torch.eye(8, dtype=torch.float32)[:6]
    yield _Trial("the value for perfect pairs at a temperature of 0.01", axes, axes, 0.01)
    yield _Trial("the gradient for perfect pairs at a temperature of 0.01", axes, axes, 0.01, gradients=True)
    # the first query's key is opposite to it, and another one's lies upon it: its probability is exp(-200)
    hopeless = torch.cat([-axes[:1], axes[:1], axes[2:]])
    yield _Trial("the value for a hopeless pair at a temperature of 0.01", axes, hopeless, 0.01)


def _pairs(count: int) -> tuple[Tensor, Tensor]:
    """Made without the generator of whoever calls."""
    angles = torch.arange(10 * count, dtype=torch.float64).square().sin().reshape(2, count, 5)
    lengths = torch.linspace(0.5, 2, count, dtype=torch.float64)[:, None]
    return angles[0], (angles[0] + angles[1]) * lengths


def _measured(loss: Loss, trial: _Trial) -> list[Tensor]:
    """The value, or the gradients; zeros where none flows."""
    inputs = trial.inputs()
    value = loss(*inputs, trial.temperature)
    if not trial.gradients:
        return [value.detach()]
    if not value.requires_grad:
        return [torch.zeros_like(tensor) for tensor in inputs]
    found = torch.autograd.grad(value, inputs, allow_unused=True)
    return [torch.zeros_like(tensor) if g is None else g for tensor, g in zip(inputs, found, strict=True)]


def _agree(found: list[Tensor], wanted: list[Tensor]) -> bool:
    """Whether the numbers are the same, or both are none."""
    double = wanted[0].dtype == torch.float64
    relative, absolute = (1e-6, 1e-9) if double else (1e-3, 1e-5)
    for one, other in zip(found, wanted, strict=True):
        if one.isfinite().all() != other.isfinite().all():
            return False
        if other.isfinite().all() and not torch.allclose(one, other, rtol=relative, atol=absolute):
            return False
    return True


def _is_scalar(value: object, trial: _Trial) -> None:
    """Refuse what is no tensor of one number in the inputs' dtype."""
    if not isinstance(value, Tensor):
        raise _error("no tensor", f"a {type(value).__name__}, which has no gradient", "a tensor", "leave out .item()")
    if value.dim():
        raise _error("not one number", f"shape {tuple(value.shape)}", "shape ()", "take the mean of the rows: .mean()")
    if value.dtype != trial.query.dtype:
        dtypes = f"{value.dtype} for inputs of {trial.query.dtype}"
        raise _error("wrong dtype", dtypes, f"{trial.query.dtype}", "no .float(); new tensors in query.dtype")


def _recognised(
    yours: Loss, kind: Kind, trial: _Trial, found: list[Tensor], wanted: list[Tensor]
) -> tuple[str | None, str]:
    """The name of the mistake, and what to do about it."""
    for name, wrong in known_mistakes(kind):
        theirs = _measured(wrong, trial)
        if not _agree(theirs, wanted) and _agree(found, theirs):
            return name, REMEDIES[name]
    return _miscounted(yours, kind, len(trial.query)) or (None, "compare with info_nce.from_scratch, line by line")


def _miscounted(yours: Loss, kind: Kind, pairs: int) -> tuple[str, str] | None:
    """Where all embeddings are equal, the loss is log(number of candidates), whatever else may be wrong."""
    same = torch.ones(pairs, 3, dtype=torch.float64)
    count = pairs if kind in _OF_PAIRS else 2 * pairs - 1
    candidates = float(yours(same, same, 0.3).detach().exp())
    if not 0.5 < candidates < 1000 or abs(candidates - round(candidates)) > 1e-6:
        return None
    times = math.log(round(candidates), count)
    if times and abs(times - round(times)) < 1e-9:  # twice log(7) is log(49): the right number, and another mistake
        return None
    wanted = f"{pairs} pairs with equal embeddings cost log({count}) = log of the candidates"
    return "wrong number of candidates", f"{wanted}, not log({round(candidates)})"


def _shown(numbers: list[Tensor]) -> str:
    if len(numbers) == 1:
        return f"{numbers[0].item():.6g}"
    return " and ".join(f"{gradient.norm().item():.9g}" for gradient in numbers) + " (its length by either side)"


def _error(mistake: str | None, got: str, expected: str, remedy: str) -> WrongLossError:
    what = f"This loss is wrong in a known way: {mistake}." if mistake else "This loss is wrong, in no way known here."
    error = WrongLossError(f"{what}\n  got       {got}\n  expected  {expected}\n  try       {remedy}")
    error.mistake = mistake
    return error
