"""Each fault is named where it is, on trainings that really went wrong, and nothing is named where all is well."""

# N items, D features

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from info_nce import DCL, CLIPLoss, InfoNCE, MoCo, NTXent, SigLIP, SupCon, SymmetricInfoNCE, views_from_interleaved
from info_nce.checks import ArgumentError, DTypeError, ShapeError
from info_nce.diagnostics import Diagnosis, diagnose
from info_nce.similarity import DotProduct

N, D = 128, 32


def names(diagnosis: Diagnosis) -> list[str]:
    return [finding.name for finding in diagnosis.findings]


# ---- trainings on handwritten digits


@cache
def digits() -> Tensor:
    return torch.tensor(load_digits().data / 16, dtype=torch.float32)


def view(items: Tensor) -> Tensor:
    """Some pixels hidden, and noise on the others."""
    return items * (torch.rand_like(items) > 0.15) + 0.05 * torch.randn_like(items)


Cut = Callable[[nn.Module, Tensor, Tensor], tuple[Tensor, ...]]


def apart(encoder: nn.Module, one: Tensor, other: Tensor) -> tuple[Tensor, ...]:
    return encoder(one), encoder(other)


def in_halves(encoder: nn.Module, one: Tensor, other: Tensor) -> tuple[Tensor, ...]:
    """The mistake: an interleaved batch cut as if it were stacked."""
    batch: Tensor = encoder(torch.stack([one, other], 1).flatten(0, 1))
    return batch.chunk(2)


def in_turns(encoder: nn.Module, one: Tensor, other: Tensor) -> tuple[Tensor, ...]:
    """The mistake the other way round."""
    return views_from_interleaved(encoder(torch.cat([one, other])), check=False)


@dataclass(frozen=True)
class Training:
    """How a small encoder of digits is trained, and what may be wrong with it."""

    temperature: float = 0.2
    cut: Cut = apart
    items: int = 1797
    decay: float = 1e-4
    steps: int = 100
    face: Callable[..., Any] = NTXent

    def run(self) -> tuple[nn.Module, list[Tensor], Tensor]:
        """The loss, a last batch with its history, and which items it shows."""
        torch.manual_seed(3)
        encoder = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, D))
        weights, biases = ([p for p in encoder.parameters() if (p.dim() > 1) is wanted] for wanted in (True, False))
        groups = [{"params": weights, "weight_decay": self.decay}, {"params": biases, "weight_decay": 0.0}]
        optimizer, loss = torch.optim.AdamW(groups, lr=3e-3), self.face(self.temperature)
        for _ in range(self.steps):
            # without one item twice, unless there are too few
            few = self.items < N
            ids = torch.randint(self.items, (N,)) if few else torch.randperm(self.items)[:N]
            embeddings = self.cut(encoder, view(digits()[ids]), view(digits()[ids]))
            optimizer.zero_grad()
            loss(*embeddings).backward()
            optimizer.step()
        return loss, list(embeddings), ids


BROKEN = {
    "collapsed": Training(decay=300.0),
    "wrong layout": Training(cut=in_halves),
    "wrong layout the other way round": Training(cut=in_turns),
    "wrong layout of pairs": Training(cut=in_halves, face=SymmetricInfoNCE),
    "temperature too small": Training(temperature=0.005),
    "duplicates": Training(items=40),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_training_is_named(fault: str) -> None:
    loss, embeddings, ids = BROKEN[fault].run()
    found = diagnose(loss, *embeddings, ids=ids)
    kind = fault.partition(" the other")[0].partition(" of ")[0]
    assert kind in names(found)
    # a wrong layout draws all rows together, too
    assert set(names(found)) <= {kind, "collapsed"} if kind == "wrong layout" else {kind}
    assert kind in str(found)


@pytest.mark.parametrize("face", [NTXent, SymmetricInfoNCE, DCL], ids=lambda face: face.__name__)
def test_nothing_is_found_in_a_healthy_training(face: Callable[..., Any]) -> None:
    loss, embeddings, ids = Training(face=face).run()
    found = diagnose(loss, *embeddings, ids=ids)
    assert names(found) == []
    assert found.batch.top1 > 0.5
    assert "Nothing is wrong" in str(found)


def test_a_fault_that_is_put_right_is_no_longer_named() -> None:
    loss, (one, other), ids = BROKEN["wrong layout"].run()
    batch = torch.cat([one, other])
    assert "wrong layout" not in names(diagnose(loss, batch[0::2], batch[1::2]))
    loss, embeddings, ids = BROKEN["duplicates"].run()
    assert names(diagnose(loss, *embeddings, ids=ids, told=True)) == []


# ---- one check after the other


def sides(*, near: float = 0.3, rows: int = N, features: int = D) -> tuple[Tensor, Tensor]:
    """Pairs that belong together, spread out evenly."""
    one = torch.randn(rows, features)
    return one, one + near * torch.randn(rows, features)


def test_nothing_is_found_in_pairs_that_belong_together() -> None:
    for face in (NTXent(0.2), InfoNCE(0.1), SymmetricInfoNCE(), CLIPLoss(), SigLIP()):
        assert names(diagnose(face, *sides(near=1.0))) == []


def test_a_cosine_above_1_by_rounding_is_no_fault() -> None:
    one, other = (torch.nn.functional.normalize(side, dim=1) for side in sides(near=1.0))
    lengths = one.norm(dim=1)
    assert (lengths != 1).any()
    assert (one @ one.T).max() > 1  # in float32
    assert names(diagnose(InfoNCE(0.2, similarity=DotProduct()), one, other)) == []


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_rounding_of_half_precision_is_no_fault(dtype: torch.dtype) -> None:
    one, other = (torch.nn.functional.normalize(side, dim=1).to(dtype) for side in sides(near=1.0))
    assert names(diagnose(InfoNCE(0.2, similarity=DotProduct()), one, other)) == []


def test_lengths_that_are_not_1_are_named_where_inner_products_are_meant_to_be_cosines() -> None:
    one, other = sides(near=1.0)
    found = diagnose(InfoNCE(0.05, similarity=DotProduct()), one, other)
    assert names(found).count("not normalised") == 2  # one of each side
    assert "not normalised" not in names(diagnose(InfoNCE(1.0, similarity=DotProduct()), one, other))
    assert "not normalised" not in names(diagnose(InfoNCE(0.05), one, other))


def test_numbers_that_are_none_are_named_before_anything_else() -> None:
    one, other = sides()
    other[5, 3] = math.nan
    found = diagnose(NTXent(), one, other)
    assert names(found) == ["not finite"]
    assert "row 5" in found.findings[0].what
    assert math.isnan(found.batch.loss)


def test_a_gradient_that_is_no_number_is_named() -> None:
    class Overflowing(NTXent):
        def forward(self, *views: Tensor, **tensors: Any) -> Tensor:
            """A loss whose gradient is infinite."""
            return super().forward(*views, **tensors) + (views[0] - views[0].detach()).abs().sqrt().sum()

    assert "gradient not finite" in names(diagnose(Overflowing(), *sides()))


def test_zero_vectors_are_named() -> None:
    one, other = sides(near=1.0)
    one[:3] = 0
    found = diagnose(InfoNCE(), one, other)
    assert names(found) == ["zero vectors"]
    assert found.findings[0].severity == "warning"
    one[:] = 0
    assert diagnose(InfoNCE(), one, other).findings[0].severity == "error"


def test_a_side_without_history_is_named_only_where_the_other_has_one() -> None:
    one, other = sides(near=1.0)
    assert names(diagnose(InfoNCE(), one.requires_grad_(), other)) == ["no gradient on one side"]
    assert names(diagnose(InfoNCE(), one, other.requires_grad_())) == []
    assert names(diagnose(InfoNCE(), one.detach(), other.detach())) == []
    # the keys of a slow copy have none by design
    assert names(diagnose(MoCo(0.2), one, other.detach(), torch.randn(N, D))) == []


def test_a_loss_without_a_gradient_is_named() -> None:
    class Still(InfoNCE):
        def forward(self, query: Tensor, positive_key: Tensor, *negatives: Any, **tensors: Any) -> Tensor:
            """A loss that has lost its second argument."""
            return super().forward(query, positive_key.detach(), *negatives, **tensors)

    one, other = sides(near=1.0)
    found = diagnose(Still(), one.requires_grad_(), other.requires_grad_())
    assert names(found) == ["no gradient"]
    assert "input 2" in found.findings[0].what


def test_looking_leaves_no_gradient_behind() -> None:
    encoder, loss = nn.Linear(D, D), CLIPLoss()
    one, other = sides()
    diagnose(loss, encoder(one), encoder(other))
    assert encoder.weight.grad is None
    assert loss.log_scale.grad is None
    loss(encoder(one), encoder(other)).backward()  # and the history is still there
    assert encoder.weight.grad is not None


def test_one_side_alone_may_be_collapsed() -> None:
    one, _ = sides()
    point = torch.ones(N, D) + 0.01 * torch.randn(N, D)
    found = diagnose(InfoNCE(), one, point)
    assert names(found) == ["collapsed"]
    assert "input 2" in found.findings[0].what
    assert "input 1" not in found.findings[0].what


def test_labels_that_do_not_follow_the_layout_are_named() -> None:
    one, other = sides()
    rows, labels = torch.cat([one, other]), torch.arange(N)
    assert names(diagnose(SupCon(), rows, labels.repeat(2))) == []
    found = diagnose(SupCon(), rows, labels.repeat_interleave(2))
    assert names(found) == ["wrong layout"]
    assert "stacked" in found.findings[0].what
    interleaved = torch.stack([one, other], 1).flatten(0, 1)
    assert names(diagnose(SupCon(), interleaved, labels.repeat_interleave(2))) == []
    assert "interleaved" in str(diagnose(SupCon(), interleaved, labels.repeat(2)))


def test_a_gap_between_two_encoders_is_no_layout() -> None:
    """All rows of one side are near each other, and far from the other side: neighbours are not partners for that."""
    one, other = sides(near=1.0)
    gap = 3 * torch.ones(D)
    assert "wrong layout" not in names(diagnose(InfoNCE(), one + gap, other - gap))


def test_rows_in_the_order_of_their_classes_are_no_layout() -> None:
    classes = torch.randn(8, D).repeat_interleave(N // 8, 0)
    assert "wrong layout" not in names(diagnose(NTXent(), classes + sides()[0], classes + sides()[1]))


def test_of_a_few_rows_no_layout_is_told() -> None:
    one, other = sides(rows=6)
    batch = torch.stack([one, other], 1).flatten(0, 1)
    assert "wrong layout" not in names(diagnose(NTXent(), *batch.chunk(2)))


def test_a_learned_temperature_at_its_clamp_is_named() -> None:
    loss = CLIPLoss(0.005)
    loss.clamp_temperature()
    assert "temperature at its clamp" in names(diagnose(loss, *sides(near=2.0)))
    assert "temperature at its clamp" not in names(diagnose(CLIPLoss(0.011), *sides(near=2.0)))
    assert "temperature at its clamp" not in names(diagnose(CLIPLoss(0.01, learnable=False), *sides(near=2.0)))


def test_a_gradient_of_the_nearest_negative_alone_is_named() -> None:
    assert "temperature too small" in names(diagnose(InfoNCE(0.003), *sides(near=2.0)))
    assert "temperature too small" not in names(diagnose(InfoNCE(0.003), *sides(near=2.0, rows=4)))


@pytest.mark.parametrize(("temperature", "rows", "named"), [(1.5, 128, True), (0.5, 128, False), (1.5, 6, False)])
def test_a_temperature_at_which_nothing_can_be_learned_is_named(temperature: float, rows: int, named: bool) -> None:
    found = diagnose(InfoNCE(temperature), *sides(near=1.0, rows=rows))
    assert ("temperature too large" in names(found)) is named


def test_the_best_loss_that_a_temperature_allows_is_reached_by_a_simplex() -> None:
    count, temperature = 20, 2.0
    simplex = torch.eye(count) - 1 / count
    found = diagnose(InfoNCE(temperature), simplex, simplex)
    assert f"would still pay {found.batch.loss:.2f} nats" in str(found)


def test_ids_say_who_is_there_twice_and_are_kept_from_the_loss_unless_told() -> None:
    one, other = sides(near=1.0)
    ids = torch.arange(N)
    assert names(diagnose(InfoNCE(), one, other, ids=ids)) == []
    ids[:20] = 0
    kept = diagnose(InfoNCE(), one, other, ids=ids)
    assert names(kept) == ["duplicates"]
    told = diagnose(InfoNCE(), one, other, ids=ids, told=True)
    assert names(told) == []
    assert told.batch.rows.candidates[0] < kept.batch.rows.candidates[0]


def test_embeddings_that_are_there_twice_are_duplicates_without_ids() -> None:
    one, other = sides(near=1.0)
    one[1::2], other[1::2] = one[0::2], other[0::2]
    assert names(diagnose(InfoNCE(), one, other)) == ["duplicates"]
    one, other = (side.repeat(2, 1) for side in sides(rows=N // 2))  # as if a batch had been stacked
    assert names(diagnose(NTXent(0.2), one, other)) == ["duplicates"]


def test_embeddings_of_few_directions_are_named_but_not_of_few_classes() -> None:
    few = torch.arange(D) < 3
    one, other = (side * few for side in sides(near=0.02))
    assert names(diagnose(NTXent(0.5), one, other)) == ["few directions"] * 2
    assert "3.0 of 32" in str(diagnose(NTXent(0.5), one, one + 0))
    labels = torch.arange(4).repeat(N // 4)
    corners = torch.eye(D)[labels] + 0.01 * torch.randn(N, D)
    assert names(diagnose(SupCon(0.5), corners, labels)) == []


def test_a_gap_between_two_sides_is_named_but_not_one_by_chance() -> None:
    one, other = sides(near=1.0)
    away = torch.zeros(D)
    away[0] = 8.0
    assert names(diagnose(SymmetricInfoNCE(), one + away, other - away)) == ["modality gap"]
    assert names(diagnose(SymmetricInfoNCE(), one, other)) == []


def test_many_queries_without_a_positive_are_named() -> None:
    rows = torch.randn(N, D)
    labels = torch.arange(N)
    labels[: N // 2] = torch.arange(N // 4).repeat(2)
    rows[: N // 4] = rows[N // 4 : N // 2] + 0.3 * torch.randn(N // 4, D)
    assert names(diagnose(SupCon(), rows, labels)) == ["without a positive"]


def test_guessing_is_a_fault_but_not_at_the_start() -> None:
    unrelated = torch.randn(N, D), torch.randn(N, D)
    assert names(diagnose(InfoNCE(0.5), *unrelated)) == ["guessing"]
    unsure = sides(near=5.0)
    assert names(diagnose(InfoNCE(0.05), *unsure)) == ["too sure"]
    assert names(diagnose(InfoNCE(0.5), *unsure)) == []
    assert names(diagnose(InfoNCE(0.5), *unrelated, start=True)) == []


@pytest.mark.parametrize("temperature", [0.5, 0.1, 0.07, 0.05, 0.03])
@pytest.mark.parametrize("features", [32, 128])
def test_the_loss_of_unrelated_features_is_no_fault_at_the_start(temperature: float, features: int) -> None:
    """At a temperature of 0.07 with 128 features it is 7.05 among 256, and not log(256) = 5.55."""
    unrelated = torch.randn(256, features), torch.randn(256, features)
    found = diagnose(InfoNCE(temperature), *unrelated, start=True)
    assert not {"loss too high at the start", "loss too low at the start"} & set(names(found))


def test_a_loss_that_unrelated_features_would_not_have_is_a_fault_at_the_start() -> None:
    one, _ = sides(rows=256)
    assert names(diagnose(InfoNCE(0.2), one, -one, start=True)) == ["loss too high at the start"]
    assert names(diagnose(InfoNCE(0.05), one, one, start=True)) == ["loss too low at the start"]


def test_saturation_is_noted() -> None:
    one, _ = sides()
    found = diagnose(InfoNCE(0.05), one, one)
    assert [(f.name, f.severity) for f in found.findings] == [("saturated", "note")]


def test_negatives_that_are_nearer_than_a_near_positive_are_noted() -> None:
    groups = torch.randn(16, D).repeat_interleave(8, 0)
    near = groups + 0.1 * torch.randn(N, D), groups + 0.1 * torch.randn(N, D)
    assert names(diagnose(InfoNCE(0.2), *near)) == ["likely false negatives"]


# ---- what comes back


def test_the_gravest_comes_first_and_all_of_it_can_be_written() -> None:
    one, other = sides(near=1.0)
    one[0], other[:] = 0, torch.ones(D)
    found = diagnose(InfoNCE(), one, other)
    assert [finding.severity for finding in found.findings] == ["error", "warning"]
    written = json.loads(json.dumps(found.as_json()))
    assert [finding["name"] for finding in written["findings"]] == names(found)
    assert written["batch"]["queries"] == N
    assert all(finding.what in str(found) and finding.advice in str(found) for finding in found.findings)


def test_a_loss_per_query_is_diagnosed_like_its_mean() -> None:
    batch = sides(near=1.0)
    mean, none = (diagnose(InfoNCE(reduction=of), *batch) for of in ("mean", "none"))
    assert mean.batch.numbers() == none.batch.numbers()


def test_one_row_is_no_training() -> None:
    assert names(diagnose(InfoNCE(), torch.randn(1, D), torch.randn(1, D))) == ["saturated"]


def test_wrong_arguments_are_refused() -> None:
    one, other = sides()
    with pytest.raises(ShapeError, match="ids must hold one tag per item"):
        diagnose(InfoNCE(), one, other, ids=torch.arange(3))
    with pytest.raises(DTypeError, match="ids must be a tensor of integers"):
        diagnose(InfoNCE(), one, other, ids=torch.randn(N))
    with pytest.raises(DTypeError, match="no loss of this package"):
        diagnose(nn.MSELoss(), one, other)
    with pytest.raises(ArgumentError, match="same number of samples"):
        diagnose(InfoNCE(), one, other[1:])
