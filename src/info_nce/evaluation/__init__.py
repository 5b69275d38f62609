"""How good is a model? Measured on items that it never saw, beside raw features, chance and no training at all."""

from info_nce.evaluation.scorecard import Score, Scorecard, load_scorecard
from info_nce.evaluation.search import Match, Matches, search
from info_nce.evaluation.tables import headline, show

__all__ = ["Match", "Matches", "Score", "Scorecard", "headline", "load_scorecard", "search", "show"]
