"""Every usual mistake of `reference.wrong`, and mistakes in the machinery: the package must not agree with any."""

# N queries, K candidates; the oracles' calls are those of tests/reference/test_reference.py

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor
from torch.testing import assert_close

from info_nce import InfoNCE, Matryoshka, views_from_interleaved, views_from_stacked
from info_nce import functional as f
from info_nce import losses as faces
from info_nce.checks import ArgumentError
from info_nce.engines import Dense, Engine, Tiled, exponentials, tiled
from info_nce.engines.base import Totals
from info_nce.engines.blocks import Spot
from info_nce.engines.exponentials import Force, Term
from info_nce.engines.parts import Part
from info_nce.engines.workers import Alone, Excluded
from info_nce.losses import compose, decoupled
from info_nce.pairing import Nowhere, Partner, Run, Shifted, Without, views
from info_nce.scores import Operand
from info_nce.similarity import Bilinear, Cosine, DotProduct, NegativeSquaredDistance, Similarity
from info_nce.statistics import Count, LogSumExp, Softplus, Statistic, Sum
from tests import reference as ref
from tests.conformance.cases import CASES, Case
from tests.reference.test_reference import GENERIC, SITUATIONS, numbers
from tests.strategies import normal
from tests.test_closed_forms import expected

Mistake = Callable[..., Any]

# a mistake must show, not only in the last digits: no number may be off by this much
VISIBLE: dict[str, Any] = {"rtol": 0.0, "atol": 1e-3}
INTEGERS = {"ids", "negative_ids", "queue_ids"}


def t(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def translated(options: dict[str, Any]) -> dict[str, Any]:
    """An oracle's options, as the package takes them."""
    made: dict[str, Any] = {}
    for name, value in options.items():
        if name in INTEGERS:
            made[name] = torch.tensor(value)
        elif name == "guide":
            made[name] = [t(tensor) for tensor in value]
        elif name == "log_q":
            made[name] = t(value)
        else:
            made[name] = value
    return made


def plain(loss: Callable[..., Tensor], **fixed: Any) -> Mistake:
    """A loss of the package that is called like its oracle: lists of floats in, one number per query out."""

    def called(*tensors: Any, **options: Any) -> list[float]:
        found: list[float] = loss(*map(t, tensors), reduction="none", **fixed, **translated(options)).tolist()
        return found

    return called


def similarity_of(module: Similarity) -> Callable[[Any, Any], float]:
    return lambda u, v: module(t([u]), t([v])).item()


def bilinear(weight: Any) -> Callable[[Any, Any], float]:
    module = Bilinear(len(weight), len(weight[0])).double()
    module.load_state_dict({"weight": t(weight)})
    return similarity_of(module)


def sup_con(features: Any, labels: list[int], **options: Any) -> list[float | None]:
    found = f.sup_con(t(features), torch.tensor(labels), reduction="none", **options).tolist()
    return [None if labels.count(label) == 1 else value for label, value in zip(labels, found, strict=True)]


def matryoshka(_: Any, widths: list[int]) -> Mistake:
    """The loss that the oracle wraps is InfoNCE."""
    return lambda a, b: Matryoshka(InfoNCE(), widths)(t(a), t(b)).item()


def dclw_weights(view1: Any, view2: Any) -> list[float]:
    found: list[float] = decoupled._weights(t(view1), t(view2), Cosine(), 0.5).repeat(2).tolist()
    return found


def cpc(context: Any, latents: Any, weights: Any, *, steps: list[int]) -> list[float]:
    found: list[float] = f.cpc(t(context), t(latents), t(weights), steps=steps, reduction="none").tolist()
    return found


def wav2vec2(context: Any, targets: Any, mask: Any, distractors: Any) -> list[float]:
    T = len(mask[0])
    flat = [[n * T + d for d in drawn[step]] for n, drawn in enumerate(distractors) for step in sorted(drawn)]
    # lists of different length: a step with fewer distractors gets its target for one more, which is left out
    length = max(map(len, flat))
    steps = [n * T + step for n, drawn in enumerate(distractors) for step in sorted(drawn)]
    filled = [row + [step] * (length - len(row)) for row, step in zip(flat, steps, strict=True)]
    found: list[float] = f.wav2vec2_contrastive(
        t(context), t(targets), torch.tensor(mask), distractors=torch.tensor(filled), reduction="none"
    ).tolist()
    return found


def gradients(query: Any, key: Any, temperature: float) -> tuple[Any, Any]:
    leaves = [t(query).requires_grad_(), t(key).requires_grad_()]
    loss: Callable[..., Tensor] = f.info_nce
    of_query, of_key = torch.autograd.grad(loss(*leaves, temperature=temperature), leaves)
    return of_query.tolist(), of_key.tolist()


def temperature_gradient(query: Any, key: Any, temperature: float) -> float:
    leaf = t(temperature).requires_grad_()
    (found,) = torch.autograd.grad(f.info_nce(t(query), t(key), temperature=leaf), leaf)
    return found.item()


def label_toy(classes: int, batch: int, temperature: float) -> float:
    return expected(lambda a, b: f.info_nce(a, b, temperature=temperature), classes, batch).item()


# name of the oracle: the package, called like it
PACKAGE: dict[str, Mistake] = {
    "cosine": similarity_of(Cosine()),
    "dot": similarity_of(DotProduct()),
    "negative_squared_distance": similarity_of(NegativeSquaredDistance()),
    "bilinear": bilinear,
    "info_nce": plain(f.info_nce),
    "symmetric_info_nce": plain(f.symmetric_info_nce),
    "nt_xent": lambda views, **options: plain(f.nt_xent)(*views, **options),
    "sup_con": sup_con,
    "moco": plain(f.moco),
    "retrieval_info_nce": plain(f.retrieval_info_nce),
    "matryoshka": matryoshka,
    "dcl": plain(f.dcl),
    "dclw": plain(f.dclw),
    "dclw_weights": dclw_weights,
    "debiased_info_nce": plain(f.debiased_info_nce),
    "hard_negative_info_nce": plain(f.hard_negative_info_nce),
    "robust_info_nce": plain(f.robust_info_nce),
    "sigmoid_loss": plain(f.sigmoid_loss),
    "nce": lambda *scores: plain(f.nce, num_noise=scores[-1])(*scores[:-1]),
    "cpc": cpc,
    "wav2vec2_contrastive": wav2vec2,
    "info_nce_gradients": gradients,
    "info_nce_temperature_gradient": temperature_gradient,
    "label_toy_expected_loss": label_toy,
}


def assert_right_and_not_wrong(name: str, call: Callable[[Mistake], Any], wrong: Mistake) -> None:
    """On the same data the package agrees with the oracle and visibly disagrees with the mistake."""
    found, right = (t(numbers(call(one))) for one in (PACKAGE[name], getattr(ref, name)))
    assert_close(found, right, rtol=1e-11, atol=1e-11)
    with pytest.raises(AssertionError):
        assert_close(found, t(numbers(call(wrong))), **VISIBLE)


def test_every_mistake_is_tried() -> None:
    assert set(PACKAGE) == set(ref.WRONG) == set(GENERIC)
    assert set(SITUATIONS) == {(name, where) for name, wheres in ref.WRONG_WHERE.items() for where in wheres}
    # every function of the package that has a formula has a mistake
    without = {"draw_distractors", "without_positive"}
    assert set(f.__all__) - without <= set(ref.WRONG)
    assert set(faces.__all__) >= set(f.__all__)


@pytest.mark.parametrize(
    ("name", "wrong"), [pytest.param(n, w, id=f"{n}-{w.__name__}") for n, ws in ref.WRONG.items() for w in ws]
)
def test_the_package_makes_no_usual_mistake(name: str, wrong: Mistake) -> None:
    assert_right_and_not_wrong(name, GENERIC[name], wrong)


@pytest.mark.parametrize(
    ("name", "where", "wrong"),
    [
        pytest.param(name, where, wrong, id=f"{name}-{where}-{wrong.__name__}")
        for name, wheres in ref.WRONG_WHERE.items()
        for where, mistakes in wheres.items()
        for wrong in mistakes
    ],
)
def test_the_package_makes_no_mistake_with_its_options(name: str, where: str, wrong: Mistake) -> None:
    assert_right_and_not_wrong(name, SITUATIONS[name, where], wrong)


# ---- the stacked and the interleaved batch


def item_views(items: int) -> tuple[Tensor, Tensor]:
    item = normal(items, 8, seed=1)
    return item + 0.1 * normal(items, 8, seed=2), item + 0.1 * normal(items, 8, seed=3)


def test_a_stacked_batch_read_as_interleaved_gives_another_loss() -> None:
    one, other = item_views(20)
    stacked, interleaved = torch.cat([one, other]), torch.stack([one, other], 1).flatten(0, 1)
    right = f.nt_xent(one, other)
    assert_close(f.nt_xent(*views_from_stacked(stacked)), right)
    assert_close(f.nt_xent(*views_from_interleaved(interleaved)), right)
    for wrong in (views_from_interleaved(stacked, check=False), views_from_stacked(interleaved, check=False)):
        with pytest.raises(AssertionError):
            assert_close(f.nt_xent(*wrong), right, **VISIBLE)


def test_a_batch_in_the_other_layout_is_refused() -> None:
    one, other = item_views(20)
    with pytest.raises(ArgumentError, match="views_from_stacked"):
        views_from_interleaved(torch.cat([one, other]))
    with pytest.raises(ArgumentError, match="views_from_interleaved"):
        views_from_stacked(torch.stack([one, other], 1).flatten(0, 1))


# ---- the machinery: what a wrong engine, statistic or pairing would do to tiles


def case_named(name: str) -> Case:
    (found,) = (case for case in CASES if case.name == name)
    return found


def weighted_slopes(case: Case, engine: Engine) -> list[Tensor]:
    leaves = {name: leaf.requires_grad_() for name, leaf in case.leaves().items()}
    values = case.loss(leaves, engine, reduction="none")
    weights = torch.linspace(0.5, 1.5, len(values), dtype=values.dtype)
    return list(torch.autograd.grad((values * weights).sum(), list(leaves.values())))


def value_of(case: Case, engine: Engine) -> Tensor:
    return case.loss(case.leaves(), engine, reduction="none")


def halves(_: Statistic, one: Tensor, other: Tensor) -> Tensor:
    """The mean of two sums in log space, where their sum is meant."""
    return torch.logaddexp(one, other) - torch.log(t(2.0))


MERGES: list[tuple[type[Statistic], Mistake]] = [
    (LogSumExp, lambda _, one, other: torch.maximum(one, other)),
    (LogSumExp, halves),
    (LogSumExp, lambda _, one, other: one + other),
    (LogSumExp, lambda _, __, other: other),
    (Count, lambda _, one, other: torch.maximum(one, other)),
    (Sum, lambda _, one, other: (one + other) / 2),
    (Softplus, lambda _, one, other: torch.logaddexp(one, other)),
]
SOFTMAX_CASES = ["info_nce", "symmetric", "nt_xent", "sup_con inside", "dcl", "debiased", "robust"]


@pytest.mark.parametrize("wrong", [wrong for kind, wrong in MERGES if kind is LogSumExp])
@pytest.mark.parametrize("name", SOFTMAX_CASES)
def test_a_wrong_merge_of_log_sums_breaks_the_parity_of_tiles(name: str, wrong: Mistake) -> None:
    case = case_named(name)
    right = value_of(case, Dense())
    assert_close(value_of(case, Tiled(3, 2)), right, rtol=1e-11, atol=1e-11)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LogSumExp, "merge", wrong)
        found = value_of(case, Tiled(3, 2))
    with pytest.raises(AssertionError):
        assert_close(found, right, **VISIBLE)


@pytest.mark.parametrize(("kind", "wrong"), [pair for pair in MERGES if pair[0] is not LogSumExp])
def test_a_wrong_merge_of_sums_breaks_the_parity_of_tiles(kind: type[Statistic], wrong: Mistake) -> None:
    # with a margin, only a sweep says how many negatives there are
    case = case_named({Sum: "info_nce smoothing", Count: "debiased margin", Softplus: "siglip"}[kind])
    right = value_of(case, Dense())
    assert_close(value_of(case, Tiled(3, 2)), right, rtol=1e-11, atol=1e-11)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "merge", wrong)
        found = value_of(case, Tiled(3, 2))
    with pytest.raises(AssertionError):
        assert_close(found, right, **VISIBLE)


def assert_noticed_in_the_gradient(case: Case, patched: Callable[[pytest.MonkeyPatch], None]) -> None:
    """Tiles agree with the whole matrix, and do not when a mistake is made in them."""
    right = weighted_slopes(case, Dense())
    assert_close(weighted_slopes(case, Tiled(3, 2)), right, rtol=1e-11, atol=1e-11)
    with pytest.MonkeyPatch.context() as patch:
        patched(patch)
        found = weighted_slopes(case, Tiled(3, 2))
    with pytest.raises(AssertionError):
        assert_close(found, right, **VISIBLE)


back, weighed = Part.back, exponentials._weighed


def own_total(part: Part, _: Any, slopes: Sequence[Totals], sums: Totals) -> None:
    """The share of a cell in its tile, where its share in the row is meant."""
    back(part, part.totals(), slopes, sums)


def no_share(part: Part, totals: Sequence[Totals], slopes: Sequence[Totals], sums: Totals) -> None:
    """The share forgotten: e^s itself."""
    back(part, [{name: torch.zeros_like(total) for name, total in side.items()} for side in totals], slopes, sums)


@pytest.mark.parametrize("wrong", [own_total, no_share])
@pytest.mark.parametrize("name", SOFTMAX_CASES)
def test_a_dropped_share_breaks_the_gradient_of_tiles(name: str, wrong: Mistake) -> None:
    assert_noticed_in_the_gradient(case_named(name), lambda patch: patch.setattr(Part, "back", wrong))


def no_power(cells: Tensor, shift: Tensor | None, unit: float, terms: Sequence[Term]) -> Force:
    """The inner derivative forgotten."""
    return weighed(cells, shift, unit, [replace(term, slope=term.slope / term.power) for term in terms])


def test_a_forgotten_power_breaks_the_gradient_of_hard_negatives() -> None:
    case = case_named("hard")
    assert_noticed_in_the_gradient(case, lambda patch: patch.setattr(exponentials, "_weighed", no_power))


def last_tile_only(patch: pytest.MonkeyPatch) -> None:
    """= for +=: what an earlier tile gave is lost."""

    def given(operand: Operand, total: Tensor, rows: slice, columns: slice, gradient: Tensor) -> None:
        total[operand.part(rows, columns)] = gradient

    def made(part: Part, *args: Any) -> None:
        init(part, *args)
        give = part.give

        def overwrite(force: Force, sums: Totals) -> None:
            alone = {name: torch.zeros_like(total) for name, total in sums.items()}
            give(force, alone)
            for name, gradient in alone.items():
                sums[name].copy_(torch.where(gradient == 0, sums[name], gradient))

        part.give = overwrite

    init = Part.__init__
    patch.setattr(Operand, "give", given)
    patch.setattr(Part, "__init__", made)


@pytest.mark.parametrize("name", [*SOFTMAX_CASES, "siglip learned", "info_nce own", "wav2vec2"])
def test_a_gradient_that_is_not_added_up_is_noticed(name: str) -> None:
    assert_noticed_in_the_gradient(case_named(name), last_tile_only)


def counted_once(self: Operand, total: Tensor, rows: slice, columns: slice, gradient: Tensor) -> None:
    """+= for an index that names a row twice: it gets one of its two gradients."""
    total[self.part(rows, columns)] += gradient


def test_a_row_that_is_looked_up_twice_gets_both_gradients() -> None:
    case = case_named("wav2vec2")  # some distractors are drawn twice
    right = weighted_slopes(case, Dense())
    assert_close(weighted_slopes(case, Tiled(3, 2)), right, rtol=1e-11, atol=1e-11)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Operand, "give", counted_once)
        found = weighted_slopes(case, Tiled(3, 2))
    with pytest.raises(AssertionError):
        assert_close(found, right, **VISIBLE)


runs = Shifted.runs


def fill_of_part(cells: Shifted, tile: Tensor, _: slice, __: slice, value: float) -> None:
    """The diagonal of a tile taken for that of the matrix."""
    if cells.by < tile.shape[1]:
        tile.diagonal(cells.by).fill_(value)


def runs_of_part(cells: Shifted, rows: slice, columns: slice) -> list[Run]:
    """The first rows of the matrix taken for those of the part."""
    length = rows.stop - rows.start
    return [
        (slice(row.start + rows.start, row.stop + rows.start), column)
        for row, column in runs(cells, slice(0, length), columns)
        if isinstance(row, slice) and isinstance(column, slice)
    ]


def listed_of_part(cells: Partner, rows: slice, columns: slice) -> tuple[Tensor, Tensor]:
    """The columns of a tile taken for those of the matrix."""
    column = cells.column[rows]
    (row,) = (column < columns.stop - columns.start).nonzero(as_tuple=True)
    return row, column[row]


def mask_of_part(cells: Partner, rows: slice, columns: slice) -> Tensor:
    """The same, cell by cell."""
    return cells.column[rows, None] == torch.arange(columns.stop - columns.start)


@pytest.mark.parametrize(
    ("kind", "method", "wrong", "name"),
    [
        *[(Shifted, "fill", fill_of_part, name) for name in ("info_nce", "nt_xent", "siglip", "info_nce margin")],
        *[(Shifted, "runs", runs_of_part, name) for name in ("info_nce", "nt_xent", "dcl", "symmetric")],
        *[(Partner, "listed", listed_of_part, name) for name in ("cpc both [1, 2]",)],
        *[(Partner, "mask", mask_of_part, name) for name in ("info_nce own", "cpc same [1, 2]")],
    ],
)
def test_a_tile_that_does_not_know_where_it_is_is_noticed(
    kind: type[Partner], method: str, wrong: Mistake, name: str
) -> None:
    case = case_named(name)
    right = value_of(case, Dense())
    assert_close(value_of(case, Tiled(3, 2)), right, rtol=1e-11, atol=1e-11)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, method, wrong)
        assert_close(value_of(case, Dense()), right)  # one tile is at the beginning
        found = value_of(case, Tiled(3, 2))
    with pytest.raises(AssertionError):
        assert_close(found, right, **VISIBLE)


@pytest.mark.parametrize("name", ["nt_xent", "dcl", "debiased"])
def test_a_row_that_meets_itself_is_noticed(name: str) -> None:
    """Parity of engines says nothing of this: both would be wrong. The oracle does."""
    case = case_named(name)
    right = t(case.oracle(**case.tensors))
    assert_close(value_of(case, Tiled(3, 2)), right, rtol=1e-11, atol=1e-11)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compose, "views", lambda *args: (views(*args)[0], Nowhere()))
        dense, tiled = value_of(case, Dense()), value_of(case, Tiled(3, 2))
    assert_close(tiled, dense, rtol=1e-11, atol=1e-11)
    with pytest.raises(AssertionError):
        assert_close(dense, right, **VISIBLE)


@pytest.mark.parametrize("engine", [Dense(), Tiled(), Tiled(3, 2)], ids=str)
def test_a_positive_that_its_own_id_leaves_out_is_noticed(engine: Engine) -> None:
    case = case_named("info_nce ids out")
    right = t(case.oracle(**case.tensors))
    assert_close(value_of(case, engine), right, rtol=1e-11, atol=1e-11)
    with pytest.MonkeyPatch.context() as patch:
        for method in ("mask", "contains", "listed"):
            patch.setattr(Without, method, lambda self, *where, method=method: getattr(self.one, method)(*where))
        found = value_of(case, engine)
    with pytest.raises(AssertionError):
        assert_close(found, right, **VISIBLE)


@pytest.mark.parametrize("name", ["nt_xent", "nt_xent ids out", "dcl", "robust", "sup_con", "symmetric margin"])
def test_an_exponential_that_is_not_erased_is_noticed(name: str) -> None:
    case = case_named(name)
    assert_noticed_in_the_gradient(case, lambda patch: patch.setattr(Excluded, "erase", lambda _, __: None))


totals_alone = Alone.totals


@pytest.mark.parametrize("name", ["info_nce", "symmetric", "nt_xent", "nt_xent ids out"])
def test_a_positive_that_is_forgotten_among_the_candidates_is_noticed(name: str) -> None:
    def totals(alone: Alone) -> Totals:
        found = totals_alone(alone)
        return {
            n: torch.full_like(t, -torch.inf) if alone.statistics[n].over == "candidates" else t
            for n, t in found.items()
        }

    assert_noticed_in_the_gradient(case_named(name), lambda patch: patch.setattr(Alone, "totals", totals))


spots = tiled._spots


def all_fresh(*args: Any, **settings: Any) -> Iterator[Spot]:
    """A square on the diagonal of a mirrored matrix taken for one whose mirror image lies elsewhere."""
    for spot in spots(*args, **settings):
        yield replace(spot, fresh=spot.columns)


@pytest.mark.parametrize("name", ["nt_xent", "nt_xent sharp", "sup_con", "sup_con inside", "dcl", "debiased"])
def test_a_cell_of_a_mirrored_matrix_that_counts_twice_is_noticed(name: str) -> None:
    case = case_named(name)
    assert_noticed_in_the_gradient(case, lambda patch: patch.setattr(tiled, "_spots", all_fresh))


def test_logits_of_a_thousand_do_not_overflow_as_a_sum_without_its_maximum_does() -> None:
    one, other = (view.float() for view in item_views(5))
    truth = f.nt_xent(one.double(), other.double(), temperature=1e-3, reduction="none").float()
    for engine in (Dense(), Tiled(3, 2)):
        # logits of 1000 are exact to 1e-4 in single precision
        assert_close(f.nt_xent(one, other, temperature=1e-3, reduction="none", engine=engine), truth, rtol=0, atol=2e-3)
    every = F.normalize(torch.cat([one, other]))
    logits = (every @ every.T / 1e-3).fill_diagonal_(float("-inf"))
    naive = torch.exp(logits).sum(1).log() - logits.diagonal(5).repeat(2)
    with pytest.raises(AssertionError):
        assert_close(naive, truth)
