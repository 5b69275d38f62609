"""What users do with a loss across ranks, beyond one backward pass in float64."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.testing import assert_close

import info_nce as f
from info_nce.engines import Engine, Gathered, Ring, Tiled, TwoSided
from tests.distributed.cases import CASES, Towers, batch
from tests.distributed.spawn import run
from tests.distributed.work import FEW, alone, difference, on_ranks, reduce_by_hand, shard

ENGINES: list[Engine] = [Gathered(), TwoSided(), Ring()]
SIZES = [5, 3]
LOSSES: list[Any] = [f.functional.symmetric_info_nce, f.functional.info_nce, f.functional.nt_xent]


def _model(engine: Engine | None, name: str = "symmetric") -> Towers:
    return next(case for case in CASES if case.name == name).model(engine)


def _rows(sizes: Sequence[int] = SIZES, seed: int = 0) -> dict[str, Tensor]:
    return shard(batch(sum(sizes), seed), sizes, dist.get_rank())


def other_ways() -> list[float]:
    """Gradients of: a factor, two losses, a loss twice, a second backward pass, micro-batches, a local term."""
    errors = []
    for engine in ENGINES:
        ranks, one = _model(engine), _model(None)
        views = _model(engine, "nt_xent"), _model(None, "nt_xent")
        every = batch(sum(SIZES))

        def compare(of_ranks: Tensor, of_one: Tensor, ranks: nn.Module = ranks, one: nn.Module = one) -> None:
            ranks.zero_grad()
            one.zero_grad()
            torch.autograd.backward([of_ranks, of_one], retain_graph=True)
            expected = {n: p.grad for n, p in one.named_parameters() if p.grad is not None}
            errors.append(difference(reduce_by_hand(ranks, 2), expected))

        compare(3.7 * ranks(_rows()), 3.7 * one(every))
        compare(
            ranks(_rows()) + ranks.call(ranks, views[0].face, _rows()), one(every) + one.call(one, views[1].face, every)
        )
        value = ranks(_rows())
        compare(value + value, 2 * one(every))
        compare(value, one(every))  # once more through the same graph
        # a term of each rank's own mean, of equal shards, as DDP averages it
        even, mine = [4, 4], shard(batch(8), [4, 4], dist.get_rank())
        local = ranks.left(mine["x"]).square().mean()
        compare(ranks(_rows(even)) + local, one(batch(8)) + one.left(batch(8)["x"]).square().mean())
    return errors


def test_a_loss_across_ranks_is_used_like_any_other() -> None:
    for errors in run(2, other_ways):
        assert len(errors) == 15
        assert max(errors) < 1e-12


def in_micro_batches() -> list[float]:
    """Two batches before a step, without a reduction between them."""
    errors = []
    for engine in ENGINES:
        model, one = _model(engine), _model(None)
        around = DistributedDataParallel(model, find_unused_parameters=True)
        with around.no_sync():
            around(_rows(seed=1)).backward()
        around(_rows(seed=2)).backward()
        for seed in (1, 2):
            one(batch(sum(SIZES), seed)).backward()
        found = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
        errors.append(difference(found, {n: p.grad for n, p in one.named_parameters() if p.grad is not None}))
    return errors


def test_gradients_accumulate_under_no_sync() -> None:
    for errors in run(2, in_micro_batches):
        assert max(errors) < 1e-12


def dealt_otherwise() -> list[tuple[float, list[float]]]:
    """Which rank holds which rows does not matter."""
    found = []
    for engine in ENGINES:
        for case in FEW:
            values = []
            for seed in (0, 1):
                order = torch.randperm(sum(SIZES), generator=torch.Generator().manual_seed(seed))
                rows = {name: of[order] for name, of in batch(sum(SIZES)).items()}
                values.append(case.model(engine)(shard(rows, SIZES, dist.get_rank())).item())
            found.append((abs(values[0] - values[1]), values))
    return found


def test_which_rank_holds_which_rows_does_not_matter() -> None:
    for found in run(2, dealt_otherwise):
        assert all(difference < 1e-12 for difference, _ in found)


def reductions() -> list[float]:
    """ "sum" is that of all ranks; "none" is this rank's part of what one process gets."""
    errors = []
    every, mine = batch(sum(SIZES)), slice(*([0, 5], [5, 8])[dist.get_rank()])
    for engine in ENGINES:
        for name in ("info_nce", "symmetric", "sup_con"):
            ranks, one = _model(engine, name), _model(None, name)
            ranks.face.reduction = one.face.reduction = "sum"  # type: ignore[assignment]  # a face's
            value, truth = ranks(_rows()), one(every)
            value.backward()
            truth.backward()
            expected = {n: p.grad for n, p in one.named_parameters() if p.grad is not None}
            errors += [float(abs(value.detach() - truth.detach())), difference(reduce_by_hand(ranks, 2), expected)]
            ranks.face.reduction = one.face.reduction = "none"  # type: ignore[assignment]  # a face's
            ranks.zero_grad()
            one.zero_grad()
            if isinstance(engine, TwoSided):
                with torch.no_grad():
                    errors.append(float((ranks(_rows()) - one(every)[mine]).abs().max()))
                continue
            losses, truths = ranks(_rows()), one(every)
            errors.append(float((losses - truths[mine]).detach().abs().max()))
            weight = torch.linspace(0.5, 1.5, len(truths), dtype=torch.float64)
            (losses * weight[mine]).sum().backward()
            (truths * weight).sum().backward()
            expected = {n: p.grad for n, p in one.named_parameters() if p.grad is not None}
            errors.append(difference(reduce_by_hand(ranks, 1), expected))
    return errors


def test_sum_and_none_are_those_of_one_process() -> None:
    for errors in run(2, reductions):
        assert len(errors) == 33
        assert max(errors) < 1e-12


def in_single_precision(dtype: torch.dtype) -> list[tuple[float, float]]:
    """Value and gradients against float64 on the same rounded inputs."""
    found = []
    for engine in [*ENGINES, Gathered(Tiled(2, 3)), TwoSided(Tiled(2, 3)), Ring(Tiled(2, 3))]:
        for loss in LOSSES:
            sides = [batch(sum(SIZES))[name].to(dtype) for name in ("x", "y")]
            exact = [side.double().requires_grad_() for side in sides]
            truth: Tensor = loss(*exact, temperature=0.1)
            torch.autograd.backward(truth)
            mine = [shard({"": side}, SIZES, dist.get_rank())[""].clone().requires_grad_() for side in sides]
            value: Tensor = loss(*mine, temperature=0.1, engine=engine)
            assert value.dtype == torch.float32
            torch.autograd.backward(value)
            errors = [float((value.double() - truth).abs())]
            for own, whole in zip(mine, exact, strict=True):
                expected = shard({"": whole.grad}, SIZES, dist.get_rank())[""]  # type: ignore[dict-item]  # there is one
                assert own.grad is not None
                assert own.grad.dtype == dtype
                errors.append(float((own.grad.double() / 2 - expected).abs().max() / expected.abs().max()))
            found.append((errors[0], max(errors[1:])))
    return found


@pytest.mark.parametrize(
    ("dtype", "rounding"), [(torch.float32, 1e-6), (torch.bfloat16, 2**-8), (torch.float16, 2**-10)]
)
def test_low_precision_stays_within_rounding(dtype: torch.dtype, rounding: float) -> None:
    """What is computed is computed in float32; a gradient is rounded once, to the dtype of its input."""
    for found in run(2, in_single_precision, dtype):
        assert max(value for value, _ in found) < 2e-6
        assert max(gradient for _, gradient in found) < rounding


def under_autocast() -> list[float]:
    """Value and gradients inside of autocast, backward pass included, against those outside."""
    errors = []
    for engine in (Gathered(Tiled(2, 3)), TwoSided(), Ring(), Ring(Tiled(2, 3))):
        for loss in LOSSES:
            found = []
            for enabled in (False, True):
                query, key = (_rows()[name].float().requires_grad_() for name in ("x", "y"))
                with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
                    value: Tensor = loss(query, key, temperature=0.1, engine=engine)
                    torch.autograd.backward(value)
                found.append([value.detach(), query.grad, key.grad])
            errors += [float((a - b).abs().max()) for a, b in zip(*found, strict=True)]
    return errors


def test_under_autocast_nothing_is_computed_in_half_precision() -> None:
    for errors in run(2, under_autocast):
        assert max(errors) == 0


def second_derivatives() -> list[str]:
    said = []
    for loss in LOSSES:
        for engine in ENGINES:
            query, key = (torch.randn(3, 4, requires_grad=True) for _ in range(2))
            value: Tensor = loss(query, key, engine=engine)
            with pytest.raises(f.checks.ArgumentError) as error:
                torch.autograd.grad(value, [query, key], create_graph=True)
            said.append(str(error.value))
    return said


def test_a_second_derivative_is_refused() -> None:
    for said in run(2, second_derivatives):
        assert len(said) == 9
        assert all("create_graph=True" in text for text in said)


def without_backward() -> bool:
    """`TwoSided` needs nobody backward, and nor does a loss of views; one rank may stop at the value."""
    losses: list[Any] = [
        lambda q, k: f.functional.symmetric_info_nce(q, k, engine=TwoSided()),
        lambda q, k: f.functional.nt_xent(q, k, engine=Gathered()),
    ]
    for loss in losses:
        query, key = (torch.randn(3, 4, requires_grad=True) for _ in range(2))
        value: Tensor = loss(query, key)
        if dist.get_rank() == 0:
            torch.autograd.backward(value)
    return True


def test_backward_needs_no_other_rank_where_it_is_promised() -> None:
    assert run(2, without_backward) == [True, True]


def evaluated() -> list[float]:
    values = []
    for engine in ENGINES:
        with torch.no_grad():
            values.append(_model(engine)(_rows()).item())
        values.append(_model(engine)(_rows()).item())
    with torch.inference_mode():
        values.append(f.functional.nt_xent(_rows()["x"], _rows()["y"], engine=Gathered()).item())
    return values


def test_without_a_gradient_the_value_is_the_same() -> None:
    first, second = run(2, evaluated)
    assert first == second
    assert_close(first[:6:2], first[1:6:2])


def queues() -> list[Any]:
    """Queues that gather what ranks enqueue, in the order of the ranks; and one that does not."""
    rank, count = dist.get_rank(), [2, 0, 3][dist.get_rank()]
    shared = f.KeyQueue(4, 7, across_ranks=True)
    own = f.KeyQueue(4, 7)
    for step in range(3):
        keys = torch.full((count, 4), 10.0 * step + rank)
        shared.enqueue(keys, torch.full((count,), 100 * step + rank))
        own.enqueue(keys if count else torch.full((1, 4), 5.0))
    query, key = torch.randn(3, 4), torch.randn(3, 4)
    value = f.functional.moco(query, key, shared, ids=torch.arange(3), engine=Gathered()).item()
    try:
        f.functional.moco(query, key, own, engine=Gathered())
    except f.checks.RanksDisagreeError as error:
        refused = str(error)
    try:
        shared.enqueue(torch.zeros(1, 4 + (rank == 1)))
    except f.checks.RanksDisagreeError as error:
        wrong = str(error)
    try:
        shared.enqueue(torch.zeros(1, 4), torch.zeros(1, dtype=torch.int64) if rank == 1 else None)
    except f.checks.RanksDisagreeError as error:
        mixed = str(error)
    return [shared.keys()[:, 0].tolist(), shared.ids().tolist(), value, refused, wrong, mixed, shared.filled]


def test_a_queue_across_ranks_is_the_same_on_all() -> None:
    first, second, third = run(3, queues)
    assert first == second == third
    keys, ids, _, refused, wrong, mixed, filled = first
    assert filled == 7
    assert sorted(keys) == sorted([12.0, 12.0, 20.0, 20.0, 22.0, 22.0, 22.0])
    assert sorted(ids) == sorted([102, 102, 200, 200, 202, 202, 202])
    assert "across_ranks=True" in refused
    assert "On rank 1 of 3" in wrong
    assert "with ids" in mixed


def _trained(model: Towers, around: nn.Module, sizes: Sequence[int] | None, *, cached: bool) -> dict[str, Tensor]:
    """A few steps of SGD, with gradient caching or without."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(3):
        rows = batch(8, seed=step) if sizes is None else shard(batch(8, seed=step), sizes, dist.get_rank())
        optimizer.zero_grad()
        if cached:
            towers = [around.module.left, around.module.right] if sizes is None else [around.left, around.right]  # type: ignore[union-attr]  # modules
            f.cached_step(towers, [rows["x"], rows["y"]], model.face, chunk_size=2)  # type: ignore[arg-type]  # modules
        else:
            around(rows).backward()
        optimizer.step()
        model.face.clamp_temperature()  # type: ignore[operator]  # a face's
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


class WrappedTowers(nn.Module):
    """Each tower and the loss under DDP of its own, as for gradient caching."""

    def __init__(self, model: Towers) -> None:
        super().__init__()
        self.left, self.right = DistributedDataParallel(model.left), DistributedDataParallel(model.right)


def trained() -> list[float]:
    """The same weights after a few steps: one process; DDP; and gradient caching with unequal numbers of chunks."""
    one = _model(None)
    expected = _trained(one, one, None, cached=False)
    errors = []
    for engine in ENGINES:
        model = _model(engine)
        around = DistributedDataParallel(model, find_unused_parameters=True)
        errors.append(difference(_trained(model, around, SIZES, cached=False), expected))
    return errors


def test_training_on_ranks_ends_where_one_process_ends() -> None:
    for errors in run(2, trained):
        assert max(errors) < 1e-12


def cached() -> list[float]:
    errors = []
    for engine in ENGINES:
        for name in ("symmetric", "info_nce"):
            case = next(case for case in CASES if case.name == name)
            _, expected = alone(case, batch(8))
            model = case.model(engine)
            around = WrappedTowers(model)
            rows = _rows()
            value = f.cached_step([around.left, around.right], [rows["x"], rows["y"]], model.face, chunk_size=2)
            truth, _ = on_ranks(engine, SIZES, case)
            errors.append(float((value - truth).abs()))
            found = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
            temperature = found["face.log_scale"]
            dist.all_reduce(temperature)  # a loss that nobody wraps is nobody's to reduce
            temperature /= 2
            errors.append(difference({n: found[n] for n in found}, {n: expected[n] for n in found}))
    return errors


def test_gradient_caching_across_ranks_is_exact() -> None:
    for errors in run(2, cached):
        assert max(errors) < 1e-12


def in_one_process() -> None:
    """Without other ranks, the loss is the ordinary one, differentiable twice."""
    for engine in ENGINES:
        query, key = (torch.randn(3, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))

        def loss(q: Tensor, k: Tensor, engine: Engine = engine) -> Tensor:
            return f.functional.symmetric_info_nce(q, k, engine=engine)

        assert torch.autograd.gradcheck(loss, (query, key))
        assert torch.autograd.gradgradcheck(loss, (query, key))
        assert_close(loss(query, key), f.functional.symmetric_info_nce(query, key), rtol=0, atol=0)


def test_without_a_group_an_engine_across_ranks_is_its_local_engine() -> None:
    in_one_process()


def test_in_a_group_of_one_an_engine_across_ranks_is_its_local_engine() -> None:
    run(1, in_one_process)
