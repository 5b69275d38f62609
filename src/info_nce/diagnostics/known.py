"""Pairs of which it is known how much one says of the other, to try an estimate on. All in nats."""

# N pairs, D dimensions, C classes, K candidates of a query

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from info_nce.checks import (
    ArgumentError,
    ShapeError,
    check_embeddings,
    check_floating,
    check_ids,
    check_number,
    check_whole,
    fail,
    shapes,
)
from info_nce.diagnostics.information import info_nce_bound

__all__ = ["CorrelatedGaussian", "Labels"]


@dataclass(frozen=True, slots=True)
class CorrelatedGaussian:
    r"""Normal vectors, of which each component of y is correlated with that of x: y = rho x + sqrt(1 - rho^2) noise.

    $$ I(X; Y) = -\frac{D}{2} \log(1 - \rho^2) $$

    Args:
        dimension: D, of x and of y.
        information: of each on the other, from 0 to 5 for each dimension: beyond, x and y differ by little more than
            single precision can tell.

    Raises:
        ArgumentError: there is no dimension, or information is out of range.

    Example:
        >>> from info_nce.diagnostics import estimate, nwj
        >>> data, numbers = CorrelatedGaussian(dimension=20, information=2.0), torch.Generator().manual_seed(0)
        >>> found = estimate(nwj, (data.critic(*data.sample(64, generator=numbers)) for _ in range(100)))
        >>> abs(found.value - 2.0) < 4 * found.standard_error
        True

    Source:
        Belghazi et al. 2018, arXiv:1801.04062; Poole et al. 2019, arXiv:1905.06922.
    """

    dimension: int = 20
    information: float = 4.0

    def __post_init__(self) -> None:
        """Refuse what no such vectors have."""
        check_whole("dimension", self.dimension, hint="20 as in the papers")
        check_number("information", self.information, low=0, high=5 * self.dimension, hint="2 to 10 in 20 dimensions")

    @property
    def rho(self) -> float:
        """The correlation of each component of y with that of x, in [0, 1)."""
        return math.sqrt(abs(math.expm1(-2 * self.information / self.dimension)))

    def sample(
        self, count: int, *, generator: torch.Generator | None = None, dtype: torch.dtype = torch.float32
    ) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d"]]:
        """Draw pairs (x, y), independent of each other.

        Args:
            count: N.
            generator: for repeatable draws.
            dtype: of the vectors.

        Raises:
            ArgumentError: there is no pair.
            DTypeError: normal vectors have no such dtype.
        """
        check_whole("count", count, hint="128 as in the papers")
        check_floating("dtype", dtype)
        x, noise = torch.randn(2, count, self.dimension, generator=generator, dtype=dtype)
        return x, self.rho * x + math.exp(-self.information / self.dimension) * noise

    def critic(
        self, x: Float[Tensor, "n d"], y: Float[Tensor, "m d"]
    ) -> tuple[Float[Tensor, "n d+2"], Float[Tensor, "m d+2"]]:
        r"""Embed them so that the dot product of a query and a key is log p(y|x) / p(y), the best critic there is.

        $$ f(x, y) = \frac{\rho\, x \cdot y - \rho^2 |x|^2 / 2 - \rho^2 |y|^2 / 2}{1 - \rho^2} + I(X; Y) $$

        No cosine will do, nor a dot product without the squares. Compare with temperature 1 and `DotProduct()`.

        Args:
            x: of which queries are made.
            y: of which keys are made.

        Raises:
            ShapeError: x or y are no vectors of this dimension.
            DTypeError: they are no floating-point tensors of one dtype.
        """
        check_embeddings({"x": x, "y": y})
        for name, side in {"x": x, "y": y}.items():
            if side.shape[1] != self.dimension:
                fail(
                    ShapeError,
                    f"{name} must have the dimension of the pairs that this critic knows.",
                    got=shapes(**{name: side}),
                    expected=f"{name} (..., {self.dimension})",
                    hint="the critic of the object that drew the sample",
                )
        rho, rest = self.rho, math.exp(-2 * self.information / self.dimension)
        half_x, half_y = (-(rho**2) * side.square().sum(1, keepdim=True) / (2 * rest) for side in (x, y))
        query = torch.cat([rho * x / rest, torch.ones_like(half_x), half_x + self.information], 1)
        return query, torch.cat([y, half_y, torch.ones_like(half_y)], 1)


@dataclass(frozen=True, slots=True)
class Labels:
    """Pairs of equal labels, each as frequent as another: both sides say all of each other, log C.

    What InfoNCE makes of a batch of them is known exactly, for the labels that are like a query's are binomial.

    Args:
        classes: C.

    Raises:
        ArgumentError: there is no class.

    Example:
        >>> data = Labels(classes=10)
        >>> round(data.expected_bound(candidates=128), 4), round(data.information, 4)
        (2.2669, 2.3026)
    """

    classes: int

    def __post_init__(self) -> None:
        """Refuse labels of no class."""
        check_whole("classes", self.classes, hint="10")

    @property
    def information(self) -> float:
        """Of each side on the other: log C."""
        return math.log(self.classes)

    def sample(
        self, count: int, *, generator: torch.Generator | None = None
    ) -> tuple[Int64[Tensor, " n"], Int64[Tensor, " n"]]:
        """Draw pairs of labels, independent of each other.

        Args:
            count: N.
            generator: for repeatable draws.
        """
        check_whole("count", count, hint="128")
        labels = torch.randint(self.classes, (count,), generator=generator)
        return labels, labels

    def critic(
        self, x: Int64[Tensor, " n"], y: Int64[Tensor, " m"], dtype: torch.dtype = torch.float32
    ) -> tuple[Float[Tensor, "n c"], Float[Tensor, "m c"]]:
        """Embed them as axes, whose cosine is 1 for equal labels and else 0: the best critic is that at temperature 0.

        Args:
            x: of which queries are made.
            y: of which keys are made.
            dtype: of the embeddings.

        Raises:
            DTypeError: labels are no integers, or dtype is not of floating-point numbers.
            ShapeError: labels are not one for each item.
            ArgumentError: a label is none of the classes.
        """
        check_floating("dtype", dtype)
        return self._axes("x", x).to(dtype), self._axes("y", y).to(dtype)

    def _axes(self, name: str, labels: Tensor) -> Tensor:
        like = labels if isinstance(labels, Tensor) else torch.empty(0)  # refused by its type
        check_ids(name, labels, (like.numel(),), like.device)
        if not ((labels >= 0) & (labels < self.classes)).all():
            fail(
                ArgumentError,
                f"{name} holds labels that are none of the classes.",
                got=f"labels from {labels.min().item()} to {labels.max().item()}",
                expected=f"0 to {self.classes - 1}",
                hint="the critic of the object that drew the sample",
            )
        return functional.one_hot(labels.long(), self.classes)

    def expected_loss(self, candidates: int, temperature: float) -> float:
        r"""What does InfoNCE cost on the average, on this critic?

        $$ \mathrm{E} \log \big( 1 + n + (K - 1 - n) e^{-1/\tau} \big), \quad n \sim \mathrm{Bin}(K - 1, 1/C) $$

        Args:
            candidates: K, of each query, its own key among them.
            temperature: tau >= 0, where 0 is the limit.

        Returns:
            The expectation, exactly. Even at temperature 0 it is not 0: who has the query's label is no worse an answer
            than its own key.

        Raises:
            ArgumentError: there is no candidate, or the temperature is negative.
        """
        check_whole("candidates", candidates, hint="the batch size")
        check_number("temperature", temperature, low=0, hint="0.1; 0 for the limit")
        others, share = candidates - 1, torch.tensor(1 / self.classes, dtype=torch.float64)
        alike = torch.arange(candidates, dtype=torch.float64)
        ways = math.lgamma(candidates) - torch.lgamma(alike + 1) - torch.lgamma(others - alike + 1)
        log_probability = ways + torch.xlogy(alike, share) + torch.special.xlog1py(others - alike, -share)
        apart = math.exp(-1 / temperature) if temperature else 0.0
        return float((log_probability.exp() * torch.log(1 + alike + (others - alike) * apart)).sum())

    def expected_bound(self, candidates: int, temperature: float = 0.0) -> float:
        """How much does InfoNCE vouch for on the average, on this critic? Never more than log C, nor than log K.

        Args:
            candidates: K, of each query, its own key among them.
            temperature: tau >= 0; 0, the limit, is the best.

        Raises:
            ArgumentError: there is no candidate, or the temperature is negative.
        """
        return info_nce_bound(self.expected_loss(candidates, temperature), candidates)
