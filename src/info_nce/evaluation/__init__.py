"""How good is a model? Measured on items that it never saw, beside raw features, chance and no training at all."""

from info_nce.evaluation.embedding import embed
from info_nce.evaluation.index import SUFFIXES as INDEX_SUFFIXES
from info_nce.evaluation.index import Index, index_path, load_index, save_index
from info_nce.evaluation.matches import Match, Matches
from info_nce.evaluation.scorecard import Score, Scorecard, load_scorecard
from info_nce.evaluation.search import search, search_index
from info_nce.evaluation.tables import headline, show

__all__ = [
    "INDEX_SUFFIXES",
    "Index",
    "Match",
    "Matches",
    "Score",
    "Scorecard",
    "embed",
    "headline",
    "index_path",
    "load_index",
    "load_scorecard",
    "save_index",
    "search",
    "search_index",
    "show",
]
