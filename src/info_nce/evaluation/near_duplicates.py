"""Test pictures that have no look-alike in training: the part of a test set that memory alone cannot answer."""

from jaxtyping import Bool, UInt8
from torch import Tensor

from info_nce.neighbours import CELLS, nearest

# From here on two pictures look the same at a glance.
LOOK_ALIKE = 0.9


def far_from_training(
    train: UInt8[Tensor, "m c h w"],
    test: UInt8[Tensor, "n c h w"],
    *,
    look_alike: float = LOOK_ALIKE,
    cells: int = CELLS,
) -> Bool[Tensor, " n"]:
    """Which test pictures have no training picture that looks almost like them?

    Removing exact copies before the split does not remove pictures that differ by a few pixels. A test picture with
    such a twin in training can be named by memory, so accuracy is reported twice: on all test pictures and on these.

    Args:
        train: pictures as bytes.
        test: pictures as bytes, of the same size.
        look_alike: cosine similarity of the raw bytes from which on two pictures count as look-alikes.
        cells: how many similarities are held at once.

    Returns:
        True where the picture is far from training. All True = no look-alikes at all; all False is usual for
        photographs, whose raw bytes are all positive and so all similar.
    """
    similarity, _ = nearest(test.flatten(1).float(), train.flatten(1).float(), 1, cells=cells)
    return (similarity < look_alike).all(1)
