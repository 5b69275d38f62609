"""The queue of past keys and the encoder that makes them."""

import copy
import io
import pickle
from collections import deque
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from info_nce import KeyQueue, MoCo, MomentumEncoder
from info_nce import functional as f

NO_ID = KeyQueue(1, 1).ids_[0].item()


def as_set(queue: KeyQueue) -> list[tuple[float, int]]:
    """What the queue holds, whatever the order."""
    return sorted((float(key), int(tag)) for key, tag in zip(queue.keys()[:, 0], queue.ids(), strict=True))


def numbered(start: int, count: int) -> tuple[Tensor, Tensor]:
    """Keys that say which they are, and their ids."""
    numbers = torch.arange(start, start + count)
    return torch.stack([numbers.float(), -numbers.float()], 1), 100 + numbers


# ---- the queue


@pytest.mark.parametrize("size", [1, 2, 5, 7, 16])
@pytest.mark.parametrize(
    "batches", [[1] * 9, [3] * 6, [5, 2, 7, 1], [4, 0, 4, 0, 4], [16, 16], [40], [2, 40, 3]], ids=str
)
def test_it_holds_the_last_keys_whatever_the_batches(size: int, batches: list[int]) -> None:
    queue = KeyQueue(2, size)
    expected: deque[tuple[float, int]] = deque(maxlen=size)
    start = 0
    for count in batches:
        keys, ids = numbered(start, count)
        queue.enqueue(keys, ids)
        expected.extend((float(number), 100 + number) for number in range(start, start + count))
        start += count
        assert as_set(queue) == sorted(expected)
        assert queue.filled == len(expected)
        assert queue.full == (len(expected) == size)
        assert queue.keys().shape == (len(expected), 2)
        assert_close(queue.keys()[:, 1], -queue.keys()[:, 0])


def test_a_queue_that_forgets_the_newest_would_be_noticed() -> None:
    """The wrong sibling: without wrapping over the end, as where the size must be a multiple of the batch."""
    queue = KeyQueue(2, 5)
    for start in (0, 3):
        queue.enqueue(*numbered(start, 3))
    cut = numbered(0, 5)[0]
    with pytest.raises(AssertionError):
        assert_close(queue.keys().sort(0).values, cut.sort(0).values)


def test_it_starts_empty_and_says_how_full_it_is() -> None:
    queue = KeyQueue(3, 4)
    assert (queue.size, queue.filled, queue.full) == (4, 0, False)
    assert queue.keys().shape == (0, 3)
    assert queue.ids().shape == (0,)
    assert repr(queue) == "KeyQueue(features=3, size=4, filled=0)"
    queue.enqueue(torch.randn(0, 3))
    assert queue.filled == 0
    queue.enqueue(torch.randn(4, 3))
    assert (queue.filled, queue.full) == (4, True)
    assert repr(queue) == "KeyQueue(features=3, size=4, filled=4)"


def test_keys_without_ids_are_marked() -> None:
    queue = KeyQueue(2, 3)
    queue.enqueue(*numbered(0, 3))
    queue.enqueue(numbered(3, 2)[0])
    assert sorted(tag for _, tag in as_set(queue)) == sorted([NO_ID, NO_ID, 102])


def test_the_state_restores_keys_ids_and_progress_into_a_fresh_queue() -> None:
    queue = KeyQueue(2, 5)
    queue.enqueue(*numbered(0, 7))
    queue.enqueue(*numbered(7, 2))
    buffer = io.BytesIO()
    torch.save(queue.state_dict(), buffer)
    buffer.seek(0)
    fresh = KeyQueue(2, 5)
    fresh.load_state_dict(torch.load(buffer))
    assert as_set(fresh) == as_set(queue)
    assert (fresh.filled, fresh.full) == (5, True)
    for held in (queue, fresh):
        held.enqueue(*numbered(9, 3))
    assert_close(fresh.keys(), queue.keys(), rtol=0, atol=0)
    assert_close(fresh.ids(), queue.ids(), rtol=0, atol=0)


def test_a_half_filled_state_restores_inside_of_a_larger_module() -> None:
    model = nn.ModuleDict({"queue": KeyQueue(2, 5), "net": nn.Linear(2, 2)})
    queue = model["queue"]
    assert isinstance(queue, KeyQueue)
    queue.enqueue(*numbered(0, 2))
    for assign in (False, True):
        other = nn.ModuleDict({"queue": KeyQueue(2, 5), "net": nn.Linear(2, 2)})
        other.load_state_dict(model.state_dict(), assign=assign)
        fresh = other["queue"]
        assert isinstance(fresh, KeyQueue)
        assert (fresh.filled, fresh.full) == (2, False)
        assert as_set(fresh) == as_set(queue)


def test_loading_an_older_state_goes_back() -> None:
    queue = KeyQueue(2, 5)
    queue.enqueue(*numbered(0, 2))
    state = copy.deepcopy(queue.state_dict())
    before = as_set(queue)
    queue.enqueue(*numbered(2, 6))
    queue.load_state_dict(state)
    assert as_set(queue) == before


def test_a_state_of_another_size_is_refused_and_a_missing_one_named() -> None:
    with pytest.raises(RuntimeError, match="size mismatch"):
        KeyQueue(2, 4).load_state_dict(KeyQueue(2, 5).state_dict())
    state = KeyQueue(2, 4).state_dict()
    del state["progress"]
    with pytest.raises(RuntimeError, match="progress"):
        KeyQueue(2, 4).load_state_dict(state)


def test_a_queue_survives_copying_and_pickling_and_the_copy_is_its_own() -> None:
    queue = KeyQueue(2, 5)
    queue.enqueue(*numbered(0, 7))
    before = as_set(queue)
    for other in (copy.deepcopy(queue), pickle.loads(pickle.dumps(queue))):  # noqa: S301 - our own
        assert as_set(other) == before
        other.enqueue(*numbered(7, 1))
        assert as_set(queue) == before
        assert as_set(other) != before
        fresh = KeyQueue(2, 5)
        other.load_state_dict(queue.state_dict())
        fresh.load_state_dict(other.state_dict())
        assert as_set(fresh) == before


def test_keys_take_the_type_of_the_queue_and_ids_stay_integers() -> None:
    queue = KeyQueue(2, 4).half()
    assert queue.ids_.dtype == queue.progress.dtype == torch.int64
    queue.enqueue(*numbered(0, 3))
    assert queue.keys().dtype == torch.float16
    queue.double()
    assert queue.keys().dtype == torch.float64
    assert (queue.filled, len(as_set(queue))) == (3, 3)
    assert KeyQueue(2, 4, dtype=torch.bfloat16).keys().dtype == torch.bfloat16


def test_a_queue_moves_with_its_module() -> None:
    queue = KeyQueue(2, 4)
    queue.enqueue(torch.randn(3, 2))
    moved = copy.deepcopy(queue).to("meta")
    assert {buffer.device.type for buffer in moved.buffers()} == {"meta"}
    assert moved.keys().shape == (3, 2)


def test_enqueueing_detaches_and_copies() -> None:
    queue = KeyQueue(2, 4)
    keys = torch.randn(3, 2, requires_grad=True)
    queue.enqueue(keys * 2)
    assert not queue.keys().requires_grad
    assert queue.keys().grad_fn is None
    held = queue.keys().clone()
    with torch.no_grad():
        keys.zero_()
    assert_close(queue.keys(), held, rtol=0, atol=0)
    with torch.inference_mode():
        made = torch.randn(3, 2) * 1
    queue.enqueue(made)
    assert queue.full
    assert list(queue.parameters()) == []


def test_a_loss_has_no_gradient_into_queue_or_key() -> None:
    queue = KeyQueue(4, 6)
    queue.enqueue(torch.randn(6, 4))
    query, key, tensor = (torch.randn(5, 4, requires_grad=True) for _ in range(3))
    total = f.moco(query, key, queue) + f.moco(query, key, tensor)
    total.backward()  # type: ignore[no-untyped-call]  # torch has no types for it
    assert query.grad is not None
    assert query.grad.abs().max() > 0
    assert key.grad is None
    assert tensor.grad is None
    assert not queue.keys().requires_grad


def test_the_order_in_which_keys_are_held_does_not_matter_to_the_loss() -> None:
    keys = torch.randn(7, 4)
    query, key = torch.randn(5, 4), torch.randn(5, 4)
    one, two = KeyQueue(4, 7), KeyQueue(4, 7)
    one.enqueue(keys)
    two.enqueue(torch.randn(3, 4))
    two.enqueue(keys[:4])
    two.enqueue(keys[4:])
    assert_close(f.moco(query, key, two), f.moco(query, key, one))
    assert_close(f.moco(query, key, one), f.moco(query, key, keys))


def test_a_half_filled_queue_gives_no_random_or_zero_keys_as_negatives() -> None:
    query, key, keys = torch.randn(5, 4), torch.randn(5, 4), torch.randn(3, 4)
    queue = KeyQueue(4, 100)
    queue.enqueue(keys)
    assert_close(f.moco(query, key, queue), f.info_nce(query, key, keys, temperature=0.07))


def test_ids_leave_the_query_itself_out_of_its_negatives() -> None:
    query, key, keys = torch.randn(3, 4), torch.randn(3, 4), torch.randn(4, 4)
    queue = KeyQueue(4, 4)
    queue.enqueue(keys, torch.tensor([7, 8, 7, 9]))
    found = MoCo(reduction="none")(query, key, queue, ids=torch.tensor([7, 9, 1]))
    expected = [
        f.info_nce(query[i : i + 1], key[i : i + 1], keys[left], temperature=0.07)
        for i, left in enumerate(([1, 3], [0, 1, 2], [0, 1, 2, 3]))
    ]
    assert_close(found, torch.stack(expected))


# ---- the momentum encoder


class Net(nn.Module):
    """An encoder with a buffer that training changes."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 2))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return out


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.99, 1.0])
def test_it_moves_as_the_formula_says_from_the_first_step_on(momentum: float) -> None:
    net = Net().double()
    slow = MomentumEncoder(net, momentum)
    expected = {name: value.detach().clone() for name, value in net.named_parameters()}
    for _ in range(4):
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.add_(torch.randn_like(parameter))
        slow.update(net)
        for name, value in net.named_parameters():
            expected[name] = momentum * expected[name] + (1 - momentum) * value.detach()
    for name, parameter in slow.module.named_parameters():
        assert_close(parameter.detach(), expected[name], rtol=1e-12, atol=1e-12)


def test_an_average_that_starts_with_a_plain_copy_would_be_noticed() -> None:
    """The wrong sibling: torch's own class overwrites the copy in its first update."""
    net = nn.Linear(2, 2)
    slow: Any = MomentumEncoder(net, 0.9)
    start = net.weight.detach().clone()
    with torch.no_grad():
        net.weight.add_(1)
    slow.update(net)
    assert_close(slow.module.weight.detach(), start + 0.1)
    with pytest.raises(AssertionError):
        assert_close(slow.module.weight.detach(), start + 1)


def test_buffers_are_taken_over_as_they_are() -> None:
    net = Net()
    slow = MomentumEncoder(net, 0.99)
    for _ in range(3):
        net(torch.randn(8, 3) + 5)
    slow.update(net)
    for (name, mine), (_, theirs) in zip(slow.module.named_buffers(), net.named_buffers(), strict=True):
        assert_close(mine, theirs, msg=name)
        assert mine is not theirs
    assert int(dict(slow.module.named_buffers())["layers.1.num_batches_tracked"]) == 3


def test_it_is_a_copy_without_a_gradient() -> None:
    net = Net()
    slow = MomentumEncoder(net)
    assert all(a is not b for a, b in zip(slow.module.parameters(), net.parameters(), strict=True))
    assert not any(parameter.requires_grad for parameter in slow.parameters())
    assert all(parameter.requires_grad for parameter in net.parameters())
    x = torch.randn(4, 3, requires_grad=True)
    assert_close(slow(x), net(x).detach())
    assert not slow(x).requires_grad
    for parameter in net.parameters():
        parameter.data.add_(1)
    slow.update(net)
    assert not any(parameter.requires_grad for parameter in slow.parameters())
    assert "momentum=0.999" in repr(slow)


def test_its_state_and_its_copies_go_on_where_it_stopped() -> None:
    net = Net()
    slow = MomentumEncoder(net, 0.8)
    for parameter in net.parameters():
        parameter.data.add_(1)
    slow.update(net)
    fresh = MomentumEncoder(Net(), 0.8)
    fresh.load_state_dict(slow.state_dict())
    others = [fresh, copy.deepcopy(slow), pickle.loads(pickle.dumps(slow))]  # noqa: S301 - our own
    for parameter in net.parameters():
        parameter.data.mul_(2)
    for encoder in (slow, *others):
        encoder.update(net)
    for other in others:
        for mine, theirs in zip(other.parameters(), slow.parameters(), strict=True):
            assert_close(mine, theirs, rtol=0, atol=0)


def test_it_follows_an_encoder_in_half_precision_and_one_that_is_partly_frozen() -> None:
    net: Any = Net().bfloat16()
    net.layers[0].weight.requires_grad_(False)
    slow = MomentumEncoder(net, 0.5)
    start = net.layers[3].weight.detach().clone()
    net.layers[3].weight.data.add_(1)
    slow.update(net)
    assert_close(dict(slow.module.named_parameters())["layers.3.weight"].detach(), start + 0.5, rtol=2e-2, atol=2e-2)


# ---- together


def test_a_few_steps_of_moco_train_the_encoder_and_nothing_else() -> None:
    net = Net()
    slow, queue, loss_of = MomentumEncoder(net, 0.9), KeyQueue(2, 12), MoCo(0.2)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    items = torch.randn(8, 3)
    queue.enqueue(slow(items))
    losses = []
    for step in range(30):
        view1, view2 = items + 0.01 * torch.randn(8, 3), items + 0.01 * torch.randn(8, 3)
        key = slow(view2)
        loss = loss_of(net(view1), key, queue)
        optimizer.zero_grad()
        loss.backward()
        slow_before = [parameter.clone() for parameter in slow.module.parameters()]
        held = queue.keys().clone()
        optimizer.step()
        for before, after in zip(slow_before, slow.module.parameters(), strict=True):
            assert_close(after, before, rtol=0, atol=0)
        assert_close(queue.keys(), held, rtol=0, atol=0)
        slow.update(net)
        queue.enqueue(key)
        losses.append(loss.item())
        assert queue.full is (step >= 0)
    assert torch.isfinite(torch.tensor(losses)).all()
    assert sum(losses[-5:]) < sum(losses[:5])
    assert all(parameter.grad is None for parameter in slow.parameters())


def test_a_key_enqueued_before_the_loss_would_meet_itself() -> None:
    """The wrong order: the batch's own keys among the negatives cost at least log 2."""
    query = torch.eye(4)
    right, wrong = KeyQueue(4, 8), KeyQueue(4, 8)
    for queue in (right, wrong):
        queue.enqueue(-query)
    wrong.enqueue(query)
    assert f.moco(query, query, right) < 0.01
    assert f.moco(query, query, wrong) > 0.69


def test_enqueueing_before_backward_is_right_or_an_error_and_never_a_wrong_gradient() -> None:
    from info_nce.engines import Dense, Engine, Tiled
    from info_nce.similarity import Cosine, DotProduct, Similarity

    engines: list[Engine] = [Dense(), Tiled(2, 3)]
    measures: list[Similarity] = [Cosine(), DotProduct()]
    for engine in engines:
        for similarity in measures:
            queue = KeyQueue(4, 6)
            queue.enqueue(torch.randn(6, 4))
            query = torch.randn(5, 4, requires_grad=True)
            loss = f.moco(query, torch.randn(5, 4), queue, similarity=similarity, engine=engine)
            expected = torch.autograd.grad(loss, query, retain_graph=True)[0]
            queue.enqueue(torch.randn(5, 4))
            try:
                found = torch.autograd.grad(loss, query)[0]
            except RuntimeError as error:
                assert "inplace" in str(error)  # noqa: PT017 - either way is right
            else:
                assert_close(found, expected)


@pytest.mark.parametrize("batches", [[2], [3, 2], [5], [4, 4, 1], [12], [5, 5, 5]])
def test_the_age_of_a_key_is_how_many_keys_came_after_it(batches: list[int]) -> None:
    queue, count = KeyQueue(features=1, size=5), 0
    for size in batches:
        queue.enqueue(torch.arange(count, count + size, dtype=torch.float32)[:, None])
        count += size
    torch.testing.assert_close(queue.ages(), (count - 1 - queue.keys()[:, 0]).long())


def test_ages_survive_a_checkpoint() -> None:
    queue, other = KeyQueue(features=1, size=4), KeyQueue(features=1, size=4)
    queue.enqueue(torch.rand(6, 1))
    other.load_state_dict(queue.state_dict())
    assert other.ages().tolist() == queue.ages().tolist() == [1, 0, 3, 2]
