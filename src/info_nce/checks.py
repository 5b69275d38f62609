"""Errors that say what came, what was expected and what to try."""

import math
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import NoReturn

import torch
from torch import Tensor

__all__ = [
    "ArgumentError",
    "BrokenLawError",
    "DTypeError",
    "DeviceError",
    "RanksDisagreeError",
    "ShapeError",
    "WrongLossError",
    "finite",
]


_FLOATING = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


class ArgumentError(ValueError):
    """An argument has a value that the loss cannot mean anything with."""


class ShapeError(ArgumentError):
    """Sizes do not fit together."""


class DeviceError(ArgumentError):
    """Tensors live on different devices."""


class RanksDisagreeError(ArgumentError):
    """The processes that compute a loss together were given what does not fit together; raised on all of them."""


class DTypeError(TypeError):
    """A tensor, or another argument, has a type that cannot be compared."""


class WrongLossError(AssertionError):
    """A function does not compute the loss that it is meant to; `mistake` names what it does, if that is known."""

    mistake: str | None = None


class BrokenLawError(AssertionError):
    """An objective or an engine breaks a law that the others rely on; `law` names it."""

    law: str = ""


def fail(kind: type[Exception], what: str, *, got: object, expected: str, hint: str) -> NoReturn:
    """Raise `kind` with the text that every error of this package has: what, got, expected, try."""
    raise kind(f"{what}\n  got       {got}\n  expected  {expected}\n  try       {hint}")


def shapes(**tensors: Tensor) -> str:
    """Describe tensors the way a reader compares them: `query (256, 128), key (255, 128)`."""
    return ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in tensors.items())


def check_embeddings(tensors: Mapping[str, object], dims: Mapping[str, int] | None = None) -> None:
    """Refuse what cannot be a set of embeddings: no tensor, wrong rank, integers, mixed dtypes or devices."""
    checked: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            fail(
                DTypeError,
                f"{name} must be a tensor.",
                got=f"{name} of type {type(tensor).__name__}",
                expected="a floating-point tensor with one embedding per row",
                hint=f"{name} = torch.as_tensor({name})",
            )
        if hasattr(tensor, "full_tensor"):  # torch.distributed, which has the class, is not everybody's business
            fail(
                DTypeError,
                f"{name} must be a plain tensor: a DTensor's rows are compared by an engine across ranks.",
                got=f"{name}, a DTensor with {getattr(tensor, 'placements', 'placements')}",
                expected="this rank's rows",
                hint=f"{name}.to_local() if it is Shard(0), with engine=Gathered(process_group=mesh.get_group())",
            )
        check_floating(name, tensor.dtype, hint=f"pass the encoder's output, or {name}.float()")
        want = (dims or {}).get(name, 2)
        if tensor.dim() != want:
            fail(
                ShapeError,
                f"{name} must have {want} dimensions.",
                got=shapes(**{name: tensor}),
                expected=f"{name} ({', '.join(['rows', 'lists', 'features'][:: 2 if want == 2 else 1][:want])})",
                hint="flatten or pool the encoder's output to one vector per item",
            )
        checked[name] = tensor
    check_alike(checked)


def check_floating(name: str, dtype: object, *, hint: str = "torch.float32") -> None:
    """Refuse a dtype of integers, of complex numbers, or none."""
    if dtype not in _FLOATING:
        fail(
            DTypeError,
            f"{name} must hold floating-point numbers.",
            got=f"{name} of dtype {dtype}",
            expected="float16, bfloat16, float32 or float64",
            hint=hint,
        )


def check_alike(tensors: Mapping[str, Tensor]) -> None:
    """Refuse tensors of different dtypes, devices or feature counts."""
    first_name, first = next(iter(tensors.items()))
    for name, tensor in tensors.items():
        if tensor.device != first.device:
            fail(
                DeviceError,
                f"{first_name} and {name} must be on one device.",
                got=f"{first_name} on {first.device}, {name} on {tensor.device}",
                expected="the same device for all",
                hint=f"{name}.to({first_name}.device)",
            )
        if tensor.dtype != first.dtype:
            fail(
                DTypeError,
                f"{first_name} and {name} must have one dtype.",
                got=f"{first_name} {first.dtype}, {name} {tensor.dtype}",
                expected="the same dtype for all",
                hint=f"{name}.to({first_name}.dtype)",
            )


def check_same_features(tensors: Mapping[str, Tensor]) -> None:
    """Refuse embeddings of different width, which no inner product can compare."""
    first_name, first = next(iter(tensors.items()))
    for name, tensor in tensors.items():
        if tensor.shape[-1] != first.shape[-1]:
            fail(
                ShapeError,
                f"Vectors of {first_name} and {name} must have the same number of components.",
                got=shapes(**{first_name: first, name: tensor}),
                expected=f"{name} (..., {first.shape[-1]})",
                hint="project both to one width, or use similarity=Bilinear(width of query, width of key)",
            )


def check_rows(name: str, tensor: Tensor, rows: int, of: str, *, hint: str) -> None:
    """Refuse a tensor that does not have one entry for each row of another."""
    if tensor.shape[0] != rows:
        fail(
            ShapeError,
            f"{name} must hold one entry for each row of {of}.",
            got=f"{shapes(**{name: tensor})} for {rows} rows of {of}",
            expected=f"{name} {(rows, *tensor.shape[1:])}",
            hint=hint,
        )


def check_not_empty(*, alone: bool = True, **tensors: Tensor) -> None:
    """Refuse a batch of nothing: a mean over no query is no number; if not alone, other ranks may have rows."""
    for name, tensor in tensors.items():
        if 0 in tensor.shape[0 if alone else 1 :]:
            fail(
                ShapeError,
                f"{name} is empty.",
                got=shapes(**{name: tensor}),
                expected="at least one row and one feature",
                hint="skip empty batches: drop_last=True, or `if len(batch)`",
            )


def check_ids(name: str, ids: object, shape: tuple[int, ...], device: torch.device) -> None:
    """Refuse identity tags that are no integers, or not one per candidate."""
    if not isinstance(ids, Tensor) or ids.is_floating_point() or ids.is_complex():
        fail(
            DTypeError,
            f"{name} must be a tensor of integers.",
            got=f"{name} of {f'dtype {ids.dtype}' if isinstance(ids, Tensor) else f'type {type(ids).__name__}'}",
            expected=f"an integer tensor of shape {shape}",
            hint="torch.tensor([...]) with one integer per item; equal integers mean the same item",
        )
    if ids.dtype == torch.bool:
        fail(
            DTypeError,
            f"{name} must be a tensor of integers: true and false look like a mask, not like tags.",
            got=f"{name} of dtype {ids.dtype}",
            expected=f"an integer tensor of shape {shape}",
            hint=f"{name}.long(), if there are really but two of them",
        )
    if tuple(ids.shape) != shape:
        fail(
            ShapeError,
            f"{name} must hold one tag per item.",
            got=shapes(**{name: ids}),
            expected=f"{name} {shape}",
            hint="pass one integer for each row",
        )
    if ids.device != device:
        fail(
            DeviceError,
            f"{name} must be on the device of the embeddings.",
            got=f"{name} on {ids.device}, embeddings on {device}",
            expected=str(device),
            hint=f"{name}.to(query.device)",
        )


def check_choice(name: str, value: object, choices: Iterable[str]) -> None:
    """Refuse a word that is none of the known ones."""
    choices = tuple(choices)
    if value not in choices:
        fail(
            ArgumentError,
            f"{name} is unknown.",
            got=f"{name}={value!r}",
            expected=" or ".join(repr(choice) for choice in choices),
            hint=f"{name}={choices[0]!r}",
        )


def check_number(
    name: str,
    value: object,
    *,
    low: float = float("-inf"),
    high: float = float("inf"),
    low_open: bool = False,
    high_open: bool = False,
    hint: str,
) -> None:
    """Refuse a setting outside the interval in which its formula means something; NaN and infinity never are inside."""
    if not isinstance(value, Real) or isinstance(value, bool):
        fail(DTypeError, f"{name} must be a number.", got=f"{name}={value!r}", expected="an int or a float", hint=hint)
    try:
        number = float(value)
    except OverflowError:  # an integer beyond the largest float, too long to be shown
        number = value = float("-inf") if value < 0 else float("inf")
    low_ok = low < number if low_open else low <= number
    high_ok = number < high if high_open else number <= high
    if not (low_ok and high_ok and math.isfinite(number)):
        left, right = (
            "(" if low_open or low == float("-inf") else "[",
            ")" if high_open or high == float("inf") else "]",
        )
        fail(
            ArgumentError,
            f"{name} is out of range.",
            got=f"{name}={value!r}",
            expected=f"{left}{low}, {high}{right}",
            hint=hint,
        )


def check_whole(name: str, value: object, *, low: int = 1, high: int | None = None, hint: str) -> None:
    """Refuse what is no whole number in a range."""
    inside = (
        isinstance(value, Integral)  # numpy's are as good as Python's
        and not isinstance(value, bool)
        and low <= int(value)
        and (high is None or int(value) <= high)
    )
    if not inside:
        fail(
            ArgumentError,
            f"{name} must be a whole number in its range.",
            got=f"{name}={value!r}",
            expected=f"an integer >= {low}" + ("" if high is None else f" and <= {high}"),
            hint=hint,
        )


def finite(**tensors: Tensor) -> None:
    """Is every number of these tensors finite, and if not, where is the first that is not?

    An opt-in check: looking at values makes a GPU wait, so the losses never do it themselves. They return a
    non-finite loss for a non-finite input instead.

    Raises:
        ArgumentError: names the tensor, the count of non-finite numbers, and the first one's index.

    Example:
        >>> finite(query=torch.eye(2))
    """
    for name, tensor in tensors.items():
        bad = ~torch.isfinite(tensor)
        if bad.any():
            where = tuple(int(i) for i in bad.nonzero()[0])
            fail(
                ArgumentError,
                f"{name} holds {int(bad.sum())} non-finite numbers.",
                got=f"{name}[{', '.join(map(str, where))}] = {tensor[where].item()}",
                expected="finite numbers",
                hint="look for a division by zero, an overflow in half precision, or a learning rate that is too high",
            )
