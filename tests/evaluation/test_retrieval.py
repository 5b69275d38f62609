"""Ranks of right answers: exact, whatever the blocks, with ties in the middle and any number of right answers."""

import math
from itertools import pairwise, permutations
from math import comb

import pytest
import torch
from torch import Tensor

from info_nce.errors import RunError
from info_nce.evaluation import retrieval
from info_nce.evaluation.retrieval import Ranks, ranks_of


def cosine(a: list[float], b: list[float]) -> float:
    return math.fsum(x * y for x, y in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))


def expected_rank(scores: list[float], right: list[bool]) -> float:
    """The mean place of the first right answer over all orders of what is equal, by trying them all."""
    orders = (o for o in permutations(range(len(scores))) if all(scores[a] >= scores[b] for a, b in pairwise(o)))
    places = [1 + next(place for place, i in enumerate(order) if right[i]) for order in orders]
    return sum(places) / len(places)


def random_sides(n: int, m: int, d: int = 4) -> tuple[Tensor, Tensor]:
    chance = torch.Generator().manual_seed(n + m)
    return torch.randn(n, d, generator=chance), torch.randn(m, d, generator=chance)


def test_ranks_are_those_of_a_loop_over_all_candidates() -> None:
    queries, candidates = random_sides(30, 40)
    query_ids, candidate_ids = torch.arange(30) % 7, torch.arange(40) % 7
    found = ranks_of(queries, candidates, query_ids, candidate_ids)
    for i in range(30):
        similarity = [cosine(queries[i].tolist(), row) for row in candidates.tolist()]
        right = [bool(of == query_ids[i]) for of in candidate_ids]
        best = max(s for s, is_right in zip(similarity, right, strict=True) if is_right)
        assert found.ranks[i] == 1 + sum(s > best for s in similarity)
        assert found.right[i] == sum(right)


@pytest.mark.parametrize(
    ("scores", "right"),
    [
        ([0.5, 0.5, 0.5], [True, False, False]),
        ([0.5, 0.5, 0.5, 0.5], [True, True, False, False]),
        ([0.9, 0.5, 0.5, 0.5, 0.1], [False, True, False, True, True]),
        ([0.5, 0.5, 0.9], [False, False, True]),
    ],
)
def test_equal_candidates_share_the_rank_that_a_draw_gives_on_average(scores: list[float], right: list[bool]) -> None:
    # Unit vectors in the plane whose cosine with (1, 0) is the score, to the bit for equal scores.
    candidates = torch.tensor([[s, math.sqrt(1 - s * s)] for s in scores])
    ids = torch.tensor([0 if is_right else 1 for is_right in right])
    found = ranks_of(torch.tensor([[1.0, 0.0]]), candidates, torch.tensor([0]), ids)
    assert found.ranks.item() == pytest.approx(expected_rank(scores, right))


def test_a_model_that_says_the_same_of_all_is_in_the_middle_and_finds_nothing() -> None:
    found = ranks_of(torch.ones(31, 3), torch.ones(31, 3))
    assert set(found.ranks.tolist()) == {16.0}
    assert found.recall(10) == (0.0, 0.0)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    queries, candidates = random_sides(23, 57)
    candidates[40:50] = candidates[0]  # ties across blocks
    ids = torch.arange(23) % 5, torch.arange(57) % 5
    whole = ranks_of(queries, candidates, *ids)
    monkeypatch.setattr(retrieval, "_ROWS", 4)
    monkeypatch.setattr(retrieval, "_COLUMNS", 7)
    parts = ranks_of(queries, candidates, *ids)
    # A product of another shape may round otherwise, which breaks or makes ties: none moves a rank by more than those.
    torch.testing.assert_close(parts.ranks, whole.ranks, rtol=0, atol=10)
    assert (parts.ranks == whole.ranks).float().mean() > 0.9
    with pytest.raises(AssertionError):
        torch.testing.assert_close(ranks_of(candidates[:23], candidates, *ids).ranks, whole.ranks, rtol=0, atol=10)


def test_no_matrix_of_all_pairs_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval, "_ROWS", 8)
    monkeypatch.setattr(retrieval, "_COLUMNS", 16)
    largest = 0
    multiply = Tensor.__matmul__

    def watched(self: Tensor, other: Tensor) -> Tensor:
        nonlocal largest
        product = multiply(self, other)
        largest = max(largest, product.numel())
        return product

    monkeypatch.setattr(Tensor, "__matmul__", watched)
    ranks_of(*random_sides(50, 70), torch.zeros(50), torch.zeros(70))
    assert largest == 8 * 16


def test_chance_is_the_share_of_draws_with_a_right_answer() -> None:
    ranks = Ranks(torch.ones(2), torch.tensor([1, 3]), candidates=20)
    expected = sum(1 - comb(20 - right, 5) / comb(20, 5) for right in (1, 3)) / 2
    assert ranks.chance(5) == pytest.approx(expected)
    assert ranks.chance(20) == ranks.chance(1000) == 1
    one = Ranks(torch.ones(1), torch.ones(1), candidates=300)
    assert one.chance(10) == pytest.approx(1 / 30)
    assert one.chance_median() == 150.5


def test_recall_and_median_are_counted() -> None:
    ranks = Ranks(torch.tensor([1.0, 2.0, 10.0, 10.5, 40.0]), torch.ones(5, dtype=torch.int64), 50)
    share, error = ranks.recall(10)
    assert share == pytest.approx(0.6)
    assert error == pytest.approx(math.sqrt(0.6 * 0.4 / 5))
    assert ranks.median()[0] == 10
    even = Ranks(torch.tensor([4.0, 1.0, 2.0, 3.0]), torch.ones(4, dtype=torch.int64), 50)
    assert even.median()[0] == 2.5


def test_the_error_of_a_median_is_that_of_repeated_draws() -> None:
    chance = torch.Generator().manual_seed(0)
    draws = torch.rand(400, 201, generator=chance)
    ones = torch.ones(201, dtype=torch.int64)
    stated = [Ranks(draw, ones, 1).median()[1] for draw in draws]
    spread = draws.median(dim=1).values.std().item()
    assert sum(stated) / len(stated) == pytest.approx(spread, rel=0.15)


def test_embeddings_that_are_no_numbers_are_refused() -> None:
    broken = torch.eye(3)
    broken[1, 1] = math.nan
    for sides in ((broken, torch.eye(3)), (torch.eye(3), broken)):
        with pytest.raises(RunError, match="finite"):
            ranks_of(*sides)


def test_a_query_without_a_right_answer_is_refused() -> None:
    with pytest.raises(RunError, match="1 of 2 queries without one"):
        ranks_of(torch.eye(2), torch.eye(2), torch.tensor([0, 1]), torch.tensor([0, 0]))
