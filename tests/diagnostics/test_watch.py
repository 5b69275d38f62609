"""A watched loss is the same loss, and what is seen of it is what loops over its candidates say."""

# N items or queries, D features

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.testing import assert_close

import info_nce
from info_nce import (
    CPC,
    CLIPLoss,
    InfoNCE,
    KeyQueue,
    Matryoshka,
    MoCo,
    NTXent,
    SigLIP,
    SupCon,
    SymmetricInfoNCE,
    contrast,
)
from info_nce.checks import ArgumentError, DTypeError
from info_nce.diagnostics import BatchDiagnostics, Rows, Watch, batch_diagnostics, diagnose, watch
from info_nce.engines import Auto, Dense, Engine, Tiled
from info_nce.objectives import Softmax
from info_nce.similarity import DotProduct, Similarity
from tests import needs
from tests import reference as ref
from tests.conformance.cases import CASES, IDS, LOG_Q, NEG, PER_QUERY, D, K, N, Q, t
from tests.reference.candidates import Row, info_nce_rows, nt_xent_rows, sup_con_rows
from tests.reference.seen import Numbers, seen
from tests.strategies import law, normal, seeds
from tests.test_memory import BYTES, CELLS, SIDE, Largest

ENGINES: list[Engine] = [Dense(), Tiled(), Tiled(3, 2), Tiled(1, 1), Tiled(columns=3), Auto()]
LABELS = [0, 1, 0, 2, 1, 0, 1]
FEATURES = ref.vectors(len(LABELS), D, seed=6)


def turned(rows: Callable[..., list[Row]], **words: Any) -> list[Row]:
    """Both directions, queries first."""
    return rows(Q, K, **words) + rows(K, Q, **words)


@dataclass(frozen=True)
class Seen:
    """A face, what it is called with, and the candidates of each of its lines."""

    name: str
    face: nn.Module
    inputs: Sequence[Tensor]
    rows: list[Row]
    temperature: float = 0.3
    tensors: dict[str, Tensor] | None = None
    similar: bool = True

    def batch(self, engine: Engine) -> BatchDiagnostics:
        for module in self.face.modules():
            if hasattr(module, "engine"):
                module.engine = engine  # type: ignore[assignment]  # torch types it as a tensor
        return batch_diagnostics(self.face, *self.inputs, **(self.tensors or {}))

    def __str__(self) -> str:
        return self.name


TAGS = {"ids": torch.tensor(IDS)}
SEEN = [
    Seen("info_nce", InfoNCE(0.3), [t(Q), t(K)], info_nce_rows(Q, K)),
    Seen("info_nce sharp", InfoNCE(0.01), [t(Q), t(K)], info_nce_rows(Q, K), 0.01),
    Seen("info_nce ids", InfoNCE(0.3), [t(Q), t(K)], info_nce_rows(Q, K, ids=IDS), tensors=TAGS),
    Seen(
        "info_nce ids positive",
        InfoNCE(0.3, same_id="positive"),
        [t(Q), t(K)],
        info_nce_rows(Q, K, ids=IDS, same_id="positive"),
        tensors=TAGS,
    ),
    Seen("info_nce margin", InfoNCE(0.3, margin=-0.3), [t(Q), t(K)], info_nce_rows(Q, K, margin=-0.3)),
    Seen(
        "info_nce log_q",
        InfoNCE(0.3),
        [t(Q), t(K)],
        info_nce_rows(Q, K, log_q=LOG_Q),
        tensors={"log_q": t(LOG_Q)},
        similar=False,
    ),
    Seen("unpaired", InfoNCE(0.3), [t(Q), t(K), t(NEG)], info_nce_rows(Q, K, NEG)),
    Seen(
        "unpaired kept",
        InfoNCE(0.3, keep_in_batch=True),
        [t(Q), t(K), t(NEG)],
        info_nce_rows(Q, K, NEG, keep_in_batch=True),
    ),
    Seen("moco", MoCo(0.3), [t(Q), t(K), t(NEG)], info_nce_rows(Q, K, NEG)),
    Seen("symmetric", SymmetricInfoNCE(0.3), [t(Q), t(K)], turned(info_nce_rows)),
    Seen("symmetric ids", SymmetricInfoNCE(0.3), [t(Q), t(K)], turned(info_nce_rows, ids=IDS), tensors=TAGS),
    Seen(
        "symmetric ids positive",
        SymmetricInfoNCE(0.3, same_id="positive"),
        [t(Q), t(K)],
        turned(info_nce_rows, ids=IDS, same_id="positive"),
        tensors=TAGS,
    ),
    Seen("siglip", SigLIP(0.3, -2.0, learnable=False).double(), [t(Q), t(K)], info_nce_rows(Q, K)),
    Seen("dot", InfoNCE(0.3, similarity=DotProduct()), [t(Q), t(K)], info_nce_rows(Q, K, similarity=ref.dot)),
    Seen("nt_xent", NTXent(0.3), [t(Q), t(K)], nt_xent_rows([Q, K])),
    Seen("nt_xent ids", NTXent(0.3), [t(Q), t(K)], nt_xent_rows([Q, K], ids=IDS), tensors=TAGS),
    Seen("nt_xent 3 views", NTXent(0.3), [t(Q), t(K), t(Q)], nt_xent_rows([Q, K, Q])),
    Seen("sup_con", SupCon(0.3), [t(FEATURES), torch.tensor(LABELS)], sup_con_rows(FEATURES, LABELS)),
]
BIAS = {"siglip": -2.0}
each_seen = pytest.mark.parametrize("case", SEEN, ids=str)


def expected(case: Seen) -> list[Numbers]:
    found = [seen(row, case.temperature) for row in case.rows]
    for numbers in found:
        for name in ("positive_logit", "negative_logit"):
            numbers[name] += BIAS.get(case.name, 0.0)
        if not case.similar:
            numbers.update(dict.fromkeys([name for name in numbers if "similarity" in name], math.nan))
    return found


def assert_rows(rows: Rows, numbers: Sequence[Numbers]) -> None:
    for name in numbers[0]:
        right = t([of[name] for of in numbers])
        assert_close(getattr(rows, name), right, rtol=1e-9, atol=1e-9, equal_nan=True, msg=name)


@each_seen
@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_what_is_seen_equals_the_oracle(case: Seen, engine: Engine) -> None:
    assert_rows(case.batch(engine).rows, expected(case))


WRONG: dict[str, Callable[[Numbers], None]] = {
    "the entropy of all candidates": lambda of: of.update(effective_negatives=of["candidates"]),
    "a rank from 0 on": lambda of: of.update(rank=of["rank"] - 1),
    "the pull in place of the push": lambda of: of.update(push=1 - of["push"]),
    "similarities times the temperature": lambda of: of.update(positive_similarity=of["positive_logit"]),
    "the variance": lambda of: of.update(negative_logit_spread=of["negative_logit_spread"] ** 2),
    "positives among the negatives": lambda of: of.update(negative_logit=of["negative_logit"] + 0.1),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_oracle_is_noticed(wrong: str) -> None:
    case = SEEN[0]
    numbers = expected(case)
    for of in numbers:
        WRONG[wrong](of)
    with pytest.raises(AssertionError):
        assert_rows(case.batch(Dense()).rows, numbers)


def test_means_are_over_queries_and_over_pairs() -> None:
    case = SEEN[0]
    batch, rows = case.batch(Tiled(3, 2)), expected(case)
    assert batch.queries == N
    assert batch.log_candidates == pytest.approx(math.log(N))
    assert batch.top1 == pytest.approx(ref.mean(of["rank"] == 1 for of in rows))
    assert batch.top(2) == pytest.approx(ref.mean(of["rank"] <= 2 for of in rows))
    assert batch.mean_rank == pytest.approx(ref.mean(of["rank"] for of in rows))
    assert batch.median_rank == sorted(of["rank"] for of in rows)[N // 2]
    assert batch.reaching == pytest.approx(batch.mean_rank - 1)
    negatives = [c.similarity for row in case.rows for c in row if not c.positive]
    assert batch.negative_similarity == pytest.approx(ref.mean(negatives))
    middle = ref.mean(negatives)
    assert batch.negative_similarity_spread == pytest.approx(math.sqrt(ref.mean((s - middle) ** 2 for s in negatives)))
    assert batch.negative_logit_spread == pytest.approx(batch.negative_similarity_spread / 0.3)
    own = [c.similarity for row in case.rows for c in row if c.positive]
    assert batch.positive_similarity_spread == pytest.approx(t(own).std(correction=0).item())
    assert batch.push == pytest.approx(ref.mean(of["push"] for of in rows))
    assert "effective negatives" in str(batch)
    assert batch.numbers()["push"] == batch.push


# ---- the loss is the same loss


def found(case: Any, engine: Engine, reduction: str = "mean") -> list[Tensor]:
    leaves = {name: leaf.requires_grad_() for name, leaf in case.leaves().items()}
    value = case.loss(leaves, engine, reduction=reduction)
    weight = torch.linspace(0.5, 1.5, value.numel(), dtype=value.dtype).reshape(value.shape)
    return [value.detach(), *torch.autograd.grad((value * weight).sum(), list(leaves.values()))]


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("engine", [Dense(), Tiled(), Tiled(3, 2)], ids=str)
def test_a_watched_loss_is_the_same_loss(case: Any, engine: Engine) -> None:
    watched = Watch(engine)
    for one, other in zip(found(case, watched), found(case, engine), strict=True):
        scale = float(other.abs().max().clamp(min=1)) if other.numel() else 1.0
        assert_close(one / scale, other / scale, rtol=1e-12, atol=1e-12)
    assert watched.batch is not None


def test_a_watch_that_asks_for_a_gradient_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wrong sibling: a formula that also charges for what is watched."""

    def charging(self: Any, total: Any) -> Any:
        losses, counted = self.formula(total)
        return losses + 0.1 * total["watched push"], counted

    monkeypatch.setattr(watch._Recording, "__call__", charging)
    with pytest.raises(AssertionError):
        assert_close(found(CASES[0], Watch(Tiled(3, 2))), found(CASES[0], Tiled(3, 2)))


def test_the_loss_of_a_batch_is_the_mean() -> None:
    for face in (NTXent(0.3), InfoNCE(0.3), SymmetricInfoNCE(0.3), SigLIP(), info_nce.DCL(0.3)):
        value = face(t(Q), t(K))
        assert batch_diagnostics(face, t(Q), t(K)).loss == pytest.approx(value.item())


def test_a_gradient_of_the_gradient_goes_through_a_watch() -> None:
    watched = Watch(Tiled(3, 2))
    query = t(Q).requires_grad_()

    def curvature(engine: Engine) -> Tensor:
        (slope,) = torch.autograd.grad(InfoNCE(0.3, engine=engine)(query, t(K)), query, create_graph=True)
        return torch.autograd.grad(slope.square().sum(), query)[0]

    assert_close(curvature(watched), curvature(Dense()))
    assert watched.batch is not None
    assert watched.batch.queries == N


# ---- laws


@law
@given(seed=seeds, rows=st.sampled_from([1, 2, 3, 5]), columns=st.sampled_from([1, 2, 3, 5]))
def test_tiles_change_nothing(seed: int, rows: int, columns: int) -> None:
    query, key = normal(7, D, seed=seed), normal(7, D, seed=seed + 1)
    for kind in (InfoNCE, NTXent, SymmetricInfoNCE):
        dense, tiled = (batch_diagnostics(kind(0.1, engine=e), query, key) for e in (Dense(), Tiled(rows, columns)))
        assert dense.numbers() == pytest.approx(tiled.numbers(), rel=1e-9, abs=1e-9)


@law
@given(seed=seeds)
def test_of_a_symmetric_loss_the_keys_come_after_the_queries(seed: int) -> None:
    query, key = normal(6, D, seed=seed), normal(6, D, seed=seed + 1)
    both = batch_diagnostics(SymmetricInfoNCE(0.2), query, key).rows
    there, back = (batch_diagnostics(InfoNCE(0.2), *sides).rows for sides in ((query, key), (key, query)))
    for name in ("rank", "push", "effective_negatives", "negative_logit_spread"):
        assert_close(getattr(both, name), torch.cat([getattr(there, name), getattr(back, name)]))


@law
@given(seed=seeds, temperature=st.sampled_from([0.01, 0.05, 0.5]))
def test_a_smaller_temperature_gives_the_hardest_more(seed: int, temperature: float) -> None:
    query, key = normal(9, D, seed=seed), normal(9, D, seed=seed + 1)
    sharp, dull = (batch_diagnostics(InfoNCE(of), query, key) for of in (temperature, 2 * temperature))
    assert sharp.hardest_share >= dull.hardest_share
    assert 1 <= sharp.effective_negatives <= dull.effective_negatives <= 8
    assert sharp.mean_rank == dull.mean_rank


@law
@given(seed=seeds)
def test_push_is_the_gradient_by_the_negatives(seed: int) -> None:
    query, key = normal(5, D, seed=seed), normal(5, D, seed=seed + 1)
    logits = (torch.nn.functional.normalize(query) @ torch.nn.functional.normalize(key).T / 0.2).requires_grad_()
    torch.nn.functional.cross_entropy(logits, torch.arange(5), reduction="sum").backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    assert logits.grad is not None
    rows = batch_diagnostics(InfoNCE(0.2), query, key).rows
    assert_close(rows.push, -logits.grad.diagonal())
    assert_close(rows.push, logits.grad.fill_diagonal_(0).sum(1))


# ---- what is known without computing


def test_collapse_is_guessing_shared_by_all() -> None:
    for dtype in (torch.float32, torch.bfloat16):
        same = torch.ones(6, D, dtype=dtype)
        for engine in (Dense(), Tiled(2, 2)):
            batch = batch_diagnostics(NTXent(0.07, engine=engine), same, same)
            assert batch.loss == pytest.approx(batch.log_candidates, abs=1e-5)
            assert batch.top1 == 0  # nobody is told apart
            assert (batch.mean_rank, batch.ties) == (11, 10)
            assert batch.push == pytest.approx(10 / 11)
            assert batch.effective_negatives == pytest.approx(10)
            assert batch.negative_similarity == pytest.approx(1, abs=1e-5)
            assert batch.negative_similarity_spread == pytest.approx(0, abs=1e-4)


def test_a_copy_of_the_positive_is_a_tie_and_comes_before_it() -> None:
    key = torch.nn.functional.normalize(torch.randn(64, 128), dim=1)
    query, key = key + 0.1 * torch.randn_like(key), torch.cat([key[:32], key[:32]])
    query = torch.cat([query[:32], query[:32]])
    for engine in (Dense(), Tiled(10, 7)):
        rows = batch_diagnostics(InfoNCE(0.01, engine=engine), query, key).rows
        assert_close(rows.ties, torch.ones(64, dtype=torch.float64))
        assert_close(rows.rank, torch.full((64,), 2.0, dtype=torch.float64))


def test_perfect_pairs_are_saturated() -> None:
    axes = torch.eye(8)
    batch = batch_diagnostics(InfoNCE(0.05), axes, axes)
    assert (batch.top1, batch.saturated) == (1, 1)
    assert batch.push == pytest.approx(7 * math.exp(-20), rel=1e-3)
    assert batch.effective_negatives == pytest.approx(7, rel=1e-4)


def test_digits_are_left_where_positives_are_far_above_all_negatives() -> None:
    """At a temperature of 0.01 in float32: the sums are over numbers 100 below the mark."""
    query = torch.nn.functional.normalize(torch.randn(200, 64), dim=1)
    exact = batch_diagnostics(InfoNCE(0.01), query.double(), query.double())
    for engine in (Dense(), Tiled(64, 50)):
        found = batch_diagnostics(InfoNCE(0.01, engine=engine), query, query)
        assert found.effective_negatives == pytest.approx(exact.effective_negatives, rel=1e-3)
        assert found.negative_logit_spread == pytest.approx(exact.negative_logit_spread, rel=1e-4)
        assert found.hardest_share == pytest.approx(exact.hardest_share, rel=1e-4)


# ---- hostile inputs


def test_nan_comes_out_as_nan() -> None:
    query, key = torch.randn(6, D), torch.randn(6, D)
    key[2, 1] = math.nan
    for engine in (Dense(), Tiled(2, 3)):
        batch = batch_diagnostics(InfoNCE(engine=engine), query, key)
        for name in ("loss", "top1", "mean_rank", "median_rank", "push", "effective_negatives", "negative_similarity"):
            assert math.isnan(batch.numbers()[name]), name


@pytest.mark.parametrize("engine", [Dense(), Tiled(4, 4)], ids=str)
def test_one_query_that_is_no_number_leaves_the_others_as_they_are(engine: Engine) -> None:
    query, key, negatives = (torch.randn(16, *size, dtype=torch.float64) for size in ((D,), (D,), (5, D)))
    paired = InfoNCE(negative_mode="paired", engine=engine)
    for face, inputs, broken in ((InfoNCE(engine=engine), [query, key], 0), (paired, [query, key, negatives], 2)):
        healthy = batch_diagnostics(face, *inputs).rows
        inputs[broken] = inputs[broken].clone()
        inputs[broken][5, ..., 0] = math.nan
        batch = batch_diagnostics(face, *inputs)
        others = torch.arange(16) != 5
        for name in ("rank", "ties", "push", "effective_negatives"):
            found = getattr(batch.rows, name)
            assert_close(found[others], getattr(healthy, name)[others])
            assert math.isnan(found[5]), name
        for name in ("top1", "saturated", "mean_rank", "ties"):
            assert math.isnan(batch.numbers()[name]), name
        assert math.isnan(batch.top(3))


@pytest.mark.parametrize("engine", [Dense(), Tiled(4, 4)], ids=str)
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("scale", [1e5, 1e8])
def test_a_long_vector_does_not_blur_the_ranks_of_others(engine: Engine, side: int, scale: float) -> None:
    sides = [torch.randn(64, 16), torch.randn(64, 16)]
    sides[side][5] *= scale
    face = SymmetricInfoNCE(1.0, similarity=DotProduct(), engine=engine)
    found, exact = (batch_diagnostics(face, *(x.to(dtype) for x in sides)) for dtype in (torch.float32, torch.float64))
    assert_close(found.rows.rank, exact.rows.rank)
    assert found.ties == 0


def test_a_long_vector_does_not_blur_those_compared_by_a_similarity_of_ones_own() -> None:
    class Plain(Similarity):
        def forward(self, query: Tensor, key: Tensor) -> Tensor:
            return (query[:, None] * key).sum(-1)

    query, key = torch.randn(16, D), torch.randn(16, D)
    query[5] *= 1e8
    found = batch_diagnostics(InfoNCE(1.0, similarity=Plain()), query, key)
    exact = batch_diagnostics(InfoNCE(1.0, similarity=DotProduct()), query.double(), key.double())
    assert_close(found.rows.rank, exact.rows.rank)


def test_one_row_has_no_negative() -> None:
    batch = batch_diagnostics(InfoNCE(), torch.randn(1, D), torch.randn(1, D))
    assert (batch.loss, batch.top1, batch.mean_rank, batch.push) == (0, 1, 1, 0)
    assert math.isnan(batch.negative_similarity)
    assert math.isnan(batch.effective_negatives)


def test_a_query_without_a_positive_is_counted_and_left_out_of_the_means() -> None:
    batch = batch_diagnostics(SupCon(0.3), t(FEATURES), torch.tensor(LABELS))
    assert batch.without_positive == 1
    assert batch.queries == len(LABELS)
    assert not math.isnan(batch.mean_rank)
    assert int(batch.rows.rank.isnan().sum()) == 1


def test_an_empty_batch_is_refused_by_the_loss() -> None:
    with pytest.raises(ArgumentError, match="empty"):
        batch_diagnostics(InfoNCE(), torch.randn(0, D), torch.randn(0, D))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_looked_at_in_single(dtype: torch.dtype) -> None:
    query, key = (torch.randn(D, 9).to(dtype).T for _ in range(2))  # not contiguous
    exact = batch_diagnostics(NTXent(), query.double(), key.double())
    assert batch_diagnostics(NTXent(), query, key).numbers() == pytest.approx(exact.numbers(), rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("name", ["NTXent", "SymmetricInfoNCE", "InfoNCE"])
def test_the_matrix_is_never_stored(name: str) -> None:
    n = 1500
    face = getattr(info_nce, name)(engine=Watch(Tiled(SIDE, SIDE)))
    query, key = (torch.randn(n, 4, requires_grad=True) for _ in range(2))
    largest = Largest()
    with largest:
        face(query, key).backward()
    assert largest.bytes <= CELLS, largest.operation
    assert largest.bytes < n * n * BYTES / 4
    assert face.engine.batch is not None


# ---- how it is used


def test_there_is_nothing_to_see_before_the_first_loss() -> None:
    assert Watch().batch is None


def test_a_watch_says_what_it_watches() -> None:
    watched = Watch(Tiled(3))
    assert repr(watched) == "Watch(Tiled(rows=3))"
    assert "Watch(Tiled(rows=3))" in repr(InfoNCE(engine=watched))
    assert watched.explain(7, 5).startswith("watched, Tiled")
    assert list(Watch().tiles(InfoNCE_matrix())) == list(Auto().tiles(InfoNCE_matrix()))


def InfoNCE_matrix() -> Any:  # noqa: N802 - a matrix as InfoNCE makes it
    from info_nce.assemble import assemble
    from info_nce.similarity import Cosine

    return assemble(t(Q), t(K), Cosine(), 3.0)


def test_what_is_no_engine_is_refused() -> None:
    with pytest.raises(ArgumentError, match="engine must be an Engine"):
        Watch(NTXent())  # type: ignore[arg-type]  # the mistake


def test_a_module_that_holds_a_face_is_looked_into_and_left_as_it_was() -> None:
    engine = Tiled(3, 2)
    inner = CLIPLoss(engine=engine)
    module = Matryoshka(inner, (2, D))
    batch = batch_diagnostics(module, t(Q), t(K))
    assert_close(batch.rows.rank, batch_diagnostics(CLIPLoss(), t(Q), t(K)).rows.rank)
    assert inner.engine is engine
    with pytest.raises(ArgumentError):
        batch_diagnostics(module, t(Q), t(K)[1:])
    assert inner.engine is engine


def test_each_loss_keeps_its_own_engine_and_no_module_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.engine = None  # an engine of another kind, and nobody's business
            self.one, self.other = InfoNCE(engine=Dense()), InfoNCE(engine=Tiled(4, 4))

        def __setattr__(self, name: str, value: Any) -> None:
            super().__setattr__(name, value)
            changed.append(name)

        def forward(self, query: Tensor, key: Tensor) -> Tensor:
            value: Tensor = self.one(query, key) + self.other(query, key)
            return value + contrast(InfoNCE_matrix(), Softmax())

    def loss(self: Watch, problem: Any) -> Tensor:
        engines.append(repr(self))
        return watched(self, problem)

    changed: list[str] = []
    engines: list[str] = []
    two, watched = Two(), Watch.loss
    changed.clear()
    monkeypatch.setattr(Watch, "loss", loss)
    batch_diagnostics(two, t(Q), t(K))
    assert engines == ["Watch(Dense())", "Watch(Tiled(rows=4, columns=4))", "Watch(Auto())"]
    assert not changed


def test_threads_may_look_at_one_loss_and_leave_no_watch_behind() -> None:
    face = InfoNCE()
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda rows: batch_diagnostics(face, t(Q)[:rows], t(K)[:rows]).queries, [N, 3] * 20))
    assert found == [N, 3] * 20
    assert face.engine is None


def test_a_queue_is_seen() -> None:
    queue = KeyQueue(D, 8)
    queue.enqueue(t(NEG).float())
    batch = batch_diagnostics(MoCo(0.3), t(Q).float(), t(K).float(), queue)
    assert_rows(batch.rows, [{"candidates": 1.0 + len(NEG), "positives": 1.0}] * N)


def test_temperatures_of_each_query_are_taken_off_again() -> None:
    face = InfoNCE(t(PER_QUERY))
    plain, per_query = (batch_diagnostics(of, t(Q), t(K)) for of in (InfoNCE(1.0), face))
    assert_close(plain.rows.negative_similarity, per_query.rows.negative_similarity)
    with pytest.raises(AssertionError):
        assert_close(plain.rows.negative_logit, per_query.rows.negative_logit)


def test_of_several_comparisons_the_last_one_is_kept() -> None:
    plain = InfoNCE(0.3)
    last, first = (batch_diagnostics(Matryoshka(InfoNCE(0.3), of), t(Q), t(K)) for of in ((2, D), (D, 2)))
    assert_close(last.rows.push, batch_diagnostics(plain, t(Q), t(K)).rows.push)
    assert_close(first.rows.push, batch_diagnostics(plain, t(Q)[:, :2], t(K)[:, :2]).rows.push)


def test_all_steps_of_a_sequence_are_one_comparison() -> None:
    context, latents = torch.randn(3, 8, 6), torch.randn(3, 8, 5)
    batch = batch_diagnostics(CPC(6, 5, [1, 2]), context, latents)
    assert batch.queries == 3 * (7 + 6)
    assert not math.isnan(batch.effective_negatives)


@pytest.mark.parametrize(
    "criterion", [nn.Linear(2, 2), info_nce.info_nce, InfoNCE, None], ids=["module", "function", "class", "None"]
)
@pytest.mark.parametrize("look", [batch_diagnostics, diagnose])
def test_what_holds_no_loss_is_refused(criterion: Any, look: Callable[..., Any]) -> None:
    with pytest.raises(DTypeError, match="no loss of this package"):
        look(criterion, torch.randn(3, 2))


def test_a_loss_that_compares_nothing_is_refused() -> None:
    class Idle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.face = InfoNCE()

        def forward(self, query: Tensor) -> Tensor:
            return query.sum()

    with pytest.raises(ArgumentError, match="Nothing was seen"):
        batch_diagnostics(Idle(), torch.randn(3, 2))


def test_the_first_so_many_are_at_least_one() -> None:
    batch = batch_diagnostics(InfoNCE(), t(Q), t(K))
    with pytest.raises(ArgumentError, match="count"):
        batch.top(0)


@needs.compiler
@pytest.mark.parametrize("engine", [Dense(), Tiled(3, 2)], ids=str)
def test_inside_of_a_compiled_graph_the_loss_is_right_and_nothing_is_seen(engine: Engine) -> None:
    torch._dynamo.reset()
    watched = Watch(engine)
    face = NTXent(0.3, engine=watched)
    query, key = t(Q).requires_grad_(), t(K)
    assert_close(face(query, key), NTXent(0.3)(query, key))
    assert watched.batch is not None
    compiled = torch.compile(face, fullgraph=True, backend="aot_eager")
    assert_close(compiled(query, key), NTXent(0.3)(query, key))
    assert watched.batch is None
    torch._dynamo.reset()


def test_what_holds_tensors_is_compared_by_identity() -> None:
    one, other = (diagnose(InfoNCE(), t(Q), t(K)) for _ in range(2))
    assert len({one, other}) == 2
    assert one.batch != other.batch
    assert one.batch.rows != other.batch.rows


class Trained(nn.Module):
    """A module that draws, counts and remembers as it computes its loss."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(D, D), nn.BatchNorm1d(D), nn.Dropout(0.1))
        self.queue, self.loss = KeyQueue(D, 128), MoCo()
        self.queue.enqueue(torch.randn(10, D))

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        value: Tensor = self.loss(self.encoder(query), self.encoder(key).detach(), self.queue)
        self.queue.enqueue(self.encoder(key).detach())
        if query.isnan().any():
            raise FloatingPointError
        return value


@pytest.mark.parametrize("look", [batch_diagnostics, diagnose])
@pytest.mark.parametrize("broken", [False, True])
def test_looking_leaves_buffers_queues_and_random_states_as_they_were(look: Callable[..., Any], broken: bool) -> None:
    module, query, key = Trained(), torch.randn(6, D), torch.randn(6, D)
    query[0] = math.nan if broken else 0.0
    before, random = {name: value.clone() for name, value in module.state_dict().items()}, torch.get_rng_state()
    with pytest.raises(FloatingPointError) if broken else nullcontext():
        look(module, query, key)
    assert_close(module.state_dict(), before)
    assert_close(torch.get_rng_state(), random)
    assert module.queue.filled == 10
    assert module.queue.keys().shape == (10, D)


def test_a_graph_from_before_looking_is_still_there() -> None:
    encoder, queue = nn.BatchNorm1d(D).eval(), KeyQueue(D, 8)
    queue.enqueue(torch.randn(8, D))
    module = nn.ModuleList([encoder, queue, MoCo()])
    module.forward = lambda query, key: module[2](encoder(query), encoder(key), queue)
    query, key = torch.randn(6, D), torch.randn(6, D)
    value = module(query, key)
    diagnose(module, query, key)
    value.backward()
    assert encoder.weight.grad is not None


def test_rows_can_be_replaced_like_any_value() -> None:
    rows = batch_diagnostics(InfoNCE(), t(Q), t(K)).rows
    assert replace(rows, rank=rows.rank + 1).rank.equal(rows.rank + 1)
