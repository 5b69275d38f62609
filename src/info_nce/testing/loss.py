"""Is a function of yours InfoNCE? If it is not, which of the usual mistakes does it make?"""

# N pairs, D features

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from info_nce.checks import WrongLossError, check_choice
from info_nce.mistakes import REMEDIES, RIGHT, Kind, Loss, known_mistakes, views_of

__all__ = ["check_loss"]


@torch.inference_mode(False)  # which ends no_grad, too
def check_loss(function: Callable[..., object], kind: Kind = "info_nce") -> str:
    """Does this function compute the loss, in value and gradient, also where numbers become extreme?

    It is tried on seven pairs, then on pairs at a small temperature. Where it differs from the library, it is compared
    with functions that are wrong in the ways that people have found; the one that it agrees with is its mistake.

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
    right, name = RIGHT[kind]
    yours = partial(_called, function, kind)
    for trial in _trials():
        _is_scalar(yours(*trial.inputs(), trial.temperature), trial)
        found, wanted = (_measured(loss, trial) for loss in (yours, right))
        if not _agree(found, wanted):
            mistake, remedy = _recognised(yours, kind, trial, found, wanted)
            raise _error(mistake, f"{trial.what}: {_shown(found)}", f"{_shown(wanted)}, as {name} has it", remedy)
    return f"This is {name}: value, gradient, and small temperatures agree."


def _called(function: Callable[..., object], kind: Kind, query: Tensor, key: Tensor, temperature: float) -> Tensor:
    given = (query, key) if kind in {"info_nce", "symmetric"} else (views_of(query, key, kind),)
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
    # made without the generator of whoever calls
    angles = torch.arange(70, dtype=torch.float64).square().sin().reshape(2, 7, 5)
    key = (angles[0] + angles[1]) * torch.linspace(0.5, 2, 7, dtype=torch.float64)[:, None]
    ordinary = _Trial("the value for seven pairs", angles[0], key, 0.3)
    yield ordinary
    yield replace(ordinary, what="the gradient for seven pairs", gradients=True)
    axes = torch.eye(8)[:6]
    yield _Trial("the value for perfect pairs at a temperature of 0.01", axes, axes, 0.01)
    yield _Trial("the gradient for perfect pairs at a temperature of 0.01", axes, axes, 0.01, gradients=True)
    # the first query's key is opposite to it, and another one's lies upon it: its probability is exp(-200)
    hopeless = torch.cat([-axes[:1], axes[:1], axes[2:]])
    yield _Trial("the value for a hopeless pair at a temperature of 0.01", axes, hopeless, 0.01)


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
    return _miscounted(yours, kind) or (None, "compare with info_nce.from_scratch, line by line")


def _miscounted(yours: Loss, kind: Kind) -> tuple[str, str] | None:
    """Where all embeddings are equal, the loss is log(number of candidates), whatever else may be wrong."""
    same = torch.ones(5, 3, dtype=torch.float64)
    count = 5 if kind in {"info_nce", "symmetric"} else 9
    candidates = float(yours(same, same, 0.3).detach().exp())
    if not 0.5 < candidates < 1000 or abs(candidates - round(candidates)) > 1e-6 or round(candidates) == count:
        return None
    remedy = f"5 pairs with equal embeddings cost log({count}) = log of the candidates, not log({round(candidates)})"
    return "wrong number of candidates", remedy


def _shown(numbers: list[Tensor]) -> str:
    if len(numbers) == 1:
        return f"{numbers[0].item():.6g}"
    return " and ".join(f"{gradient.norm().item():.6g}" for gradient in numbers) + " (its length by either side)"


def _error(mistake: str | None, got: str, expected: str, remedy: str) -> WrongLossError:
    what = f"This loss is wrong in a known way: {mistake}." if mistake else "This loss is wrong, in no way known here."
    error = WrongLossError(f"{what}\n  got       {got}\n  expected  {expected}\n  try       {remedy}")
    error.mistake = mistake
    return error
