"""What a loss cannot say by its value alone: how embeddings lie, and how much one side says of the other."""

from info_nce.diagnostics.critics import Estimate, donsker_varadhan, estimate, jensen_shannon, nwj, smile
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
from info_nce.diagnostics.information import info_nce_bound, mutual_information_bound
from info_nce.diagnostics.known import CorrelatedGaussian, Labels

__all__ = [
    "CorrelatedGaussian",
    "Estimate",
    "Hubness",
    "Labels",
    "ModalityGap",
    "Norms",
    "alignment",
    "donsker_varadhan",
    "effective_rank",
    "estimate",
    "hubness",
    "info_nce_bound",
    "jensen_shannon",
    "modality_gap",
    "mutual_information_bound",
    "norms",
    "nwj",
    "singular_spectrum",
    "smile",
    "tolerance",
    "uniformity",
]
