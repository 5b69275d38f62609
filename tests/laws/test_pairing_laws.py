"""The law in the docstring of `Cells`, and what pairs, views and labels promise of who is a positive and who is out."""

# N items, V views

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from info_nce import pairing
from info_nce.pairing import (
    AllOf,
    AnyOf,
    Cells,
    Everywhere,
    Listed,
    Nowhere,
    Partner,
    Run,
    SameTag,
    Shifted,
    Transposed,
    Without,
    labelled,
    pairs,
    views,
)
from tests.strategies import chance, cuts, law, normal, seeds, sizes, some_sizes

CPU = torch.device("cpu")
SameId = Literal["out", "positive"]
same_ids = st.sampled_from(["out", "positive"])
law = settings(law, max_examples=30)  # masks are cheap
both_ways = settings(law, suppress_health_check=[HealthCheck.function_scoped_fixture])  # the same for all examples

same = assert_close  # of booleans: equal


def mask(cells: Cells, rows: slice, columns: slice) -> Tensor:
    """None says: no cell."""
    found = cells.mask(rows, columns)
    return (
        torch.zeros(rows.stop - rows.start, columns.stop - columns.start, dtype=torch.bool) if found is None else found
    )


def whole(cells: Cells, n: int, m: int) -> Tensor:
    return mask(cells, slice(0, n), slice(0, m))


def tags(n: int, seed: int, classes: int) -> Tensor:
    """Integers that may be negative, of which some repeat."""
    return torch.randint(classes, (n,), generator=torch.Generator().manual_seed(seed)) - 1


some_classes = st.sampled_from([1, 2, 3, 1000])

# ---- sets of cells


@dataclass
class Sets:
    """Any set of cells of an n x m matrix, and its whole mask by the definition of its class."""

    n: int
    m: int
    seed: int

    def simple(self, kind: str) -> tuple[Cells, Tensor]:
        n, m = self.n, self.m
        numbers = torch.Generator().manual_seed(self.seed)
        column = torch.randint(m, (n,), generator=numbers)
        of_row, of_column = torch.randint(3, (n,), generator=numbers), torch.randint(3, (m,), generator=numbers)
        alike = of_row[:, None] == of_column
        marked = chance(n, m, seed=self.seed, probability=0.5)
        some = torch.randint(3, (2 * n,), generator=numbers)[::2]  # every other number: not contiguous
        step = self.seed % n
        made: dict[str, tuple[Cells, Tensor]] = {
            "Nowhere": (Nowhere(), torch.zeros(n, m, dtype=torch.bool)),
            "Everywhere": (Everywhere(CPU), torch.ones(n, m, dtype=torch.bool)),
            "Partner": (Partner(column), torch.eye(m, dtype=torch.bool)[column]),
            "Partner shared": (Partner(column[:1].expand(n)), torch.eye(m, dtype=torch.bool)[column[:1]].expand(n, m)),
            "Shifted": (Shifted(n, step, CPU), torch.eye(n, dtype=torch.bool).roll(step, 1)),
            "SameTag": (SameTag(of_row, of_column), alike),
            "SameTag strided": (SameTag(some, of_column.flip(0)), some[:, None] == of_column.flip(0)),
            "SameTag unknown": (SameTag(of_row * 2 - 1, of_column), of_row[:, None] * 2 - 1 == of_column),
            "SameTag none": (SameTag(of_row + 3, of_column), torch.zeros_like(alike)),
            "SameTag same": (SameTag(of_row, of_row), of_row[:, None] == of_row),
            "Listed": (Listed(marked), marked),
            "Listed none": (Listed(marked & ~marked), marked & ~marked),
        }
        if n != m:
            made |= {"Shifted": made["Partner"], "SameTag same": made["SameTag"]}
        return made[kind]


KINDS = ["Nowhere", "Everywhere", "Partner", "SameTag", "Listed"]
SIMPLE = [
    *KINDS,
    "Partner shared",
    "Shifted",
    *(f"SameTag {w}" for w in ("strided", "unknown", "none", "same")),
    "Listed none",
]
COMBINED: dict[str, tuple[Callable[[Cells, Cells], Cells], Callable[[Tensor, Tensor], Tensor]]] = {
    "AnyOf": (AnyOf, torch.logical_or),
    "AllOf": (AllOf, torch.logical_and),
    "Without": (Without, lambda one, other: one & ~other),
    "|": (lambda one, other: one | other, torch.logical_or),
    "&": (lambda one, other: one & other, torch.logical_and),
}


@st.composite
def sets(draw: st.DrawFn, n: int, m: int, depth: int = 2) -> tuple[Cells, Tensor]:
    """A set and its mask: simple, transposed, or made of two others."""
    kind = draw(st.sampled_from([*SIMPLE, "T", *COMBINED] if depth else SIMPLE))
    if kind in SIMPLE:
        return Sets(n, m, draw(seeds)).simple(kind)
    if kind == "T":
        cells, expected = draw(sets(m, n, depth - 1))
        return cells.T, expected.mT
    one, other = draw(sets(n, m, depth - 1)), draw(sets(n, m, depth - 1))
    combine, combine_masks = COMBINED[kind]
    return combine(one[0], other[0]), combine_masks(one[1], other[1])


def assert_parts(cells: Cells, expected: Tensor, row_parts: list[slice], column_parts: list[slice]) -> None:
    for rows, columns in product(row_parts, column_parts):
        same(mask(cells, rows, columns), expected[rows, columns])


def assert_runs(cells: Partner, expected: Tensor, rows: slice, columns: slice) -> None:
    """What is read at once are the cells of a part, each once."""
    marked, here = torch.zeros(expected.shape), torch.zeros(expected.shape)
    for row, column in cells.runs(rows, columns):
        if isinstance(row, slice):
            piece = marked[row, column]
            assert len(piece) == len(piece.mT)
            piece.diagonal().add_(1)
        else:
            marked[row, column] += 1
    here[rows, columns] = expected[rows, columns].float()
    assert_close(marked, here)


def assert_methods_agree(cells: Cells, expected: Tensor, row_parts: list[slice], column_parts: list[slice]) -> None:
    """Everything that a set says of itself besides its mask."""
    n, m = expected.shape
    same(cells.contains(torch.arange(n)[:, None], torch.arange(m)), expected)
    some = torch.arange(max(n, m))
    same(cells.contains(some % n, some % m), expected[some % n, some % m])
    for rows, columns in product(row_parts, column_parts):
        part = expected[rows, columns]
        places = cells.listed(rows, columns)
        if places is not None:
            # each place once: what is added at a place twice counts twice
            assert_close(torch.zeros(part.shape).index_put_(places, torch.ones(()), accumulate=True), part.float())
        for value in (0.0, float("-inf")):
            tile = normal(*part.shape, seed=3)
            filled = torch.where(part, value, tile)
            cells.fill(tile, rows, columns, value)
            assert_close(tile, filled, rtol=0, atol=0)
    values = normal(m, 2, seed=4)
    sums = cells.sums(values)
    if sums is not None:
        assert_close(sums, expected.to(values.dtype) @ values)
    if cells.symmetric and n == m:
        same(expected, expected.mT)
    if isinstance(cells, Partner):
        for rows, columns in product(row_parts, column_parts):
            assert_runs(cells, expected, rows, columns)
        assert_close(cells.of(values), expected.to(values.dtype) @ values)
        logits = normal(n, m, seed=5)
        assert_close(cells.read(logits, 1), logits[expected])
        down = cells.read(logits, 0)
        if down is not None:
            assert_close(down, logits.mT[expected.mT])


@pytest.mark.parametrize("kind", SIMPLE)
@law
@given(n=sizes, m=sizes, seed=seeds, data=st.data())
def test_the_mask_of_a_part_is_the_part_of_the_mask(kind: str, n: int, m: int, seed: int, data: st.DataObject) -> None:
    cells, expected = Sets(n, m, seed).simple(kind)
    assert_parts(cells, expected, data.draw(cuts(n)), data.draw(cuts(m)))


@law
@given(n=sizes, m=sizes, data=st.data())
def test_the_mask_of_a_part_is_the_part_of_the_mask_for_combined_sets(n: int, m: int, data: st.DataObject) -> None:
    cells, expected = data.draw(sets(n, m))
    same(whole(cells, n, m), expected)
    assert_parts(cells, expected, data.draw(cuts(n)), data.draw(cuts(m)))


@pytest.fixture(params=[0, 64], ids=["places", "masks"])
def few(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal tags are listed however many they are, or compared cell by cell in matrices as small as these."""
    monkeypatch.setattr(pairing, "_FEW", request.param)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("kind", SIMPLE)
@both_ways
@given(n=sizes, m=sizes, seed=seeds, data=st.data())
def test_all_methods_agree_with_the_mask(kind: str, n: int, m: int, seed: int, data: st.DataObject) -> None:
    cells, expected = Sets(n, m, seed).simple(kind)
    assert_methods_agree(cells, expected, data.draw(cuts(n)), data.draw(cuts(m)))
    assert_methods_agree(cells.T, expected.mT, data.draw(cuts(m)), data.draw(cuts(n)))


@pytest.mark.usefixtures("few")
@both_ways
@given(n=sizes, m=sizes, data=st.data())
def test_all_methods_agree_with_the_mask_for_combined_sets(n: int, m: int, data: st.DataObject) -> None:
    cells, expected = data.draw(sets(n, m))
    assert_methods_agree(cells, expected, data.draw(cuts(n)), data.draw(cuts(m)))
    assert_methods_agree(cells.T, expected.mT, data.draw(cuts(m)), data.draw(cuts(n)))


@pytest.mark.usefixtures("few")
@both_ways
@given(n=some_sizes, seed=seeds, classes=some_classes, v=st.integers(2, 3), same_id=same_ids, data=st.data())
def test_all_methods_agree_with_the_mask_for_whoever_is_who(
    n: int, seed: int, classes: int, v: int, same_id: SameId, data: st.DataObject
) -> None:
    ids = tags(n, seed, classes)
    for made, rows in ((pairs(n, ids, same_id, CPU), n), (views(v, n, ids, same_id, CPU), v * n), (labelled(ids), n)):
        for cells in made:
            expected = whole(cells, rows, rows)
            assert_methods_agree(cells, expected, data.draw(cuts(rows)), data.draw(cuts(rows)))
            assert cells.symmetric
            assert_methods_agree(cells.T, expected.mT, data.draw(cuts(rows)), data.draw(cuts(rows)))


def test_equal_tags_are_listed_only_where_they_are_few() -> None:
    all_of_it = slice(0, 200), slice(0, 200)
    assert SameTag(torch.arange(200), torch.arange(200)).listed(*all_of_it) is not None
    assert SameTag(torch.arange(200) % 2, torch.arange(200) % 2).listed(*all_of_it) is None


FIVE = torch.tensor([4, 0, 2, 2, 1])
TAGS = torch.tensor([1, 0, 1, 7, 2]), torch.tensor([0, 1, 1, 5, 0])
TAGGED = SameTag(*TAGS)


def places_of_part(one: Cells, inside: bool) -> Any:
    """Of some places, those that the other set would have if the part began at the beginning."""

    def listed(self: Any, rows: slice, columns: slice) -> Any:
        places = one.listed(rows, columns)
        assert places is not None
        keep = self.other.contains(*places) == inside
        return places[0][keep], places[1][keep]

    return listed


def one_diagonal(self: Shifted, tile: Tensor, rows: slice, columns: slice, value: float) -> None:
    """What lies around the end is forgotten."""
    offset = rows.start + self.by - columns.start
    if -len(tile) < offset < tile.shape[1]:
        tile.diagonal(offset).fill_(value)


def one_run(self: Shifted, rows: slice, columns: slice) -> list[Run]:
    """The same, of what is read at once."""
    first, last = max(rows.start, columns.start - self.by), min(rows.stop, columns.stop - self.by)
    return [(slice(first, last), slice(first + self.by, last + self.by))] if first < last else []


def all_that_begin_before(self: Partner, rows: slice, columns: slice) -> tuple[Tensor, Tensor]:
    """The end of the part forgotten: what lies before its beginning counts from the end."""
    column = self.column[rows] - columns.start
    row = (column < columns.stop - columns.start).nonzero()[:, 0]
    return row, column[row]


def known_or_next(self: SameTag, values: Tensor) -> Tensor:
    """The sum of the next tag where a tag is that of no key."""
    known, group = torch.unique(self.key, return_inverse=True)
    total = torch.zeros(len(known), values.shape[1], dtype=values.dtype).index_add(0, group, values)
    return total[torch.searchsorted(known, self.query).clamp(max=len(known) - 1)]


WRONG: list[tuple[str, Cells, str, Any]] = [
    ("a diagonal goes on", Shifted(5, 2, CPU), "fill", one_diagonal),
    ("a run goes on", Shifted(5, 2, CPU), "runs", one_run),
    ("columns are rows", Shifted(5, 2, CPU), "read", lambda c, x, _: x.gather(1, c.column[:, None])[:, 0]),
    ("moved the other way", Shifted(5, 2, CPU), "of", lambda c, values: values.roll(c.by, 0)),
    ("its own mirror image", Shifted(5, 2, CPU), "symmetric", True),
    ("its own transpose", Shifted(5, 2, CPU), "T", property(lambda c: c)),
    ("a part has a beginning", Partner(FIVE), "listed", all_that_begin_before),
    ("of columns", Partner(FIVE), "contains", lambda c, row, column: c.column[column] == row),
    ("a row counts once", Partner(FIVE), "sums", lambda c, values: values[c.column.unique()[c.column.argsort()]]),
    ("unknown tags", TAGGED, "sums", known_or_next),
    ("tags of keys", TAGGED, "contains", lambda c, row, column: c.key[row] == c.query[column]),
    ("tags of keys alone", TAGGED, "symmetric", True),
    ("what both have", Partner(FIVE) | TAGGED, "sums", lambda c, x: c.one.sums(x) + c.other.sums(x)),
    ("one of both", Partner(FIVE) | TAGGED, "fill", lambda c, *where: c.one.fill(*where)),
    ("either", Partner(FIVE) & TAGGED, "contains", lambda c, *at: c.one.contains(*at) | c.other.contains(*at)),
    ("all partners", Partner(FIVE) & TAGGED, "sums", lambda c, values: c.one.sums(values)),
    ("where a part begins", Partner(FIVE) & TAGGED, "listed", places_of_part(Partner(FIVE), inside=True)),
    ("more than it has", Without(TAGGED, Partner(FIVE)), "sums", lambda c, x: c.one.sums(x) - c.other.sums(x)),
    ("and the other", Without(TAGGED, Partner(FIVE)), "contains", lambda c, *at: c.one.contains(*at)),
    ("where a part ends", Without(TAGGED, Partner(FIVE)), "listed", places_of_part(TAGGED, inside=False)),
]


@pytest.mark.parametrize(("cells", "method", "wrong"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_a_method_that_disagrees_with_the_mask_is_noticed(
    cells: Cells, method: str, wrong: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairing, "_FEW", 0)
    expected, parts = whole(cells, 5, 5), [slice(2, 5), slice(0, 2)]

    def agree() -> None:
        assert_methods_agree(cells, expected, parts, parts)
        same(whole(cells.T, 5, 5), expected.mT)

    agree()
    monkeypatch.setattr(type(cells), method, wrong)
    with pytest.raises((AssertionError, IndexError)):
        agree()


@law
@given(n=sizes, m=sizes, data=st.data())
def test_transposing_exchanges_rows_and_columns_and_twice_is_the_set_itself(
    n: int, m: int, data: st.DataObject
) -> None:
    cells, expected = data.draw(sets(n, m))
    assert_parts(cells.T, expected.mT, data.draw(cuts(m)), data.draw(cuts(n)))
    assert Transposed(cells).T is cells


@pytest.mark.parametrize("kind", COMBINED)
@pytest.mark.parametrize(("one", "other"), list(product(KINDS, repeat=2)))
def test_combined_sets_are_the_sets_of_logic(kind: str, one: str, other: str) -> None:
    combine, combine_masks = COMBINED[kind]
    (a, of_a), (b, of_b) = Sets(5, 7, 1).simple(one), Sets(5, 7, 2).simple(other)
    same(whole(combine(a, b), 5, 7), combine_masks(of_a, of_b))


@dataclass(frozen=True, eq=False)
class PartnerOfPart(Partner):
    """The wrong sibling: it takes the columns of a part for those of the matrix."""

    def mask(self, rows: slice, columns: slice) -> Tensor:
        return super().mask(rows, slice(0, columns.stop - columns.start))


def test_a_set_that_forgets_where_a_part_begins_is_noticed() -> None:
    cells, wrong = Partner(torch.tensor([0, 4, 2])), PartnerOfPart(torch.tensor([0, 4, 2]))
    expected = whole(cells, 3, 5)
    same(whole(wrong, 3, 5), expected)
    assert_parts(cells, expected, [slice(0, 3)], [slice(0, 2), slice(2, 5)])
    with pytest.raises(AssertionError):
        assert_parts(wrong, expected, [slice(0, 3)], [slice(0, 2), slice(2, 5)])


def test_a_set_is_not_its_transpose() -> None:
    cells, turned = SameTag(torch.arange(3), torch.tensor([2, 0, 1])), torch.eye(3, dtype=torch.bool)[[2, 0, 1]]
    same(whole(cells.T, 3, 3), turned)
    with pytest.raises(AssertionError):
        same(whole(cells, 3, 3), turned)


# ---- who is who


def roles(made: tuple[Cells, Cells], n: int) -> tuple[Tensor, Tensor, Tensor]:
    """Positives, cells left out, negatives."""
    positive, out = (whole(cells, n, n) for cells in made)
    return positive, out, ~(positive | out)


def disjoint(one: Tensor, other: Tensor) -> None:
    """No cell is in both."""
    same(one & other, torch.zeros_like(one))


@law
@given(n=sizes, seed=seeds, classes=some_classes, same_id=same_ids)
def test_in_pairs_a_key_with_the_querys_id_is_never_a_negative_and_a_positive_never_out(
    n: int, seed: int, classes: int, same_id: SameId
) -> None:
    ids = tags(n, seed, classes)
    alike, own = ids[:, None] == ids, torch.eye(n, dtype=torch.bool)
    positive, out, negative = roles(pairs(n, ids, same_id, CPU), n)
    disjoint(positive, out)
    disjoint(negative, alike)
    same(negative, ~alike)
    same(positive, alike if same_id == "positive" else own)
    same(out, alike & ~positive)


@law
@given(n=sizes, seed=seeds, classes=some_classes, v=st.integers(2, 4), same_id=same_ids)
def test_in_views_no_row_meets_itself_and_equal_ids_are_never_negatives(
    n: int, seed: int, classes: int, v: int, same_id: SameId
) -> None:
    ids, item = tags(n, seed, classes), torch.arange(n).repeat(v)
    itself, kin = torch.eye(v * n, dtype=torch.bool), item[:, None] == item
    alike = ids[item][:, None] == ids[item]
    positive, out, negative = roles(views(v, n, ids, same_id, CPU), v * n)
    disjoint(positive, out)
    disjoint(negative, alike)
    disjoint(~out, itself)
    same(negative, ~alike)
    same(positive, (alike if same_id == "positive" else kin) & ~itself)
    same(out, alike & ~positive)


@law
@given(n=sizes, v=st.integers(2, 4), same_id=same_ids)
def test_without_ids_and_with_different_ids_the_roles_are_the_same(n: int, v: int, same_id: SameId) -> None:
    different = torch.arange(n) * 3 - 5
    for made, plain, rows in (
        (pairs(n, different, same_id, CPU), pairs(n, None, same_id, CPU), n),
        (views(v, n, different, same_id, CPU), views(v, n, None, same_id, CPU), v * n),
        (labelled(different.repeat(v)), views(v, n, None, same_id, CPU), v * n),
    ):
        for found, expected in zip(roles(made, rows), roles(plain, rows), strict=True):
            same(found, expected)


@law
@given(n=sizes, seed=seeds, classes=some_classes)
def test_with_labels_no_row_meets_itself_and_equal_labels_are_positives(n: int, seed: int, classes: int) -> None:
    labels = tags(n, seed, classes)
    alike, itself = labels[:, None] == labels, torch.eye(n, dtype=torch.bool)
    positive, out, negative = roles(labelled(labels), n)
    same(positive, alike & ~itself)
    same(out, itself)
    same(negative, ~alike)


@law
@given(n=sizes, seed=seeds, classes=some_classes, v=st.integers(2, 4), same_id=same_ids)
def test_who_is_who_is_mutual(n: int, seed: int, classes: int, v: int, same_id: SameId) -> None:
    ids = tags(n, seed, classes)
    for made, rows in (
        (pairs(n, ids, same_id, CPU), n),
        (views(v, n, ids, same_id, CPU), v * n),
        (labelled(ids), n),
    ):
        for cells in made:
            same(whole(cells.T, rows, rows), whole(cells, rows, rows))


def test_the_rows_of_a_view_follow_each_other() -> None:
    positive, _, _ = roles(views(2, 3, None, "out", CPU), 6)
    stacked = torch.eye(6, dtype=torch.bool).roll(3, 1)
    interleaved = torch.eye(6, dtype=torch.bool)[[1, 0, 3, 2, 5, 4]]
    same(positive, stacked)
    with pytest.raises(AssertionError):
        same(positive, interleaved)


def test_an_id_that_is_left_out_is_not_a_positive() -> None:
    ids = torch.tensor([0, 1, 0])
    for (out, _, negatives), (positive, _, also) in (
        (roles(pairs(3, ids, "out", CPU), 3), roles(pairs(3, ids, "positive", CPU), 3)),
        (roles(views(2, 3, ids, "out", CPU), 6), roles(views(2, 3, ids, "positive", CPU), 6)),
    ):
        same(negatives, also)
        with pytest.raises(AssertionError):
            same(out, positive)
