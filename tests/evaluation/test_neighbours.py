"""Nearest neighbours against loops that anybody can read."""

import math
from collections import defaultdict

import pytest
import torch
from torch import Tensor

from info_nce.evaluation.neighbours import nearest_neighbour_classes, vote
from info_nce.neighbours import nearest


def cosine(a: list[float], b: list[float]) -> float:
    lengths = math.sqrt(sum(x * x for x in a)) * math.sqrt(sum(x * x for x in b))
    return sum(x * y for x, y in zip(a, b, strict=True)) / lengths if lengths else 0.0


def said_by_a_loop(train: Tensor, labels: Tensor, query: list[float], k: int) -> int:
    alike = sorted(((cosine(query, row), int(y)) for row, y in zip(train.tolist(), labels, strict=True)), reverse=True)
    votes: dict[int, list[float]] = defaultdict(list)
    for similarity, label in alike[:k]:
        votes[label].append(similarity)
    return max(votes, key=lambda label: (len(votes[label]), sum(votes[label])))


@pytest.fixture
def points() -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(3)
    return torch.randn(61, 5, dtype=torch.float64), torch.randint(0, 4, (61,)), torch.randn(37, 5, dtype=torch.float64)


@pytest.mark.parametrize("k", [1, 2, 5, 20, 61, 100])
def test_the_vote_equals_a_loop_over_all_pictures(points: tuple[Tensor, Tensor, Tensor], k: int) -> None:
    train, labels, test = points
    expected = [said_by_a_loop(train, labels, query, k) for query in test.tolist()]
    assert nearest_neighbour_classes(train, labels, test, k, classes=4).tolist() == expected


def test_the_loop_would_notice_a_vote_without_the_tie_rule(points: tuple[Tensor, Tensor, Tensor]) -> None:
    train, labels, test = points
    expected = torch.tensor([said_by_a_loop(train, labels, query, 2) for query in test.tolist()])
    _, index = nearest(test, train, 2)
    with pytest.raises(AssertionError):
        torch.testing.assert_close(labels[index].mode(1).values, expected)


@pytest.mark.parametrize("cells", [1, 61, 200, 10**9])
def test_chunk_sizes_change_nothing(points: tuple[Tensor, Tensor, Tensor], cells: int) -> None:
    train, _, test = points
    similarity, index = nearest(test, train, 7, cells=cells)
    expected = torch.tensor([[cosine(a, b) for b in train.tolist()] for a in test.tolist()], dtype=torch.float64)
    torch.testing.assert_close(similarity, expected.sort(1, descending=True).values[:, :7])
    torch.testing.assert_close(index, expected.argsort(1, descending=True)[:, :7])


def test_more_neighbours_than_keys_are_all_keys() -> None:
    similarity, index = nearest(torch.eye(3), torch.eye(3)[:2], 9)
    assert similarity.shape == index.shape == (3, 2)


def test_a_zero_vector_is_unrelated_to_everything() -> None:
    similarity, _ = nearest(torch.zeros(1, 3), torch.eye(3), 3)
    torch.testing.assert_close(similarity, torch.zeros(1, 3))


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_tiny_and_huge_vectors_have_directions(scale: float) -> None:
    query, key = torch.randn(5, 3), torch.randn(7, 3)
    torch.testing.assert_close(nearest(query * scale, key / scale, 2), nearest(query, key, 2))


def test_nothing_to_ask_and_nothing_to_search_give_empty_answers() -> None:
    assert nearest(torch.empty(0, 3), torch.eye(3), 2)[1].shape == (0, 2)
    assert nearest(torch.eye(3), torch.empty(0, 3), 2)[1].shape == (3, 0)


def test_a_tied_vote_goes_to_the_class_that_is_more_similar() -> None:
    similarity, labels = torch.tensor([[0.9, 0.8, 0.7, 0.1]]), torch.tensor([[2, 1, 1, 2]])
    assert vote(similarity, labels, 3).tolist() == [1]
    assert vote(similarity, 3 - labels, 3).tolist() == [2]
