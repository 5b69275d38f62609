"""The digits on a noisy canvas."""

import torch

from info_nce.data import load_pictures


def test_the_digits_are_the_same_at_every_call_and_in_no_two_parts() -> None:
    splits = load_pictures("digits")
    assert splits.fingerprint() == load_pictures("digits").fingerprint()
    assert [len(part) for part in splits.parts().values()] == [1079, 359, 359]
    assert splits.train.images.shape[1:] == (1, 14, 14)
    every = torch.cat([part.images for part in splits.parts().values()]).flatten(1)
    assert len(torch.unique(every, dim=0)) == 1797
    assert splits.train.labels is not None
    assert splits.train.labels.bincount().tolist() == [106, 110, 107, 109, 109, 110, 109, 107, 104, 108]


def test_the_digit_is_somewhere_on_the_canvas() -> None:
    bright = load_pictures("digits").train.images.float().mean(0)[0]
    assert bright[4:10, 4:10].min() > bright[0].max()
