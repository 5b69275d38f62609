"""What the ranks do in these tests: each passes its rows, and compares what it gets with one process on all rows."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from info_nce.engines import Engine
from tests.distributed.cases import CASES, Case, Rows, Towers, batch

Finding = tuple[float, float, float]
Findings = dict[str, Finding]
Gradients = dict[str, Tensor]


def shard(rows: Rows, sizes: Sequence[int], rank: int) -> Rows:
    first = sum(sizes[:rank])
    return {name: values[first : first + sizes[rank]] for name, values in rows.items()}


def alone(case: Case, rows: Rows, **settings: Any) -> tuple[Tensor, Gradients]:
    """Value and gradients of one process."""
    model = case.model(None, **settings)
    value = model(rows)
    value.backward()
    return value.detach(), gradients(model)


def gradients(model: nn.Module) -> Gradients:
    return {
        name: torch.zeros_like(p) if p.grad is None else p.grad.clone()
        for name, p in model.named_parameters()
        if p.requires_grad
    }


def reduce_by_hand(model: nn.Module, divisor: float, group: Any = None) -> Gradients:
    """Add up gradients over the ranks, and divide."""
    found = gradients(model)
    every = torch.cat([gradient.flatten() for gradient in found.values()])
    dist.all_reduce(every, group=group)
    pieces = torch.split(every / divisor, [gradient.numel() for gradient in found.values()])
    return {name: piece.view_as(found[name]) for name, piece in zip(found, pieces, strict=True)}


def difference(found: Gradients, expected: Gradients) -> float:
    """The largest, relative to the largest entry of each parameter's gradient where that is above 1."""
    return max(
        float((found[name] - expected[name]).abs().max() / expected[name].abs().max().clamp(min=1)) for name in expected
    )


def compared(
    engine: Engine, sizes: Sequence[int], case: Case, expected: tuple[Tensor, dict[str, Tensor]], **settings: Any
) -> Finding:
    """The value, how far it is from one process's, and how far the gradients are."""
    value, found = on_ranks(engine, sizes, case, **settings)
    return value.item(), *distances(value, found, expected)


def distances(value: Tensor, found: Gradients, expected: tuple[Tensor, Gradients]) -> tuple[float, float]:
    truth, truths = expected
    return float((value - truth).abs() / truth.abs().clamp(min=1)), difference(found, truths)


def on_ranks(engine: Engine, sizes: Sequence[int], case: Case, **settings: Any) -> tuple[Tensor, Gradients]:
    """What this rank gets with its rows, the gradients reduced by hand."""
    group = getattr(engine, "process_group", None)
    model = case.model(engine, **settings)
    value = model(shard(batch(sum(sizes)), sizes, dist.get_rank(group)))
    value.backward()
    mean = getattr(engine, "reducer", "sum") == "mean"
    return value.detach(), reduce_by_hand(model, len(sizes) if mean else 1, group)


def every_case(engines: Sequence[Engine], sizes: Sequence[int]) -> Findings:
    """Every case on every engine that does not refuse it."""
    found = {}
    for case in CASES:
        expected = alone(case, batch(sum(sizes)))
        for engine in engines:
            if type(engine).__name__ not in case.refuses:
                found[f"{case.name}, {engine}"] = compared(engine, sizes, case, expected)
    return found


FEW = [
    case
    for case in CASES
    if case.name
    in {
        "info_nce",
        "symmetric",
        "symmetric ids positive",
        "nt_xent",
        "siglip",
        "sup_con",
        "dclw",
        "unpaired",
        "unpaired some",
    }
]
"""Of each kind one: a row, both directions, a mirrored matrix, a bias, labels, weights of all pairs, own negatives."""


def dealt_at_random(engines: Sequence[Engine], times: int) -> Findings:
    """Any number of rows on any rank, many times over."""
    generator = torch.Generator().manual_seed(4)
    found = {}
    for _ in range(times):
        sizes = torch.randint(0, 4, (dist.get_world_size(),), generator=generator).tolist()
        sizes[0] += 2  # so that no batch is empty, or without a negative
        for case in FEW:
            expected = alone(case, batch(sum(sizes)))
            for engine in engines:
                found[f"{case.name}, {sizes}, {engine}"] = compared(engine, sizes, case, expected)
    return found


def added_up(engines: Sequence[Engine], sizes: Sequence[int]) -> Findings:
    """A reducer that adds gradients up, and engines that know it."""
    return {
        f"{case.name}, {engine}": compared(engine, sizes, case, alone(case, batch(sum(sizes))))
        for case in FEW
        for engine in engines
    }


def wrapped(engines: Sequence[Engine], sizes: Sequence[int], wrap: Callable[[Towers], nn.Module]) -> Findings:
    """Gradients reduced by whoever wraps the model, temperature and bias included."""
    found = {}
    for case in FEW:
        expected = alone(case, batch(sum(sizes)))
        for engine in engines:
            model = case.model(engine)
            around = wrap(model)  # DDP's hooks do not keep it alive
            value = around(shard(batch(sum(sizes)), sizes, dist.get_rank()))
            value.backward()
            found[f"{case.name}, {engine}"] = value.item(), *distances(value.detach(), whole_gradients(model), expected)
            model.face.clamp_temperature()  # type: ignore[operator]  # a face's
            assert "learnable" in repr(model) or not model.face.learnable
    return found


def whole_gradients(model: nn.Module) -> Gradients:
    """Of a sharded parameter, the gradient of all shards."""
    return {
        name: gradient.full_tensor() if isinstance(gradient, DTensor) else gradient
        for name, gradient in gradients(model).items()
    }


def with_ddp(engines: Sequence[Engine], sizes: Sequence[int]) -> Findings:
    # some towers and losses have a parameter that this case has no use for
    return wrapped(engines, sizes, lambda model: DistributedDataParallel(model, find_unused_parameters=True))


def with_fsdp(engines: Sequence[Engine], sizes: Sequence[int], shape: Sequence[int]) -> Findings:
    """FSDP2 over one dimension; over two, parameters are replicated along the first and sharded along the second."""
    mesh = init_device_mesh("cpu", tuple(shape), mesh_dim_names=("replicate", "shard")[-len(shape) :])

    def wrap(model: Towers) -> nn.Module:
        for tower in (model.left, model.right):
            fully_shard(tower, mesh=mesh)
        fully_shard(model, mesh=mesh)
        return model

    return wrapped(engines, sizes, wrap)


def in_halves(kinds: Sequence[Callable[..., Engine]], sizes: Sequence[int]) -> Findings:
    """Ranks 0 and 2 are a group and ranks 1 and 3 another: the rank in the group is not the rank in the world."""
    halves = [dist.new_group(members) for members in ((0, 2), (1, 3))]
    group = halves[dist.get_rank() % 2]
    return {
        f"{case.name}, {kind}": compared(
            kind(process_group=group),
            sizes,
            case,
            alone(case, batch(sum(sizes))),
        )
        for case in FEW
        for kind in kinds
    }
