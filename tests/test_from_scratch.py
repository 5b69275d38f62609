"""The ten-line losses compute what the library computes, in value and gradient; usual mistakes in them do not."""

# N queries or items, D features

import ast
import inspect
import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor, nn
from torch.testing import assert_close

import info_nce
from info_nce import from_scratch

N, D = 6, 5


def leaves(count: int, rows: int = N, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shape = (rows, D)
    return [torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_() for _ in range(count)]


def measured(loss: Callable[..., Tensor], tensors: list[Tensor]) -> tuple[Tensor, ...]:
    """The value, and the gradient by each tensor; 0 where none flows."""
    value = loss(*tensors)
    found = torch.autograd.grad(value, tensors, allow_unused=True)
    return value.detach(), *(torch.zeros_like(t) if g is None else g for t, g in zip(tensors, found, strict=True))


def interleaved(view1: Tensor, view2: Tensor) -> Tensor:
    return torch.stack([view1, view2], dim=1).flatten(0, 1)


def cosines(query: Tensor, key: Tensor) -> Tensor:
    return F.normalize(query, dim=1) @ F.normalize(key, dim=1).T


def undivided(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    """The positive is taken before the division."""
    similarity = cosines(query, key)
    logits = similarity / temperature
    logits = torch.where(torch.eye(len(query), dtype=torch.bool), similarity, logits)
    return F.cross_entropy(logits, torch.arange(len(query)))


def one_direction(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    return from_scratch.info_nce(query, key, temperature)


def with_itself(view1: Tensor, view2: Tensor, temperature: float) -> Tensor:
    views = interleaved(view1, view2)
    return F.cross_entropy(cosines(views, views) / temperature, torch.arange(len(views)) ^ 1)


def stacked(view1: Tensor, view2: Tensor, temperature: float) -> Tensor:
    return from_scratch.nt_xent(torch.cat([view1, view2]), temperature)


def attached(query: Tensor, key: Tensor, queue: Tensor, temperature: float) -> Tensor:
    """Gradient flows into the keys."""
    positive = F.cosine_similarity(query, key)[:, None]
    logits = torch.cat([positive, cosines(query, queue)], dim=1) / temperature
    return F.cross_entropy(logits, torch.zeros(len(query), dtype=torch.long))


Loss = Callable[..., Tensor]
Case = tuple[int, Loss, Callable[[float], Loss], Loss]
CASES: dict[str, Case] = {
    "info_nce": (2, from_scratch.info_nce, lambda t: info_nce.InfoNCE(temperature=t), undivided),
    "symmetric": (
        2,
        from_scratch.symmetric_info_nce,
        lambda t: info_nce.SymmetricInfoNCE(temperature=t),
        one_direction,
    ),
    "nt_xent, the pair itself": (
        2,
        lambda a, b, t: from_scratch.nt_xent(interleaved(a, b), t),
        lambda t: info_nce.NTXent(temperature=t),
        with_itself,
    ),
    "nt_xent, the layout": (
        2,
        lambda a, b, t: from_scratch.nt_xent(interleaved(a, b), t),
        lambda t: info_nce.NTXent(temperature=t),
        stacked,
    ),
    "moco": (3, from_scratch.moco, lambda t: info_nce.MoCo(temperature=t), attached),
}


@pytest.mark.parametrize("temperature", [0.07, 0.5])
@pytest.mark.parametrize("name", CASES)
def test_ten_lines_are_the_librarys_face_in_value_and_gradient(name: str, temperature: float) -> None:
    count, by_hand, face, wrong = CASES[name]
    tensors = leaves(count)
    expected = measured(face(temperature), tensors)
    assert_close(measured(lambda *given: by_hand(*given, temperature), tensors), expected)
    with pytest.raises(AssertionError):
        assert_close(measured(lambda *given: wrong(*given, temperature), tensors), expected)


@pytest.mark.parametrize("name", CASES)
def test_the_defaults_are_the_librarys(name: str) -> None:
    if name.startswith("nt_xent"):
        assert (
            inspect.signature(from_scratch.nt_xent).parameters["temperature"].default == info_nce.NTXent().temperature
        )
        return
    count, by_hand, _, _ = CASES[name]
    faces = {"info_nce": info_nce.InfoNCE, "symmetric": info_nce.SymmetricInfoNCE, "moco": info_nce.MoCo}
    tensors = leaves(count)
    assert_close(by_hand(*tensors), faces[name]()(*tensors))


def test_the_queue_is_the_librarys_queue() -> None:
    first, second, third = (key.detach() for key in leaves(3, rows=3))
    queue = info_nce.KeyQueue(D, 6, dtype=torch.float64)
    queue.enqueue(second)
    queue.enqueue(first)
    by_hand = torch.cat([first, second])
    queue.enqueue(third)
    by_hand = from_scratch.enqueue(by_hand, third.clone().requires_grad_())
    assert not by_hand.requires_grad
    assert sorted(by_hand.tolist()) == sorted(queue.keys().tolist())
    with pytest.raises(AssertionError):  # the newest left instead of the oldest
        assert sorted(torch.cat([first, second]).tolist()) == sorted(queue.keys().tolist())


@pytest.mark.parametrize("start", [0.07, 0.011])
def test_the_learned_temperature_is_clips(start: float) -> None:
    query, key = (leaf.detach().float() for leaf in leaves(2))
    by_hand, face = from_scratch.LearnedTemperature(start), info_nce.CLIPLoss(start)
    from_scratch.symmetric_info_nce(query, key, by_hand()).backward()  # type: ignore[no-untyped-call]  # torch has no types for it
    face(query, key).backward()
    assert by_hand.log_scale.grad is not None
    assert face.log_scale.grad is not None
    assert_close(by_hand.log_scale.grad, face.log_scale.grad[0])
    with torch.no_grad():
        by_hand.log_scale.add_(2)
        face.log_scale.add_(2)
    by_hand.clamp()
    face.clamp_temperature()
    assert_close(by_hand().detach(), torch.as_tensor(face.temperature).detach())
    assert by_hand().item() == pytest.approx(0.01)
    with pytest.raises(AssertionError):  # the scale taken for the temperature
        assert_close(by_hand.log_scale.detach().exp(), torch.as_tensor(face.temperature).detach())


def trained(epoch: Callable[..., float]) -> tuple[Tensor, float]:
    """The weights and the loss after an epoch, of the same start and the same batches."""
    generator = torch.Generator().manual_seed(3)
    torch.manual_seed(3)
    encoder = nn.Linear(D, 4).double()
    items = [torch.randn(rows, D, generator=generator, dtype=torch.float64) for rows in (8, 8, 5)]
    batches = [tuple(x + 0.1 * torch.randn(x.shape, generator=generator, dtype=x.dtype) for _ in "12") for x in items]
    loss = epoch(encoder, batches, torch.optim.SGD(encoder.parameters(), lr=0.1))
    return encoder.weight.detach(), loss


def epoch_of_the_library(encoder: nn.Module, batches: list[tuple[Tensor, Tensor]], optimizer: torch.optim.SGD) -> float:
    loss = info_nce.NTXent(temperature=0.1)
    losses, sizes = [], []
    for view1, view2 in batches:
        value = loss(encoder(view1), encoder(view2))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
        sizes.append(len(view1))
    return float(torch.tensor(losses, dtype=torch.float64) @ torch.tensor(sizes).double() / sum(sizes))


def test_the_training_loop_trains_as_the_library_does() -> None:
    weights, loss = trained(from_scratch.train_epoch)
    expected, its_loss = trained(epoch_of_the_library)
    assert_close(weights, expected)
    assert loss == pytest.approx(its_loss)


WRONG_LOOPS = {
    "cat in place of stack": ("torch.stack(embedded, dim=1).flatten(0, 1)", "torch.cat(embedded)", True),
    "the last batch's loss": ("return total / items", "return loss.item()", False),
    "the mean over batches": (
        "loss.item() * len(view1)\n        items += len(view1)",
        "loss.item()\n        items += 1",
        False,
    ),
}


@pytest.mark.parametrize("name", WRONG_LOOPS)
def test_a_wrong_loop_does_not(name: str) -> None:
    right, wrong, other_weights = WRONG_LOOPS[name]
    source = inspect.getsource(from_scratch.train_epoch)
    assert source.count(right) == 1
    names = dict(vars(from_scratch))
    exec(source.replace(right, wrong), names)  # noqa: S102 - our own function, spoilt
    weights, loss = trained(names["train_epoch"])
    expected, its_loss = trained(epoch_of_the_library)
    if other_weights:
        with pytest.raises(AssertionError):
            assert_close(weights, expected)
    assert loss != pytest.approx(its_loss)


@pytest.mark.parametrize("name", from_scratch.__all__)
def test_each_is_short_and_needs_torch_alone(name: str) -> None:
    source = inspect.getsource(getattr(from_scratch, name))
    statements = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.stmt)]
    assert len(statements) <= 16
    assert max(map(len, source.splitlines())) <= 100
    module = ast.parse(inspect.getsource(from_scratch))
    imported = {ast.unparse(n) for n in module.body if isinstance(n, (ast.Import, ast.ImportFrom))}
    assert not [line for line in imported if "info_nce" in line]


def test_clips_floor_is_the_largest_scale() -> None:
    assert from_scratch.LearnedTemperature().log_scale.item() == pytest.approx(math.log(1 / 0.07))
