"""Modules that reduce their gradients over ranks: when they do, and how many passes all of their ranks make."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, cast

import torch
from torch import distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh

__all__ = ["agreed", "holding", "refused", "replicas", "share_buffers"]


def replicas(modules: Iterable[nn.Module]) -> list[nn.Module]:
    """The DDP and FSDP2 modules, these or inside of these."""
    if not (dist.is_available() and dist.is_initialized()):
        return []
    from torch.distributed.fsdp import FSDPModule  # noqa: PLC0415 - takes a second, and not every torch has it

    inside = dict.fromkeys(part for module in modules for part in module.modules())
    return [part for part in inside if isinstance(part, (DistributedDataParallel, FSDPModule))]


def refused(modules: Iterable[nn.Module]) -> str:
    """Which kind of replica is among them that cannot put its reduction off; "" if there is none."""
    if not (dist.is_available() and dist.is_initialized()):
        return ""
    from torch.distributed.fsdp import FullyShardedDataParallel  # noqa: PLC0415 - as above

    for part in (part for module in modules for part in module.modules()):
        if isinstance(part, FullyShardedDataParallel):
            return "FullyShardedDataParallel"
        if isinstance(part, DistributedDataParallel) and part.static_graph:
            return "DistributedDataParallel with static_graph=True"
    return ""


@contextmanager
def holding(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Within this, these modules add up their gradients and reduce none; forward and backward belong inside."""
    with ExitStack() as stack:
        for module in modules:
            if isinstance(module, DistributedDataParallel):
                stack.enter_context(module.no_sync())
            else:
                _reduce(module, reduce=False)
                stack.callback(_reduce, module, reduce=True)
        yield


def _reduce(module: nn.Module, *, reduce: bool) -> None:
    module.set_requires_gradient_sync(reduce, recurse=False)  # type: ignore[operator]  # FSDPModule has it


def share_buffers(modules: Iterable[nn.Module]) -> None:
    """Bring the buffers of the first rank to all, as the next forward pass of a DDP module is going to.

    So that whoever keeps the buffers for a second pass keeps what the first one works with.
    """
    for module in modules:
        if isinstance(module, DistributedDataParallel):
            if not module.will_sync_module_buffers():  # type: ignore[no-untyped-call]  # torch has no types for it
                continue
            for buffer in module.modules_buffers:
                dist.broadcast(buffer, dist.get_global_rank(module.process_group, 0), module.process_group)


def agreed(counts: Sequence[int], towers: Sequence[Sequence[nn.Module]]) -> list[int]:
    """The largest count of passes of each tower over the ranks that share its parameters.

    Every forward pass of an FSDP2 module gathers its parameters from all ranks, so all of them must make the same
    number. A DDP module's need not, and nobody is asked.
    """
    most = list(counts)
    sharing: "dict[DeviceMesh, list[int]]" = {}
    for tower, modules in enumerate(towers):
        for mesh in _meshes(modules):
            sharing.setdefault(mesh, []).append(tower)
    for mesh, members in sharing.items():
        shared = torch.tensor([most[tower] for tower in members], device=mesh.device_type)
        for dimension in range(mesh.ndim):
            dist.all_reduce(shared, dist.ReduceOp.MAX, mesh.get_group(dimension))
        for tower, count in zip(members, shared.tolist(), strict=True):
            most[tower] = count
    return most


def _meshes(modules: Sequence[nn.Module]) -> "Iterable[DeviceMesh]":
    """The grids of ranks over which FSDP2 modules are spread, each once, in an order that is the same on all ranks."""
    if not modules:
        return ()
    from torch.distributed.fsdp import FSDPModule  # noqa: PLC0415 - as above
    from torch.distributed.tensor import DTensor  # noqa: PLC0415 - as above

    found: "dict[DeviceMesh, None]" = {}
    for module in modules:
        if isinstance(module, FSDPModule):
            module.reshard()  # a pass without a gradient may have left whole parameters, which know no mesh
            for parameter in cast("nn.Module", module).parameters():
                if isinstance(parameter, DTensor):
                    found[parameter.device_mesh] = None
    return found
