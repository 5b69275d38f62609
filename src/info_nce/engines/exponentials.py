"""exp(logit), once for every log-sum-exp over the same cells, and in the memory of the logits.

Everything that depends on a line alone (a maximum, a total, a slope) is applied to the sums over the line, not to its
cells: a cell is exponentiated and no more.
"""

# n rows and m columns of a tile; `dim` is ROWS or COLUMNS

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from info_nce.scores import ROWS

__all__ = ["Exponentials", "Force", "Term"]

EXCLUDED = -1e30
"""What is added to the logit of a cell that is left out: its exponential is 0, and no maximum above it is real."""


@dataclass(frozen=True)
class Force:
    """The gradient of a tile's logits: `cells`, times `weight` (n) where a whole row has one factor."""

    cells: Tensor
    weight: Tensor | None = None

    def plain(self) -> Tensor:
        """The gradient of each cell."""
        return self.cells if self.weight is None else self.cells * self.weight[:, None]


@dataclass(frozen=True)
class Term:
    """A log-sum-exp along a direction whose total is known, and what the loss changes by with it."""

    dim: int
    power: float
    total: Tensor
    slope: Tensor


def _room(dtype: torch.dtype) -> float:
    """How far from 0 logits may lie so that neither one exponential nor a sum of a million of them leaves the range."""
    return -math.log(torch.finfo(dtype).tiny) - 16


def _clear(dtype: torch.dtype) -> float:
    """How far above a line's total the shift may lie, so that what is lost below the range is no part of it."""
    return _room(dtype) + math.log(torch.finfo(dtype).eps)


class Exponentials:
    """The cells of a tile as exp(logit - shift), for log-sum-exps of several powers in one or both directions.

    Args:
        logits: (n, m), overwritten; -inf where a cell does not belong.
        powers: of the log-sum-exps over these cells.
        reach: no logit is farther from 0 than this (infinity says nothing).
    """

    def __init__(self, logits: Tensor, powers: Sequence[float], reach: float) -> None:
        self.logits = logits
        self.power = max(1.0, *powers)
        self.within = reach * self.power <= _room(logits.dtype)
        self.shifted: dict[int | None, tuple[Tensor, Tensor | None]] = {}
        """By direction, or under None for both: exp(logit - shift), and the shift."""

    def totals(self, dims: Sequence[int], powers: Mapping[str, float]) -> tuple[dict[str, Tensor], ...]:
        """The log-sum-exps along each direction: {name: (n) or (m)}."""
        if self.within:
            self._exponentiate(None, self.logits, None)
        else:
            largest = [self.logits.amax(dim, keepdim=True) for dim in dims]
            self._shift(dims, [top.masked_fill(top < EXCLUDED / 2, float("-inf")) for top in largest])
        return tuple({name: self._log_sum(dim, power) for name, power in powers.items()} for dim in dims)

    def force(self, terms: Sequence[Term]) -> Force:
        """The gradient of all logits, given every total; the logits are lost."""
        if not self.shifted and self.within:
            self._exponentiate(None, self.logits, None)
        elif not self.shifted:
            # a line's total is its largest logit and up to log(n) / power above: the highest power is the closest
            closest = {term.dim: term for term in sorted(terms, key=lambda term: term.power)}
            self._shift([*closest], [(t.total / t.power).unsqueeze(t.dim) for t in closest.values()])
        parts = [
            _weighed(cells, shift, [term for term in terms if dim in (None, term.dim)])
            for dim, (cells, shift) in self.shifted.items()
        ]
        return parts[0] if len(parts) == 1 else Force(parts[0].plain() + parts[1].plain())

    def _log_sum(self, dim: int, power: float) -> Tensor:
        cells, shift = self.shifted[None if None in self.shifted else dim]
        total = cells.sum(dim) if power == 1 else torch.linalg.vector_norm(cells, power, dim) ** power
        return torch.log(total) if shift is None else torch.log(total) + power * shift.flatten()

    def _shift(self, dims: Sequence[int], tops: Sequence[Tensor]) -> None:
        """One exponential for both directions, where no line lies so low that it would be lost; else one for each."""
        shifts = [top.masked_fill(top == float("-inf"), 0) for top in tops]
        if len(dims) == 1:
            self._exponentiate(None, self.logits, shifts[0])
            return
        real = torch.cat([top[top != float("-inf")] for top in tops])
        if not len(real) or bool((real.max() - real.min()) * self.power <= _clear(self.logits.dtype)):
            self._exponentiate(None, self.logits, real.max().reshape(1, 1) if len(real) else None)
            return
        for dim, shift in zip(dims, shifts, strict=True):
            self._exponentiate(dim, self.logits if dim == dims[-1] else self.logits.clone(), shift)

    def _exponentiate(self, dim: int | None, cells: Tensor, shift: Tensor | None) -> None:
        self.shifted[dim] = (cells if shift is None else cells.sub_(shift)).exp_(), shift


def _weighed(cells: Tensor, shift: Tensor | None, terms: Sequence[Term]) -> Force:
    """Sum of slope * power * exp(power * logit - total) over the terms, from exp(logit - shift)."""
    factors: dict[float, Tensor] = {}
    for term in terms:
        power, total = term.power, term.total.unsqueeze(term.dim)
        # exp(-inf) = 0 for a line without cells
        log_factor = -total.masked_fill(total == float("-inf"), float("inf"))
        if shift is not None:
            log_factor = log_factor + power * shift
        factor = term.slope.unsqueeze(term.dim) * power * torch.exp(log_factor)
        factors[power] = factors[power] + factor if power in factors else factor
    lowest = min(factors)
    if len(factors) == 1 and terms[0].dim == ROWS and len(terms) == 1:
        return Force(cells if lowest == 1 else cells.pow_(lowest), factors[lowest].squeeze(1))
    every: Tensor = factors.pop(lowest)
    for power, factor in factors.items():
        step = power - lowest
        every = torch.addcmul(every, factor, cells if step == 1 else cells.pow(step))
    return Force((cells if lowest == 1 else cells.pow_(lowest)).mul_(every))
