"""The silhouettes: what is in them, how they are cut, and that their pickle cannot do anything."""

import gzip
import os
import pickle

import numpy as np
import pytest
import torch

from info_nce.data import ImageSet, Splits, load_pictures
from info_nce.data.animals import CLASS_NAMES, read_array
from info_nce.data.catalogue import CATALOGUE
from info_nce.errors import DataError
from tests.pictures import animals_wheel


@pytest.fixture(scope="module")
def splits() -> Splits[ImageSet]:
    return load_pictures("animals", data_file=str(animals_wheel()))


def test_the_parts_have_the_pictures_that_are_left_without_duplicates(splits: Splits[ImageSet]) -> None:
    parts = (splits.train, splits.validation, splits.test)
    assert [len(part) for part in parts] == [5834, 1941, 1941]
    assert all(part.images.shape[1:] == (1, 28, 28) and part.images.dtype == torch.uint8 for part in parts)
    assert all(part.labels is not None and set(part.labels.tolist()) == set(range(10)) for part in parts)


def test_no_picture_is_in_two_parts(splits: Splits[ImageSet]) -> None:
    rows = torch.cat([splits.train.images, splits.validation.images, splits.test.images]).flatten(1)
    assert len({row.tobytes() for row in rows.numpy()}) == len(rows) == 9716


def test_the_split_does_not_move_with_the_seed_of_training(splits: Splits[ImageSet]) -> None:
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002 (the legacy state is what a training script may have set)
    assert load_pictures("animals", data_file=str(animals_wheel())).fingerprint() == splits.fingerprint()


def test_the_labels_are_in_the_order_of_the_names(splits: Splits[ImageSet]) -> None:
    # A giraffe is tall, a cow is wide, and a zebra has stripes: grey levels where others are flat.
    assert splits.train.labels is not None
    ink = splits.train.images[:, 0].float() / 255
    height = (ink.amax(dim=2) > 0.5).sum(dim=1) / (ink.amax(dim=1) > 0.5).sum(dim=1)
    grey = ((ink > 0.2) & (ink < 0.8)).float().mean(dim=(1, 2))
    by_class = [splits.train.labels == i for i in range(10)]
    assert CLASS_NAMES[int(torch.stack([height[c].mean() for c in by_class]).argmax())] == "giraffe"
    assert CLASS_NAMES[int(torch.stack([grey[c].mean() for c in by_class]).argmax())] == "zebra"
    assert height[by_class[CLASS_NAMES.index("cow")]].mean() < 1


class Harmful:
    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("echo harmed",)


@pytest.mark.parametrize("harm", [Harmful(), eval, np.load])
def test_a_pickle_that_asks_for_more_than_an_array_is_refused(harm: object, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DataError, match="which no array needs"):
        read_array(gzip.compress(pickle.dumps(harm)), "a file")
    assert "harmed" not in capfd.readouterr().out


@pytest.mark.parametrize(
    "content",
    [b"", b"not gzip", gzip.compress(b""), gzip.compress(b"\x80\x04.")[:10]],
    ids=["empty", "not gzip", "gzip of nothing", "cut"],  # gzip writes the time, which a test's name must not hold
)
def test_a_damaged_pickle_is_named(content: bytes) -> None:
    with pytest.raises(DataError, match="the source is not a gzipped NumPy array"):
        read_array(content, "the source")


def test_an_array_is_read() -> None:
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    np.testing.assert_array_equal(read_array(gzip.compress(pickle.dumps(array, protocol=4)), "a file"), array)


def test_the_catalogue_says_whose_each_set_is() -> None:
    for facts in CATALOGUE.values():
        assert facts.licence
        assert facts.credit
        assert facts.origin
        assert facts.used_for
