"""Test pictures without a look-alike in training, against a comparison of every pair."""

import pytest
import torch
from torch import Tensor

from info_nce.evaluation.near_duplicates import far_from_training
from tests.evaluation.fakes import squares


def far_by_pairs(train: Tensor, test: Tensor, limit: float) -> list[bool]:
    def alike(a: Tensor, b: Tensor) -> bool:
        a, b = a.double().flatten(), b.double().flatten()
        return float(a @ b / (a.norm() * b.norm())) >= limit

    return [not any(alike(picture, other) for other in train) for picture in test]


@pytest.fixture(scope="module")
def pictures() -> tuple[Tensor, Tensor]:
    images, _ = squares([8, 8, 8], noise=120)
    return images[::2], images[1::2]


@pytest.mark.parametrize("cells", [1, 10**6])
def test_far_equals_a_comparison_of_every_pair(pictures: tuple[Tensor, Tensor], cells: int) -> None:
    train, test = pictures
    for limit in (0.7, 0.82, 0.9):
        expected = torch.tensor(far_by_pairs(train, test, limit))
        torch.testing.assert_close(far_from_training(train, test, look_alike=limit, cells=cells), expected)


def test_another_limit_would_be_noticed(pictures: tuple[Tensor, Tensor]) -> None:
    train, test = pictures
    with pytest.raises(AssertionError):
        torch.testing.assert_close(far_from_training(train, test, look_alike=0.99), far_from_training(train, train))


def test_a_copy_of_a_training_picture_is_near() -> None:
    images, _ = squares([4])
    assert not far_from_training(images, images).any()


def test_a_picture_is_far_from_nothing_at_all() -> None:
    images, _ = squares([4])
    assert far_from_training(images[:0], images).all()
    assert far_from_training(images, images[:0]).shape == (0,)
