"""The figures that the command line draws: of nothing but the loss, or of a run and its held-out items."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from info_nce.errors import RunError, needs_extra
from info_nce.plots.bound import gaussian_bound, information_bound
from info_nce.plots.maps import Places, pca, places_on_a_map, projection
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


def _matrix(path: Path, weights: Weights) -> Figure:
    run = load_run(path, weights)
    query, key = pairs(run, IN_THE_MATRIX)
    sharpness = next((line["temperature"] for line in reversed(run.metrics()) if "temperature" in line), 0.1)
    return similarity_matrix(query, key, temperature=sharpness)


def _spectrum(path: Path, weights: Weights) -> Figure:
    run = load_run(path, weights)
    encoders = {"trained": run.embedders(), "untrained": run.embedders(trained=False)}
    part, several = _held_out(run), len(encoders["trained"]) > 1
    return spectrum(
        {
            f"{name} ({kind})" if several else name: encode(part.items(kind))
            for kind in encoders["trained"]
            for name, encode in ((name, of[kind]) for name, of in encoders.items())
        }
    )


def _map(layout: Callable[[Float[Tensor, "n d"]], Places]) -> Callable[[Path, Weights], Figure]:
    def draw(path: Path, weights: Weights) -> Figure:
        run = load_run(path, weights)
        part = _held_out(run)
        kind, encode = next(iter(run.embedders().items()))
        shown = _drawn(len(part), ON_THE_MAP)
        items = part.items(kind)
        labels = getattr(part, "labels", None)  # recordings and videos have several answers each
        return projection(
            encode(items)[shown],
            labels=labels[shown] if isinstance(labels, Tensor) else None,
            names=part.class_names if isinstance(labels, Tensor) else (),
            images=items[shown] if kind == "image" else None,
            layout=layout,
        )

    return draw


ALONE: Mapping[str, Callable[[], Figure]] = {
    "loss-surface": loss_surface,
    "temperature": temperature,
    "information-bound": _bound,
}
"""What needs no run."""
OF_RUN: Mapping[str, Callable[[Path, Weights], Figure]] = {
    "training": lambda path, _: training_curves(path),
    "alignment-uniformity": lambda path, _: alignment_uniformity(path),
    "similarity-matrix": _matrix,
    "spectrum": _spectrum,
    "projection": _map(places_on_a_map),
    "pca": _map(pca),
}
"""What is drawn of a run folder, and of which of its weights."""


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
