"""What does the temperature do to a query? Probabilities of its candidates, and the forces on them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from info_nce import info_nce
from info_nce.errors import SettingError, needs_extra
from info_nce.plots.canvas import legend, number, panels, plain_numbers, titled
from info_nce.plots.palette import MUTED, NEGATIVE, POSITIVE
from info_nce.similarity import DotProduct

with needs_extra("plots"):
    from matplotlib.figure import Figure

SIX = (0.80, 0.72, 0.45, 0.20, -0.05, -0.30)
"""A query with a close rival, and others ever farther away: its positive's similarity first."""
_TEMPERATURES = 121
_DASHES = ((0, ()), (0, (6, 1.5)), (0, (5, 1.5, 1, 1.5)), (0, (1, 1.2)), (0, (2.2, 1.2)))


@dataclass(frozen=True, slots=True, eq=False)
class Sharpness:
    """What the loss makes of given similarities at each temperature.

    Args:
        temperatures: τ.
        probabilities: of each candidate, the positive first.
        forces: minus the derivative of the loss by each similarity, in nats: above 0 is pulled, below is pushed.
    """

    temperatures: Float[Tensor, " t"]
    probabilities: Float[Tensor, "t m"]
    forces: Float[Tensor, "t m"]


def sharpness(similarities: Float[Tensor, " m"], temperatures: Float[Tensor, " t"]) -> Sharpness:
    """Ask the loss itself, by its gradient, how probable each candidate is and how hard it is pulled or pushed.

    Args:
        similarities: of one query with its candidates, the positive first.
        temperatures: τ > 0, in float64.
    """
    with torch.enable_grad():
        # a query of one component, so that each key's only component is its similarity
        cells = similarities.double().expand(len(temperatures), -1)[..., None].clone().requires_grad_()
        loss = info_nce(
            torch.ones(len(temperatures), 1, dtype=torch.float64),
            cells[:, 0],
            cells[:, 1:],
            temperatures,
            "none",
            "paired",
            similarity=DotProduct(),
        )
        (slope,) = torch.autograd.grad(loss.sum(), cells)
    negatives = slope[:, 1:, 0] * temperatures[:, None]
    probabilities = torch.cat([loss.detach().neg().exp()[:, None], negatives], 1)
    return Sharpness(temperatures, probabilities, -slope[..., 0])


def temperature(
    similarities: Sequence[float] | Float[Tensor, " m"] = SIX,
    *,
    low: float = 0.01,
    high: float = 1.0,
) -> Figure:
    """What does the temperature do to a query? Its candidates' probabilities, and the forces on them.

    Args:
        similarities: of the query with its candidates, the positive first.
        low: the smallest temperature. Typical 0.01 to 0.5.
        high: the largest.

    Returns:
        Two panels over the temperature. Cold, all of the push meets the hardest negative; warm, every negative is
        pushed alike. A force is minus the derivative of the loss by a similarity, in nats per unit of it; those of a
        query add up to 0.

    Raises:
        SettingError: there is no negative, or the temperatures are no range above 0.

    Source:
        Wang and Liu 2021, "Understanding the Behaviour of Contrastive Loss", arXiv:2012.09740.
    """
    given = torch.as_tensor(similarities, dtype=torch.float64).detach().cpu()
    if given.dim() != 1 or len(given) < 2:
        raise SettingError(
            "similarities must hold the positive's and at least one negative's.",
            got=f"similarities {tuple(given.shape)}",
            expected="(m,) with m >= 2, the positive first",
            advice="similarities=[0.8, 0.72, 0.45]",
        )
    if not 0 < low < high < float("inf"):
        raise SettingError(
            "low and high must be a range of temperatures.",
            got=f"low={low}, high={high}",
            expected="0 < low < high",
            advice="low=0.01, high=1",
        )
    between = torch.logspace(math.log10(low), math.log10(high), _TEMPERATURES, dtype=torch.float64)
    found = sharpness(given, between)
    figure, (top, bottom) = panels(4.9, rows=2)
    for axes, values in ((top, found.probabilities), (bottom, found.forces)):
        for i, similarity in enumerate(given.tolist()):
            look: dict[str, Any] = {"color": POSITIVE, "linewidth": 2.6, "label": f"positive {number(similarity)}"}
            if i:
                again, dashes = divmod(i - 1, len(_DASHES))  # dashes come round again, then with a thinner line
                look = {"color": NEGATIVE, "linewidth": 1.8 / (1 + again), "linestyle": _DASHES[dashes]}
                look["label"] = f"negative {number(similarity)}"
            axes.plot(between, values[:, i], **look)
        axes.set_xscale("log")
        plain_numbers(axes.xaxis)
        axes.margins(x=0)
    bottom.axhline(0, color=MUTED, linewidth=0.8, zorder=1)
    top.set(ylabel="probability", ylim=(-0.02, 1.02))
    bottom.set(ylabel="force (nats per unit)", xlabel="temperature τ")
    top.tick_params(labelbottom=False)
    legend(top, 3)
    cold, warm = (100 * (given[1:] / at).softmax(0).max() for at in (low, high))
    title = (
        f"At τ = {low:g} the hardest of {len(given) - 1} negatives takes {cold:.0f} % of the push; "
        f"at τ = {high:g}, {warm:.0f} %."
    )
    note = "Force: on a candidate's similarity. Above 0 it is pulled towards the query, below pushed away."
    return titled(figure, title, note)
