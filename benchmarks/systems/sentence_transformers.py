"""sentence-transformers' MultipleNegativesRankingLoss, driven with embeddings in place of texts."""

from collections.abc import Callable
from importlib import import_module

from torch import Tensor

from benchmarks.homes import HOMES
from benchmarks.systems.base import Losses, System, square

SYSTEM = System(
    "sentence-transformers",
    "sentence-transformers",
    __name__,
    {"InfoNCE": square(4.2), "SymmetricInfoNCE": square(5.3)},
    ("sentence-transformers",),
    HOMES["same-torch"],
    remark="`MultipleNegativesRankingLoss.compute_loss_from_embeddings`",
)


def losses() -> Losses:
    """One direction by default; both, each with a denominator of its own, by its settings."""
    library = import_module("sentence_transformers.sentence_transformer.losses")

    def loss(temperature: float, **settings: object) -> Callable[[Tensor, Tensor], Tensor]:
        ranking = library.MultipleNegativesRankingLoss(None, scale=1 / temperature, **settings)
        return lambda query, key: ranking.compute_loss_from_embeddings([query, key], None)

    both = {"directions": ("query_to_doc", "doc_to_query"), "partition_mode": "per_direction"}
    return {"InfoNCE": loss, "SymmetricInfoNCE": lambda temperature: loss(temperature, **both)}
