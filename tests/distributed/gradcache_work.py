"""What each rank does in `test_gradcache_ranks.py`: a cached step, and beside it the plain one in a single process."""

# W ranks

import copy
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, cast
from unittest import mock

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.nn.parallel import DistributedDataParallel
from torch.utils._python_dispatch import TorchDispatchMode

from info_nce import InfoNCE, NTXent, cached_step, gradcache
from info_nce.checks import ArgumentError

CHUNK = 2
LEARNING_RATE = 0.1


class AllRows(torch.autograd.Function):
    """The rows of all ranks; what all ranks' losses say of a rank's rows is summed."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, sizes: Sequence[int]) -> Tensor:
        padded = own.new_zeros(max(sizes), own.shape[1])
        padded[: len(own)] = own
        each = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(each, padded)
        ctx.sizes = sizes
        return torch.cat([rows[:size] for rows, size in zip(each, sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        total = grads[0].clone()
        dist.all_reduce(total)
        return total.split(ctx.sizes)[dist.get_rank()], None


class LocalRows(AllRows):
    """The wrong sibling: what other ranks' losses say is missing."""

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return grads[0].split(ctx.sizes)[dist.get_rank()], None


class Spread(nn.Module):
    """A loss of one tower: how near to each other the rows are."""

    def __init__(self) -> None:
        super().__init__()
        self.sharpness = nn.Parameter(torch.tensor(1.5))

    def forward(self, z: Tensor) -> Tensor:
        return (z @ z.mT * self.sharpness).logsumexp(1).mean()


class Gathered(nn.Module):
    """A loss of the rows of all ranks."""

    def __init__(self, face: nn.Module, sizes: list[list[int]], gather: type[AllRows]) -> None:
        super().__init__()
        self.face, self.sizes, self.gather = face, sizes, gather

    def forward(self, *own: Tensor) -> Tensor:
        rows = [cast("Any", self.gather).apply(z, n) for z, n in zip(own, self.sizes, strict=True)]
        loss: Tensor = self.face(*rows)
        return loss


class Drift(nn.Module):
    """An encoder whose output depends on a buffer that each call moves."""

    level: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)
        self.register_buffer("level", torch.zeros(3))

    def forward(self, x: Tensor) -> Tensor:
        z = torch.tanh(self.linear(x) + self.level)
        self.level.mul_(0.5).add_(z.detach().sum(0))
        return z


class Around(nn.Module):
    """A module of the user's own, with the replica inside."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = 2 * self.inner(x)
        return z


class PartlyUsed(nn.Module):
    """An encoder with a layer that no output depends on."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused = nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        self.unused(x)
        z: Tensor = self.used(x)
        return z


def layers() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Sequential(nn.Linear(6, 5), nn.Tanh()), nn.Linear(5, 3))


def ddp(net: nn.Module) -> nn.Module:
    return DistributedDataParallel(net)


def ddp_unused(net: nn.Module) -> nn.Module:
    return DistributedDataParallel(net, find_unused_parameters=True)


def ddp_buckets(net: nn.Module) -> nn.Module:
    return DistributedDataParallel(net, bucket_cap_mb=1)


def around_ddp(net: nn.Module) -> nn.Module:
    return Around(DistributedDataParallel(net))


def fsdp(net: nn.Module) -> nn.Module:
    for layer in cast("nn.Sequential", net):
        if any(True for _ in layer.parameters()):
            fully_shard(layer)
    fully_shard(net)
    return net


def hsdp(net: nn.Module) -> nn.Module:
    fully_shard(net, mesh=init_device_mesh("cpu", (2, dist.get_world_size() // 2), mesh_dim_names=("copies", "shards")))
    return net


@dataclass(frozen=True)
class Case:
    """A batch over ranks, and who encodes it."""

    sizes: tuple[int, ...]
    wrap: Callable[[nn.Module], nn.Module] = ddp
    make: Callable[[], nn.Module] = layers
    towers: str = "shared"
    """"one", "shared" (two views), "two" (encoders), "hard" (a third input for the second of two encoders)."""
    gather: type[AllRows] = AllRows
    wrapped_loss: bool = False
    steps: int = 2

    def encoders(self) -> list[nn.Module]:
        torch.manual_seed(1)
        first, second = self.make(), self.make()
        return {"one": [first], "shared": [first, first], "two": [first, second], "hard": [first, second, second]}[
            self.towers
        ]

    def rows(self) -> list[list[int]]:
        """For each tower: rows on each rank."""
        sizes = list(self.sizes)
        return [sizes, sizes, [3 * n for n in sizes]][
            : 1 if self.towers == "one" else 3 if self.towers == "hard" else 2
        ]

    def face(self) -> nn.Module:
        if self.towers == "one":
            return Spread()
        return InfoNCE(0.5, learnable=True) if self.towers == "hard" else NTXent(0.5, learnable=True)


def difference(case: Case) -> float:
    """The largest difference of a loss or of any gradient from the plain step in one process, over two steps."""
    rank, rows = dist.get_rank(), case.rows()
    plain = case.encoders()
    copies = {net: copy.deepcopy(net) for net in plain}
    replicas = {net: case.wrap(mine) for net, mine in copies.items()}
    if rank > 0 and case.wrap not in (fsdp, hsdp):  # under DDP the first rank's buffers are the ones that count
        for mine in copies.values():
            for buffer in mine.buffers():
                buffer.add_(rank)
    face = case.face()
    own_face = copy.deepcopy(face)
    loss_fn: nn.Module = Gathered(own_face, rows, case.gather)
    if case.wrapped_loss:
        loss_fn = DistributedDataParallel(loss_fn)
    torch.manual_seed(2)
    worst = 0.0
    for _ in range(case.steps):
        batch = [torch.randn(sum(sizes), 4) for sizes in rows]
        own = [torch.split(x, sizes)[rank] for x, sizes in zip(batch, rows, strict=True)]
        expected = face(*in_one_process(plain, batch, rows, around=case.wrap is around_ddp))
        expected.backward()
        found = cached_step([replicas[net] for net in plain], own, loss_fn, chunk_size=CHUNK)
        worst = max(worst, (found - expected).abs().item())
        pairs = [(face, own_face), *copies.items()]
        for net, mine in pairs:
            for p, q in zip(net.parameters(), mine.parameters(), strict=True):
                worst = max(worst, apart(p.grad, q.grad))
            with torch.no_grad():
                for parameter in (*net.parameters(), *mine.parameters()):
                    if parameter.grad is not None:
                        parameter.sub_(LEARNING_RATE * parameter.grad)
                        parameter.grad = None
    return worst


def in_one_process(nets: list[nn.Module], batch: list[Tensor], rows: list[list[int]], *, around: bool) -> list[Tensor]:
    """The embeddings of all ranks' chunks; every rank starts with the same buffers, and those of the first stay."""
    owners = list(dict.fromkeys(nets))
    start = [[buffer.clone() for buffer in net.buffers()] for net in owners]
    parts: list[list[Tensor]] = [[] for _ in nets]
    after: list[list[Tensor]] = []
    for rank in range(dist.get_world_size()):
        for net, values in zip(owners, start, strict=True):
            for buffer, value in zip(net.buffers(), values, strict=True):
                buffer.data = value.clone()
        for tower, (net, x, sizes) in enumerate(zip(nets, batch, rows, strict=True)):
            parts[tower] += [
                net(chunk) * (2 if around else 1) for chunk in torch.split(torch.split(x, sizes)[rank], CHUNK)
            ]
        if rank == 0:
            after = [[buffer.clone() for buffer in net.buffers()] for net in owners]
    for net, values in zip(owners, after, strict=True):
        for buffer, value in zip(net.buffers(), values, strict=True):
            buffer.data = value
    return [torch.cat(each) for each in parts]


def apart(expected: Tensor | None, found: Tensor | None) -> float:
    if expected is None or found is None:
        # DDP gives a parameter that nobody uses no gradient, and a plain step neither
        return 0.0 if expected is found else float("inf")
    whole = cast("Any", found).full_tensor() if hasattr(found, "full_tensor") else found
    return (expected - whole).abs().max().item()


def nothing_held(_: object) -> nullcontext[None]:
    return nullcontext()


def without(name: str, case: Case) -> float:
    """The same with a part of the step taken out."""
    instead: Any = {"share_buffers": lambda _: None, "agreed": lambda c, _: c}[name]
    with mock.patch.object(gradcache, name, instead):
        return difference(case)


def reductions(*, held: bool) -> tuple[int, int]:
    """How often DDP reduces a bucket in a plain step, and in a cached one."""
    sizes = [6] * dist.get_world_size()
    counts: list[int] = []

    def counting(_: object, bucket: dist.GradBucket) -> torch.futures.Future[Tensor]:
        counts[-1] += 1
        return allreduce_hook(cast("Any", None), bucket)

    net = DistributedDataParallel(nn.Sequential(*[nn.Linear(200, 200) for _ in range(8)]), bucket_cap_mb=1)
    net.register_comm_hook(None, counting)
    batch = [torch.randn(6, 200) for _ in range(2)]
    loss_fn = Gathered(NTXent(0.5), [sizes, sizes], AllRows)
    for _ in range(2):  # torch forms its buckets anew after the first step
        counts.append(0)
        loss_fn(*net(torch.cat(batch)).chunk(2)).backward()
    counts.append(0)
    with nullcontext() if held else mock.patch.object(gradcache, "holding", nothing_held):
        cached_step(net, batch, loss_fn, chunk_size=CHUNK)
    return counts[1], counts[2]


class Reductions(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch has no types for it
    """How often gradients were reduced and scattered."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += "reduce_scatter" in str(func)
        return func(*args, **(kwargs or {}))


def reductions_of_shards() -> tuple[int, int]:
    """How often FSDP2 reduces in a plain step, and in a cached one: once for each part that it shards."""
    sizes = [6] * dist.get_world_size()
    batch = [torch.randn(6, 4) for _ in range(2)]
    loss_fn = Gathered(NTXent(0.5), [sizes, sizes], AllRows)
    found = []
    for cached in (False, True):
        net = fsdp(layers())
        with Reductions() as watched:  # type: ignore[no-untyped-call]  # torch has no types for it
            if cached:
                cached_step(net, batch, loss_fn, chunk_size=CHUNK)
            else:
                loss_fn(*net(torch.cat(batch)).chunk(2)).backward()
        found.append(watched.count)
    return found[0], found[1]


def accumulated() -> float:
    """Two batches, and one reduction in the end: the sum of both gradients."""
    world, rank = dist.get_world_size(), dist.get_rank()
    rows = [[4] * world] * 2
    plain = layers()
    net = DistributedDataParallel(copy.deepcopy(plain))
    for last in (False, True):
        batch = [torch.randn(4 * world, 4) for _ in range(2)]
        NTXent(0.5)(*[plain(x) for x in batch]).backward()
        with nullcontext() if last else net.no_sync():
            loss_fn = Gathered(NTXent(0.5), rows, AllRows)
            cached_step(net, [torch.split(x, 4)[rank] for x in batch], loss_fn, chunk_size=CHUNK)
    return max(apart(p.grad, q.grad) for p, q in zip(plain.parameters(), net.parameters(), strict=True))


def a_function_with_more_than_embeddings() -> float:
    """An encoder that is a function around a sharded module, and returns something without a gradient, too."""
    rank, sizes = dist.get_rank(), [6, *[2] * (dist.get_world_size() - 1)]
    plain, face = layers(), Spread()
    net = fsdp(copy.deepcopy(plain))
    x = torch.randn(sum(sizes), 4)
    face(plain(x)).backward()
    loss_fn = Gathered(face, [sizes], AllRows)
    own = torch.split(x, sizes)[rank]
    cached_step(lambda rows: (net(rows), rows), [own], lambda pair: loss_fn(pair[0]), chunk_size=CHUNK)
    return max(apart(p.grad, q.grad) for p, q in zip(plain.parameters(), net.parameters(), strict=True))


def unused_on_a_rank() -> float:
    """The second tower has no gradient on the second rank, and that of the first rank reaches both."""
    rank, plain = dist.get_rank(), [layers(), layers()]
    nets = [DistributedDataParallel(copy.deepcopy(net)) for net in plain]
    x, y = torch.randn(2, 5, 4), torch.randn(2, 5, 4)
    face = NTXent(0.5)
    losses = face(plain[0](x[0]), plain[1](y[0])) + Spread()(plain[0](x[1]))
    (losses / 2).backward()
    cached_step(nets, [x[rank], y[rank]], face if rank == 0 else lambda a, _: Spread()(a), chunk_size=CHUNK)
    pairs = (
        (p, q)
        for net, mine in zip(plain, nets, strict=True)
        for p, q in zip(net.parameters(), mine.parameters(), strict=True)
    )
    return max(apart(p.grad, q.grad) for p, q in pairs)


def after_a_look_without_gradient() -> float:
    """An FSDP module that has been evaluated holds whole parameters, and the ranks have to agree all the same."""
    rank = dist.get_rank()
    sizes = [6, *[2] * (dist.get_world_size() - 1)]
    plain = layers()
    net = cast("nn.Module", fully_shard(copy.deepcopy(plain)))  # its root stays whole after a pass
    batch = [torch.randn(sum(sizes), 4) for _ in range(2)]
    with torch.no_grad():
        net(batch[0])
    NTXent(0.5)(*[plain(x) for x in batch]).backward()
    loss_fn = Gathered(NTXent(0.5), [sizes, sizes], AllRows)
    cached_step(net, [torch.split(x, sizes)[rank] for x in batch], loss_fn, chunk_size=CHUNK)
    return max(apart(p.grad, q.grad) for p, q in zip(plain.parameters(), net.parameters(), strict=True))


def refusals() -> list[str]:
    """What is said of replicas that cannot wait."""
    cpu = torch.device("cpu")
    static = DistributedDataParallel(layers(), static_graph=True)
    return [refusal(static), refusal(FullyShardedDataParallel(layers(), device_id=cpu))]


def refusal(net: nn.Module) -> str:
    try:
        cached_step(net, [torch.randn(4, 4)], Spread(), chunk_size=CHUNK)
    except ArgumentError as error:
        return str(error)
    return ""


def perform(tasks: dict[str, tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]]) -> dict[str, Any]:
    """All tasks of a world, one after the other, in float64."""
    torch.set_default_dtype(torch.float64)
    found = {}
    for name, (function, args, options) in tasks.items():
        torch.manual_seed(0)
        found[name] = function(*args, **options)
    return found
