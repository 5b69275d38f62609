"""What is wrong on one rank is an error on all, without a hang; what is not finite on one is not finite on all."""

import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch import distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Replicate, Shard

import info_nce as f
from info_nce.checks import ArgumentError, DTypeError, RanksDisagreeError, ShapeError
from info_nce.engines import Gathered, Ring, TwoSided
from tests.distributed.spawn import run

KINDS = {"gathered": Gathered, "two-sided": TwoSided, "ring": Ring}
N, D = 3, 4


def rows(count: int = N, width: int = D, dtype: torch.dtype = torch.float64, *, gradient: bool = True) -> Tensor:
    return torch.randn(count, width, dtype=dtype, requires_grad=gradient)


def said(call: Callable[[], Any]) -> tuple[str, str]:
    """Which error, in which words."""
    try:
        call()
    except Exception as error:  # noqa: BLE001 - whatever it is, the ranks' are compared
        return type(error).__name__, str(error)
    return "", ""


def symmetric(engine: Any) -> Any:
    return lambda q, k, **words: f.functional.symmetric_info_nce(q, k, engine=engine, **words)


WRONG: dict[str, Callable[[Any], Any]] = {
    "rows do not pair up": lambda e: symmetric(e)(rows(), rows(N + 1)),
    "another width": lambda e: symmetric(e)(rows(width=D + 1), rows(width=D + 1)),
    "another dtype": lambda e: symmetric(e)(rows(dtype=torch.float32), rows(dtype=torch.float32)),
    "mixed dtypes": lambda e: symmetric(e)(rows(), rows(dtype=torch.float32)),
    "integers": lambda e: symmetric(e)(torch.ones(N, D, dtype=torch.int64), rows()),
    "no gradient": lambda e: symmetric(e)(rows(gradient=False), rows()),
    "no gradient at all": lambda e: torch.no_grad()(symmetric(e))(rows(), rows()),
    "one dimension": lambda e: symmetric(e)(rows()[0], rows()),
    "no tensor": lambda e: symmetric(e)(None, rows()),
    "an unknown argument": lambda e: symmetric(e)(rows(), rows(), idz=torch.zeros(N)),
    "ids of another length": lambda e: symmetric(e)(rows(), rows(), ids=torch.zeros(N + 1, dtype=torch.int64)),
    "ids on one rank only": lambda e: symmetric(e)(rows(), rows(), ids=torch.zeros(N, dtype=torch.int64)),
    "another option": lambda e: symmetric(e)(rows(), rows(), label_smoothing=0.1),
    "a temperature below 0": lambda e: symmetric(e)(rows(), rows(), temperature=-1.0),
    "another reduction": lambda e: symmetric(e)(rows(), rows(), reduction="sum"),
    "another temperature": lambda e: symmetric(e)(rows(), rows(), temperature=0.2),
    "another margin": lambda e: symmetric(e)(rows(), rows(), margin=0.2),
    "another loss": lambda e: f.functional.info_nce(rows(), rows(), engine=e),
    "another similarity": lambda e: symmetric(e)(rows(), rows(), similarity=f.similarity.NegativeSquaredDistance()),
    "a mirrored matrix": lambda e: f.functional.nt_xent(rows(), rows(), engine=e),
    "a temperature for each": lambda e: symmetric(e)(rows(), rows(), temperature=torch.full((N,), 0.1)),
    "another engine": lambda e: symmetric(Ring() if isinstance(e, Gathered) else Gathered())(rows(), rows()),
}


def one_is_wrong(kind: Any, culprit: int) -> dict[str, tuple[str, str]]:
    """One rank calls the loss in a wrong way and the others in the right one; afterwards all of them go on."""
    found = {}
    for name, call in WRONG.items():
        wrong = dist.get_rank() == culprit
        found[name] = said(partial(call, kind()) if wrong else partial(symmetric(kind()), rows(), rows()))
        value = symmetric(kind())(rows(), rows())
        value.backward()
        assert torch.isfinite(value), name
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_the_error_of_one_rank_is_the_error_of_all(kind: str) -> None:
    of_ranks = run(3, one_is_wrong, KINDS[kind], 1)
    for name in WRONG:
        (error, text), *others = [of[name] for of in of_ranks]
        assert error == "RanksDisagreeError", f"{name}: {of_ranks[0][name]}"
        assert others == [(error, text)] * 2, name
        assert "rank 1" in text, f"{name}: {text}"


def all_are_wrong() -> list[tuple[str, str]]:
    """Errors that every rank makes alike are those of one process."""
    e = Gathered()
    single = 1 if dist.get_rank() == 0 else 0
    return [
        said(lambda: f.functional.info_nce(rows(), rows(N + 1), engine=e)),
        said(lambda: f.functional.info_nce(rows(), rows(dtype=torch.float32), engine=e)),
        said(lambda: f.functional.dcl(rows(single), rows(single), engine=e)),
        said(lambda: f.functional.hard_negative_info_nce(rows(), rows(), top_k=4 * N - 1, engine=e)),
        said(lambda: f.functional.sup_con(rows(), torch.arange(N) + N * dist.get_rank(), engine=e)),
        said(lambda: f.functional.info_nce(rows(0), rows(0), engine=e)),
        said(lambda: f.functional.info_nce(rows(), rows(), rows(0), engine=e)),
        said(lambda: f.functional.info_nce(rows(), rows(), reduction="none", engine=TwoSided())),
        said(lambda: f.functional.hard_negative_info_nce(rows(), rows(), top_k=2, engine=Ring())),
    ]


def test_errors_that_all_ranks_make_are_those_of_one_process() -> None:
    first, second = run(2, all_are_wrong)
    assert first == second
    errors = [error for error, _ in first]
    assert errors == [
        "ShapeError",
        "DTypeError",
        "ShapeError",
        "ArgumentError",
        "ArgumentError",
        "ShapeError",
        "ShapeError",
        "ArgumentError",
        "ArgumentError",
    ]
    assert "top_k=11 with 10 negatives" in first[3][1]
    assert "6 rows with 6 different labels" in first[4][1]
    assert issubclass(RanksDisagreeError, ArgumentError)
    assert issubclass(ShapeError, ArgumentError)
    assert issubclass(DTypeError, TypeError)


def one_item_for_all(kind: Any) -> float:
    """A rank with one item, or none, has the negatives of the others."""
    count = [1, 2, 0][dist.get_rank()]
    loss: float = f.functional.dcl(rows(count), rows(count), engine=kind()).item()
    return loss


@pytest.mark.parametrize("kind", KINDS)
def test_a_single_item_on_a_rank_has_the_negatives_of_others(kind: str) -> None:
    values = run(3, one_item_for_all, KINDS[kind])
    assert len(set(values)) == 1


def with_nan(kind: Any) -> list[tuple[bool, bool]]:
    found = []
    for loss in (
        f.functional.info_nce,
        f.functional.symmetric_info_nce,
        f.functional.nt_xent,
        f.functional.sigmoid_loss,
    ):
        query, key = rows(), rows()
        if dist.get_rank() == 1:
            with torch.no_grad():
                query[0, 0] = float("nan")
        value: Tensor = loss(query, key, engine=kind())
        torch.autograd.backward(value)
        gradients = [g for g in (query.grad, key.grad) if g is not None]
        found.append((bool(value.isnan()), any(bool(g.isnan().any()) for g in gradients)))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_nan_on_one_rank_is_nan_on_all(kind: str) -> None:
    for of in run(3, with_nan, KINDS[kind]):
        assert all(value for value, _ in of)
        assert all(gradient for _, gradient in of)


def dies(seconds: float) -> Any:
    """Rank 1 ends or sleeps; what do the others get, and after how long?"""
    rank = dist.get_rank()
    group = dist.new_group(timeout=timedelta(seconds=2))
    symmetric(Gathered(process_group=group))(rows(), rows())
    if rank == 1:
        time.sleep(seconds)
        return None
    started = time.monotonic()
    try:
        symmetric(Gathered(process_group=group))(rows(), rows()).backward()
    except RuntimeError as error:
        return type(error).__name__, time.monotonic() - started
    return "no error", 0.0


@pytest.mark.parametrize("seconds", [0.0, 6.0], ids=["it leaves", "it hangs"])
def test_without_one_rank_the_others_get_an_error_in_time(seconds: float) -> None:
    first, _, third = run(3, dies, seconds)
    for name, waited in (first, third):
        assert name == "RuntimeError" or name.startswith("Dist")
        assert waited < 5


def outside() -> tuple[str, str]:
    group = dist.new_group([0])
    return said(lambda: symmetric(Gathered(process_group=group))(rows(), rows()))


def test_a_rank_outside_of_the_group_is_told_so() -> None:
    inside, other = run(2, outside)
    assert inside == ("", "")
    assert other[0] == "ArgumentError"
    assert "no member" in other[1]


def distributed_tensors() -> list[tuple[str, str]]:
    mesh = init_device_mesh("cpu", (2,))
    spread = [DTensor.from_local(rows(), mesh, [Shard(0)]) for _ in range(2)]
    copied = [DTensor.from_local(rows(), mesh, [Replicate()]) for _ in range(2)]
    e = Gathered(process_group=mesh.get_group())
    value = symmetric(e)(*(t.to_local() for t in spread))
    value.backward()
    return [
        said(lambda: symmetric(e)(*spread)),
        said(lambda: symmetric(e)(*copied)),
        said(lambda: f.InfoNCE()(*spread)),
    ]


def test_a_dtensor_is_refused_with_the_way_out() -> None:
    for of in run(2, distributed_tensors):
        for error, text in of:
            assert error == "DTypeError"
            assert "to_local()" in text


def local() -> tuple[float, float]:
    torch.manual_seed(dist.get_rank())
    query, key = rows(), rows()
    return f.SymmetricInfoNCE()(query, key).item(), f.SymmetricInfoNCE(engine=Gathered())(query, key).item()


def test_without_an_engine_across_ranks_a_loss_stays_local() -> None:
    (first, together), (second, again) = run(2, local)
    assert first != second
    assert together == again
    assert "Local to this process" in f.engines.Auto().explain(8, 8)
    assert "all ranks" in Gathered().explain(8, 8)
