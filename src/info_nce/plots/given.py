"""What figures are given: it is refused in words where it cannot be drawn."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from info_nce.checks import finite
from info_nce.errors import SettingError


def shortened(name: str, most: int = 16) -> str:
    """Cut a long name, and show that it was cut."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def described(given: object) -> str:
    """Name the type of something, or the shape of a tensor and the type of its numbers."""
    return f"{tuple(given.shape)} of {given.dtype}" if isinstance(given, Tensor) else f"type {type(given).__name__}"


def check_least(**given: tuple[object, int]) -> None:
    """Refuse settings that are no whole numbers, or below their least values.

    Raises:
        SettingError: names the first.
    """
    for name, (value, least) in given.items():
        if not isinstance(value, Integral) or value < least:
            raise SettingError(
                f"{name} is out of range.",
                got=f"{name}={value!r}",
                expected=f"a whole number from {least} on",
                advice="leave it out",
            )


def check_items(name: str, embeddings: object, least: int = 1) -> None:
    """Refuse what are no embeddings of so many items.

    Raises:
        SettingError: another type, or another shape.
        ArgumentError: a number is not finite.
    """
    tensor = embeddings if isinstance(embeddings, Tensor) else torch.empty(0)
    if tensor.dim() != 2 or len(tensor) < least or 0 in tensor.shape or not tensor.is_floating_point():
        raise SettingError(
            f"{name} must be embeddings of at least {least} item{'s'[: least > 1]}.",
            got=described(embeddings),
            expected=f"a tensor (n, d) with n >= {least} and d >= 1, floating-point",
            advice="one row for each item, such as the encoder's output",
        )
    finite(**{name: tensor})


def as_number(name: str, value: Any) -> float:
    """Read a number, or a tensor of one.

    Raises:
        SettingError: it is none.
    """
    try:
        return float(getattr(value, "item", lambda: value)())
    except (TypeError, ValueError, RuntimeError) as error:
        raise SettingError(
            f"{name} must be a number.",
            got=f"{name}={shortened(repr(value), 60)}",
            expected="a float, or a tensor of one number",
            advice="loss.mean().item()",
        ) from error


def check_labels(labels: object, count: int, names: Sequence[str]) -> None:
    """Refuse what is not one class from 0 on for each item, or has no name where others have.

    Raises:
        SettingError: says what it is.
    """
    tensor = labels if isinstance(labels, Tensor) else torch.empty(0)
    if tensor.is_floating_point() or tensor.is_complex() or tensor.shape != (count,):
        raise SettingError(
            "there must be one of labels for each embedding.",
            got=f"labels: {described(labels)}",
            expected=f"labels ({count},) of integers",
            advice="torch.tensor([...]) with one integer for each row",
        )
    low, high = int(tensor.min()), int(tensor.max())
    if low < 0:
        raise SettingError(
            "labels must be numbers from 0 on.",
            got=f"labels from {low} to {high}",
            expected="0 for the first class",
            advice="leave out items without a class, or give them a class of their own",
        )
    if names and high >= len(names):
        raise SettingError(
            "every label must have a name.",
            got=f"labels from {low} to {high} and {len(names)} names",
            expected=f"labels from 0 to {len(names) - 1}",
            advice="leave names out, or give one for each class",
        )


def check_images(images: object, count: int) -> None:
    """Refuse what is not one picture of bytes for each item.

    Raises:
        SettingError: says what it is.
    """
    tensor = images if isinstance(images, Tensor) else torch.empty(0)
    if tensor.dtype != torch.uint8 or tensor.dim() != 4 or tensor.shape[1] not in {1, 3, 4} or 0 in tensor.shape:
        raise SettingError(
            "images must be bytes, with their channels before height and width.",
            got=f"images: {described(images)}",
            expected="(n, channels, height, width) of torch.uint8, with 1, 3 or 4 channels",
            advice="(255 * images).round().to(torch.uint8), or images.permute(0, 3, 1, 2) if channels come last",
        )
    if len(tensor) != count:
        raise SettingError(
            "there must be one of images for each embedding.",
            got=f"{len(tensor)} images for {count} embeddings",
            expected=count,
            advice="choose the same rows of both",
        )
