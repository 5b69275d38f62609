"""Small pictures on the disk, of every kind that a person may have."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from info_nce.data.animals import WHEEL
from info_nce.data.wheels import Wheel
from tests.wheels import fetched


def picture(seed: int, mode: str = "RGB", size: tuple[int, int] = (20, 20)) -> Image.Image:
    """Make a picture of noise, different for each seed."""
    width, height = size
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(noise).convert(mode)


def folder_of(root: Path, count: int = 20, *, mode: str = "RGB", classes: tuple[str, ...] = (), first: int = 0) -> Path:
    """Fill a folder with pictures, in sub-folders where there are classes."""
    for i in range(first, first + count):
        parent = root / classes[i % len(classes)] if classes else root
        parent.mkdir(parents=True, exist_ok=True)
        picture(i, mode).save(parent / f"{i:03}.png")
    return root


def animals_wheel() -> Path:
    """The real silhouettes."""
    return fetched(WHEEL)


def wheels_folder(wheels: Sequence[Wheel]) -> Path:
    """The folder that holds some real wheels."""
    return {fetched(wheel).parent for wheel in wheels}.pop()


def noise(count: int, channels: int, size: int) -> Tensor:
    """Make pictures of noise as bytes, the same ones every time."""
    chance = torch.Generator().manual_seed(count)
    return torch.randint(0, 256, (count, channels, size, size), generator=chance, dtype=torch.uint8)
