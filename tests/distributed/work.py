"""What the ranks do in these tests: each passes its rows, and compares what it gets with one process on all rows."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, distributed as dist, nn

from info_nce.engines import Engine
from tests.distributed.cases import CASES, Case, Rows, batch

Findings = dict[str, Any]


def shard(rows: Rows, sizes: Sequence[int], rank: int) -> Rows:
    first = sum(sizes[:rank])
    return {name: values[first : first + sizes[rank]] for name, values in rows.items()}


def alone(case: Case, rows: Rows, **settings: Any) -> tuple[Tensor, dict[str, Tensor]]:
    """Value and gradients of one process."""
    model = case.model(None, **settings)
    value = model(rows)
    value.backward()
    return value.detach(), gradients(model)


def gradients(model: nn.Module) -> dict[str, Tensor]:
    return {
        name: torch.zeros_like(p) if p.grad is None else p.grad.clone()
        for name, p in model.named_parameters()
        if p.requires_grad
    }


def reduce_by_hand(model: nn.Module, divisor: float, group: Any = None) -> dict[str, Tensor]:
    """Add up gradients over the ranks, and divide."""
    found = gradients(model)
    every = torch.cat([gradient.flatten() for gradient in found.values()])
    dist.all_reduce(every, group=group)
    pieces = torch.split(every / divisor, [gradient.numel() for gradient in found.values()])
    return {name: piece.view_as(found[name]) for name, piece in zip(found, pieces, strict=True)}


def difference(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """The largest, relative to the largest entry of each parameter's gradient where that is above 1."""
    return max(
        float((found[name] - expected[name]).abs().max() / expected[name].abs().max().clamp(min=1)) for name in expected
    )


def compared(
    engine: Engine, sizes: Sequence[int], case: Case, group: Any = None, **settings: Any
) -> tuple[float, float, float]:
    """The value, how far it is from one process's, and how far the gradients are."""
    rows, rank = batch(sum(sizes)), dist.get_rank(group)
    expected, expected_gradients = alone(case, rows, **settings)
    model = case.model(engine, **settings)
    value = model(shard(rows, sizes, rank))
    value.backward()
    found = reduce_by_hand(model, len(sizes) if engine.reducer == "mean" else 1, group)  # type: ignore[attr-defined]  # across ranks
    error = float((value.detach() - expected).abs() / expected.abs().clamp(min=1))
    return value.item(), error, difference(found, expected_gradients)


def all_cases(engine: Engine, all_sizes: Sequence[Sequence[int]]) -> Findings:
    """Every case that the engine does not refuse."""
    return {
        f"{case.name} {sizes}": compared(engine, sizes, case)
        for sizes in all_sizes
        for case in CASES
        if type(engine).__name__ not in case.refuses
    }
