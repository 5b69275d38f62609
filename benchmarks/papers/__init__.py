"""Published results, reproduced: each study is a file, its numbers are kept in benchmarks/papers.json."""

from typing import Any

from benchmarks.papers import decoupled, hard_negatives, hardness, information, negatives, simplex, temperature
from benchmarks.papers.study import Study

__all__ = ["STUDIES"]

STUDIES: tuple[Study[Any], ...] = (
    information.STUDY,
    simplex.STUDY,
    temperature.STUDY,
    hardness.STUDY,
    decoupled.STUDY,
    hard_negatives.STUDY,
    negatives.STUDY,
)
