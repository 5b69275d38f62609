"""Looking at a loss: what a batch and its embeddings say of a training, and what to try where it does not work."""

from info_nce.diagnostics.batch import BatchDiagnostics, Rows
from info_nce.diagnostics.diagnosis import Diagnosis, diagnose
from info_nce.diagnostics.examined import Finding
from info_nce.diagnostics.watch import Watch, batch_diagnostics

__all__ = ["BatchDiagnostics", "Diagnosis", "Finding", "Rows", "Watch", "batch_diagnostics", "diagnose"]
