"""A step in chunks: the plain step's numbers, with the activations of one chunk."""

import copy
import weakref
from collections import OrderedDict, UserDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, NamedTuple, cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.testing import assert_close
from torch.utils.checkpoint import checkpoint

from info_nce import InfoNCE, KeyQueue, MoCo, MomentumEncoder, NTXent, SymmetricInfoNCE, cached_step, gradcache, replay
from info_nce.checks import ArgumentError, DTypeError, ShapeError
from info_nce.chunks import cut, joined, tensors
from info_nce.distributed import replicas
from info_nce.recipes.encoders import contrastive_model

D = 5

Grads = list[Tensor | None]


def equal(found: object, expected: object) -> None:
    assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.fixture(autouse=True)
def _in_double_precision() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def mlp(*between: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(D, 7), *between, nn.Tanh(), nn.Linear(7, 3))


class Counting(nn.Module):
    """An encoder that remembers the rows of each call, and whether it was to have a gradient."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.rows, self.enabled = inner, list[int](), list[bool]()

    def forward(self, x: Tensor) -> Tensor:
        self.rows.append(len(x))
        self.enabled.append(torch.is_grad_enabled())
        z: Tensor = self.inner(x)
        return z


class Drift(nn.Module):
    """An encoder whose output depends on a buffer that each call moves, by writing in it or by replacing it."""

    level: Tensor

    def __init__(self, *, replace: bool = False) -> None:
        super().__init__()
        self.linear, self.replace = nn.Linear(D, 3), replace
        self.register_buffer("level", torch.zeros(3))

    def forward(self, x: Tensor) -> Tensor:
        z = torch.tanh(self.linear(x) + self.level)
        moved = self.level * 0.5 + z.detach().sum(0)
        if self.replace:
            self.level = moved
        else:
            self.level.copy_(moved)
        return z


def parameters(*modules: object) -> list[nn.Parameter]:
    return list(dict.fromkeys(p for m in modules if isinstance(m, nn.Module) for p in m.parameters()))


def grads(*modules: object) -> Grads:
    return [p.grad for p in parameters(*modules)]


def plain(encoders: Sequence[Any], inputs: Sequence[Any], loss_fn: Any, chunk_size: int = 1 << 30) -> Tensor:
    """What a cached step equals: each tower's chunks, all of them with their activations, then one backward pass."""
    embeddings = []
    for encoder, x in zip(encoders, inputs, strict=True):
        rows = len(next(tensors(x))[1])
        parts = [cut(x, i, i + chunk_size) for i in range(0, max(rows, 1), chunk_size)]
        called = [encoder(**part) if isinstance(part, Mapping) else encoder(part) for part in parts]
        embeddings.append(joined(called))
    loss: Tensor = loss_fn(*embeddings)
    loss.backward()  # type: ignore[no-untyped-call]  # torch has no types for it
    value: Tensor = loss.detach()
    return value


def compare(
    encoders: Sequence[Any], inputs: Sequence[Any], loss_fn: Any, chunk_size: int, *, chunks: bool = False
) -> None:
    """Value and every gradient, of encoders and loss; with `chunks`, beside a plain step of the same chunks."""
    modules = [*encoders, loss_fn]
    twins = copy.deepcopy(modules)
    torch.manual_seed(3)
    expected = plain(twins[:-1], inputs, twins[-1], chunk_size if chunks else 1 << 30)
    state = torch.get_rng_state()
    torch.manual_seed(3)
    found = cached_step(encoders, inputs, loss_fn, chunk_size=chunk_size)
    assert_close(torch.get_rng_state(), state)
    equal(found, expected)
    assert not found.requires_grad
    equal(grads(*modules), grads(*twins))
    buffers, others = ([b for m in each if isinstance(m, nn.Module) for b in m.buffers()] for each in (modules, twins))
    equal(buffers, others)


def hard(q: Tensor, k: Tensor, negatives: Tensor) -> Tensor:
    loss: Tensor = InfoNCE(0.5)(q, k, negatives)
    return loss


def spread(z: Tensor) -> Tensor:
    loss: Tensor = (z @ z.mT).logsumexp(1).mean()
    return loss


# ---- the plain step's numbers


def towers(kind: str) -> tuple[list[nn.Module], list[Tensor], Any]:
    first, second = mlp(), mlp()
    x, y, more = torch.randn(11, D), torch.randn(11, D), torch.randn(25, D)
    queue = KeyQueue(3, 9, dtype=torch.float64)
    queue.enqueue(torch.randn(9, 3))
    slow = MomentumEncoder(mlp())
    found: dict[str, tuple[list[nn.Module], list[Tensor], Any]] = {
        "one": ([first], [x], spread),
        "shared": ([first, first], [x, y], NTXent(learnable=True)),
        "two": ([first, second], [x, y], SymmetricInfoNCE(learnable=True)),
        "other rows": ([first, second, second], [x, y, more], hard),
        "frozen": ([first, slow], [x, y], MoCoOf(queue)),
    }
    return found[kind]


class MoCoOf(nn.Module):
    def __init__(self, queue: KeyQueue) -> None:
        super().__init__()
        self.loss, self.queue = MoCo(0.3, learnable=True), queue

    def forward(self, q: Tensor, k: Tensor) -> Tensor:
        loss: Tensor = self.loss(q, k, self.queue)
        return loss


@pytest.mark.parametrize("chunk_size", [1, 2, 3, 5, 10, 11, 12, 100])
@pytest.mark.parametrize("kind", ["one", "shared", "two", "other rows", "frozen"])
def test_it_equals_the_plain_step(kind: str, chunk_size: int) -> None:
    compare(*towers(kind), chunk_size)


@settings(max_examples=25, deadline=None)
@given(rows=st.integers(1, 13), more=st.integers(1, 13), chunk_size=st.integers(1, 15))
def test_it_equals_the_plain_step_for_any_rows(rows: int, more: int, chunk_size: int) -> None:
    first, second = mlp(), mlp()
    inputs = [torch.randn(rows, D), torch.randn(rows, D), torch.randn(more, D)]
    compare([first, second, second], inputs, hard, chunk_size)


def test_a_loss_of_each_chunk_alone_would_be_noticed() -> None:
    """The wrong sibling: gradient accumulation, where a query meets the negatives of its chunk alone."""
    (net, _), (x, y), loss_fn = towers("shared")
    twin = copy.deepcopy(net)
    cached_step(net, [x, y], loss_fn, chunk_size=4)
    for part1, part2 in zip(torch.split(x, 4), torch.split(y, 4), strict=True):
        (loss_fn(twin(part1), twin(part2)) * len(part1) / len(x)).backward()
    with pytest.raises(AssertionError):
        equal(grads(net), grads(twin))


def test_one_encoder_stands_for_all_inputs_and_a_list_of_modules_for_each() -> None:
    net, x, y = mlp(), torch.randn(6, D), torch.randn(6, D)
    cached_step(net, [x, y], NTXent(), chunk_size=2)
    expected = [cast("Tensor", grad).clone() for grad in grads(net)]
    for encoders in ([net, net], nn.ModuleList([net, net])):
        net.zero_grad()
        cached_step(cast("Any", encoders), (x, y), NTXent(), chunk_size=2)
        equal(grads(net), cast("Grads", expected))


def test_gradients_are_added_to_those_that_are_there() -> None:
    net, twin = mlp(), mlp()
    twin.load_state_dict(net.state_dict())
    for _ in range(3):
        views = [torch.randn(7, D), torch.randn(7, D)]
        cached_step(net, views, NTXent(), chunk_size=2)
        plain([twin, twin], views, NTXent())
    equal(grads(net), grads(twin))


def test_a_few_steps_train_the_encoder() -> None:
    net, items = mlp(), torch.randn(32, D)
    loss_fn = NTXent(learnable=True)
    optimizer = torch.optim.Adam(parameters(net, loss_fn), lr=0.02)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        views = [items + 0.1 * torch.randn(32, D) for _ in range(2)]
        losses.append(cached_step(net, views, loss_fn, chunk_size=8).item())
        optimizer.step()
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


# ---- randomness, buffers, precision


def test_dropout_is_the_same_in_both_passes_and_goes_on_afterwards() -> None:
    net = mlp(nn.Dropout(0.4))
    views = [torch.randn(11, D), torch.randn(11, D)]
    for chunk_size in (1, 4, 11, 20):
        compare([net, net], views, NTXent(learnable=True), chunk_size, chunks=True)
        net.zero_grad()


def test_random_numbers_of_the_loss_are_drawn_once() -> None:
    net = mlp(nn.Dropout(0.4))
    compare([net], [torch.randn(11, D)], nn.Sequential(nn.Dropout(0.3), Mean()), 3, chunks=True)


class Mean(nn.Module):
    def forward(self, z: Tensor) -> Tensor:
        return z.square().mean()


def test_dropout_drawn_anew_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay.Randomness, "restore", lambda _: None)
    net = mlp(nn.Dropout(0.4))
    with pytest.raises(AssertionError):
        compare([net], [torch.randn(11, D)], spread, 4, chunks=True)


def test_the_random_state_of_every_device_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    class Accelerator:
        def __init__(self) -> None:
            self.states = {torch.device("xpu", 0): 1, torch.device("xpu", 1): 2}

        def get_rng_state(self, device: torch.device) -> Any:
            return self.states[device]

        def set_rng_state(self, state: Any, device: torch.device) -> None:
            self.states[device] = state

    module = Accelerator()
    monkeypatch.setattr(torch, "get_device_module", lambda _: module)
    kept = replay.Randomness(module.states)
    module.states = dict.fromkeys(module.states, 7)
    kept.restore()
    assert list(module.states.values()) == [1, 2]


def test_the_devices_are_those_of_the_tensors_and_the_one_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    class Elsewhere:
        device = torch.device("xpu", 1)

    class Accelerator:
        started = False

        def is_initialized(self) -> bool:
            return self.started

    here = torch.ones(1)
    assert replay.devices_of([here, here.to("meta")]) == []
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("xpu"))
    module = Accelerator()
    monkeypatch.setattr(torch, "get_device_module", lambda _: module)
    given_tensors = cast("list[Tensor]", [here, Elsewhere(), Elsewhere()])
    assert replay.devices_of(given_tensors) == [Elsewhere.device]
    module.started = True
    assert replay.devices_of(given_tensors) == [Elsewhere.device, torch.device("xpu")]


@pytest.mark.parametrize("chunk_size", [2, 4, 5, 11])
@pytest.mark.parametrize("make", [lambda: mlp(nn.BatchNorm1d(7)), Drift, lambda: Drift(replace=True)])
def test_buffers_are_those_of_one_pass(make: Callable[[], nn.Module], chunk_size: int) -> None:
    net, other = make(), make()
    views = [torch.randn(10, D), torch.randn(10, D)]
    compare([net, net], views, NTXent(), chunk_size, chunks=True)
    net.zero_grad()
    compare([net, other, net], [*views, views[0]], lambda a, b, c: NTXent()(a, b) + spread(c), chunk_size, chunks=True)


def test_batch_norm_counts_each_chunk_once() -> None:
    net = mlp(norm := nn.BatchNorm1d(7))
    cached_step(net, [torch.randn(9, D)], spread, chunk_size=3)
    assert norm.num_batches_tracked is not None
    assert norm.num_batches_tracked.item() == 3


@pytest.mark.parametrize("make", [lambda: mlp(nn.BatchNorm1d(7)), Drift])
def test_buffers_moved_by_both_passes_would_be_noticed(
    make: Callable[[], nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay.Buffers, "restore", lambda _: None)
    with pytest.raises(AssertionError):
        compare([make()], [torch.randn(9, D)], spread, 3, chunks=True)


def test_buffers_of_a_frozen_tower_are_those_of_its_pass_even_if_a_trained_one_shares_them() -> None:
    drift = Drift()

    def frozen(x: Tensor) -> Tensor:
        return cast("Tensor", drift(x)).detach()

    twin = copy.deepcopy(drift)
    views = [torch.randn(7, D), torch.randn(7, D)]
    plain([twin, lambda x: twin(x).detach()], views, NTXent(), 3)
    cached_step([drift, frozen], views, NTXent(), chunk_size=3)
    equal(drift.level, twin.level)
    equal(grads(drift), grads(twin))


class Island(nn.Module):
    """An encoder with a layer that is kept in full precision, as users do with what bfloat16 is too coarse for."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(D, 7), nn.Linear(7, 3)

    def forward(self, x: Tensor) -> Tensor:
        z = torch.tanh(self.body(x)).float()
        with torch.autocast("cpu", enabled=False):
            out: Tensor = self.head(z)
        return out


@pytest.mark.parametrize("chunk_size", [3, 20])
@pytest.mark.parametrize("make", [mlp, Island])
def test_autocast_is_in_force_in_both_passes_and_in_no_backward_pass(
    make: Callable[[], nn.Module], chunk_size: int
) -> None:
    net = make().float()
    twin = copy.deepcopy(net)
    views = [torch.randn(11, D).float() for _ in range(2)]
    # every chunk casts the weights anew, and adds to their gradient in full precision
    with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
        z = [torch.cat([twin(part) for part in torch.split(view, chunk_size)]) for view in views]
        expected = NTXent()(*z)
    expected.backward()
    seen: list[Tensor] = []

    def loss_fn(*found: Tensor) -> Tensor:
        seen.extend(found)
        value: Tensor = NTXent()(*found)
        return value

    with torch.autocast("cpu", torch.bfloat16):
        loss = cached_step(net, views, loss_fn, chunk_size=chunk_size)
        assert torch.is_autocast_enabled("cpu")
    assert_close(seen, z, rtol=0, atol=0)
    assert_close(loss, expected.detach(), rtol=0, atol=0)
    assert_close(grads(net), grads(twin), rtol=1e-5, atol=1e-6)


def test_a_backward_pass_in_low_precision_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradcache, "without_autocast", lambda _: nullcontext())
    with pytest.raises(AssertionError):
        test_autocast_is_in_force_in_both_passes_and_in_no_backward_pass(Island, 3)


def test_a_second_pass_without_autocast_would_be_noticed() -> None:
    net = mlp().float()
    seen = []

    def encoder(x: Tensor) -> Tensor:
        seen.append(torch.is_autocast_enabled("cpu"))
        z: Tensor = net(x)
        return z

    with torch.autocast("cpu", torch.bfloat16):
        cached_step(encoder, [torch.randn(6, D).float()], spread, chunk_size=2)
    assert seen == [True] * 6


# ---- how the loss goes backward


@pytest.mark.parametrize("chunk_size", [2, 20])
def test_a_scaled_loss_scales_every_gradient_once(chunk_size: int) -> None:
    net, loss_fn = mlp(), NTXent(learnable=True)
    twin, twin_loss = copy.deepcopy(net), copy.deepcopy(loss_fn)
    views = [torch.randn(7, D), torch.randn(7, D)]
    expected = plain([twin, twin], views, twin_loss)

    def backward(loss: Tensor) -> None:
        (1024 * loss).backward()  # type: ignore[no-untyped-call]  # torch has no types for it

    found = cached_step(net, views, loss_fn, chunk_size=chunk_size, backward=backward)
    equal(found, expected)
    scaled = [cast("Tensor", grad) * 1024 for grad in grads(twin, twin_loss)]
    equal(grads(net, loss_fn), cast("Grads", scaled))
    with pytest.raises(AssertionError):  # scaled twice
        equal(grads(net, loss_fn), cast("Grads", [1024 * grad for grad in scaled]))


def scaled_backward(scaler: Any, loss: Tensor) -> None:
    scaler.scale(loss).backward()


def test_a_gradient_scaler_steps_as_with_the_plain_step() -> None:
    net = mlp().float()
    twin = copy.deepcopy(net)
    views = [torch.randn(7, D).float() for _ in range(2)]
    for model, cached in ((net, True), (twin, False)):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        scaler: Any = torch.amp.GradScaler("cpu", init_scale=2.0**12)
        with torch.autocast("cpu", torch.bfloat16):
            if cached:
                backward = partial(scaled_backward, scaler)
                cached_step(model, views, NTXent(), chunk_size=2, backward=backward)
            else:
                loss = NTXent()(*[model(x) for x in views])
        if not cached:
            scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    for mine, other in zip(net.parameters(), twin.parameters(), strict=True):
        assert_close(mine, other, rtol=1e-2, atol=1e-3)


# ---- how often, and how much is kept


@pytest.mark.parametrize(("rows", "passes"), [(1, [1]), (4, [4]), (5, [4, 1] * 2), (8, [4, 4] * 2), (0, [0])])
def test_a_chunk_is_encoded_twice_and_one_that_is_all_once(rows: int, passes: list[int]) -> None:
    net = Counting(mlp())
    cached_step(net, [torch.randn(rows, D)], lambda z: z.sum(), chunk_size=4)
    assert net.rows == passes


def test_the_first_pass_keeps_no_activations_but_to_see_what_has_a_gradient() -> None:
    net = Counting(mlp())
    cached_step(net, [torch.randn(6, D)], spread, chunk_size=2)
    assert net.enabled == [True, False, False, True, True, True]


@pytest.mark.parametrize(
    "frozen",
    [
        lambda net: net.requires_grad_(requires_grad=False),
        torch.no_grad(),
        lambda net: partial(lambda inner, x: inner(x).detach(), net),
        MomentumEncoder,
    ],
)
def test_a_tower_without_a_gradient_is_encoded_once(frozen: Callable[[Any], Any]) -> None:
    trained, other = Counting(mlp()), Counting(mlp())
    encoder = frozen(other)
    cached_step([trained, encoder], [torch.randn(5, D), torch.randn(5, D)], NTXent(), chunk_size=2)
    counted = encoder.module if isinstance(encoder, MomentumEncoder) else other
    assert counted.rows == [2, 2, 1]
    assert trained.rows == [2, 2, 1] * 2
    assert all(p.grad is None for p in counted.parameters())


def test_a_tower_that_the_loss_does_not_use_is_encoded_once_and_has_no_gradient() -> None:
    trained, other = Counting(mlp()), Counting(mlp())
    cached_step([trained, other], [torch.randn(5, D), torch.randn(4, D)], lambda z, _: spread(z), chunk_size=2)
    assert other.rows == [2, 2]
    assert set(grads(other)) == {None}
    assert trained.rows == [2, 2, 1] * 2


def test_a_loss_with_parameters_of_its_own_learns_from_frozen_encoders() -> None:
    net, loss_fn = Counting(mlp().requires_grad_(requires_grad=False)), NTXent(learnable=True)
    cached_step(net, [torch.randn(5, D), torch.randn(5, D)], loss_fn, chunk_size=3)
    assert net.rows == [3, 2] * 2
    assert grads(loss_fn)[0] is not None


class Watching(nn.Module):
    """An encoder that knows how many bytes its activations take that are alive, and took at most."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.now, self.most = inner, 0, 0

    def forward(self, x: Tensor) -> Tensor:
        with torch.autograd.graph.saved_tensors_hooks(self._pack, lambda held: held[0]):
            z: Tensor = self.inner(x)
        return z

    def _pack(self, tensor: Tensor) -> Any:
        if isinstance(tensor, nn.Parameter) or (tensor._base is not None and isinstance(tensor._base, nn.Parameter)):
            return (tensor,)
        held = _Held(tensor.detach())  # an output that is kept with its graph would keep itself
        self.now += tensor.nbytes
        self.most = max(self.most, self.now)
        weakref.finalize(held, self._free, tensor.nbytes)
        return held

    def _free(self, size: int) -> None:
        self.now -= size


class _Held:
    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor

    def __getitem__(self, _: int) -> Tensor:
        return self.tensor


def most_kept(step: Callable[[nn.Module, list[Tensor]], object], rows: int) -> int:
    net = Watching(mlp(nn.ReLU()))
    step(net, [torch.randn(rows, D), torch.randn(rows, D)])
    assert net.now == 0
    return net.most


def test_the_activations_of_one_chunk_are_all_that_is_ever_kept() -> None:
    def cached(net: nn.Module, views: list[Tensor]) -> object:
        return cached_step(net, views, NTXent(), chunk_size=8)

    def whole(net: nn.Module, views: list[Tensor]) -> object:
        return plain([net, net], views, NTXent())

    assert 2 * most_kept(cached, 4) == most_kept(cached, 8) == most_kept(cached, 200) == most_kept(cached, 401)
    assert most_kept(whole, 200) == 2 * 25 * most_kept(cached, 8)


# ---- what goes in and what comes out


class Texts(nn.Module):
    """An encoder as those of `transformers`: keywords in, a mapping out."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(20, 4)
        self.seen: list[Any] = []

    def forward(self, input_ids: Tensor, attention_mask: Tensor, *, pooling: str, extra: Any = None) -> Any:
        self.seen.append((pooling, extra))
        weight = attention_mask[..., None].to(self.table.weight)
        tokens = self.table(input_ids) * weight
        return OrderedDict(pooled=tokens.sum(1) / weight.sum(1), rest=[tokens, (attention_mask, None, "text")])


class Pair(NamedTuple):
    a: Tensor
    b: Tensor


def test_a_mapping_is_passed_as_keywords_and_a_mapping_of_embeddings_comes_out() -> None:
    net = Texts()
    batch = {
        "input_ids": torch.randint(20, (7, 3)),
        "attention_mask": torch.ones(7, 3, dtype=torch.long),
        "pooling": "mean",
        "extra": {"flags": [True, None]},
    }

    def loss_fn(out: Any) -> Tensor:
        assert isinstance(out, OrderedDict)
        assert out["rest"][1][1:] == (None, "text")
        assert out["rest"][1][0].shape == (7, 3)
        assert not out["rest"][1][0].requires_grad
        loss: Tensor = spread(out["pooled"]) + out["rest"][0].square().mean()
        return loss

    for given_batch in (batch, UserDict(batch)):
        compare([net], [given_batch], loss_fn, 2)
        net.zero_grad()
    assert set(map(str, net.seen)) == {"('mean', {'flags': [True, None]})"}


def test_everything_but_a_mapping_is_passed_as_one_argument_of_its_own_kind() -> None:
    net = mlp()

    def encoder(batch: Any) -> Pair:
        pair, [scale, also] = batch
        assert isinstance(pair, Pair)
        assert (scale, also) == (2.0, None)
        return Pair(scale * net(pair.a), net(pair.b))

    batch = (Pair(torch.randn(7, D), torch.randn(7, D)), [2.0, None])
    twin = copy.deepcopy(net)
    expected = NTXent()(2 * twin(batch[0].a), twin(batch[0].b))
    expected.backward()
    found = cached_step(encoder, [batch], lambda pair: NTXent()(pair.a, pair.b), chunk_size=3)
    equal(found, expected.detach())
    equal(grads(net), grads(twin))


def test_the_packages_own_model_takes_both_views_as_keywords() -> None:
    model = contrastive_model(1, 28, width=4, projection=8).double()
    views = {"view1": torch.rand(6, 1, 28, 28), "view2": torch.rand(6, 1, 28, 28)}
    compare([model], [views], lambda pair: NTXent()(*pair), 4, chunks=True)


@pytest.mark.parametrize("chunk_size", [2, 20])
def test_inputs_that_need_a_gradient_get_theirs(chunk_size: int) -> None:
    net, stem, leaf = mlp(), nn.Linear(D, D), torch.randn(7, D, requires_grad=True)
    twin, twin_stem, twin_leaf = copy.deepcopy((net, stem, leaf.detach()))
    twin_leaf.requires_grad_()
    items = torch.randn(7, D)
    for encoder, below, x, run in (
        (net, stem, leaf, partial(cached_step, chunk_size=chunk_size)),
        (twin, twin_stem, twin_leaf, plain),
    ):
        step = cast("Any", run)
        below_x = below(items)
        step([encoder, encoder, nn.Identity()], [below_x, below_x * 2, x], lambda a, b, c: NTXent()(a, b) + spread(c))
        step([encoder, encoder], [x, x], NTXent())
    equal(grads(net, stem), grads(twin, twin_stem))
    equal(leaf.grad, twin_leaf.grad)
    assert leaf.grad is not None


def test_activation_checkpoints_inside_of_the_encoder_work() -> None:
    inner = mlp(nn.Dropout(0.3))

    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: Tensor) -> Tensor:
            z: Tensor = checkpoint(self.inner, x, use_reentrant=False)
            return z

    compare([Checkpointed()], [torch.randn(7, D)], spread, 3, chunks=True)


def test_rows_that_are_not_contiguous_and_half_precision_are_taken_as_they_are() -> None:
    net = mlp()
    compare([net], [torch.randn(D, 7).mT], spread, 3)
    half = mlp().bfloat16()
    found = cached_step(half, [torch.randn(7, D).bfloat16()], lambda z: spread(z.float()), chunk_size=3)
    assert found.dtype == torch.float32
    assert {grad.dtype for grad in grads(half) if grad is not None} == {torch.bfloat16}


def test_a_number_that_is_not_finite_comes_out() -> None:
    net = mlp()
    x = torch.randn(7, D)
    x[4, 0] = float("nan")
    assert cached_step(net, [x], spread, chunk_size=3).isnan()
    assert all(cast("Tensor", grad).isnan().any() for grad in grads(net))


# ---- modules behind callables


SHOWN = mlp()


def of_a_global(x: Tensor) -> Tensor:
    z: Tensor = SHOWN(x)
    return z


class Carrier:
    def __init__(self, net: nn.Module) -> None:
        self.net = net

    def __call__(self, x: Tensor) -> Tensor:
        z: Tensor = self.net(x)
        return z


def test_the_modules_behind_a_callable_are_found() -> None:
    net = mlp()
    callables: Iterable[tuple[Callable[..., Any], nn.Module]] = [
        (net, net),
        (net.forward, net),
        (partial(net.forward), net),
        (partial(lambda inner, x: inner(x), net), net),
        (lambda x: net(x) * 2, net),
        (torch.no_grad()(lambda x: net(x) * 2), net),
        (of_a_global, SHOWN),
        (Carrier(net), net),
    ]
    for function, module in callables:
        assert replay.modules_of(function) == [module]
    assert replay.modules_of(torch.tanh) == replay.modules_of(len) == replay.modules_of(lambda x: x) == []


def test_a_method_of_a_module_keeps_its_buffers() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drift = Drift()

        def encode(self, x: Tensor) -> Tensor:
            z: Tensor = self.drift(x)
            return z

    both, drift = Both(), Drift()
    drift.load_state_dict(both.drift.state_dict())
    x = torch.randn(7, D)
    plain([drift], [x], spread, 3)
    cached_step(both.encode, [x], spread, chunk_size=3)
    equal(both.drift.level, drift.level)
    equal(grads(both), grads(drift))


@pytest.mark.parametrize("name", ["is_available", "is_initialized"])
def test_without_process_groups_there_are_no_replicas(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, name, lambda: False)
    assert replicas.replicas([mlp()]) == []
    assert replicas.refused([mlp()]) == ""
    assert replicas.agreed([3, 1], [[], []]) == [3, 1]


# ---- what is refused


@contextmanager
def refused(kind: type[Exception], *words: str) -> Iterator[None]:
    with pytest.raises(kind) as caught:
        yield
    text = str(caught.value)
    for word in ("\n  got ", "\n  expected ", "\n  try ", *words):
        assert word in text


X = torch.randn(5, D, dtype=torch.float64)


@pytest.mark.parametrize("chunk_size", [0, -1, 2.5, 2.0, True, "3", None])
def test_a_chunk_size_that_is_no_whole_number_is_refused(chunk_size: Any) -> None:
    with refused(ArgumentError, "chunk_size", repr(chunk_size)):
        cached_step(mlp(), [X], spread, chunk_size=chunk_size)


@pytest.mark.parametrize("inputs", [X, {"x": X}, [], None, iter([X])])
def test_inputs_that_are_no_list_of_towers_are_refused(inputs: Any) -> None:
    with refused(ArgumentError, "inputs must be a list", "[x]"):
        cached_step(mlp(), inputs, spread, chunk_size=2)


@pytest.mark.parametrize("encoders", [[], [mlp()], [mlp()] * 3, [mlp(), None], None, "ab"])
def test_another_number_of_encoders_than_inputs_is_refused(encoders: Any) -> None:
    with refused(ArgumentError, "encoders", "2 inputs"):
        cached_step(encoders, [X, X], NTXent(), chunk_size=2)


@pytest.mark.parametrize("batch", [None, {}, [], ["text", 1], "text"])
def test_an_input_without_a_tensor_is_refused(batch: Any) -> None:
    with refused(DTypeError, "inputs[1] must hold a tensor"):
        cached_step(mlp(), [X, batch], NTXent(), chunk_size=2)


def test_tensors_of_one_tower_with_other_rows_are_named() -> None:
    batch = {"ids": X, "more": [X, X[:4]], "mask": X[:3]}
    with refused(ShapeError, "inputs[0]['more'][1] (4, 5)", "inputs[0]['mask'] (3, 5)", "inputs[0]['ids'] (5, 5)"):
        cached_step(mlp(), [batch], spread, chunk_size=2)


def test_a_tensor_without_rows_is_named() -> None:
    for batch in ({"x": X, "scale": torch.tensor(2.0)}, {"scale": torch.tensor(2.0), "x": X}):
        with refused(ShapeError, "inputs[0]['scale'] must have rows", "pass others as numbers"):
            cached_step(mlp(), [batch], spread, chunk_size=2)


@pytest.mark.parametrize("chunk_size", [2, 9])
@pytest.mark.parametrize(
    ("encoder", "kind", "words"),
    [
        (lambda _: None, DTypeError, ["encoder(inputs[0]) must hold a tensor"]),
        (lambda x: x.tolist(), DTypeError, ["encoder(inputs[0]) must hold a tensor", "list"]),
        (lambda x: x.mean(), ShapeError, ["encoder(inputs[0]) must have rows", "()"]),
        (lambda x: {"z": x, "aux": x.mean()}, ShapeError, ["encoder(inputs[0])['aux'] must have rows"]),
        (lambda x: (x, x[:1]), ShapeError, ["encoder(inputs[0])[1] must have as many rows"]),
        (lambda x: x.mT, ShapeError, ["one row for each row of its chunk"]),
        (lambda x: torch.cat([x, x]), ShapeError, ["one row for each row of its chunk", "for a chunk of"]),
    ],
)
def test_what_is_not_one_embedding_for_each_row_is_refused(
    encoder: Any, kind: type[Exception], words: list[str], chunk_size: int
) -> None:
    with refused(kind, *words):
        cached_step(encoder, [X[:, :4]], spread, chunk_size=chunk_size)


@pytest.mark.parametrize("chunk_size", [2, 9])
@pytest.mark.parametrize(
    ("loss_fn", "kind", "word"),
    [
        (lambda z: z.sum().item(), DTypeError, "float"),
        (lambda z: {"loss": z.sum()}, DTypeError, "dict"),
        (lambda z: z.sum(1), ShapeError, "(5,)"),
        (lambda z: z.detach().sum(), ArgumentError, "does not depend"),
        (lambda _: torch.ones(()), ArgumentError, "does not depend"),
    ],
)
def test_what_is_no_loss_of_the_embeddings_is_refused(
    loss_fn: Any, kind: type[Exception], word: str, chunk_size: int
) -> None:
    with refused(kind, word):
        cached_step(mlp(), [X], loss_fn, chunk_size=chunk_size)


def test_a_loss_of_its_own_parameters_alone_is_refused() -> None:
    own = nn.Parameter(torch.ones(()))
    with refused(ArgumentError, "does not depend on the embeddings"):
        cached_step(mlp(), [X], lambda _: own * 2, chunk_size=2)


def test_a_step_in_which_nothing_has_a_gradient_is_refused() -> None:
    with refused(ArgumentError, "does not depend on the embeddings"):
        cached_step(mlp().requires_grad_(requires_grad=False), [X], spread, chunk_size=2)


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_a_step_with_gradients_turned_off_is_refused(off: Callable[[], Any]) -> None:
    with off(), refused(ArgumentError, "no_grad", "loss_fn(*["):
        cached_step(mlp(), [X], spread, chunk_size=2)
