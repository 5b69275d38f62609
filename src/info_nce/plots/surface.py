"""How does the loss fall when positives come nearer and negatives go away? A surface over both."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from info_nce import InfoNCE
from info_nce.errors import SettingError, needs_extra
from info_nce.plots.canvas import SMALL, number, panels, plain_bar, plain_numbers, titled
from info_nce.plots.given import check_least, described
from info_nce.plots.palette import INK, PAPER

with needs_extra("plots"):
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap, LinearSegmentedColormap
    from matplotlib.figure import Figure

_ARROWS = 8
# light enough for dark arrows
_PALE = LinearSegmentedColormap.from_list("pale", [PAPER, "#7fc0ea"])


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """The loss, and its derivatives, at each way between.

    Args:
        shares: α and β alike: 0 = where the mean began, 1 = at the queries' mean.
        loss: in nats; rows are β, columns α.
        slope: its derivatives by α and by β.
    """

    shares: Float[Tensor, " s"]
    loss: Float[Tensor, "s s"]
    slope: Float[Tensor, "s s 2"]


def surface(
    criterion: Callable[..., Tensor], *, dimensions: int, queries: int, negatives: int, steps: int, seed: int
) -> Surface:
    """Ask the loss itself for its value and its derivatives, everywhere with the same noise; see `loss_surface`.

    Raises:
        SettingError: the criterion gives no number that depends on the keys.
    """
    chance = torch.Generator().manual_seed(seed)
    means = torch.rand(3, dimensions, generator=chance)
    noise = [math.sqrt(0.1) * torch.randn(rows, dimensions, generator=chance) for rows in (queries, queries, negatives)]
    shares = torch.linspace(0, 1, steps)
    loss, slope = torch.empty(steps, steps), torch.empty(steps, steps, 2)
    for row, column in itertools.product(range(steps), repeat=2):
        with torch.enable_grad():
            at = shares[[column, row]].requires_grad_()
            query = means[0] + noise[0]
            positive = at[0] * means[0] + (1 - at[0]) * means[1] + noise[1]
            negative = at[1] * means[0] + (1 - at[1]) * means[2] + noise[2]
            value = criterion(query, positive, negative)
            differentiable = isinstance(value, Tensor) and value.numel() == 1 and value.requires_grad
            down = torch.autograd.grad(value, at, allow_unused=True)[0] if differentiable else None
            if down is None:
                raise SettingError(
                    "the criterion must give one number, with its gradient by the keys.",
                    got=described(value),
                    expected="a tensor () that was computed from positive and negative keys",
                    advice="criterion=lambda query, positive, negative: my_loss(query, positive, negative).mean()",
                )
            loss[row, column], slope[row, column] = value.detach(), down
    return Surface(shares, loss, slope)


def loss_surface(
    criterion: Callable[..., Tensor] | None = None,
    *,
    dimensions: int = 64,
    queries: int = 64,
    negatives: int = 8,
    steps: int = 25,
    seed: int = 0,
) -> Figure:
    """How does the loss fall when positives come nearer and negatives go away?

    Queries are drawn from N(μ, I/10), positive keys from N(α μ + (1 - α) μ₊, I/10), negative keys, shared by all
    queries, from N(β μ + (1 - β) μ₋, I/10). The three means are drawn from the unit cube.

    Args:
        criterion: of queries, positive keys and negative keys to a scalar in nats; `InfoNCE()` by default.
        dimensions: of the space.
        queries: how many, and so many positive keys.
        negatives: how many.
        steps: of α and of β, from 0 to 1.
        seed: of means and noise.

    Returns:
        Two panels over α and β: the loss, with a dashed line where it is that of guessing, log(1 + negatives); and the
        way down, arrows as long as the gradient.

    Raises:
        SettingError: one of the numbers is too small or not whole, or the criterion gives no number that depends on the
            keys.

    Source:
        After the figure in the README of info-nce-pytorch. Differs: every place has the same noise, so the surface is
        smooth; and the gradient is shown, too.
    """
    check_least(
        dimensions=(dimensions, 1), queries=(queries, 1), negatives=(negatives, 1), steps=(steps, 2), seed=(seed, 0)
    )
    found = surface(
        criterion or InfoNCE(), dimensions=dimensions, queries=queries, negatives=negatives, steps=steps, seed=seed
    )
    shares, loss, down = found.shares.numpy(), found.loss.numpy(), -found.slope.numpy()
    length, guessing = np.linalg.norm(down, axis=2), math.log(1 + negatives)
    figure, (left, right) = panels(3.9, columns=2)
    _plane(left, shares, loss, "cividis", "loss (nats)")
    left.contour(shares, shares, loss, levels=8, colors="white", linewidths=0.5, alpha=0.6)
    if loss.min() < guessing < loss.max():
        left.contour(shares, shares, loss, levels=[guessing], colors="white", linewidths=1.8, linestyles="dashed")
    left.set_ylabel("β: negatives towards queries", fontsize=SMALL)
    _plane(right, shares, length, _PALE, "length of the gradient (nats)")
    right.tick_params(labelleft=False)
    apart = max(1, steps // _ARROWS)
    some = np.arange(apart // 2, steps, apart)
    right.quiver(
        shares[some], shares[some], *down[np.ix_(some, some)].transpose(2, 0, 1), color=INK, pivot="mid", width=0.008
    )
    return titled(
        figure,
        f"The loss is {number(loss[-1, 0])} nats where negatives lie with the queries, and {number(loss[0, -1])} where "
        "positives do.",
        f"Dashed: guessing, log {1 + negatives} = {guessing:.2f}. Arrows: the way down; longer is steeper.",
    )


def _plane(
    axes: Axes, shares: NDArray[np.float32], values: NDArray[np.float32], colours: str | Colormap, name: str
) -> None:
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
    axes.tick_params(length=0, labelsize=SMALL)
    axes.set_xlabel("α: positives towards queries", fontsize=SMALL)
    for axis in (axes.xaxis, axes.yaxis):
        plain_numbers(axis)
    # rasterized: as triangles, a drawing would be as large as a hundred of pictures
    mesh = axes.pcolormesh(shares, shares, values, shading="gouraud", cmap=colours, rasterized=True)
    plain_bar(axes.figure.colorbar(mesh, ax=axes, location="bottom", aspect=18, pad=0.03), name)
