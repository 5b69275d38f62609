"""Hard negatives against a loop over sorted lists; what is a positive, or too similar, or not there, is never one."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from info_nce.checks import ArgumentError, DTypeError, ShapeError
from info_nce.mining import mine_hard_negatives
from info_nce.neighbours import nearest, similarities

faiss = pytest.importorskip("faiss")

N, M = 60, 90


@pytest.fixture
def texts() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    query, document = torch.randn(N, 6, dtype=torch.float64), torch.randn(M, 6, dtype=torch.float64)
    return query, document, torch.randint(0, 20, (N,)), torch.randint(0, 20, (M,))


def by_a_loop(
    query: Tensor,
    document: Tensor,
    known: set[tuple[int, int]],
    *,
    skip: int = 0,
    deepest: int | None = None,
    margin: float | None = None,
    relative_margin: float | None = None,
) -> list[list[int]]:
    found = []
    cosines = functional.cosine_similarity(query[:, None], document[None], dim=2).tolist()
    for i, alike in enumerate(cosines):
        own = [alike[j] for j in range(len(document)) if (i, j) in known]
        others = sorted((j for j in range(len(document)) if (i, j) not in known), key=lambda j: -alike[j])
        others = others[skip:deepest]
        if own and margin is not None:
            others = [j for j in others if alike[j] <= max(own) - margin]
        if own and relative_margin is not None:
            others = [j for j in others if alike[j] <= max(own) - relative_margin * abs(max(own))]
        found.append(([*others[:5]] + [-1] * 5)[:5])
    return found


CASES: list[dict[str, Any]] = [
    {},
    {"skip": 3},
    {"deepest": 3},
    {"skip": 2, "deepest": 6},
    {"margin": 0.1},
    {"relative_margin": 0.3},
    {"skip": 1, "deepest": 30, "margin": 0.0, "relative_margin": 0.1},
    {"skip": 200},
]


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("cells", [1 << 24, 200, 1])
def test_the_negatives_are_those_of_a_loop(
    texts: tuple[Tensor, Tensor, Tensor, Tensor], case: dict[str, Any], cells: int
) -> None:
    query, document, query_ids, document_ids = texts
    known = {(i, j) for i in range(N) for j in range(M) if query_ids[i] == document_ids[j]}
    expected = by_a_loop(query, document, known, **case)
    ids: dict[str, Any] = {"query_ids": query_ids, "document_ids": document_ids}
    by_ids = mine_hard_negatives(query, document, 5, **ids, **case, cells=cells)
    assert by_ids.index.tolist() == expected
    by_pairs = mine_hard_negatives(query, document, 5, positives=torch.tensor(sorted(known)), **case)
    assert by_pairs.index.tolist() == expected
    assert mine_hard_negatives(query * 1e200, document * 1e-200, 5, **ids, **case).index.tolist() == expected
    assert torch.equal(by_ids.found, by_ids.index >= 0)
    assert torch.equal(by_ids.similarity.isnan(), ~by_ids.found)
    i, place = 4, 0
    if by_ids.found[i, place]:
        alike = functional.cosine_similarity(query[i], document[by_ids.index[i, place]], dim=0)
        torch.testing.assert_close(by_ids.similarity[i, place], alike)


def test_the_loop_would_notice_a_margin_that_is_not_looked_at(texts: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    query, document, query_ids, document_ids = texts
    known = {(i, j) for i in range(N) for j in range(M) if query_ids[i] == document_ids[j]}
    for case in CASES[1:]:
        assert by_a_loop(query, document, known, **case) != by_a_loop(query, document, known)


def test_both_ways_to_tell_positives_add_up(texts: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    query, document, query_ids, document_ids = texts
    pairs = torch.tensor([[0, 0], [0, 1], [5, 7]])
    found = mine_hard_negatives(query, document, M, positives=pairs, query_ids=query_ids, document_ids=document_ids)
    for i in range(N):
        out = {j for j in range(M) if query_ids[i] == document_ids[j]} | {int(d) for q, d in pairs if q == i}
        assert {*found.index[i].tolist()} - {-1} == {*range(M)} - out
        assert int(found.found[i].sum()) == M - len(out)


@pytest.mark.parametrize("case", [{"deepest": 20}, {"deepest": 20, "skip": 4, "margin": 0.2}, {"deepest": 500}])
def test_an_index_of_faiss_finds_the_same(texts: tuple[Tensor, Tensor, Tensor, Tensor], case: dict[str, Any]) -> None:
    query, document, query_ids, document_ids = (t.float() if t.is_floating_point() else t for t in texts)
    index = faiss.IndexFlatIP(6)
    index.add(functional.normalize(document, dim=1).numpy())
    ids: dict[str, Any] = {"query_ids": query_ids, "document_ids": document_ids}
    exact = mine_hard_negatives(query, document, 5, **ids, **case)
    looked_up = mine_hard_negatives(query, document, 5, **ids, **case, index=index)
    assert torch.equal(exact.index, looked_up.index)
    torch.testing.assert_close(exact.similarity, looked_up.similarity, equal_nan=True)


def test_an_index_that_finds_too_few_leaves_places_empty() -> None:
    class Poor:
        def search(self, x: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
            return np.full((len(x), k), 0.5, np.float32), np.tile([1, *[-1] * (k - 1)], (len(x), 1))

    found = mine_hard_negatives(
        torch.eye(3), torch.eye(3), 2, positives=torch.tensor([[1, 1]]), deepest=2, index=Poor()
    )
    assert found.index.tolist() == [[1, -1], [-1, -1], [1, -1]]


def test_a_query_whose_positives_are_all_there_is_has_no_negative() -> None:
    found = mine_hard_negatives(
        torch.eye(2), torch.eye(2), 2, query_ids=torch.zeros(2).long(), document_ids=torch.zeros(2).long()
    )
    assert not found.found.any()
    empty = mine_hard_negatives(torch.zeros(0, 2), torch.eye(2), 2, positives=torch.zeros(0, 2).long())
    assert empty.index.shape == (0, 2)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"query_ids": None}, ArgumentError, "ids of one side"),
        ({"query_ids": None, "document_ids": None}, ArgumentError, "neither positives nor ids"),
        ({"query_ids": torch.arange(3)}, ShapeError, "query_ids"),
        ({"positives": torch.tensor([[0, 5]])}, ShapeError, "rows that are not there"),
        ({"positives": torch.tensor([0, 1])}, ShapeError, "pairs of a row"),
        ({"positives": torch.tensor([[0.0, 1.0]])}, ShapeError, "pairs of a row"),
        ({"k": 0}, ArgumentError, "k must be"),
        ({"skip": -1}, ArgumentError, "skip must be"),
        ({"skip": 3, "deepest": 3}, ArgumentError, "deepest must be"),
        ({"margin": float("nan")}, ArgumentError, "margin"),
        ({"relative_margin": "5 %"}, DTypeError, "relative_margin"),
        ({"index": faiss.IndexFlatIP(4)}, ArgumentError, "without deepest"),
        ({"query": torch.full((4, 4), torch.nan)}, ArgumentError, "query"),
        ({"query": torch.eye(4).long()}, DTypeError, "query"),
        ({"document": torch.eye(4)[:, :3]}, ShapeError, "document"),
    ],
)
def test_what_means_nothing_is_refused(change: dict[str, Any], error: type[Exception], words: str) -> None:
    ids = torch.arange(4)
    given: dict[str, Any] = {
        "query": torch.eye(4),
        "document": torch.eye(4),
        "k": 1,
        "query_ids": ids,
        "document_ids": ids,
    } | change
    with pytest.raises(error, match=words):
        mine_hard_negatives(given.pop("query"), given.pop("document"), given.pop("k"), **given)


def test_chunks_of_similarities_are_the_whole_matrix() -> None:
    torch.manual_seed(0)
    query, key = torch.randn(7, 3), torch.randn(5, 3)
    key[2] = 0
    parts = list(similarities(query, key, cells=11))
    assert [rows for rows, _ in parts] == [slice(0, 2), slice(2, 4), slice(4, 6), slice(6, 7)]
    whole = functional.cosine_similarity(query[:, None], key[None], dim=2)
    torch.testing.assert_close(torch.cat([part for _, part in parts]), whole)
    torch.testing.assert_close(nearest(query, key, 2, cells=11)[0], whole.topk(2).values)
