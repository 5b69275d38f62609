"""The closed form: its features by hand, its weights by another solver, its words by counting."""

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge as SklearnRidge

from info_nce.evaluation.ridge import BagOfWords, fit_ridge, kinds_of_features
from tests.pictures import noise


def test_a_red_picture_has_one_colour_and_no_edges() -> None:
    red = torch.zeros(1, 3, 24, 24, dtype=torch.uint8)
    red[:, 0] = 255
    colours, thumbnail, edges = kinds_of_features(red)
    assert colours.nonzero().tolist() == [[0, 3 * 16]]
    assert colours.max().item() == pytest.approx(1, abs=1e-5)
    assert thumbnail.reshape(3, 64).mean(dim=1).tolist() == [1, 0, 0]
    assert edges.abs().max() == 0


@pytest.mark.parametrize(("axis", "angle"), [(3, 0), (2, 4)])
def test_an_edge_votes_for_its_angle_in_its_cells(axis: int, angle: int) -> None:
    # Brightness that rises to the right has its gradient at 0 degrees, one that rises downwards at 90: 4 of 8 bins.
    image = torch.zeros(1, 1, 24, 24, dtype=torch.uint8)
    image.narrow(axis, 12, 12).fill_(255)
    edges = kinds_of_features(image)[2].reshape(8, 6, 6)
    assert set(edges.nonzero()[:, 0].tolist()) == {angle}
    assert sorted(set(edges.nonzero()[:, axis - 1].tolist())) == [2, 3]  # the two cells that touch the middle


def test_a_grey_picture_has_the_features_of_the_same_picture_in_colour() -> None:
    grey = noise(3, 1, 20)
    torch.testing.assert_close(kinds_of_features(grey), kinds_of_features(grey.expand(-1, 3, -1, -1)))


def test_words_weigh_by_how_rare_they_are() -> None:
    bag = BagOfWords(["red heart", "red car", "dog"])
    (found,) = bag(["RED dog, unknown"]) + bag.centre
    expected = {"red": math.log(3 / 2), "dog": math.log(3)}
    length = math.hypot(*expected.values())
    for word, place in bag.place.items():
        assert found[place].item() == pytest.approx(expected.get(word, 0) / length, abs=1e-6)


def test_what_all_texts_have_in_common_is_taken_off() -> None:
    texts = ["red heart", "red car", "dog"]
    torch.testing.assert_close(BagOfWords(texts)(texts).mean(dim=0), torch.zeros(4), rtol=0, atol=1e-6)


def test_the_weights_are_those_of_another_solver() -> None:
    images, captions = noise(30, 3, 16), [f"word{i % 7} word{i % 4}" for i in range(30)]
    ridge = fit_ridge(images, captions, 0.01)
    parts = [kind.double().numpy() for kind in kinds_of_features(images)]
    lengths = [np.sqrt(((p - p.mean(0)) ** 2).sum(1).mean()) for p in parts]
    features = np.concatenate([(p - p.mean(0)) / by for p, by in zip(parts, lengths, strict=True)], axis=1)
    other = SklearnRidge(alpha=0.01 * 30, fit_intercept=False, solver="cholesky")
    other.fit(features, ridge.texts(captions).double().numpy())
    expected = torch.from_numpy(other.predict(features)).float()
    torch.testing.assert_close(ridge.images(images), expected, rtol=1e-3, atol=1e-4)
    with pytest.raises(AssertionError):
        torch.testing.assert_close(fit_ridge(images, captions, 0.02).images(images), expected, rtol=1e-3, atol=1e-4)
