"""How sharply are similarities told apart? One temperature for all, or one per query."""

import torch
from jaxtyping import Float
from torch import Tensor

from info_nce.checks import ArgumentError, DTypeError, ShapeError, check_number, fail
from info_nce.precision import compute_dtype

__all__ = ["logit_scale"]

_HINT = "typical values lie between 0.01 and 1; smaller compares harder"


def logit_scale(
    temperature: float | Tensor, queries: int, *, like: Tensor, per: int | None = None
) -> float | Float[Tensor, ""] | Float[Tensor, " n"]:
    """Turn a temperature into the factor on similarities, 1 / temperature: one number, or one per query.

    Args:
        temperature: a number, a tensor with one element, or one temperature per query, (N) or (N, 1).
        queries: how many queries there are.
        like: the embeddings, for dtype and device.
        per: the other length that is accepted and repeated over the queries (one temperature per item of V views).

    A temperature inside a tensor is only looked at where looking is free (on the CPU, outside of a compiler);
    elsewhere one that is not positive gives NaN, because the scale is formed as exp(-log(temperature)). NaN stays NaN
    everywhere.
    """
    dtype = compute_dtype(like.dtype)
    if not isinstance(temperature, Tensor):
        check_number("temperature", temperature, low=0, low_open=True, high_open=True, hint=_HINT)
        _refuse_extremes(float(temperature), float(temperature), dtype)
        return 1 / float(temperature)
    lengths = {queries, per or queries}
    if not temperature.is_floating_point():
        fail(
            DTypeError,
            "temperature must be a number, or a floating-point tensor.",
            got=f"temperature of dtype {temperature.dtype}",
            expected="a floating-point tensor",
            hint="temperature.float()",
        )
    if temperature.numel() != 1 and (
        temperature.shape[0] not in lengths or temperature.shape[1:] not in {torch.Size([]), torch.Size([1])}
    ):
        fail(
            ShapeError,
            "temperature must be one number, or one per query.",
            got=f"temperature {tuple(temperature.shape)} for {queries} queries",
            expected=f"temperature () or ({queries},)",
            hint="a row vector (1, M) would scale the keys, not the queries: pass one temperature per query",
        )
    if temperature.device.type == "cpu" and temperature.numel() and not torch.compiler.is_compiling():
        least, most = (bound.item() for bound in temperature.detach().aminmax())
        if least <= 0:
            fail(
                ArgumentError,
                "temperature must be positive.",
                got=f"temperature with a minimum of {least}",
                expected="temperature > 0",
                hint=_HINT,
            )
        _refuse_extremes(least, most, dtype)
    scale = torch.exp(-torch.log(temperature.to(like.device, dtype)))
    if temperature.numel() == 1:
        return scale.reshape(())
    scale = scale.reshape(-1)
    return scale if len(scale) == queries else scale.repeat(queries // len(scale))


def _refuse_extremes(least: float, most: float, dtype: torch.dtype) -> None:
    """Refuse what would overflow: the logits go with 1 / temperature, and their derivative by it with its square."""
    largest = torch.finfo(dtype).max ** 0.5
    if least < 1 / largest or most > largest:
        fail(
            ArgumentError,
            f"temperature is too extreme for {dtype}.",
            got=f"temperature={least if least < 1 / largest else most}",
            expected=f"between {1 / largest:.1e} and {largest:.1e}",
            hint=_HINT,
        )
