"""Looking at a loss: what a batch and its embeddings say of a training, of the information in it, and what to try."""

from info_nce.diagnostics.across import gathered
from info_nce.diagnostics.batch import BatchDiagnostics, Rows
from info_nce.diagnostics.critics import Estimate, donsker_varadhan, estimate, jensen_shannon, nwj, smile
from info_nce.diagnostics.diagnosis import Diagnosis, diagnose
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
from info_nce.diagnostics.examined import Finding
from info_nce.diagnostics.information import info_nce_bound, mutual_information_bound
from info_nce.diagnostics.known import CorrelatedGaussian, Labels
from info_nce.diagnostics.watch import Watch, batch_diagnostics

__all__ = [
    "BatchDiagnostics",
    "CorrelatedGaussian",
    "Diagnosis",
    "Estimate",
    "Finding",
    "Hubness",
    "Labels",
    "ModalityGap",
    "Norms",
    "Rows",
    "Watch",
    "alignment",
    "batch_diagnostics",
    "diagnose",
    "donsker_varadhan",
    "effective_rank",
    "estimate",
    "gathered",
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
