"""Moving digits: what a frame tells and what it does not, and who is in which part."""

import gzip
from itertools import combinations

import numpy as np
import pytest
import torch

from info_nce.data.moving_digits import CLASS_NAMES, DIRECTIONS, SPEEDS, load_moving_digits, read_digits
from info_nce.data.splits import Splits
from info_nce.data.video_set import VideoSet, any_clip, middle_clip
from info_nce.errors import DataError
from tests.videos import digits_wheel


@pytest.fixture(scope="module")
def splits() -> Splits[VideoSet]:
    return load_moving_digits(data_file=digits_wheel())


def test_the_parts_are_even_in_every_question(splits: Splits[VideoSet]) -> None:
    assert [tuple(part.videos.shape) for part in splits.parts().values()] == [
        (3000, 16, 1, 32, 32),
        (1000, 16, 1, 32, 32),
        (1000, 16, 1, 32, 32),
    ]
    for part in splits.parts().values():
        for question, labels in part.labels.items():
            counts = labels.bincount(minlength=len(CLASS_NAMES[question]))
            assert counts.max() - counts.min() <= 10  # each of ten digits may have one more of a motion
        motion = part.labels["direction"] * 2 + part.labels["speed"]
        together = torch.bincount(part.labels["digit"] * 16 + motion, minlength=160)
        assert together.max() - together.min() <= 1


def test_no_digit_is_in_two_parts(splits: Splits[VideoSet]) -> None:
    names = [set(part.names) for part in splits.parts().values()]
    assert sum(map(len, names)) == 5000
    assert not any(first & second for first, second in combinations(names, 2))
    # nor is its picture: a digit rolled to where its first frame begins is the same multiset of pixels in every frame
    pixels = [{v[0].flatten().sort().values.numpy().tobytes() for v in part.videos} for part in splits.parts().values()]
    assert len(set.union(*pixels)) == sum(map(len, pixels))


def test_every_frame_is_the_one_before_moved_by_the_labelled_step_over_a_torus(splits: Splits[VideoSet]) -> None:
    part = splits.test
    for i in range(0, len(part), 97):
        down, right = list(DIRECTIONS.values())[part.labels["direction"][i]]
        speed = list(SPEEDS.values())[part.labels["speed"][i]]
        for t in range(1, 16):
            moved = torch.roll(part.videos[i, t - 1], (down * speed, right * speed), (1, 2))
            assert torch.equal(part.videos[i, t], moved)


def test_where_a_digit_is_says_nothing_of_its_motion(splits: Splits[VideoSet]) -> None:
    # The centre of a picture's ink on a torus is an angle; were directions told by a frame, their means would differ.
    part = splits.train
    ink = part.videos[:, 8, 0].double().sum(2)
    angle = torch.exp(2j * torch.pi * torch.arange(32).double() / 32)
    ink = ink.to(angle.dtype)
    where = (ink @ angle) / ink.sum(1)
    for question in ("direction", "speed"):
        for label in range(len(CLASS_NAMES[question])):
            chosen = where[part.labels[question] == label]
            assert chosen.mean().abs() < 4 * where.abs().square().mean().sqrt() / len(chosen) ** 0.5


def test_the_set_is_the_same_at_every_call_whatever_the_seed(splits: Splits[VideoSet]) -> None:
    torch.manual_seed(5)
    again = load_moving_digits(data_file=digits_wheel())
    assert again.fingerprint() == splits.fingerprint()
    other = again.train.videos.clone()
    other[0, 0, 0, 0, 0] ^= 1
    again.train.videos.copy_(other)
    assert again.fingerprint() != splits.fingerprint()


def test_the_digits_are_those_that_their_labels_say(splits: Splits[VideoSet]) -> None:
    # A zero has a hole in the middle and a one has none; a one has the least ink, a zero much.
    ink = splits.train.videos[:, 0].double().mean((1, 2, 3))
    by_digit = torch.stack([ink[splits.train.labels["digit"] == digit].mean() for digit in range(10)])
    assert (int(by_digit.argmin()), int(by_digit.argmax())) == (1, 0)


@pytest.mark.parametrize(
    "content",
    [b"", b"no gzip", gzip.compress(b""), gzip.compress(b"1,2\n3,4"), gzip.compress(b"0," * 784 + b"11"),
     gzip.compress(b"256," * 784 + b"1")],
    ids=["empty", "no gzip", "gzip of nothing", "too narrow", "no digit", "no pixel"],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:loadtxt")
def test_a_file_that_is_no_table_of_digits_is_named(content: bytes) -> None:
    with pytest.raises(DataError, match="the file is not a gzipped table of digits"):
        read_digits(content, "the file")


def test_clips_are_taken_at_any_moment_or_in_the_middle() -> None:
    videos = torch.arange(12, dtype=torch.uint8).view(1, 12, 1, 1, 1).expand(400, 12, 1, 1, 1)
    assert middle_clip(videos, 4)[0].flatten().tolist() == [4, 5, 6, 7]
    assert torch.equal(middle_clip(videos, 12), videos)
    clips = any_clip(videos, 4)[:, :, 0, 0, 0]
    assert (clips.diff(dim=1) == 1).all()
    assert set(clips[:, 0].tolist()) == set(range(9))
    assert np.array_equal(any_clip(videos, 12), videos)
