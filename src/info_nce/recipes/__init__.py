"""Training recipes: one short file each, on one loop."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from info_nce.errors import RunError

if TYPE_CHECKING:
    from info_nce.recipes.base import Recipe

RECIPES = {
    "simclr": ("SimCLR", "Pictures, without labels: two views of a picture attract, all others repel"),
    "clip": ("CLIP", "Pictures and texts: a picture finds its caption among those of a batch, and the caption it"),
    "text": ("TextPairs", "Texts: a query finds its document among those of a batch and hard negatives"),
    "moco": ("MoCo", "Pictures, without labels: a slow encoder's keys wait in a queue as negatives"),
    "videomoco": ("VideoMoCo", "Videos, without labels: two clips of a video attract, though frames are missing"),
    "cpc": ("CPC", "Recordings, without labels: what was heard so far predicts what comes next"),
    "wav2vec2": ("Wav2Vec2", "Recordings, without labels: what surrounds a hidden span tells what was there"),
}
"""The recipes by name: the class in the module of that name, and what it trains on, in half a line."""


def recipe_class(name: str) -> "type[Recipe[Any]]":
    """Find a recipe; only then are the packages needed that it trains with.

    Raises:
        RunError: there is no recipe of that name.
    """
    if name not in RECIPES:
        raise RunError(
            f"there is no recipe {name!r}.",
            got=name,
            expected=", ".join(RECIPES),
            advice="info-nce --help",
        )
    found: type[Recipe[Any]] = getattr(import_module(f"info_nce.recipes.{name}"), RECIPES[name][0])
    return found
