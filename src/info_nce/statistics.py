"""What an objective may know of a row: totals over its cells that merge, so that no cell needs another."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor

from info_nce.checks import check_choice, check_number
from info_nce.coded import Coded
from info_nce.scores import ROWS, Role, Tile

__all__ = [
    "ClippedLogSumExp",
    "Count",
    "LogSumExp",
    "Maximum",
    "Reaching",
    "Softplus",
    "Squares",
    "Statistic",
    "Sum",
    "Tied",
    "Tilted",
    "log_sum_exp",
]


def log_sum_exp(values: Tensor, dim: int) -> Tensor:
    """log(sum(exp(values))) with the true maximum taken out; -inf, with gradient 0, where every value is -inf."""
    if not values.shape[dim]:
        return values.sum(dim) - float("inf")
    # torch's own has no gradient there; looking for it is free on the CPU only
    if values.device.type == "cpu" and not torch.compiler.is_compiling():
        found = torch.logsumexp(values, dim)
        if not (found == float("-inf")).any():
            return found
    largest = values.detach().amax(dim, keepdim=True)
    largest = largest.masked_fill(largest == float("-inf"), 0)
    total = torch.exp(values - largest).sum(dim)
    empty = total == 0
    return torch.where(empty, float("-inf"), torch.log(torch.where(empty, 1, total)) + largest.squeeze(dim))


def _sum_in_log_space(one: Tensor, other: Tensor) -> Tensor:
    if one.requires_grad or other.requires_grad:  # of two times -inf, the gradient of `logaddexp` is no number
        return log_sum_exp(torch.stack([one, other]), 0)
    return torch.logaddexp(one, other)


@dataclass(frozen=True)
class Statistic(Coded, ABC):
    """A total over the cells of a row (or of a column) that play one role.

    Laws, each a test: `merge` is associative and commutative, and `identity` changes nothing; the total of a row is the
    merge of its parts' totals; `pull` is the derivative of the total, and needs only the cell and the total.
    """

    over: Role
    identity = 0.0
    differentiable = True
    ignores_buried = False
    """Whether a logit of -inf adds nothing, so that cells of other roles can be given one."""
    known_alone = True
    """Whether the logit of a cell says its total, where no other cell of the line plays the role."""

    def __post_init__(self) -> None:
        """Refuse a role that no cell plays."""
        check_choice("over", self.over, ("candidates", "positives", "negatives"))

    @abstractmethod
    def of(self, tile: Tile, dim: int) -> Tensor:
        """The total of each row (dim 1) or column (dim 0) of a tile."""

    def merge(self, one: Tensor, other: Tensor) -> Tensor:
        """The total over two parts, from the parts' totals."""
        return one + other

    def alone(self, logit: Tensor) -> Tensor:
        """The total of each line (n) of which one cell plays the role, from that cell's logit."""
        return replace(self, over="candidates").of(Tile(logit[:, None]), ROWS)

    def pull(self, tile: Tile, dim: int, total: Tensor) -> Tensor:
        """The derivative of the total by each cell of a tile."""
        raise NotImplementedError  # never asked of a statistic that is not differentiable

    def pull_alone(self, logit: Tensor, total: Tensor) -> Tensor:
        """The derivative of each line's total (n) by one cell that plays the role, from that cell's logit."""
        return replace(self, over="candidates").pull(Tile(logit[:, None]), ROWS, total)[:, 0]

    def _inside(self, tile: Tile, dim: int) -> Tensor:
        unfit = tile.unfit(self.over, dim)
        return torch.ones_like(tile.logits) if unfit is None else (~unfit).to(tile.logits.dtype)


@dataclass(frozen=True)
class LogSumExp(Statistic):
    """log of the sum of exp(power * logit)."""

    power: float = 1.0
    identity = float("-inf")
    ignores_buried = True

    def __post_init__(self) -> None:
        """Keep -inf, which stands for cells of other roles, at -inf."""
        super().__post_init__()
        check_number("power", self.power, low=0, low_open=True, high_open=True, hint="use Count for a power of 0")

    def of(self, tile: Tile, dim: int) -> Tensor:
        """Sum in log space, with the true maximum."""
        values = tile.of(self.over, dim, float("-inf"))
        return log_sum_exp(values if self.power == 1 else values * self.power, dim)

    def alone(self, logit: Tensor) -> Tensor:
        """log(exp(power * logit))."""
        return logit if self.power == 1 else logit * self.power

    def merge(self, one: Tensor, other: Tensor) -> Tensor:
        """Sum the parts in log space."""
        return _sum_in_log_space(one, other)

    def pull(self, tile: Tile, dim: int, total: Tensor) -> Tensor:
        """The cell's share of the sum: a softmax."""
        total = total.masked_fill(total == float("-inf"), 0).unsqueeze(dim)
        return torch.exp(tile.of(self.over, dim, float("-inf")) * self.power - total) * self.power

    def pull_alone(self, logit: Tensor, total: Tensor) -> Tensor:
        """The cell's share of the sum."""
        share = torch.exp(self.alone(logit) - total.masked_fill(total == float("-inf"), 0))
        return share if self.power == 1 else share * self.power


@dataclass(frozen=True)
class ClippedLogSumExp(Statistic):
    """log of the sum of exp(logit), of logits that are brought to [-limit, limit] first; a buried one counts, too."""

    limit: float = 5.0
    identity = float("-inf")

    def __post_init__(self) -> None:
        """Refuse limits that leave nothing between them."""
        super().__post_init__()
        check_number("limit", self.limit, low=0, low_open=True, high_open=True, hint="5; LogSumExp clips nothing")

    def of(self, tile: Tile, dim: int) -> Tensor:
        """Clip and sum in log space."""
        unfit = tile.unfit(self.over, dim)
        clipped = tile.logits.clamp(-self.limit, self.limit)
        return log_sum_exp(clipped if unfit is None else clipped.masked_fill(unfit, float("-inf")), dim)

    def merge(self, one: Tensor, other: Tensor) -> Tensor:
        """Sum the parts in log space."""
        return _sum_in_log_space(one, other)

    def pull(self, tile: Tile, dim: int, total: Tensor) -> Tensor:
        """The cell's share of the sum; none of a cell that is clipped."""
        total = total.masked_fill(total == float("-inf"), 0).unsqueeze(dim)
        free = self._inside(tile, dim) * (tile.logits.abs() <= self.limit)
        return torch.exp(tile.logits.clamp(-self.limit, self.limit) - total) * free


@dataclass(frozen=True)
class Sum(Statistic):
    """The sum of the logits."""

    def of(self, tile: Tile, dim: int) -> Tensor:
        """Add them up."""
        return tile.of(self.over, dim, 0.0).sum(dim)

    def alone(self, logit: Tensor) -> Tensor:
        """The logit itself."""
        return logit

    def pull(self, tile: Tile, dim: int, total: Tensor) -> Tensor:  # noqa: ARG002 - the total does not matter
        """1 for each cell of the role."""
        return self._inside(tile, dim)

    def pull_alone(self, logit: Tensor, total: Tensor) -> Tensor:  # noqa: ARG002 - the total does not matter
        """1."""
        return torch.ones_like(logit)


@dataclass(frozen=True)
class Count(Statistic):
    """How many cells play the role."""

    differentiable = False

    def of(self, tile: Tile, dim: int) -> Tensor:
        """Count them."""
        unfit = tile.unfit(self.over, dim)
        lines, length = tile.logits.shape[1 - dim], tile.logits.shape[dim]
        if unfit is None:
            return tile.logits.new_full((lines,), length)
        return length - unfit.sum(dim).to(tile.logits.dtype)

    def alone(self, logit: Tensor) -> Tensor:
        """One."""
        return torch.ones_like(logit)


@dataclass(frozen=True)
class Maximum(Statistic):
    """The largest logit; -inf where no cell plays the role. For limits, never for a gradient."""

    identity = float("-inf")
    differentiable = False
    ignores_buried = True

    def of(self, tile: Tile, dim: int) -> Tensor:
        """Find it."""
        values = tile.of(self.over, dim, float("-inf")).detach()
        return values.amax(dim) if values.shape[dim] else values.sum(dim) - float("inf")

    def merge(self, one: Tensor, other: Tensor) -> Tensor:
        """The larger one."""
        return torch.maximum(one, other)


@dataclass(frozen=True)
class Softplus(Statistic):
    """The sum of log(1 + exp(sign * logit)): what a binary classifier pays for the cells."""

    sign: Literal[-1, 1] = 1

    @property
    def ignores_buried(self) -> bool:  # type: ignore[override]  # decided by the sign
        """log(1 + exp(-inf)) is 0."""
        return self.sign == 1

    def of(self, tile: Tile, dim: int) -> Tensor:
        """Add up what each cell costs."""
        # not F.softplus: it drops the exponential above 20, an error that float64 shows
        return -F.logsigmoid(tile.of(self.over, dim, float("-inf") * self.sign) * -self.sign).sum(dim)

    def pull(self, tile: Tile, dim: int, total: Tensor) -> Tensor:  # noqa: ARG002 - the total does not matter
        """The probability of the wrong answer, with its sign."""
        return torch.sigmoid(tile.of(self.over, dim, float("-inf") * self.sign) * self.sign) * self.sign


@dataclass(frozen=True)
class Marked(Statistic):
    """What compares each logit with the mark of its line. For looking, never for a gradient."""

    differentiable = False
    ignores_buried = True
    known_alone = False

    def _distances(self, tile: Tile, dim: int) -> Tensor:
        """How far each logit is above its line's mark, -inf for cells of other roles."""
        return tile.of(self.over, dim, float("-inf")).detach() - tile.mark(dim)


@dataclass(frozen=True)
class Reaching(Marked):
    """How many logits reach the mark, up to rounding. NaN does: whatever is no number is not below it."""

    def of(self, tile: Tile, dim: int) -> Tensor:
        """Count them."""
        above = self._distances(tile, dim).add_(tile.marks.slack)
        return above.shape[dim] - (above < 0).sum(dim).to(above.dtype)


@dataclass(frozen=True)
class Tied(Marked):
    """How many logits are the mark, up to rounding."""

    def of(self, tile: Tile, dim: int) -> Tensor:
        """Count them."""
        apart = self._distances(tile, dim).abs_()
        return (apart <= tile.marks.slack).sum(dim).to(apart.dtype)


@dataclass(frozen=True)
class Squares(Marked):
    """The sum of squared differences from the mark: a spread is left with more digits than by squares of the logits."""

    def of(self, tile: Tile, dim: int) -> Tensor:
        """Add them up; a logit of -inf is no candidate."""
        above = self._distances(tile, dim)
        return above.masked_fill_(above == float("-inf"), 0).square_().sum(dim)


@dataclass(frozen=True)
class Tilted(Marked):
    """log of the sum of |logit - mark| exp(logit) over the logits above the mark (side 1) or below it (side -1).

    Both sides, and the log-sum-exp of the same cells, give the mean of the logits under their softmax, and so its
    entropy, in totals of positive numbers, which merge in log space.
    """

    side: Literal[-1, 1] = 1
    identity = float("-inf")

    def of(self, tile: Tile, dim: int) -> Tensor:
        """Sum in log space, with the true maximum of the side."""
        above = self._distances(tile, dim)
        if not above.shape[dim]:
            return above.sum(dim) + self.identity
        other = above <= 0 if self.side == 1 else above >= 0
        logits = above.masked_fill(other, float("-inf"))
        top = logits.amax(dim, keepdim=True)
        top = top.masked_fill_(top == float("-inf"), 0)
        # -inf times 0 is no number, and below any other exponential is none
        distance = above.abs_().clamp_(max=torch.finfo(above.dtype).max)
        total = logits.sub_(top).exp_().mul_(distance).sum(dim)
        return torch.log(total) + (top + tile.mark(dim)).squeeze(dim)

    def merge(self, one: Tensor, other: Tensor) -> Tensor:
        """Sum the parts in log space."""
        return torch.logaddexp(one, other)
