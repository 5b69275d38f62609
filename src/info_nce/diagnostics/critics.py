"""How much does one side of a pair say of the other, by the values of a critic f(x, y)? All in nats.

The best critic is the log-density ratio log p(y|x) / p(y), for all of these estimates; they differ in bias, in variance
and in the gradient that they give a worse one. What is said of pairs on which the critic was trained is too much.
"""

# N pairs of a batch, D features

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from info_nce.assemble import given_logits
from info_nce.checks import ArgumentError, DTypeError, ShapeError, check_embeddings, check_number, fail, shapes
from info_nce.engines import Engine
from info_nce.losses.compose import check_pairs, check_with_negatives, pair_matrix
from info_nce.losses.options import Options
from info_nce.pairing import Shifted
from info_nce.precision import compute_dtype, without_autocast
from info_nce.scores import ScoreMatrix
from info_nce.similarity import DotProduct
from info_nce.statistics import ClippedLogSumExp, LogSumExp, Softplus, Statistic, Sum, log_sum_exp

__all__ = ["Estimate", "donsker_varadhan", "estimate", "jensen_shannon", "nwj", "smile"]

_T = TypeVar("_T")


def donsker_varadhan(*critic: Float[Tensor, "n _"], engine: Engine | None = None) -> Float[Tensor, ""]:
    r"""How much information does a critic find, by Donsker and Varadhan's formula? The value that MINE trains.

    $$ \frac1N \sum_i f(x_i, y_i) - \log \frac{1}{N (N - 1)} \sum_{i \ne j} e^{f(x_i, y_j)} $$

    Args:
        critic: queries and keys (N, D), of which f is the dot product; or the values (N, N) of any critic, f(x_i, y_j)
            in row i.
        engine: how the sums are computed; `Auto()` chooses.

    Returns:
        An estimate, differentiable. No bound in either direction: the formula is a lower bound, but the log of a mean
        over one batch is too small on the average, which makes the estimate too large; at the best critic, even larger
        than the information, and the more so the more there is. Its variance grows at least like e^information. A
        constant added to f changes nothing.

    Raises:
        ShapeError: the tensors do not pair up, or there is one pair alone.
        ArgumentError: the engine is one across ranks.

    Example:
        >>> critic = torch.tensor([[2.0, 0.0], [0.0, 2.0]])
        >>> donsker_varadhan(critic).item()
        2.0

    Source:
        Donsker and Varadhan 1983; Belghazi et al. 2018, "MINE", arXiv:1801.04062. Differs from MINE: the gradient is
        that of the value, without the moving average that corrects its bias.
    """
    found = _sums(critic, engine)
    return found.joint - found.log_of_others


def nwj(*critic: Float[Tensor, "n _"], engine: Engine | None = None) -> Float[Tensor, ""]:
    r"""How much information does a critic vouch for, without the limit of log K?

    $$ 1 + \frac1N \sum_i f(x_i, y_i) - \frac{1}{N (N - 1)} \sum_{i \ne j} e^{f(x_i, y_j)} $$

    Args:
        critic: as in `donsker_varadhan`.
        engine: likewise.

    Returns:
        A lower bound in expectation over batches, whatever the critic, differentiable; exact for a log-density ratio.
        Its variance grows at least like e^information: rare pairs carry the second mean, so that most batches say too
        much and a few far too little. A constant added to f matters.

    Raises:
        ShapeError: the tensors do not pair up, or there is one pair alone.
        ArgumentError: the engine is one across ranks.

    Example:
        >>> critic = torch.tensor([[2.0, 0.0], [0.0, 2.0]])
        >>> nwj(critic).item()
        2.0

    Source:
        Nguyen, Wainwright, Jordan 2010, arXiv:0809.0853; Poole et al. 2019, arXiv:1905.06922, I_NWJ. Differs: their f
        is ours plus 1, so that the best critic is the log-density ratio here as in the other estimates.
    """
    found = _sums(critic, engine)
    return 1 + found.joint - found.log_of_others.exp()


def jensen_shannon(*critic: Float[Tensor, "n _"], engine: Engine | None = None) -> Float[Tensor, ""]:
    r"""How much information does a critic vouch for that learns to tell pairs from others? The value is that of `nwj`.

    The gradient is that of another bound, on the Jensen-Shannon divergence, which no rare pair can upset:

    $$ - \frac1N \sum_i \log(1 + e^{-f(x_i, y_i)}) - \frac{1}{N (N - 1)} \sum_{i \ne j} \log(1 + e^{f(x_i, y_j)}) $$

    Args:
        critic: as in `donsker_varadhan`.
        engine: likewise.

    Returns:
        What `nwj` returns, to be maximised by this gradient: its best critic is the log-density ratio, too.

    Raises:
        ShapeError: the tensors do not pair up, or there is one pair alone.
        ArgumentError: the engine is one across ranks.

    Example:
        >>> critic = torch.tensor([[2.0, 0.0], [0.0, 2.0]])
        >>> jensen_shannon(critic).item()
        2.0

    Source:
        Nowozin, Cseke, Tomioka 2016, "f-GAN", arXiv:1606.00709; Poole et al. 2019, arXiv:1905.06922, I_JS.
    """
    found = _sums(critic, engine, **_CLASSIFIER)
    return found.taught(1 + found.joint - found.log_of_others.exp())


def smile(*critic: Float[Tensor, "n _"], clip: float = 5.0, engine: Engine | None = None) -> Float[Tensor, ""]:
    r"""How much information does a critic find, if no pair may count for more than e^clip of another?

    $$ \frac1N \sum_i f(x_i, y_i) - \log \frac{1}{N (N - 1)} \sum_{i \ne j} e^{\max(-c, \min(c, f(x_i, y_j)))} $$

    Args:
        critic: as in `donsker_varadhan`.
        clip: c > 0. A smaller one trades variance for bias; 1 and 5 in the paper, of which 5 is the default here.
            None of it: `donsker_varadhan`, with the gradient of `jensen_shannon`.
        engine: as in `donsker_varadhan`.

    Returns:
        An estimate with the gradient of `jensen_shannon`. No bound: clipping takes away from what is subtracted, so
        that the value exceeds the information where much of it is in rare pairs.

    Raises:
        ShapeError: the tensors do not pair up, or there is one pair alone.
        ArgumentError: clip is not positive, or the engine is one across ranks.

    Example:
        >>> critic = torch.tensor([[9.0, 7.0], [7.0, 9.0]])
        >>> smile(critic).item(), donsker_varadhan(critic).item()
        (4.0, 2.0)

    Source:
        Song and Ermon 2020, "Understanding the Limitations of Variational Mutual Information Estimators",
        arXiv:1910.06222.
    """
    check_number("clip", clip, low=0, low_open=True, high_open=True, hint="5; donsker_varadhan clips nothing")
    found = _sums(critic, engine, others=ClippedLogSumExp("negatives", limit=clip), **_CLASSIFIER)
    return found.taught(found.joint - found.log_of_others)


_CLASSIFIER: Mapping[str, Statistic] = {
    "pairs": Softplus("positives", sign=-1),
    "strangers": Softplus("negatives", sign=1),
}


@dataclass(frozen=True)
class _Sums:
    """Totals of each row, and what they are on the average of all cells."""

    total: Mapping[str, Tensor]
    rows: int

    @property
    def others(self) -> int:
        """How many cells are no pairs."""
        return self.rows * (self.rows - 1)

    @property
    def joint(self) -> Tensor:
        """The mean of the critic over pairs."""
        return self.total["joint"].mean()

    @property
    def log_of_others(self) -> Tensor:
        """The log of the mean of its exponential over all others."""
        return log_sum_exp(self.total["others"], 0) - math.log(self.others)

    def taught(self, value: Tensor) -> Tensor:
        """The value, with the gradient of a classifier's log-likelihood."""
        likelihood = -self.total["pairs"].mean() - self.total["strangers"].sum() / self.others
        taught: Tensor = _Taught.apply(value, likelihood)  # type: ignore[no-untyped-call]  # torch leaves `apply` untyped
        return taught


class _Taught(torch.autograd.Function):
    """One value with the gradient of another, which may be infinite: a difference of the two would be no number."""

    @staticmethod
    def forward(ctx: object, value: Tensor, teacher: Tensor) -> Tensor:  # noqa: ARG004 - not its number
        return value.clone()

    @staticmethod
    def backward(ctx: object, slope: Tensor) -> tuple[None, Tensor]:  # noqa: ARG004 - nothing is kept
        return None, slope


def _sums(critic: Sequence[Tensor], engine: Engine | None, **more: Statistic) -> _Sums:
    matrix, options = _scores(critic, engine)
    statistics: dict[str, Statistic] = {"joint": Sum("positives"), "others": LogSumExp("negatives"), **more}
    with without_autocast(matrix.query.device.type):
        return _Sums(options.chosen_engine.totals([matrix], statistics), len(matrix.query))


def _scores(critic: Sequence[Tensor], engine: Engine | None) -> tuple[ScoreMatrix, Options]:
    """The critic of each with each; row i belongs with column i."""
    options = Options(similarity=DotProduct(), engine=engine)
    if not options.alone:
        fail(
            ArgumentError,
            "These estimates are of one process's batch.",
            got=f"engine={engine!r}",
            expected="an engine of one process, or none",
            hint="nwj(*gathered(query, key)); or let each rank's batch be one of those that `estimate` averages",
        )
    if not 1 <= len(critic) <= 2:
        fail(
            ArgumentError,
            "A critic is given by its values, or by queries and keys.",
            got=f"{len(critic)} tensors",
            expected="1 or 2 tensors",
            hint="nwj(values), or nwj(query, key)",
        )
    if len(critic) == 1:
        (values,) = critic
        check_embeddings({"critic": values})
        if values.shape[0] != values.shape[1]:
            fail(
                ShapeError,
                "The critic must be known of each x with each y.",
                got=shapes(critic=values),
                expected=f"critic ({len(values)}, {len(values)})",
                hint="values[i, j] = f(x_i, y_j), or queries and keys whose dot product is f",
            )
        matrix = given_logits(values.to(compute_dtype(values.dtype)), Shifted(len(values), 0, values.device))
    else:
        query, key = critic
        check_pairs(query, key, options, ("query", "key"))
        matrix = pair_matrix(query, key, 1.0, options)
    check_with_negatives(matrix.query, options)
    return matrix, options


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over independent batches, and how sure it is.

    Args:
        value: the mean.
        standard_error: of the mean, from the spread of the batches; in about 2 of 3 cases the expectation is no farther
            away. NaN for one batch.
        batches: how many.
    """

    value: float
    standard_error: float
    batches: int

    def __str__(self) -> str:
        """As a person would write it."""
        return f"{self.value:.4f} ± {self.standard_error:.4f} ({self.batches} batches)"


@torch.no_grad()
def estimate(estimator: Callable[..., Tensor | float], batches: Iterable[Sequence[Tensor]]) -> Estimate:
    """What is the expectation of an estimator, and how sure is that?

    Args:
        estimator: from the tensors of a batch to one number: `nwj`, or `partial(mutual_information_bound, loss)`.
        batches: of pairs that no other batch has. The rows of one batch share their negatives, and their spread is not
            that of their mean; batches are independent.

    Returns:
        Their mean and its standard error. Where a few batches carry the mean, as in `nwj` of much information, the
        standard error is too small as long as none of them was met.

    Raises:
        ArgumentError: there is no batch.
        ShapeError: the estimator gives a number for each row.
        DTypeError: the estimator is no function or gives no number, or the batches are nothing to go through.

    Example:
        >>> critics = [[torch.eye(2)], [3 * torch.eye(2)]]
        >>> print(estimate(nwj, critics))
        2.0000 ± 1.0000 (2 batches)
    """
    if not callable(estimator):
        fail(
            DTypeError,
            "estimator must be a function.",
            got=f"estimator of type {type(estimator).__name__}",
            expected="a function from the tensors of a batch to a number",
            hint="estimate(nwj, batches)",
        )
    values = [_number(estimator(*_each("a batch", batch))) for batch in _each("batches", batches)]
    if not values:
        fail(
            ArgumentError,
            "There is no batch to estimate from.",
            got="no batch",
            expected="at least one, better a hundred",
            hint="a list, where an iterator was used up already",
        )
    found = torch.tensor(values, dtype=torch.float64)
    spread = found.std().item() if len(values) > 1 else math.nan
    return Estimate(found.mean().item(), spread / math.sqrt(len(values)), len(values))


def _each(name: str, several: Iterable[_T]) -> Iterable[_T]:
    if not isinstance(several, Iterable):
        fail(
            DTypeError,
            f"{name} must be a list, or something else to go through.",
            got=f"{name} of type {type(several).__name__}",
            expected="batches, each a list or tuple of tensors",
            hint="estimate(nwj, [(query, key), ...])",
        )
    return several


def _number(value: object) -> float:
    if isinstance(value, Tensor) and value.numel() != 1:
        fail(
            ShapeError,
            "An estimator must give one number for a batch.",
            got=f"a tensor {tuple(value.shape)}",
            expected="a tensor ()",
            hint="its mean: the rows of a batch depend on each other, and their spread is not that of their mean",
        )
    number = value.item() if isinstance(value, Tensor) else value
    if not isinstance(number, Real) or isinstance(number, bool):
        fail(
            DTypeError,
            "An estimator must give a number.",
            got=f"{number!r} of type {type(number).__name__}",
            expected="a float, or a tensor ()",
            hint="return the value that it computes",
        )
    return float(number)
