"""What shared exponentials give is what the formulas of log-sum-exp and softmax give, whatever the shift."""

# n rows and m columns of a tile

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from info_nce.engines import blocks as cut
from info_nce.engines import exponentials
from info_nce.engines.exponentials import BURIED, Exponentials, Force, Term
from info_nce.scores import COLUMNS, ROWS
from tests.strategies import chance, law, normal, seeds, sizes

INF = float("inf")
ONE: dict[str, float] = {"sum": 1.0}
SEVERAL: dict[str, float] = {"root": 0.5, "sum": 1.0, "sharp": 1.5, "square": 2.0}
law = settings(law, max_examples=30)  # each example is cheap
DIRECTIONS: list[tuple[int, ...]] = [(ROWS,), (COLUMNS,), (ROWS, COLUMNS)]


@dataclass(frozen=True)
class Out:
    """Cells that are left out: as suspects are, by a large number, or as all others are, by -inf."""

    cells: Tensor
    suspected: bool

    def bury(self, logits: Tensor) -> None:
        if self.suspected:
            logits.add_(self.cells, alpha=BURIED)
        else:
            logits.masked_fill_(self.cells, -INF)

    def erase(self, exponentials: Tensor) -> None:
        exponentials.masked_fill_(self.cells, 0)


@dataclass(frozen=True)
class Problem:
    """Logits, in single or double precision, and who is left out.

    Args:
        logits: (n, m).
        out: the cells that are left out.
        suspected: whether they are buried as suspects are.
        dims: along which directions.
        powers: by name.
        reach: what is known of the logits before they are looked at.
    """

    logits: Tensor
    out: Tensor
    suspected: bool
    dims: tuple[int, ...]
    powers: Mapping[str, float]
    reach: float = INF

    @property
    def exponentials(self) -> Exponentials:
        return Exponentials(self.logits.clone(), Out(self.out, self.suspected), list(self.powers.values()), self.reach)

    @property
    def rounding(self) -> float:
        """A logit is exact to its digits, and so is what it is an exponent of."""
        real = self.logits[self.logits.isfinite()].abs().double()
        most = max(self.powers.values()) * float(real.max()) if len(real) else 0.0
        return 16 * torch.finfo(self.logits.dtype).eps * (1 + most)

    def expected_totals(self) -> list[dict[str, Tensor]]:
        """By the formula."""
        logits = self.logits.double().masked_fill(self.out, -INF)
        return [
            {name: torch.logsumexp(logits * power, dim) for name, power in self.powers.items()} for dim in self.dims
        ]

    def terms(self, totals: Sequence[Mapping[str, Tensor]], seed: int = 7) -> list[Term]:
        """With a slope for each line and power."""
        return [
            Term(dim, power, total[name].to(self.logits.dtype), self.slope(dim, place, seed).to(self.logits.dtype))
            for dim, total in zip(self.dims, totals, strict=True)
            for place, (name, power) in enumerate(self.powers.items())
        ]

    def slope(self, dim: int, place: int, seed: int) -> Tensor:
        return normal(self.logits.shape[1 - dim], seed=seed + 2 * place + dim)

    def expected_force(self, terms: Sequence[Term]) -> Tensor:
        """By the formula: slope * power * exp(power * logit - total)."""
        logits = self.logits.double().masked_fill(self.out, -INF)
        force = torch.zeros_like(logits)
        for term in terms:
            total = term.total.double().unsqueeze(term.dim)
            share = torch.exp(term.power * logits - torch.where(total == -INF, 0, total))
            force += term.slope.double().unsqueeze(term.dim) * term.power * share
        return force


def tops(*shape: int, seed: int, spread: float) -> Tensor:
    """Offsets of rows and of columns, so far apart."""
    return spread * (torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 0.5)


@st.composite
def problems(draw: st.DrawFn, *, spread: float, within: bool = False, dims: tuple[int, ...] | None = None) -> Problem:
    """Logits of about 3, plus what makes lines `spread` apart; a few lines may have no cell at all."""
    n, m, seed = draw(sizes), draw(sizes), draw(seeds)
    dtype = draw(st.sampled_from([torch.float32, torch.float64]))
    scale = spread if dtype == torch.float32 else spread * 20  # the range of double precision is so much wider
    logits = 3 * normal(n, m, seed=seed)
    if spread:
        logits = logits + tops(n, 1, seed=seed + 1, spread=scale) + tops(1, m, seed=seed + 2, spread=scale)
    out = chance(n, m, seed=seed + 3, probability=draw(st.sampled_from([0.0, 0.3, 0.9])))
    if draw(st.booleans()):
        out[0], out[:, -1] = True, True
    powers = draw(st.sampled_from([ONE, SEVERAL, {"sharp": 2.5}, {"root": 0.5}, {"first": 0.1}]))
    reach = float(logits.abs().max()) if within else INF
    return Problem(logits.to(dtype), out, draw(st.booleans()), dims or draw(st.sampled_from(DIRECTIONS)), powers, reach)


def assert_right(problem: Problem) -> None:
    """Totals; the force after them; and the force of a tile that is made again, its totals known."""
    tolerance: dict[str, Any] = {"rtol": problem.rounding, "atol": problem.rounding}
    expected = problem.expected_totals()
    first = problem.exponentials
    totals = first.totals(problem.dims, problem.powers)
    assert_close([dict(side) for side in totals], expected, check_dtype=False, **tolerance)
    terms = problem.terms(expected)
    force = problem.expected_force(terms)
    assert_close(first.force(terms).plain(), force, check_dtype=False, **tolerance)
    assert_close(problem.exponentials.force(terms).plain(), force, check_dtype=False, **tolerance)
    # the line goes on beyond the tile: a total above the tile's own
    beyond = problem.terms(
        [{name: torch.logaddexp(t, t.new_zeros(())) for name, t in side.items()} for side in expected]
    )
    force = problem.expected_force(beyond)
    for started in (problem.exponentials, first_totals(problem)):
        assert_close(started.force(beyond).plain(), force, check_dtype=False, **tolerance)


def assert_all_right(problems: Sequence[Problem]) -> None:
    for problem in problems:
        assert_right(problem)


def first_totals(problem: Problem) -> Exponentials:
    made = problem.exponentials
    made.totals(problem.dims, problem.powers)
    return made


@law
@given(problem=problems(spread=0, within=True))
def test_without_a_shift(problem: Problem) -> None:
    assert problem.exponentials.within
    assert_right(problem)


@law
@given(problem=problems(spread=0))
def test_with_one_shift_for_all_lines(problem: Problem) -> None:
    assert not problem.exponentials.within
    assert_right(problem)


@law
@given(problem=problems(spread=400))
def test_with_shifts_for_each_line(problem: Problem) -> None:
    assert_right(problem)


def test_these_are_all_the_ways_to_shift() -> None:
    near, far = torch.zeros(2, 2), torch.tensor([[0.0, 0.0], [-300.0, 0.0]])
    # the last column and the first row have their top at 0
    lower = torch.tensor([[0.0, -300.0], [-300.0, -300.0]])
    nobody = torch.zeros(2, 2, dtype=torch.bool)
    for logits, dims, reach, expected in (
        (near, (ROWS, COLUMNS), 0.0, {None}),
        (near, (ROWS, COLUMNS), INF, {None}),
        (far, (ROWS, COLUMNS), INF, {None}),  # each line has its top at 0
        (lower, (ROWS, COLUMNS), INF, {ROWS, COLUMNS}),
        (lower, (ROWS,), INF, {None}),
    ):
        made = Exponentials(logits.clone(), Out(nobody, suspected=False), [1.0], reach)
        made.totals(dims, ONE)
        assert set(made.shifted) == expected
        assert (made.shifted[None][1] is None) == (reach == 0) if None in expected else True


def test_a_column_far_below_every_rows_maximum_keeps_its_total_and_its_gradient() -> None:
    """It is lost where rows and columns share the rows' maxima."""
    logits = normal(5, 4, seed=1).float()
    logits[:, 2] -= 150
    problem = Problem(logits, torch.zeros(5, 4, dtype=torch.bool), suspected=False, dims=(ROWS, COLUMNS), powers=ONE)
    assert_right(problem)
    assert problem.expected_totals()[1]["sum"][2] < -140
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exponentials, "_RANGES", {torch.float32: replace(exponentials._RANGES[torch.float32], clear=1e9)})
        with pytest.raises(AssertionError):
            assert_right(problem)


@pytest.mark.parametrize("power", [0.01, 0.03, 0.1])
def test_a_cell_that_only_a_small_power_raises_is_not_lost(power: float) -> None:
    logits = torch.linspace(-150, 150, 301)[None]
    nobody = torch.zeros(1, 301, dtype=torch.bool)
    assert_right(Problem(logits, nobody, suspected=False, dims=(ROWS,), powers={"low": power}))
    # from the exponentials of power 1, the lowest are missing
    floored = torch.exp(logits - 150).masked_fill(logits < 100, 0)
    with pytest.raises(AssertionError):
        assert_close(floored.pow(power).sum(1).log() + 150 * power, torch.logsumexp(logits * power, 1))


@pytest.mark.parametrize("value", [float("nan"), INF])
@pytest.mark.parametrize("dims", DIRECTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_no_number_comes_out_as_none(value: float, dims: tuple[int, ...], dtype: torch.dtype) -> None:
    """In its own lines; the totals of all others are right."""
    logits = 3 * normal(4, 5, seed=1).to(dtype)
    logits[1, 2] = value
    out = torch.zeros(4, 5, dtype=torch.bool)
    problem = Problem(logits, out, suspected=False, dims=dims, powers=SEVERAL)
    found, expected = problem.exponentials.totals(dims, SEVERAL), problem.expected_totals()
    for dim, side, right in zip(dims, found, expected, strict=True):
        line = 1 if dim == ROWS else 2
        for name in SEVERAL:
            assert not side[name][line].isfinite()
            others = torch.arange(len(side[name])) != line
            assert_close(side[name][others].double(), right[name][others], rtol=1e-5, atol=1e-5)
    terms = problem.terms(expected)
    assert problem.exponentials.force(terms).plain()[1, 2].isnan()


def test_what_is_no_number_and_left_out_is_nobodys() -> None:
    logits = 3 * normal(4, 5, seed=1)
    logits[1, 2] = float("nan")
    out = torch.zeros(4, 5, dtype=torch.bool)
    out[1, 2] = True
    # of a suspect, the similarity is compared with a limit: no number is ever above it
    problem = Problem(logits, out, suspected=False, dims=(ROWS, COLUMNS), powers=SEVERAL)
    assert_right(replace(problem, logits=logits.nan_to_num(0)))
    found = problem.exponentials.totals(problem.dims, SEVERAL)
    assert_close([dict(side) for side in found], problem.expected_totals())


def test_a_tile_is_worked_on_a_few_rows_at_a_time() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cut, "_CACHED", 12)
        patch.setattr(torch, "get_num_threads", lambda: 1)
        for spread in (0, 400):
            logits = 3 * normal(7, 5, seed=1) + tops(7, 1, seed=2, spread=spread * 20)
            for dims in DIRECTIONS:
                for powers in (ONE, SEVERAL):
                    out = chance(7, 5, seed=3, probability=0.3)
                    assert_right(Problem(logits, out, suspected=True, dims=dims, powers=powers))


# ---- the wrong siblings


shift, exponentiate, weighed, log_sums, total_of = (
    Exponentials._shift,
    Exponentials._exponentiate,
    exponentials._weighed,
    Exponentials._log_sums,
    exponentials._sum,
)


def never_buried(self: Exponentials, dims: Sequence[int], tops: Sequence[Tensor]) -> None:
    """The maximum of all cells, whoever is left out."""
    shift(self, dims, [top + 1000 for top in tops])


def no_zero(self: Exponentials, dim: int | None, cells: Tensor, by: Tensor | None) -> None:
    """The floor is a number, and not nothing."""
    exponentiate(self, dim, cells, by)
    cells.clamp_(min=1e-3)


def unshifted(self: Exponentials, dim: int, powers: Mapping[str, float], _: Tensor | None) -> dict[str, Tensor]:
    """The shift taken out of the logits and not put back."""
    cells = self.shifted[None if None in self.shifted else dim][0]
    return {name: torch.log(exponentials._sum(cells, power / self.unit, dim)) for name, power in powers.items()}


def one_shift(self: Exponentials, dim: int, powers: Mapping[str, float], _: Tensor | None) -> dict[str, Tensor]:
    """The shift of a logit put back, where a power has multiplied it."""
    cells, by = self.shifted[None if None in self.shifted else dim]
    back = 0 if by is None else by.flatten()
    return {name: torch.log(exponentials._sum(cells, p / self.unit, dim)) + back for name, p in powers.items()}


def first_term(cells: Tensor, by: Tensor | None, unit: float, terms: Sequence[Term]) -> Force:
    """One slope for all lines and powers."""
    slope = terms[0].slope.mean()
    return weighed(cells, by, unit, [replace(term, slope=slope.expand_as(term.slope)) for term in terms])


def forgotten(wrong: Callable[[Term], Term]) -> Callable[..., Force]:
    return lambda cells, by, unit, terms: weighed(cells, by, unit, [wrong(term) for term in terms])


WRONG: dict[str, tuple[Any, str, Any]] = {
    "the top of somebody else": (Exponentials, "_shift", never_buried),
    "a floor that counts": (Exponentials, "_exponentiate", no_zero),
    "a shift is put back": (Exponentials, "_log_sums", unshifted),
    "a shift is put back as often as it was taken": (Exponentials, "_log_sums", one_shift),
    "a slope of each term": (exponentials, "_weighed", first_term),
    "a power is a factor": (exponentials, "_weighed", forgotten(lambda t: replace(t, slope=t.slope / t.power))),
    "a share of the total": (exponentials, "_weighed", forgotten(lambda t: replace(t, total=t.total * 0))),
    "no power": (exponentials, "_sum", lambda cells, _, dim: total_of(cells, 1, dim)),
    "rows and columns": (exponentials, "_sum", lambda cells, power, dim: total_of(cells, power, 1 - dim)),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    logits = (3 * normal(5, 5, seed=1) + 30 * torch.eye(5)[1]).float()
    out = torch.eye(5, dtype=torch.bool)
    problems = [
        Problem(logits, out, suspected=False, dims=(ROWS, COLUMNS), powers=p)
        for p in ({"square": 2.0, "sum": 1.0}, ONE)
    ]
    assert_all_right(problems)
    monkeypatch.setattr(*WRONG[name])
    with pytest.raises(AssertionError):
        assert_all_right(problems)


def test_an_exponential_that_is_not_erased_is_noticed() -> None:
    logits, out = 3 * normal(5, 5, seed=1), torch.eye(5, dtype=torch.bool)
    problem = Problem(logits, out, suspected=False, dims=(ROWS,), powers=ONE, reach=20)
    assert_right(problem)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Out, "erase", lambda _, __: None)
        with pytest.raises(AssertionError):
            assert_right(problem)


def test_a_maximum_that_is_nobodys_is_noticed() -> None:
    """A row that meets itself has its largest logit there; the others are lost below it."""
    logits, out = (3 * normal(5, 5, seed=1)).float(), torch.eye(5, dtype=torch.bool)
    problem = Problem(logits.masked_fill(out, 200), out, suspected=True, dims=(ROWS,), powers=ONE)
    assert_right(problem)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Out, "bury", lambda _, __: None)
        with pytest.raises(AssertionError):
            assert_right(problem)
