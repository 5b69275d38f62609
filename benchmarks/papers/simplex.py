"""Where does each loss lead embeddings that may lie anywhere? To a simplex."""

# N items, D features

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional

from benchmarks.papers.pictures import COLOURS, panels
from benchmarks.papers.study import Claim, Part, Row, Run, Study, over_seeds
from benchmarks.text import aligned
from info_nce import functional as losses
from info_nce.diagnostics import uniformity

__all__ = ["STUDY", "Settings", "optimum"]


CHO = "Cho et al. 2024, arXiv:2307.05906 (for at most D + 1 pairs)"
GRAF = "Graf et al. 2021, arXiv:2102.08817"
DISTINCT = f"{GRAF}, with a class of its own for each item"
LU = "as Lu and Steinerberger 2022, arXiv:2012.08465, for the cross-entropy"
COHN = "Wang and Isola 2020, arXiv:2005.10242; Cohn and Kumar 2007, arXiv:math/0607446"


@dataclass(frozen=True, slots=True)
class Settings:
    """Of the study.

    Args:
        items: N.
        width: D, at least N - 1, or a simplex does not fit.
        temperature: of every loss.
        classes: of the labelled rows, of which there are two per item.
        steps: of L-BFGS, at most.
    """

    items: int = 6
    width: int = 5
    temperature: float = 0.5
    classes: int = 3
    steps: int = 400


@dataclass(frozen=True, slots=True)
class Case:
    """A loss of free embeddings, and what is known of its least value.

    Args:
        source: who proved that it lies at a simplex.
        sides: tensors of free embeddings; 1 or 2.
        loss: of these.
        least: in closed form.
    """

    source: str
    sides: int
    loss: Callable[..., Tensor]
    least: float


def cases(settings: Settings) -> dict[str, Case]:
    """The losses, by name."""
    n, tau = settings.items, settings.temperature
    rows, corner = 2 * n, n / ((n - 1) * tau)
    labels = torch.arange(settings.classes).repeat(rows // settings.classes)
    own, c = rows // settings.classes, settings.classes

    def labelled(view1: Tensor, view2: Tensor) -> Tensor:
        return losses.sup_con(torch.cat([view1, view2]), labels, temperature=tau)

    one_way = math.log1p((n - 1) * math.exp(-corner))
    return {
        "InfoNCE": Case(CHO, 2, lambda q, k: losses.info_nce(q, k, temperature=tau), one_way),
        "SymmetricInfoNCE": Case(CHO, 2, lambda q, k: losses.symmetric_info_nce(q, k, temperature=tau), one_way),
        "NTXent": Case(
            DISTINCT, 2, lambda q, k: losses.nt_xent(q, k, temperature=tau), math.log1p((rows - 2) * math.exp(-corner))
        ),
        "DCL": Case(LU, 2, lambda q, k: losses.dcl(q, k, temperature=tau), math.log(rows - 2) - corner),
        "SupCon": Case(GRAF, 2, labelled, math.log(own - 1 + (rows - own) * math.exp(-c / ((c - 1) * tau)))),
        "uniformity": Case(COHN, 1, uniformity, -4 * n / (n - 1)),
    }


def optimum(case: Case, settings: Settings, seed: int) -> tuple[float, list[Tensor]]:
    """The least value that L-BFGS finds from a random start, and where."""
    numbers = torch.Generator().manual_seed(seed)
    sides = torch.randn(case.sides, settings.items, settings.width, generator=numbers, dtype=torch.float64)
    leaves = [side.clone().requires_grad_() for side in sides]
    optimizer = torch.optim.LBFGS(
        leaves,
        max_iter=settings.steps,
        tolerance_grad=1e-14,
        tolerance_change=1e-18,
        history_size=50,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = case.loss(*leaves)
        torch.autograd.backward(value)
        return value

    optimizer.step(closure)  # type: ignore[no-untyped-call]  # torch has no types for it
    with torch.no_grad():
        return float(case.loss(*leaves)), [functional.normalize(leaf) for leaf in leaves]


def _corners(name: str, settings: Settings) -> Tensor:
    """The cosines of a simplex: of classes for SupCon, of items for all others."""
    count = settings.classes if name == "SupCon" else settings.items
    place = torch.arange(2 * settings.items if name == "SupCon" else settings.items) % count
    return torch.where(place[:, None] == place, 1.0, -1 / (count - 1)).double()


def run(settings: Settings, seed: int) -> Iterator[Row]:
    """One row per loss."""
    for name, case in cases(settings).items():
        value, sides = optimum(case, settings, seed)
        points = torch.cat(sides) if name == "SupCon" else sides[0]
        cosines = points @ (points if name == "SupCon" else sides[-1]).T
        far = float((cosines - _corners(name, settings)).abs().max())
        yield {"loss": name, "least": value, "excess": value - case.least, "cosine error": far}


def claims(settings: Settings, runs: Sequence[Run]) -> list[Claim]:
    """One claim per loss."""
    return [_claim(name, case, runs) for name, case in cases(settings).items()]


def _claim(name: str, case: Case, runs: Sequence[Run]) -> Claim:
    what = "of the classes" if name == "SupCon" else "of the items"
    found = over_seeds(runs, "least", loss=name)
    excess = max(map(abs, over_seeds(runs, "excess", loss=name).values))
    far = max(over_seeds(runs, "cosine error", loss=name).values)
    return Claim(
        f"{name} is least at a regular simplex {what}: {case.least:.12f}.",
        case.source,
        f"{found.mean:.12f}; farthest seed {excess:.0e} off in value, {far:.0e} in a cosine",
        # a value that is flat at its minimum is off by the square of its place
        [Part("value within 1e-12", excess < 1e-12), Part("cosines within 1e-6", far < 1e-6)],
    )


def tables(settings: Settings, runs: Sequence[Run]) -> list[str]:
    """Value, closed form, and distance from the simplex."""
    rows = [
        (
            name,
            f"{case.least:.12f}",
            f"{over_seeds(runs, 'least', loss=name).mean:.12f}",
            f"{max(map(abs, over_seeds(runs, 'excess', loss=name).values)):.0e}",
            f"{max(over_seeds(runs, 'cosine error', loss=name).values):.0e}",
        )
        for name, case in cases(settings).items()
    ]
    return [aligned(("loss", "closed form", "found", "largest error", "largest error of a cosine"), rows)]


def picture(settings: Settings, runs: Sequence[Run]) -> Figure:
    """Errors, on a logarithmic scale."""
    figure, (axes,) = panels(1)
    names = list(cases(settings))
    looks = (("excess", "of the value", COLOURS[0], "o"), ("cosine error", "of a cosine", COLOURS[1], "s"))
    for measure, label, colour, marker in looks:
        worst = [max(map(abs, over_seeds(runs, measure, loss=name).values)) for name in names]
        axes.plot([max(value, 1e-17) for value in worst], names, marker, color=colour, label=label)
    axes.set(xscale="log", xlabel="largest error over the seeds")
    axes.legend(frameon=False)
    return figure


STUDY = Study(
    name="simplex",
    title="The best embeddings are a simplex",
    about=(
        "Embeddings of unit length that belong to no encoder are moved by L-BFGS, in float64 and from random starts, "
        "to where a loss is least: 6 items in 5 dimensions, temperature 0.5; for SupCon 12 rows of 3 classes. The "
        "closed forms are those of a regular simplex, whose cosines are -1 / (N - 1)."
    ),
    settings=Settings(),
    tiny=Settings(items=3, width=2, steps=20),
    seeds=(0, 1, 2),
    run=run,
    claims=claims,
    tables=tables,
    picture=picture,
    shown="Errors of the least values and of the cosines, all near what float64 can tell apart",
)
