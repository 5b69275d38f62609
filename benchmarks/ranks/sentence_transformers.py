"""sentence-transformers, driven with embeddings in place of texts: its model hands on what it is given."""

from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module

from torch import Tensor, nn

from benchmarks.ranks.base import Made, Place, Variant, learned
from benchmarks.systems.sentence_transformers import SYSTEM

__all__ = ["LIBRARY", "SYSTEM", "variants"]

LIBRARY = "sentence_transformers.sentence_transformer.losses"
_BOTH = {"directions": ("query_to_doc", "doc_to_query"), "partition_mode": "per_direction"}


class _Given(nn.Module):
    def forward(self, features: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return features


def variants() -> Sequence[Variant]:
    """One direction, as it is by default, and both; plain and cached."""
    return [
        Variant(
            f"`{name}(gather_across_devices=True)`{said}",
            loss,
            partial(_loss, name=name, settings=settings),
            number=True,
        )
        for name in ("MultipleNegativesRankingLoss", "CachedMultipleNegativesRankingLoss")
        for loss, said, settings in (("InfoNCE", "", {}), ("SymmetricInfoNCE", ", both directions", _BOTH))
    ]


def _loss(place: Place, name: str, settings: Mapping[str, object]) -> Made:  # noqa: ARG001 - the group knows the place
    scale = learned()
    made = getattr(import_module(LIBRARY), name)
    loss = made(nn.Sequential(_Given()), scale.exp(), gather_across_devices=True, **settings)
    return lambda *sides: loss([{"sentence_embedding": side} for side in sides], None), [scale]
