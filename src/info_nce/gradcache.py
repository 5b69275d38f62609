"""One step on a batch whose activations fit in no memory, with the loss of the whole batch: gradient caching."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NoReturn

import torch
from jaxtyping import Float
from torch import Tensor, nn

from info_nce.checks import ArgumentError, DTypeError, ShapeError, check_whole, fail
from info_nce.chunks import cut, joined, mapped, rows_of, tensors
from info_nce.distributed.replicas import agreed, holding, refused, replicas, share_buffers
from info_nce.replay import Buffers, Randomness, devices_of, modules_of, undone, without_autocast

__all__ = ["cached_step"]

Encoder = Callable[..., Any]


def cached_step(
    encoders: Encoder | Sequence[Encoder],
    inputs: Sequence[Any],
    loss_fn: Callable[..., Tensor],
    *,
    chunk_size: int,
    backward: Callable[[Tensor], object] | None = None,
) -> Float[Tensor, ""]:
    r"""Which gradient has the loss of a whole batch, where only a chunk of it fits through the encoder at once?

    $$ \frac{\partial L}{\partial \theta} = \sum_{\text{chunks } c} \sum_{i \in c}
       \frac{\partial L}{\partial z_i} \frac{\partial z_i}{\partial \theta} $$

    Equal to `loss = loss_fn(*[encoder(x) for x in inputs]); loss.backward()`, in value and in every gradient. The
    embeddings z are computed chunk by chunk without keeping activations, the loss gives each its gradient, and then
    every chunk is computed once more and sent its part of it: one forward pass more, and the memory of one chunk. If
    one chunk is all there is, and where a tower has no gradient, chunks are computed once.

    Repeated exactly: dropout and all else that is drawn from torch's global generators, autocast, and what modules keep
    in buffers, which afterwards are those of one pass over the chunks. Batch norm in training mode has the statistics
    of a chunk, not of the batch. Not repeated: numbers from Python's or NumPy's generators, or from one of your own.

    Under `DistributedDataParallel` and `fully_shard`, encoders or parts of them reduce their gradients once per step,
    whatever the number of rows on each rank. `loss_fn` then has to compare across ranks by itself. Ranks with fewer
    chunks than others of an FSDP module repeat one without effect; a rank without rows encodes an empty batch. After
    the step an FSDP module is set to reduce (`set_requires_gradient_sync(True)`), whatever it was set to before.

    Args:
        encoders: one callable for all inputs, or one for each; the same may appear twice. Modules, their methods, and
            partials and functions that refer to modules by name: those hidden deeper keep no buffers, and reduce
            as often as they like.
        inputs: one for each tower: a tensor, or dictionaries, lists and tuples of tensors, cut along their first
            dimension; all else in them goes to every chunk. A dictionary is passed as keyword arguments, as models of
            `transformers` want it, everything else as one argument. Towers may differ in their number of rows.
        loss_fn: called once with the embeddings of the whole batch, one argument for each tower. An encoder's
            dictionaries, lists and tuples of tensors are put together row by row.
        chunk_size: rows that go through an encoder at once.
        backward: how the loss goes backward, `accelerator.backward` or `lambda loss: scaler.scale(loss).backward()`;
            `torch.Tensor.backward` by default. What it multiplies by reaches the encoders once, through the embeddings.

    Returns:
        The loss, detached, as `loss_fn` gave it. Gradients are added to `.grad`.

    Raises:
        ArgumentError: chunk_size is no whole number of at least 1; not one encoder for each input; gradients are off;
            the loss does not depend on the embeddings; an encoder is wrapped in a way that cannot wait.
        DTypeError: an input or an embedding without a tensor, or a loss that is none.
        ShapeError: rows of one tower differ, an encoder returns another number of rows, or the loss is no scalar.

    Example:
        >>> from info_nce import NTXent
        >>> encoder, views = nn.Linear(8, 4), [torch.randn(1000, 8), torch.randn(1000, 8)]
        >>> loss = cached_step(encoder, views, NTXent(), chunk_size=64)
        >>> encoder.weight.grad.shape
        torch.Size([4, 8])

    Source:
        Gao, Zhang, Han, Callan 2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup",
        arXiv:2101.06983, section 3.2. Differs from the authors' code: buffers are those of one pass, ranks may have
        different numbers of rows, FSDP2, and a batch of one chunk is computed once.
    """
    check_whole("chunk_size", chunk_size, hint="the largest number of rows whose activations fit in memory")
    if not torch.is_grad_enabled():
        fail(
            ArgumentError,
            "Gradients are turned off, so there is no step to make.",
            got="torch.is_grad_enabled() is False",
            expected="a call outside of no_grad and inference_mode",
            hint="loss_fn(*[encoder(x) for x in inputs]) for the loss alone",
        )
    towers = _towers(encoders, inputs, chunk_size)
    wrapped = list(dict.fromkeys(part for tower in towers for part in tower.wrapped))
    passes = agreed([tower.chunks for tower in towers], [tower.wrapped for tower in towers])
    share_buffers(wrapped)
    devices = devices_of(chain.from_iterable(tower.tensors() for tower in towers))
    if sum(passes) == 1:
        loss = _checked(loss_fn(towers[0].encode(inputs[0])))
        with without_autocast(devices):
            (backward or torch.Tensor.backward)(loss)
        return loss.detach()

    with holding(wrapped):
        embeddings = [tower.embed(count, devices) for tower, count in zip(towers, passes, strict=True)]
    # A cast that autocast cached without a gradient, as older torch does, would cut the second pass off from a weight.
    torch.clear_autocast_cache()
    loss = _checked(loss_fn(*embeddings))
    with without_autocast(devices):
        (backward or torch.Tensor.backward)(loss)
    trained = [tower for tower in towers if tower.trained]
    if trained and not any(tower.reached for tower in trained):
        _independent()
    sent: list[tuple[Tensor, Tensor]] = []
    with undone(chain.from_iterable(tower.modules for tower in trained), devices):
        for place, tower in enumerate(trained, 1):
            later = {part for other in trained[place:] for part in other.wrapped}
            sent += tower.replay(later)
    if sent:
        with without_autocast(devices):
            torch.autograd.backward([x for x, _ in sent], [grad for _, grad in sent])
    return loss.detach()


class _Tower:
    """One encoder and the rows that go through it."""

    def __init__(self, name: str, encoder: Encoder, inputs: Any, chunk_size: int) -> None:
        rows = rows_of(f"inputs{name}", inputs, hint="one row for each item in every tensor; pass others as numbers")
        self.inputs, self.chunks = inputs, max(1, -(-rows // chunk_size))
        self.modules = modules_of(encoder)
        if kind := refused(self.modules):
            fail(
                ArgumentError,
                f"The encoder of inputs{name} cannot put the reduction of its gradients off.",
                got=kind,
                expected="DistributedDataParallel, or fully_shard",
                hint="fully_shard(model), or DistributedDataParallel(model) without static_graph",
            )
        self.wrapped = replicas(self.modules)
        self._name, self._encoder, self._size = name, encoder, chunk_size
        self._starts: list[Randomness] = []
        self._leaves: list[Tensor] = []

    def tensors(self) -> Iterator[Tensor]:
        """Whatever tells which devices it works on."""
        yield from (tensor for _, tensor in tensors(self.inputs))
        for module in self.modules:
            yield from chain(module.parameters(), module.buffers())

    def encode(self, batch: Any) -> Any:
        """Call the encoder, and refuse what is not one embedding for each row."""
        output = self._encoder(**batch) if isinstance(batch, Mapping) else self._encoder(batch)
        name = f"encoder(inputs{self._name})"
        rows = rows_of(name, output, hint="return embeddings only, one row for each row of the input")
        expected = len(next(tensors(batch))[1])
        if rows != expected:
            fail(
                ShapeError,
                f"{name} must have one row for each row of its chunk.",
                got=f"{rows} rows for a chunk of {expected}",
                expected=f"{expected} rows",
                hint="keep the items in the first dimension; what is no tensor, a list of texts, is not cut",
            )
        return output

    def embed(self, passes: int, devices: list[torch.device]) -> Any:
        """The embeddings of all rows, as the leaves that the loss is differentiated by."""
        self._passes, self._devices = passes, devices
        self._buffers, parts = Buffers(self.modules), []
        for chunk in range(self.chunks):
            self._starts.append(Randomness(devices))
            with torch.set_grad_enabled(chunk == 0):  # which shows what has a gradient at all
                output = self.encode(self._rows(self.inputs, chunk))
            if chunk == 0:
                needs = [tensor.requires_grad for _, tensor in tensors(output)]
            parts.append(mapped(Tensor.detach, output))
            del output
        for _ in range(self.chunks, passes):
            with torch.no_grad(), undone(self.modules, devices):
                self.encode(self._rows(self.inputs, 0))
        embeddings = joined(parts)
        self._leaves = [tensor for _, tensor in tensors(embeddings)]
        for leaf, need in zip(self._leaves, needs, strict=True):
            leaf.requires_grad_(need)
        return embeddings

    @property
    def trained(self) -> bool:
        """Whether any of its embeddings has a gradient."""
        return any(leaf.requires_grad for leaf in self._leaves)

    @property
    def reached(self) -> bool:
        """Whether the loss depends on them."""
        return any(leaf.grad is not None for leaf in self._leaves)

    def replay(self, later: set[nn.Module]) -> list[tuple[Tensor, Tensor]]:
        """Send each chunk its part of the gradient, and return the gradients of the inputs that need one.

        Args:
            later: what reduces its gradients in a later tower, not here.
        """
        if not self.reached and not self.wrapped:
            return []  # the loss does not use it, as it may; other ranks wait for a wrapped one
        nothing = [leaf.new_zeros(()).expand_as(leaf) if leaf.requires_grad else None for leaf in self._leaves]
        grads = [leaf.grad for leaf in self._leaves] if self.reached else nothing
        inputs = [x for _, x in tensors(self.inputs)]
        totals = [torch.zeros_like(x) if x.requires_grad else None for x in inputs]
        self._buffers.restore()
        for index in range(self._passes):
            last = index == self._passes - 1
            with holding(part for part in self.wrapped if not last or part in later):
                if index < self.chunks:
                    self._starts[index].restore()
                    self._send(index, grads, totals)
                else:
                    self._send(0, nothing, [None] * len(inputs))
        return [(x, total) for x, total in zip(inputs, totals, strict=True) if total is not None]

    def _send(self, chunk: int, grads: list[Tensor | None], totals: list[Tensor | None]) -> None:
        batch = mapped(lambda x: x.detach().requires_grad_(x.requires_grad), self._rows(self.inputs, chunk))
        for (_, x), total in zip(tensors(batch), totals, strict=True):
            if total is not None:
                x.grad = self._rows(total, chunk)  # autograd adds to it in place
        output = [tensor for _, tensor in tensors(self.encode(batch))]
        pairs = [(z, self._rows(grad, chunk)) for z, grad in zip(output, grads, strict=True) if grad is not None]
        with without_autocast(self._devices):
            torch.autograd.backward([z for z, _ in pairs], [grad for _, grad in pairs])

    def _rows(self, tree: Any, chunk: int) -> Any:
        return cut(tree, chunk * self._size, (chunk + 1) * self._size)


def _towers(encoders: Encoder | Sequence[Encoder], inputs: Sequence[Any], chunk_size: int) -> list[_Tower]:
    if not isinstance(inputs, Sequence) or len(inputs) == 0:
        fail(
            ArgumentError,
            "inputs must be a list with one entry for each tower.",
            got=f"inputs of type {type(inputs).__name__}" + (", empty" if isinstance(inputs, Sequence) else ""),
            expected="[input of the first tower, input of the second, ...]",
            hint="cached_step(encoder, [x], loss_fn, ...) for a single tower",
        )
    each = [*encoders] if isinstance(encoders, (Sequence, nn.ModuleList)) else [encoders] * len(inputs)
    if len(each) != len(inputs) or not all(callable(encoder) for encoder in each):
        fail(
            ArgumentError,
            "encoders must be one callable for all inputs, or one for each.",
            got=f"{[type(encoder).__name__ for encoder in each]} for {len(inputs)} inputs",
            expected=f"one callable, or a list of {len(inputs)}",
            hint="the same encoder may appear twice: [encoder, encoder]",
        )
    return [_Tower(f"[{i}]", encoder, x, chunk_size) for i, (encoder, x) in enumerate(zip(each, inputs, strict=True))]


def _checked(loss: object) -> Tensor:
    if not isinstance(loss, Tensor):
        fail(
            DTypeError,
            "loss_fn must return a tensor.",
            got=type(loss).__name__,
            expected="a scalar tensor with a gradient",
            hint="return the loss itself, not its .item() or a dictionary",
        )
    if loss.numel() != 1:
        fail(
            ShapeError,
            "loss_fn must return a scalar.",
            got=f"a loss {tuple(loss.shape)}",
            expected="a loss ()",
            hint='reduction="mean", or .mean()',
        )
    if not loss.requires_grad:
        _independent()
    return loss


def _independent() -> NoReturn:
    fail(
        ArgumentError,
        "The loss does not depend on the embeddings.",
        got="a loss without a gradient for any of them",
        expected="a loss computed from loss_fn's arguments, and an encoder that is trained",
        hint="no detach() and no .item() on the way, and parameters with requires_grad",
    )
