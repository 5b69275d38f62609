"""What a loss needs of all ranks is what its face declares."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest
from torch import distributed as dist

from info_nce.distributed import Ranks
from info_nce.engines import Gathered, across
from tests.distributed.cases import CASES, batch
from tests.distributed.spawn import run


def _noting(call: Any, note: Callable[..., object]) -> Any:
    def noting(*args: Any, **kwargs: Any) -> Any:
        note(*args)
        return call(*args, **kwargs)

    return noting


def _note(asked: set[str], words: Mapping[Any, str], *args: Any) -> None:
    """Take down what was asked for: by its name, which comes last, or whatever it was."""
    word = words.get(None) or words.get(args[-1])
    if word:
        asked.add(word)


def asked_for() -> dict[str, tuple[set[str], set[str]]]:
    """By case, what the face declares that it needs of all ranks, and what it asks the ranks for."""
    words = {"items": "items", "labels": "labels", "similarity of the pairs": "weights"}
    found: dict[str, tuple[set[str], set[str]]] = {}
    for case in CASES:
        model = case.model(Gathered())
        declared: Any = model.face.global_statistics
        asked: set[str] = set()
        with pytest.MonkeyPatch.context() as patch:
            for name in ("total", "shared"):
                patch.setattr(Ranks, name, _noting(getattr(Ranks, name), partial(_note, asked, words)))
            for place, name, word in (
                (Ranks, "same", "queue"),
                (across, "others", "rows"),
                (across, "exchange", "columns"),
            ):
                patch.setattr(place, name, _noting(getattr(place, name), partial(_note, asked, {None: word})))
            model(batch(4, seed=dist.get_rank()))
        found[case.name] = set(declared), asked
    return found


def test_every_face_declares_what_it_needs_of_all_ranks() -> None:
    for found in run(2, asked_for):
        for name, (declared, asked) in found.items():
            # lists of a query's own need nobody; two sides that are one have one direction; and so
            # has each of the two that a temperature for each pair makes
            options = {"rows"} if {"same", "paired"} & set(name.split()) else set()
            options |= {"columns"} if "itself" in name or name in {"symmetric per query", "symmetric log_q"} else set()
            assert asked | options == declared | options, f"{name}: declares {declared}, asks for {asked}"
