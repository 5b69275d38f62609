"""What travels: bytes that a rank receives, forward and backward, counted and on paper."""

# W ranks, n rows on each, D features

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch import distributed as dist

from info_nce import functional as f
from info_nce.distributed import Ranks
from info_nce.engines import Gathered, Ring, TwoSided, across
from tests.distributed.cases import CASES, batch
from tests.distributed.spawn import run

N, D = 6, 5
E = 8
"""Bytes of a number."""
SUMS = 2
"""A softmax has two totals with a gradient: over the candidates, and over the positives."""
TOTALS = 3
"""And counts the positives."""


@contextmanager
def counted() -> Iterator[dict[str, int]]:
    """Bytes received by this rank, by collective; what agreements and single numbers take is left out."""
    received: dict[str, int] = {}
    size = dist.get_world_size()

    def add(name: str, numbers: float, tensor: Tensor) -> int:
        received[name] = received.get(name, 0) + round(numbers * tensor.element_size())
        return received[name]

    def gathered(out: Tensor, *_: Any) -> None:
        if out.numel() > 2 * size and out.dtype == torch.float64:  # beyond a count, a value, an agreement
            add("all_gather", out.numel() * (size - 1) / size, out)

    watched: dict[str, Callable[..., object]] = {
        "all_gather_single": gathered,
        "all_gather_into_tensor": gathered,
        "reduce_scatter_single": lambda out, *_: add("reduce_scatter", out.numel() * (size - 1), out),
        "reduce_scatter_tensor": lambda out, *_: add("reduce_scatter", out.numel() * (size - 1), out),
        "all_to_all_single": lambda out, *_: add("all_to_all", out.numel() * (size - 1) / size, out),
        "batch_isend_irecv": lambda calls: [
            add("ring", c.tensor.numel(), c.tensor) for c in calls if c.op is dist.irecv
        ],
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, note in watched.items():
            if hasattr(dist, name):
                patch.setattr(dist, name, _noting(getattr(dist, name), note))
        yield received


def _noting(call: Any, note: Callable[..., object]) -> Any:
    def noting(*args: Any, **kwargs: Any) -> Any:
        note(*args)
        return call(*args, **kwargs)

    return noting


def traffic(engine: Any, loss: str) -> tuple[dict[str, int], dict[str, int]]:
    query, key = (torch.randn(N, D, dtype=torch.float64, requires_grad=True) for _ in range(2))
    with counted() as forward:
        value = getattr(f, loss)(query, key, engine=engine)
    with counted() as backward:
        value.backward()
    return forward, backward


def on_paper(engine: str, loss: str, ranks: int) -> tuple[int, int]:
    """Bytes forward and backward."""
    symmetric, views = loss == "symmetric_info_nce", loss == "nt_xent"
    n = N * (2 if views else 1)
    from_others, all_around = (ranks - 1) * n * E, ranks * n * E
    if views:  # the keys are the queries: nothing but the totals of their rows is needed beside them
        lines = 2 * SUMS
        return (from_others * D, from_others * (D + lines)) if engine == "Ring" else (from_others * (D + lines), 0)
    if engine == "Gathered":
        return from_others * (D + TOTALS * symmetric), from_others * (D + TOTALS * symmetric)
    if engine == "TwoSided":
        return from_others * (2 * D + 2 * SUMS * (1 + symmetric)), 0
    return (
        from_others * D + all_around * TOTALS * symmetric,
        from_others * (D + 2 * SUMS * symmetric) + all_around * D,
    )


@pytest.mark.parametrize("loss", ["info_nce", "symmetric_info_nce", "nt_xent"])
@pytest.mark.parametrize("engine", [Gathered(), TwoSided(), Ring()], ids=lambda engine: type(engine).__name__)
def test_what_travels_is_what_is_on_paper(engine: Any, loss: str) -> None:
    for ranks in (2, 3):
        for forward, backward in run(ranks, traffic, engine, loss):
            found = sum(forward.values()), sum(backward.values())
            assert found == on_paper(type(engine).__name__, loss, ranks), (forward, backward)


def twice_gathered(engine: Any, loss: str) -> tuple[dict[str, int], dict[str, int]]:
    """The wrong sibling: keys are gathered twice."""
    gather = Ranks.gathered
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ranks, "gathered", lambda *args: (gather(*args), gather(*args))[0])
        return traffic(engine, loss)


def test_a_gather_too_many_is_noticed() -> None:
    for forward, _ in run(2, twice_gathered, Gathered(), "info_nce"):
        assert sum(forward.values()) != on_paper("Gathered", "info_nce", 2)[0]


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
