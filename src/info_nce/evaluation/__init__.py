"""How good is an encoder? Simple classifiers on it beside raw pixels and no training, and a search through pictures."""

from info_nce.evaluation.evaluate import evaluate_run, weights_fingerprint
from info_nce.evaluation.results import Evaluation, load_evaluation
from info_nce.evaluation.search import Match, Matches, search
from info_nce.evaluation.tables import show

__all__ = [
    "Evaluation",
    "Match",
    "Matches",
    "evaluate_run",
    "load_evaluation",
    "search",
    "show",
    "weights_fingerprint",
]
