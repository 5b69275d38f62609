"""Published results, reproduced: each study is a file, its numbers are kept in benchmarks/papers.json."""

from typing import Any

from benchmarks.papers import hardness, information, simplex, temperature
from benchmarks.papers.study import Study

__all__ = ["STUDIES"]

_ALL: tuple[Study[Any], ...] = (information.STUDY, simplex.STUDY, temperature.STUDY, hardness.STUDY)
STUDIES = {study.name: study for study in _ALL}
