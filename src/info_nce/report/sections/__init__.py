"""The sections of a report, one function each, from what was gathered to HTML."""

from info_nce.report.sections.classes import classes
from info_nce.report.sections.making import making
from info_nce.report.sections.results import results
from info_nce.report.sections.scores import scores
from info_nce.report.sections.structure import structure
from info_nce.report.sections.training import training

__all__ = ["classes", "making", "results", "scores", "structure", "training"]
