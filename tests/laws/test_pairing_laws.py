"""The law in the docstring of `Cells`, and what pairs, views and labels promise of who is a positive and who is out."""

# N items, V views

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from info_nce.pairing import (
    AllOf,
    AnyOf,
    Cells,
    Everywhere,
    Listed,
    Nowhere,
    Partner,
    SameTag,
    Transposed,
    Without,
    labelled,
    pairs,
    views,
)
from tests.strategies import chance, cuts, law, seeds, sizes

CPU = torch.device("cpu")
SameId = Literal["out", "positive"]
same_ids = st.sampled_from(["out", "positive"])
law = settings(law, max_examples=30)  # masks are cheap

same = assert_close  # of booleans: equal


def mask(cells: Cells, rows: slice, columns: slice) -> Tensor:
    """None says: no cell."""
    found = cells.mask(rows, columns)
    return (
        torch.zeros(rows.stop - rows.start, columns.stop - columns.start, dtype=torch.bool) if found is None else found
    )


def whole(cells: Cells, n: int, m: int) -> Tensor:
    return mask(cells, slice(0, n), slice(0, m))


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
        marked = chance(n, m, seed=self.seed, probability=0.5)
        made: dict[str, tuple[Cells, Tensor]] = {
            "Nowhere": (Nowhere(), torch.zeros(n, m, dtype=torch.bool)),
            "Everywhere": (Everywhere(CPU), torch.ones(n, m, dtype=torch.bool)),
            "Partner": (Partner(column), torch.eye(m, dtype=torch.bool)[column]),
            "SameTag": (SameTag(of_row, of_column), of_row[:, None] == of_column[None, :]),
            "Listed": (Listed(marked), marked),
        }
        return made[kind]


SIMPLE = ["Nowhere", "Everywhere", "Partner", "SameTag", "Listed"]
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


@law
@given(n=sizes, m=sizes, data=st.data())
def test_transposing_exchanges_rows_and_columns_and_twice_is_the_set_itself(
    n: int, m: int, data: st.DataObject
) -> None:
    cells, expected = data.draw(sets(n, m))
    assert_parts(cells.T, expected.mT, data.draw(cuts(m)), data.draw(cuts(n)))
    assert Transposed(cells).T is cells


@pytest.mark.parametrize("kind", COMBINED)
@pytest.mark.parametrize(("one", "other"), list(product(SIMPLE, repeat=2)))
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


def tags(n: int, seed: int, classes: int) -> Tensor:
    """Integers that may be negative, of which some repeat."""
    return torch.randint(classes, (n,), generator=torch.Generator().manual_seed(seed)) - 1


some_classes = st.sampled_from([1, 2, 3, 1000])


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
