"""Each fault is named where it is, on trainings that really went wrong, and nothing is named where all is well."""

# N items, D features

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from info_nce import (
    CPC,
    DCL,
    NCE,
    CLIPLoss,
    InfoNCE,
    Matryoshka,
    MoCo,
    NTXent,
    SigLIP,
    SupCon,
    SymmetricInfoNCE,
    Wav2Vec2Contrastive,
    views_from_interleaved,
)
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


class Times(InfoNCE):
    """A loss that is multiplied by a number."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, query: Tensor, positive_key: Tensor, *negatives: Any, **tensors: Any) -> Tensor:
        """The loss, and the factor."""
        return self.factor * super().forward(query, positive_key, *negatives, **tensors)


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


NAN = torch.full((6, 10, 8), math.nan)
BROKEN_LOSSES: dict[str, tuple[nn.Module, Sequence[Tensor], dict[str, Any]]] = {
    "a sequence": (CPC(8, 8, steps=2), [NAN, torch.randn(6, 10, 8)], {}),
    "masked steps": (Wav2Vec2Contrastive(), [torch.randn(6, 10, 8), NAN, torch.ones(6, 10, dtype=torch.bool)], {}),
    "by name": (InfoNCE(), [], {"positive_key": torch.randn(6, 8), "query": NAN[0, :6]}),
    "in a list": (InfoNCE(negative_mode="paired"), [torch.randn(6, 8), torch.randn(6, 8), NAN], {}),
    "of the loss": (Times(math.nan), [torch.randn(6, 8), torch.randn(6, 8)], {}),
    "of the loss, and infinite": (Times(math.inf), [torch.randn(6, 8), torch.randn(6, 8)], {}),
}


@pytest.mark.parametrize("case", BROKEN_LOSSES)
def test_a_loss_that_is_no_number_is_named(case: str) -> None:
    criterion, inputs, tensors = BROKEN_LOSSES[case]
    found = diagnose(criterion, *inputs, **tensors)
    assert names(found) == ["not finite"]
    assert ("input" in found.findings[0].what) is not case.startswith("of the loss")
    assert "no query has a negative" not in str(found)


def test_a_parameter_that_is_no_number_is_named_and_no_input_blamed() -> None:
    loss = CLIPLoss()
    loss.log_scale.data.fill_(math.nan)
    (finding,) = diagnose(loss, *sides()).findings
    assert finding.name == "not finite"
    assert "parameter log_scale holds NaN" in finding.what


def test_what_is_given_by_name_is_examined_like_what_is_given_by_place() -> None:
    one, other = sides(near=1.0)
    point, zero = torch.ones(N, D), one.clone()
    zero[:3] = 0
    tracked = one.clone().requires_grad_()
    for query, key, fault in (
        (one, other, []),
        (zero, other, ["zero vectors"]),
        (point, point, ["collapsed"]),
        (one, other.roll(1, 0), ["wrong layout"]),
        (tracked, other, ["no gradient on one side"]),
    ):
        assert names(diagnose(InfoNCE(), query=query, positive_key=key)) == fault
        assert names(diagnose(InfoNCE(), query, positive_key=key)) == fault
        assert names(diagnose(Matryoshka(InfoNCE(), (D,)), query=query, positive_key=key)) == fault
    by_name = diagnose(InfoNCE(), positive_key=point, query=one)
    assert "input 2" in by_name.findings[0].what  # in the order of the loss
    labels = torch.arange(N).repeat(2)
    rows = torch.cat([one, other])
    assert names(diagnose(SupCon(), features=rows, labels=labels, log_q=torch.zeros(2 * N))) == []
    assert names(diagnose(SupCon(), features=rows, labels=labels.sort().values)) == ["wrong layout"]


def test_a_list_or_a_sequence_without_history_is_named() -> None:
    query, key, lists = (torch.randn(N, *size) for size in ((D,), (D,), (3, D)))
    found = diagnose(InfoNCE(negative_mode="paired"), query.requires_grad_(), key.requires_grad_(), lists)
    assert "no gradient on one side" in names(found)
    assert "input 3" in str(found)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("face", [InfoNCE(), CLIPLoss()], ids=repr)
def test_a_diagnosis_needs_no_gradient_mode(mode: Callable[[], Any], face: nn.Module) -> None:
    one, other = sides(near=1.0)
    with mode():
        inside = names(diagnose(face, one, other))
        one, other = 2 * one, 2 * other  # tensors of that mode
        assert names(diagnose(face, one, other)) == inside == []
    assert names(diagnose(face, one, other)) == []
    assert names(diagnose(face, one, other, ids=torch.arange(N), told=True)) == []


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


def test_a_side_of_one_point_is_no_duplicates() -> None:
    one, _ = sides()
    assert names(diagnose(InfoNCE(), one, torch.ones(N, D), start=True)) == ["collapsed"]


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
    one, other = (side * few for side in sides(near=0.1))
    assert names(diagnose(NTXent(0.5), one, other)) == ["few directions"] * 2
    assert "3.0 of 32" in str(diagnose(NTXent(0.5), one, other))
    line = one.sign() * (torch.arange(D) < 1) + 0.01 * torch.randn(N, D)
    assert "few directions" in names(diagnose(InfoNCE(0.5), line[:, :8], line[:, :8] + 0.1 * torch.randn(N, 8)))
    assert "few directions" not in names(diagnose(InfoNCE(0.5), *sides(near=1.0, features=8)))
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
    assert names(diagnose(InfoNCE(0.05), one, one + 0.2 * torch.randn_like(one), start=True)) == [
        "loss too low at the start"
    ]


def test_a_random_queue_is_no_fault_at_the_start() -> None:
    one, other = sides(near=0.2)
    assert names(diagnose(MoCo(0.05), one, other, torch.randn(N, D), start=True)) == []


def test_saturation_is_noted() -> None:
    found = diagnose(InfoNCE(0.05), *sides(near=0.1))
    assert [(f.name, f.severity) for f in found.findings] == [("saturated", "note")]


def test_negatives_that_are_nearer_than_a_near_positive_are_noted() -> None:
    groups = torch.randn(16, D).repeat_interleave(8, 0)
    near = groups + 0.1 * torch.randn(N, D), groups + 0.1 * torch.randn(N, D)
    assert names(diagnose(InfoNCE(0.2), *near)) == ["likely false negatives"]


def test_labels_that_are_all_the_same_are_named_and_several_are_not() -> None:
    rows, labels = torch.randn(N, D), torch.zeros(N, dtype=torch.long)
    assert [(f.name, f.severity) for f in diagnose(SupCon(), rows, labels).findings] == [
        ("without a negative", "error")
    ]
    rows[: N // 2] += 2
    labels[: N // 2] = 1
    assert names(diagnose(SupCon(), rows, labels)) == []


def test_ids_of_rows_that_labels_make_positives_are_no_duplicates() -> None:
    one, other = sides()
    ids = torch.arange(N)
    assert names(diagnose(SupCon(), torch.cat([one, other]), ids.repeat(2), ids=ids.repeat(2))) == []


def test_labels_say_what_guessing_costs() -> None:
    """Among 10 labels, a softmax that knows nothing pays log(10) for all positives together, not log(candidates)."""
    rows, labels = torch.ones(N, D) + 0.3 * torch.randn(N, D), torch.arange(N) % 10
    found = diagnose(SupCon(0.5), rows, labels)
    assert names(found) == ["guessing"]
    assert found.batch.chance == pytest.approx(math.log(10), abs=0.1)
    assert names(diagnose(SupCon(0.5), rows + torch.eye(D)[labels], labels)) == []


@pytest.mark.parametrize("face", [InfoNCE, SigLIP, NTXent])
def test_sides_that_are_the_same_are_named_and_two_close_views_are_not(face: Callable[..., Any]) -> None:
    one, _ = sides()
    for noise in (0.0, 1e-3):
        assert names(diagnose(face(0.2), one, one + noise * torch.randn_like(one))) == ["views alike"]
    assert "views alike" not in names(diagnose(face(0.2), *sides(near=0.1)))


@pytest.mark.parametrize(
    ("how", "moved"),
    [
        ("one row up", lambda side: side.roll(1, 0)),
        ("one row down", lambda side: side.roll(-1, 0)),
        ("back to front", lambda side: side.flip(0)),
    ],
)
def test_a_side_that_is_moved_is_named(how: str, moved: Callable[[Tensor], Tensor]) -> None:
    one, other = sides(near=0.7)
    found = diagnose(InfoNCE(0.2), one, moved(other))
    assert names(found) == ["wrong layout"]
    assert how in str(found)
    assert names(diagnose(InfoNCE(0.2), one, other)) == []


def test_views_of_an_untrained_encoder_that_are_strangers_are_named() -> None:
    one, other = sides(near=1.0)
    other = other[torch.randperm(N)]
    assert names(diagnose(NTXent(0.2), one, other, start=True)) == ["loss too high at the start"]
    assert names(diagnose(NTXent(0.2), *sides(near=2.0), start=True)) == []
    assert names(diagnose(InfoNCE(0.2), one, other, start=True)) == []  # may be of two encoders


def test_ties_by_chance_are_no_duplicates() -> None:
    """In a narrow cone, among many, some negatives equal the positive up to rounding, and show something else."""
    one, other = (0.5 * torch.randn(1024, D) + 1 for _ in range(2))
    found = diagnose(InfoNCE(0.05), one, other)
    assert (found.batch.rows.ties > 0).double().mean() > 0.02
    assert "duplicates" not in names(found)
    one[:100] = one[100:200]
    assert "duplicates" in names(diagnose(InfoNCE(0.05), one, one + 0.1 * torch.randn(1024, D)))


def test_a_queue_that_has_this_batchs_keys_already_is_named() -> None:
    one, other = sides(near=0.5)
    assert names(diagnose(MoCo(0.2), one, other, torch.cat([other, torch.randn(N, D)]))) == ["duplicates"]
    assert names(diagnose(MoCo(0.2), one, other, torch.randn(2 * N, D))) == []


def test_a_narrow_cone_is_a_point_only_for_a_temperature_that_is_not_smaller() -> None:
    one, other = (0.1 * side + 1 for side in sides(near=0.3))
    assert names(diagnose(NTXent(0.2), one, other)) == ["collapsed"]
    assert "wrong pairs" in str(diagnose(NTXent(0.2), one, other))
    assert names(diagnose(NTXent(0.002), one, other)) == ["temperature too small"]
    assert diagnose(NTXent(0.2), one, other, start=True).findings[0].severity == "warning"


def test_near_partners_among_near_strangers_are_no_false_negatives() -> None:
    """Of an untrained encoder all cosines are high; and in few dimensions, many strangers are near."""
    one, other = (0.3 * side + 1 for side in sides(near=1.0))
    assert names(diagnose(InfoNCE(0.1), one, other)) == []
    assert names(diagnose(InfoNCE(0.2), *sides(near=0.4, rows=1024, features=8))) == []


def test_a_temperature_in_use_is_not_too_small() -> None:
    """Labels draw rows together, and at 0.05 that is no fault, although all of them lie in a cone."""
    labels = torch.arange(N) % 4
    rows = torch.eye(D)[labels] + 0.15 * torch.randn(N, D) + 0.4
    assert diagnose(SupCon(0.05), rows, labels).batch.negative_similarity > 0.5
    assert names(diagnose(SupCon(0.05), rows, labels)) == []
    assert "temperature too small" in names(diagnose(SupCon(0.02), rows, labels))


def test_a_temperature_in_use_is_not_too_large_for_many_candidates() -> None:
    one, other = sides(near=1.0, rows=8)
    assert names(diagnose(MoCo(0.5), one, other, torch.randn(40_000, D))) == []
    assert names(diagnose(MoCo(1.0), one, other, torch.randn(40_000, D))) == ["temperature too large"]


def test_two_places_before_training_or_of_a_slow_copy_are_no_gap() -> None:
    one, other = sides(near=1.0)
    away = torch.zeros(D)
    away[0] = 8.0
    assert names(diagnose(SymmetricInfoNCE(), one + away, other - away, start=True)) == []


# ---- what comes back


def test_scores_are_not_taken_for_embeddings() -> None:
    data, noise = torch.randn(N) + 2, torch.randn(N, 4) - 2
    assert names(diagnose(NCE(), data, noise, torch.zeros(N), torch.full((N, 4), -1.0))) == []


def test_a_report_has_no_negative_zero() -> None:
    one = torch.eye(8)
    other = one - 1e-4
    assert "-0.00" not in diagnose(InfoNCE(), one, other).standing


def test_a_loss_that_is_no_softmax_is_told_with_the_softmax_beside() -> None:
    batch = sides(near=1.0)
    assert "a softmax over the candidates would pay" in diagnose(SigLIP(), *batch).standing
    assert "guessing among the candidates is 4.852" in diagnose(InfoNCE(), *batch).standing


def test_several_comparisons_are_counted() -> None:
    batch = sides(near=1.0)
    assert diagnose(Matryoshka(InfoNCE(), (8, 16, D)), *batch).comparisons == 3
    assert diagnose(SymmetricInfoNCE(), *batch).comparisons == 1


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
    found = diagnose(InfoNCE(), torch.randn(1, D), torch.randn(1, D))
    assert names(found) == ["without a negative"]
    assert "no query has a negative" in str(found)
    assert "nan" not in str(found)


@pytest.mark.parametrize(
    "made", [lambda of: {"loss": of}, lambda of: (of, 1), Tensor.item], ids=["dict", "tuple", "float"]
)
def test_a_module_that_does_not_return_its_loss_is_refused(made: Callable[[Tensor], Any]) -> None:
    class Wrapped(InfoNCE):
        def forward(self, *inputs: Tensor, **tensors: Any) -> Any:  # type: ignore[override]  # the mistake
            return made(super().forward(*inputs, **tensors))

    with pytest.raises(DTypeError, match="criterion must return its loss"):
        diagnose(Wrapped(), *sides())


@pytest.mark.parametrize(
    ("ids", "error"),
    [(torch.arange(3), ShapeError), (torch.ones(N), DTypeError), ("abc", DTypeError)],
    ids=["too few", "no integers", "text"],
)
def test_ids_beside_what_is_given_by_name_are_checked(ids: Any, error: type[Exception]) -> None:
    one, other = sides()
    with pytest.raises(error, match="ids must"):
        diagnose(InfoNCE(), query=one, positive_key=other, ids=ids)


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
