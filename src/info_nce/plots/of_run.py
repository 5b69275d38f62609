"""The figures that the command line draws: of nothing but the loss, or of a run and its held-out items."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from info_nce.errors import RunError, SettingError, needs_extra
from info_nce.plots.bound import gaussian_bound, information_bound
from info_nce.plots.maps import Places, pca, projection
from info_nce.plots.pairs import similarity_matrix
from info_nce.plots.sharpness import temperature
from info_nce.plots.spectra import spectrum
from info_nce.plots.surface import loss_surface
from info_nce.plots.training import alignment_uniformity, training_curves
from info_nce.recipes.base import Recipe
from info_nce.recipes.runs import Run, Weights, load_run

with needs_extra("plots"):
    from matplotlib.figure import Figure

ON_THE_MAP, IN_THE_MATRIX = 800, 24


def _bound() -> Figure:
    found = gaussian_bound()
    return information_bound(found.candidates, found.values, errors=found.errors, information=found.information)


def _matrix(run: Run[Any]) -> Figure:
    sharpness = next((line["temperature"] for line in reversed(run.metrics()) if "temperature" in line), 0.1)
    return similarity_matrix(*pairs(run, IN_THE_MATRIX), temperature=sharpness)


def _spectrum(run: Run[Any]) -> Figure:
    part, encoders = _held_out(run), {"trained": run.embedders(), "untrained": run.embedders(trained=False)}
    several = len(encoders["trained"]) > 1
    return spectrum(
        {
            f"{name} ({kind})" if several else name: encoders[name][kind](part.items(kind))
            for kind in encoders["trained"]
            for name in encoders
        }
    )


def _map(run: Run[Any], layout: Callable[[Float[Tensor, "n d"]], Places] | None = None) -> Figure:
    part = _held_out(run)
    kind, encode = next(iter(run.embedders().items()))
    items, shown = part.items(kind), _drawn(len(part), ON_THE_MAP)
    labels = getattr(part, "labels", None)
    known = labels[shown] if isinstance(labels, Tensor) else None  # recordings and videos have several answers each
    return projection(
        encode(items)[shown],
        labels=known,
        names=() if known is None else part.class_names,
        images=items[shown] if kind == "image" else None,
        layout=layout,
    )


ALONE: Mapping[str, Callable[[], Figure]] = {
    "loss-surface": loss_surface,
    "temperature": temperature,
    "information-bound": _bound,
}
"""What needs no run."""
OF_METRICS: Mapping[str, Callable[[Path], Figure]] = {
    "training": training_curves,
    "alignment-uniformity": alignment_uniformity,
}
"""What needs the folder of a run, however far it has come."""
OF_MODEL: Mapping[str, Callable[[Run[Any]], Figure]] = {
    "similarity-matrix": _matrix,
    "spectrum": _spectrum,
    "projection": _map,
    "pca": lambda run: _map(run, pca),
}
"""What needs a run's model and its held-out items."""


def draw(name: str, run: str | Path = "", weights: Weights = "last") -> Figure:
    """Draw one of these figures.

    Args:
        name: of the figure.
        run: the folder of a run; none for a figure of the loss.
        weights: of its model.

    Raises:
        SettingError: the figure needs a run and has none, or the other way round; or it needs no weights.
        RunError: the run cannot be used.
    """
    if bool(run) == (name in ALONE):
        raise SettingError(
            f"{name} is a figure of {'the loss, not of a run' if run else 'a run'}.",
            got=run or "no run",
            expected="no run" if run else "the folder of a run",
            advice=f"info-nce plot {name} {'' if run else 'runs/mine '}--out {name}.png",
        )
    if weights != "last" and name not in OF_MODEL:
        raise SettingError(
            f"{name} is a figure without weights.",
            got=f"--weights {weights}",
            expected=f"one of {', '.join(OF_MODEL)}",
            advice="leave --weights out",
        )
    if name in ALONE:
        return ALONE[name]()
    folder = Path(run).expanduser()
    return OF_METRICS[name](folder) if name in OF_METRICS else OF_MODEL[name](load_run(folder, weights))


def pairs(run: Run[Any], count: int) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d"]]:
    """What does the model make of pairs of held-out items, or of two views of each, as its loss would get them?

    Args:
        run: of a recipe whose model gives queries and their keys.
        count: of pairs, drawn by chance but always the same ones.

    Raises:
        RunError: the pairs of this recipe are made by its loss.
    """
    recipe = run.recipe
    if type(recipe).positives is not Recipe.positives:
        raise RunError(
            f"{recipe.name} has no pairs of items: its loss makes them of the parts of one recording.",
            got=run.path,
            expected="a run of simclr, moco, clip, text or videomoco",
            advice=f"info-nce plot spectrum {run.path} --out spectrum.png",
        )
    part = _held_out(run)
    with torch.random.fork_rng(), torch.inference_mode():
        torch.manual_seed(0)
        outputs = run.model()(*recipe.inputs(part, torch.device("cpu"))(_drawn(len(part), count)))
    return outputs[0].float(), outputs[1].float()


def _held_out(run: Run[Any]) -> Any:
    splits = run.splits()
    return splits.test if len(splits.test) else splits.validation


def _drawn(count: int, most: int) -> Int64[Tensor, " k"]:
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))[:most]
