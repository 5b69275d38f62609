"""A set of pictures in memory, and its three fixed parts."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from info_nce.data.splits import Facts, Splits, cut, only


@dataclass(frozen=True, slots=True, eq=False)
class ImageSet:
    """Pictures of one size as bytes, with labels that only the evaluation may see.

    Args:
        name: of this part, such as "animals/train".
        images: one picture per row.
        labels: an index into `class_names`, or None where nobody said.
        class_names: in the order of the labels; empty without labels.
        paths: the file of each picture, where there is one.
    """

    name: str
    images: UInt8[Tensor, "n c h w"]
    labels: Int64[Tensor, " n"] | None = None
    class_names: tuple[str, ...] = ()
    paths: tuple[str, ...] | None = None

    def __len__(self) -> int:
        """Count the pictures."""
        return len(self.images)

    def content(self) -> Iterator[bytes]:
        """Pictures, then labels."""
        yield f"{tuple(self.images.shape)}".encode()
        yield self.images.contiguous().numpy().tobytes()
        if self.labels is not None:
            yield self.labels.numpy().tobytes()

    def about(self) -> dict[str, Any]:
        """What an encoder of pictures has to know."""
        return {"channels": self.images.shape[1], "image_size": self.images.shape[-1]}

    def items(self, kind: str) -> UInt8[Tensor, "n c h w"]:
        """The pictures."""
        return only("image", kind, self.images)

    def ids(self) -> tuple[str, ...]:
        """Their files, or their numbers in this part."""
        return self.paths or tuple(f"{self.name.rsplit('/', 1)[-1]}:{i}" for i in range(len(self)))

    def take(self, index: Int64[Tensor, " k"], name: str | None = None) -> "ImageSet":
        """Choose pictures, with everything that belongs to them."""
        return replace(
            self,
            name=self.name if name is None else name,
            images=self.images[index],
            labels=None if self.labels is None else self.labels[index],
            paths=None if self.paths is None else tuple(self.paths[i] for i in index.tolist()),
        )


def first_of_each(images: UInt8[Tensor, "n c h w"]) -> Int64[Tensor, " k"]:
    """Find the exact duplicates: the index of the first of each group of identical pictures, in order.

    Duplicates on both sides of a split would let a test picture be recognised by memory alone.
    """
    seen: dict[bytes, int] = {}
    for i, row in enumerate(images.flatten(1).numpy()):
        seen.setdefault(hashlib.sha256(row.tobytes()).digest(), i)
    return torch.tensor(list(seen.values()), dtype=torch.int64)


def split(whole: ImageSet, facts: Facts, source: str) -> Splits[ImageSet]:
    """Cut a set into fixed parts: 60 / 20 / 20 within each class; without labels 80 / 20 and nothing to test on."""
    groups = [0] * len(whole) if whole.labels is None else whole.labels.tolist()
    chosen = {
        name: whole.take(torch.tensor(index, dtype=torch.int64), f"{whole.name}/{name}")
        for name, index in cut(groups, test=whole.labels is not None).items()
    }
    return Splits(**chosen, facts=facts, source=source)
