"""What the report measures, against loops."""

import itertools
import math

import numpy as np
import pytest
import torch

from info_nce.plots.maps import labels_on_map, places_on_a_map
from info_nce.plots.thumbnails import map_of
from info_nce.report.measures import same_class_wins, some_of_each
from info_nce.report.pictures import data_uri, shrunk
from tests.evaluation.fakes import squares


def test_same_class_wins_counts_every_comparison_of_two_pairs() -> None:
    vectors, labels = torch.randn(12, 3), torch.arange(12) % 3
    similarity = vectors @ vectors.T
    pairs = list(itertools.combinations(range(12), 2))
    same = [float(similarity[i, j]) for i, j in pairs if labels[i] == labels[j]]
    other = [float(similarity[i, j]) for i, j in pairs if labels[i] != labels[j]]
    wins = sum((s > o) + (s == o) / 2 for s in same for o in other) / len(same) / len(other)
    assert same_class_wins(similarity, labels) == pytest.approx(wins)


def test_same_class_wins_is_no_number_without_pairs_of_both_kinds() -> None:
    assert math.isnan(same_class_wins(torch.eye(3), torch.zeros(3, dtype=torch.int64)))
    assert math.isnan(same_class_wins(torch.eye(3), torch.arange(3)))


@pytest.mark.parametrize(("count", "method"), [(2, "PCA"), (29, "PCA"), (30, "t-SNE"), (90, "t-SNE")])
def test_a_map_keeps_groups_together_and_is_the_same_each_time(count: int, method: str) -> None:
    group = torch.arange(count) % 2
    embeddings = torch.eye(2)[group] + 0.05 * torch.randn(count, 2)
    found = places_on_a_map(embeddings)
    places = found.at
    assert found.method == method
    assert ((places > 0) & (places < 1)).all()
    np.testing.assert_array_equal(places, places_on_a_map(embeddings).at)
    if count > 2:
        middles = [places[group.numpy() == kind].mean(0) for kind in (0, 1)]
        spread = np.linalg.norm(places[group.numpy() == 0] - middles[0], axis=1).mean()
        assert np.linalg.norm(middles[0] - middles[1]) > 2 * spread


def test_equal_embeddings_have_a_map_too() -> None:
    for collapsed in (torch.ones(5, 3), torch.ones(5, 1), torch.ones(40, 8), torch.ones(1, 3), torch.rand(40, 1) * 9):
        assert np.isfinite(places_on_a_map(collapsed).at).all()


def test_a_sample_takes_as_many_of_each_class() -> None:
    labels = torch.tensor([0] * 50 + [1] * 5 + [2] * 50)
    drawn = labels[some_of_each(labels, 30)]
    assert drawn.bincount().tolist() == [10, 5, 10]
    assert drawn.tolist() == sorted(drawn.tolist())
    assert len(some_of_each(torch.arange(100), 30)) == 30
    assert len(some_of_each(labels[:0], 30)) == 0


def test_pictures_on_the_map_do_not_overlap() -> None:
    images, labels = squares([40, 40])
    canvas = map_of(images, np.random.default_rng(0).random((80, 2)), labels.numpy(), size=(400, 300))
    assert canvas.shape == (300, 400, 4)
    assert (canvas[..., 3] > 0).sum() % 44**2 == 0


def test_the_first_picture_is_drawn_at_its_place() -> None:
    images, labels = squares([1])
    canvas = map_of(images, np.array([[0.25, 0.75]]), labels.numpy(), size=(400, 400))
    rows, columns = np.nonzero(canvas[..., 3])
    assert (rows.mean(), columns.mean()) == pytest.approx((100, 100), abs=1)


def test_large_pictures_are_made_small_and_small_ones_kept() -> None:
    images, _ = squares([1], channels=3)
    assert shrunk(images, 8).shape == (1, 3, 8, 8)
    assert shrunk(images, 64) is images
    assert data_uri(images[0]).startswith("data:image/png;base64,")
    assert len(data_uri(torch.randint(0, 256, (3, 512, 512), dtype=torch.uint8))) < 25_000


def test_no_picture_covers_a_label() -> None:
    images, labels = squares([40, 40])
    places, size = np.random.default_rng(0).random((80, 2)), (400, 300)
    words = labels_on_map(places, labels.numpy(), ("bear", "a very long name of a class"))
    assert [word.text for word in words] == ["bear", "a very long nam…"]
    canvas = map_of(images, places, labels.numpy(), labels=words, size=size)
    for word in words:
        middle = canvas[round((1 - word.y) * size[1]), round(word.x * size[0])]
        assert middle.tolist() == [0, 0, 0, 0]
    assert not labels_on_map(places, labels.numpy(), ["x"] * 15)
