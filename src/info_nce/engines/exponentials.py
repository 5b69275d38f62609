"""exp(power * logit), once for every log-sum-exp over the same cells, and in the memory of the logits.

Everything that depends on a line alone (a maximum, a total, a slope) is applied to the sums over the line, not to its
cells: a cell is exponentiated and no more.
"""

# n rows and m columns of a tile; `dim` is ROWS or COLUMNS

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from info_nce.engines.blocks import blocks
from info_nce.scores import COLUMNS, ROWS

__all__ = ["BURIED", "Binary", "Exclusion", "Exponentials", "Force", "Term", "without_faint"]

BURIED = -1e30
"""Added to the logit of a cell that is left out: no maximum below it is real. Not -inf, for 0 * inf is no number."""


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


@runtime_checkable
class Exclusion(Protocol):
    """Which cells do not take part."""

    def bury(self, logits: Tensor) -> None:
        """Make their logits so low that no maximum is theirs."""

    def erase(self, exponentials: Tensor) -> None:
        """Set their exponentials to 0."""


@dataclass(frozen=True)
class _Range:
    """How far exponents may lie from 0.

    Far inside of what the type can hold: below, a processor's exp and its matrix product take a hundred times as long
    (numbers below 1e-38 are worked out in steps), for cells that are no part of the sum's digits.
    """

    room: float
    """Without a shift, no logit is farther from 0."""
    floor: float
    """Lower ones count as 0: a million such cells are still below the rounding of the largest."""
    clear: float
    """A shift that serves many lines may lie so far above the top of the lowest."""
    least: float
    """A smaller force is none. It is multiplied with embeddings, and still far above the smallest number then."""


_RANGES = {torch.float32: _Range(40, -50, 20, 1e-30), torch.float64: _Range(600, -650, 600, 1e-290)}


class Exponentials:
    """The cells of a tile as exp(logit - shift), for log-sum-exps of several powers in one or both directions.

    Logits are taken times the lowest power, and the powers over it, so that no power is below 1: a root would raise the
    cells that are too small to count.

    Args:
        logits: (n, m), overwritten.
        exclusion: the cells that do not take part.
        powers: of the log-sum-exps over these cells.
        reach: no logit is farther from 0 than this (infinity says nothing).
    """

    def __init__(self, logits: Tensor, exclusion: Exclusion, powers: Sequence[float], reach: float) -> None:
        self.unit, highest = min(powers), max(powers)
        self.logits, self.exclusion = logits if self.unit == 1 else logits.mul_(self.unit), exclusion
        self.highest = highest / self.unit
        self.range = _RANGES[logits.dtype]
        self.within = reach * highest <= self.range.room
        self.shifted: dict[int | None, tuple[Tensor, Tensor | None]] = {}
        """By direction, or under None for both: exp(unit * logit - shift), and the shift."""

    def totals(self, dims: Sequence[int], powers: Mapping[str, float]) -> tuple[dict[str, Tensor], ...]:
        """The log-sum-exps along each direction: {name: (n) or (m)}."""
        tops: list[Tensor | None] = [None for _ in dims]
        if self.within:
            self._exponentiate(None, self.logits, None)
        else:
            self.exclusion.bury(self.logits)
            largest = [self.logits.amax(dim, keepdim=True) for dim in dims]
            tops = [top.masked_fill(top < BURIED / 2, float("-inf")) for top in largest]
            self._shift(dims, [top for top in tops if top is not None])
        return tuple(self._log_sums(dim, powers, top) for dim, top in zip(dims, tops, strict=True))

    def force(self, terms: Sequence[Term]) -> Force:
        """The gradient of all logits, given every total; the logits are lost."""
        if not self.shifted and self.within:
            self._exponentiate(None, self.logits, None)
        elif not self.shifted:
            self.exclusion.bury(self.logits)
            # a line's total is its largest logit and up to log(n) / power above: the highest power is the closest
            closest = {term.dim: term for term in sorted(terms, key=lambda term: term.power)}
            self._shift([*closest], [(t.total / t.power * self.unit).unsqueeze(t.dim) for t in closest.values()])
        parts = [
            _weighed(cells, shift, self.unit, [term for term in terms if dim in (None, term.dim)])
            for dim, (cells, shift) in self.shifted.items()
        ]
        return parts[0] if len(parts) == 1 else Force(parts[0].plain() + parts[1].plain())

    def _log_sums(self, dim: int, powers: Mapping[str, float], top: Tensor | None) -> dict[str, Tensor]:
        cells, shift = self.shifted[None if None in self.shifted else dim]
        found = {}
        for name, power in powers.items():
            total = torch.log(_sum(cells, power / self.unit, dim))
            if shift is not None:
                total = total + power / self.unit * shift.flatten()
            # a line without cells: a floor would make something of them
            found[name] = total if top is None else total.masked_fill(top.flatten() == float("-inf"), float("-inf"))
        return found

    def _shift(self, dims: Sequence[int], tops: Sequence[Tensor]) -> None:
        """One exponential for both directions, where no line lies so low that it would be lost; else one for each."""
        shifts = [top.masked_fill(top == float("-inf"), 0) for top in tops]
        if len(dims) == 1:
            self._exponentiate(None, self.logits, shifts[0])
            return
        real = torch.cat([top[top != float("-inf")] for top in tops])
        if not len(real) or bool((real.max() - real.min()) * self.highest <= self.range.clear):
            self._exponentiate(None, self.logits, (real.max() if len(real) else real.new_zeros(())).reshape(1, 1))
            return
        for dim, shift in zip(dims, shifts, strict=True):
            self._exponentiate(dim, self.logits if dim == dims[-1] else self.logits.clone(), shift)

    def _exponentiate(self, dim: int | None, cells: Tensor, shift: Tensor | None) -> None:
        if shift is None:
            cells.exp_()
        else:
            for block in blocks(cells):
                some = cells[block]
                some.sub_(shift[block] if len(shift) > 1 else shift).clamp_(min=self.range.floor).exp_()
                torch.threshold_(some, 1.001 * math.exp(self.range.floor), 0.0)
        self.exclusion.erase(cells)
        self.shifted[dim] = cells, shift


class Binary:
    """log(1 + exp(logit)) summed along lines, from one exponential in the memory of the logits.

    Args:
        logits: (n, m), overwritten.
        exclusion: the cells that do not take part.
    """

    def __init__(self, logits: Tensor, exclusion: Exclusion) -> None:
        self.cells = logits.exp_()
        exclusion.erase(self.cells)

    @staticmethod
    def fits(reach: float, dtype: torch.dtype) -> bool:
        """Whether no logit is so far from 0 that its exponential would be lost."""
        return reach <= _RANGES[dtype].room

    def totals(self, dims: Sequence[int]) -> list[Tensor]:
        """The sum along each direction: (n) or (m)."""
        return [_sum_of(torch.log1p, self.cells, dim) for dim in dims]

    def force(self, slopes: Mapping[int, Tensor]) -> Force:
        """The gradient of all logits, the probability of a 1 times the slope of its lines; the cells are lost."""
        along = {dim: slope.unsqueeze(dim) for dim, slope in slopes.items()}
        for block in blocks(self.cells):
            some = self.cells[block]
            some.div_(some + 1)
            if COLUMNS in along:
                some.mul_(_outer(along, block))
        return Force(self.cells, None if COLUMNS in along else slopes[ROWS])


def _sum(cells: Tensor, power: float, dim: int) -> Tensor:
    """The sum of cells ** power along a direction."""
    return cells.sum(dim) if power == 1 else _sum_of(lambda some: some.pow(power), cells, dim)


def _sum_of(function: Callable[[Tensor], Tensor], cells: Tensor, dim: int) -> Tensor:
    """The sum of a function of the cells along a direction, without a second tile."""
    parts = [function(cells[block]).sum(dim) for block in blocks(cells)]
    return torch.cat(parts) if dim == ROWS else torch.stack(parts).sum(0)


def _weighed(cells: Tensor, shift: Tensor | None, unit: float, terms: Sequence[Term]) -> Force:
    """Sum of slope * power * exp(power * logit - total) over the terms, from exp(unit * logit - shift)."""
    limits, eps = _RANGES[cells.dtype], torch.finfo(cells.dtype).eps
    factors: dict[float, dict[int, Tensor]] = {}
    for term in terms:
        log_factor = -term.total.unsqueeze(term.dim)
        if shift is not None:
            log_factor = log_factor + term.power / unit * shift
            # all cells of such a line together are below the rounding of its total, most of which lies elsewhere
            log_factor.masked_fill_(log_factor < math.log(eps / 8 / cells.shape[term.dim]), float("-inf"))
        # of a line without cells here, the total may be far below 0: infinity times none is no number
        log_factor.clamp_(max=limits.room)
        slope = term.slope if term.power == 1 else term.slope * term.power
        factor = log_factor.exp_().mul_(slope.unsqueeze(term.dim))
        along = factors.setdefault(term.power / unit, {})
        along[term.dim] = along[term.dim] + factor if term.dim in along else factor
    lowest = -limits.room if shift is None else limits.floor
    faint = cells.device.type == "cpu" and _smallest(factors) * math.exp(lowest) < limits.least
    if len(terms) == 1 and terms[0].dim == ROWS and not faint:
        return Force(cells, factors[1][ROWS].squeeze(1))
    # allocated once: what a block writes is then still in the cache when the next one does
    space = torch.empty_like(cells[next(blocks(cells), slice(0))])
    for block in blocks(cells):
        some = cells[block]
        every = _outer(factors[1], block, space)
        for power, along in factors.items():
            if power != 1:
                every = torch.addcmul(every, _outer(along, block), some if power == 2 else some.pow(power - 1))
        some.mul_(every)
        if faint:
            without_faint(some)
    return Force(cells)


def without_faint(cells: Tensor) -> None:
    """Set to 0 what is too small for a processor to multiply fast; others do not mind."""
    if cells.device.type == "cpu":
        torch.hardshrink(cells, _RANGES[cells.dtype].least, out=cells)


def _smallest(factors: Mapping[float, Mapping[int, Tensor]]) -> float:
    """The smallest factor that is not 0."""
    every = torch.cat([factor.flatten() for along in factors.values() for factor in along.values()])
    least = torch.linalg.vector_norm(every, -math.inf).item()
    # a factor of 0 is mostly none: only then is it worth looking past it
    return least or every.abs_().masked_fill_(every == 0, math.inf).amin().item()


def _outer(along: Mapping[int, Tensor], block: slice, space: Tensor | None = None) -> Tensor:
    """Factors of rows (n, 1) and of columns (1, m), added up, in memory that may be given."""
    if ROWS not in along:
        return along[COLUMNS]
    rows = along[ROWS][block]
    if COLUMNS not in along:
        return rows
    return torch.add(rows, along[COLUMNS], out=None if space is None else space[: len(rows)])
