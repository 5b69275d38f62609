"""How many directions do embeddings use? Their singular values."""

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor

from info_nce.diagnostics import effective_rank, singular_spectrum
from info_nce.errors import SettingError, needs_extra
from info_nce.plots.canvas import canvas, legend, plain_numbers, titled
from info_nce.plots.given import check_items, shortened
from info_nce.plots.palette import BLUE, GREY, NEGATIVE, VERMILION

with needs_extra("plots"):
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

_LOOKS = ((BLUE, "-"), (GREY, (0, (5, 2))), (VERMILION, (0, (2, 1.5))), (NEGATIVE, (0, (6, 2, 1, 2))))
# What is smaller than the largest by more than this is rounding.
_SMALLEST = 1e-7


def spectrum(embeddings: Float[Tensor, "n d"] | Mapping[str, Float[Tensor, "n d"]]) -> Figure:
    """How many directions do the embeddings really use?

    Args:
        embeddings: one row for each item; or up to four sets, by name.

    Returns:
        Singular values of the centred embeddings, relative to the largest, on a logarithmic axis. A flat line = all
        directions alike; a cliff = dimensional collapse. The effective rank, the exponential of the entropy of the
        singular values' shares, counts them: 1 = all on a line, d = every direction alike.

    Raises:
        SettingError: there are no embeddings, fewer than two items, more than four sets, or all are one point.
        ArgumentError: a number is not finite.

    Source:
        Jing et al. 2022, arXiv:2110.09348; the effective rank: Roy and Vetterli 2007. Differs: the paper draws the
        covariance's singular values, which are the squares of these.
    """
    sets = dict(embeddings) if isinstance(embeddings, Mapping) else {"embeddings": embeddings}
    if not 0 < len(sets) <= len(_LOOKS):
        raise SettingError(
            "a figure shows one to four spectra.", got=f"{len(sets)} sets", expected="1 to 4", advice="draw two figures"
        )
    for name, given in sets.items():
        check_items(name, given, least=2)
        if (given == given[0]).all():
            raise SettingError(
                f"{name} has no spectrum: all embeddings are one point.",
                got=f"{len(given)} equal rows",
                expected="rows that differ",
                advice="look at the training: this is collapse",
            )
    figure, axes = canvas(3.4)
    ranks, lowest = [], 1.0
    for (name, given), (colour, dashes) in zip(sets.items(), _LOOKS, strict=False):
        found, short = given.detach().cpu(), shortened(name, 24)
        strengths = singular_spectrum(found)
        values = strengths / strengths[0]
        axes.plot(range(1, len(values) + 1), values, color=colour, linestyle=dashes, linewidth=2, label=short)
        ranks.append(f"{f'{short} ' if len(sets) > 1 else ''}{effective_rank(found):.1f} of {found.shape[1]}")
        lowest = min(lowest, float(values[values > _SMALLEST].min()))
    axes.set(yscale="log", ylim=(lowest / 1.5, 1.5), xlabel="direction, strongest first")
    axes.set_ylabel("singular value / largest")
    axes.set_xlim(1)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    plain_numbers(axes.yaxis)
    if len(sets) > 1:
        legend(axes, 1 if max(map(len, sets)) > 16 else 4)
    note = "A flat line: all directions alike. A cliff: some have collapsed."
    return titled(figure, f"Effective rank: {', '.join(ranks)}.", note)
