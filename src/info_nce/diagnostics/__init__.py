"""What a loss cannot say by its value alone: how embeddings lie, and how much one side knows of the other."""

from info_nce.diagnostics.embeddings import (
    Hubness,
    ModalityGap,
    Norms,
    alignment,
    effective_rank,
    hubness,
    modality_gap,
    norms,
    singular_spectrum,
    tolerance,
    uniformity,
)

__all__ = [
    "Hubness",
    "ModalityGap",
    "Norms",
    "alignment",
    "effective_rank",
    "hubness",
    "modality_gap",
    "norms",
    "singular_spectrum",
    "tolerance",
    "uniformity",
]
