"""How much mutual information does the loss vouch for, and where does it stop?"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from info_nce import info_nce
from info_nce.diagnostics import CorrelatedGaussian, info_nce_bound
from info_nce.errors import SettingError, needs_extra
from info_nce.plots.canvas import canvas, legend, plain_numbers, titled
from info_nce.plots.given import as_number, check_least, shortened
from info_nce.plots.palette import BLUE, INK, MUTED
from info_nce.similarity import DotProduct

with needs_extra("plots"):
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullLocator

# Enough of each size for bars that hide behind their marks.
_CELLS, _MOST = 1 << 20, 128
# Values may come with two digits.
_ROUNDED = 0.005


@dataclass(frozen=True, slots=True)
class Measured:
    """What the loss vouches for with each number of candidates.

    Args:
        candidates: of a query, its positive among them.
        values: log candidates - loss, in nats.
        errors: one standard error of each, from independent batches.
        information: what there is, in nats.
    """

    candidates: tuple[int, ...]
    values: tuple[float, ...]
    errors: tuple[float, ...]
    information: float


def gaussian_bound(
    candidates: Sequence[int] = (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024),
    *,
    information: float = 6.0,
    dimension: int = 20,
    batches: int = 16,
    seed: int = 0,
) -> Measured:
    """What does the loss vouch for where everything is known: correlated Gaussians, and the best critic there is?

    Args:
        candidates: K of each batch of K pairs.
        information: in nats.
        dimension: d.
        batches: the fewest, of each size; small ones are drawn more often.
        seed: of the draws.

    Raises:
        SettingError: a number of candidates or of batches, or the seed, is too small or not whole; or there are none.
        ArgumentError: there is no dimension, or information is out of range.

    Source:
        Poole et al. 2019, arXiv:1905.06922.
    """
    check_least(batches=(batches, 2), seed=(seed, 0))
    for count in candidates if len(candidates) else (candidates,):
        check_least(candidates=(count, 1))
    data, chance = CorrelatedGaussian(dimension, information), torch.Generator().manual_seed(seed)
    values, errors = [], []
    for count in candidates:
        draws = []
        for _ in range(max(batches, min(_MOST, _CELLS // count**2))):
            query, key = data.critic(*data.sample(count, generator=chance, dtype=torch.float64))
            loss = info_nce(query, key, temperature=1.0, similarity=DotProduct())
            draws.append(info_nce_bound(loss.item(), count))
        values.append(float(np.mean(draws)))
        errors.append(float(np.std(draws, ddof=1) / math.sqrt(len(draws))))
    return Measured(tuple(candidates), tuple(values), tuple(errors), information)


def information_bound(
    candidates: Sequence[int],
    values: Sequence[float],
    *,
    errors: Sequence[float] | None = None,
    information: float | None = None,
) -> Figure:
    """How much mutual information does the loss vouch for, with each number of candidates?

    Args:
        candidates: K, of a query, its positive among them.
        values: log K - loss, in nats.
        errors: one standard error of each, from independent batches; the rows of one batch are not.
        information: what there really is, where it is known.

    Returns:
        The bound over K on a logarithmic axis, with two standard errors to both sides; the line log K, above which no
        bound can lie; and the truth.

    Raises:
        SettingError: the lengths differ, nothing is given, a K is no number of candidates, or another number is not
            finite, or is an error or an information below 0.

    Source:
        van den Oord, Li, Vinyals 2018, arXiv:1807.03748, section 2.3; Poole et al. 2019, arXiv:1905.06922.
    """
    counts, bounds = _numbers("candidates", candidates, 1), _numbers("values", values)
    reach = None if errors is None else 2 * _numbers("errors", errors, 0)
    (truth,) = (None,) if information is None else _numbers("information", (information,), 0)
    lengths = {len(counts), len(bounds), len(counts if reach is None else reach)}
    if len(lengths) > 1 or not len(counts) or (counts % 1).any():
        raise SettingError(
            "every number of candidates needs a value, and an error if there are errors.",
            got=f"{len(counts)} numbers of candidates {shortened(str(counts.tolist()), 60)}, {len(bounds)} values"
            + ("" if reach is None else f", {len(reach)} errors"),
            expected="as many of each, at least one, and whole numbers of candidates",
            advice="information_bound([16, 64, 256], [2.4, 3.4, 4.2], information=6.0)",
        )
    figure, axes = canvas(3.6)
    line = np.array([counts.min(), counts.max()])
    axes.plot(line, np.log(line), color=MUTED, linestyle=(0, (5, 3)), linewidth=1.3, label="log K")
    if truth is not None:
        axes.axhline(truth, color=INK, linewidth=1.2, label=f"the truth: {truth:.2f} nats")
    axes.errorbar(
        counts,
        bounds,
        reach,
        color=BLUE,
        marker="o",
        markersize=5,
        linewidth=2,
        elinewidth=1.4,
        label="log K − loss",
    )
    axes.set_xscale("log", base=2)
    plain_numbers(axes.xaxis)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(xlabel="candidates of a query, K", ylabel="mutual information (nats)")
    legend(axes, 3)
    best = int(np.argmax(bounds))
    of = "" if truth is None else f" of {truth:.2f}"
    bounded = (bounds <= np.log(counts) + _ROUNDED).all()
    title = f"With {counts[best]:,.0f} candidates the loss vouches for {bounds[best]:.2f}{of} nats, " + (
        "and never for more than log K." if bounded else "more than log K in places, which no InfoNCE does."
    )
    return titled(figure, title, "" if reach is None else "Bars: two standard errors to both sides.")


def _numbers(name: str, given: Sequence[float], least: float = -math.inf) -> NDArray[np.float64]:
    found = np.array([as_number(name, value) for value in given], dtype=np.float64)
    if not (np.isfinite(found) & (found >= least)).all():
        raise SettingError(
            f"{name} must be finite" + (f", and at least {least}." if math.isfinite(least) else "."),
            got=f"{name}={shortened(str(found.tolist()), 60)}",
            expected="numbers of nats" if name != "candidates" else "whole numbers",
            advice="leave out what is not known",
        )
    return found
