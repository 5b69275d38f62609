"""An engine that looks on: the totals that say how a loss comes about, from the same sweep as the loss."""

# N queries, M keys

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from info_nce.assemble import lengths, share_lost
from info_nce.checks import ArgumentError, DTypeError, fail
from info_nce.coded import Coded
from info_nce.contrast import AROUND
from info_nce.diagnostics.batch import BatchDiagnostics, Rows, reduced
from info_nce.distributed import Ranks
from info_nce.engines import Auto, Engine
from info_nce.engines.base import Formula, Lines, Problem, Statistics, Totals, check_engine
from info_nce.losses import NCE, Face
from info_nce.pairing import Nowhere, Partner
from info_nce.queue import KeyQueue
from info_nce.replay import devices_of, undone
from info_nce.scores import Marks, ScoreMatrix
from info_nce.statistics import Count, LogSumExp, Maximum, Reaching, Squares, Statistic, Sum, Tied, Tilted

__all__ = ["Watch", "batch_diagnostics", "seen_by", "watching"]

_WATCHED: dict[str, Statistic] = {
    "watched positives": Count("positives"),
    "watched negatives": Count("negatives"),
    "watched positive": Sum("positives"),
    "watched negative": Sum("negatives"),
    "watched pull": LogSumExp("positives"),
    "watched push": LogSumExp("negatives"),
    "watched hardest": Maximum("negatives"),
    "watched reaching": Reaching("negatives"),
    "watched ties": Tied("negatives"),
    "watched squares": Squares("negatives"),
    "watched above": Tilted("negatives", 1),
    "watched below": Tilted("negatives", -1),
}


class Watch(Engine):
    """An engine around another one that keeps, of the last loss it computed, how that came about.

    The other engine computes the same loss, with further statistics in the same sweep: whatever it does, in tiles,
    over a queue or across ranks, the N x M matrix is stored by nobody who did not store it before. Value and gradient
    are the same within rounding.

    What costs what: before the sweep, each query's best positive is looked up, which takes one product of N rows where
    each has one partner, and a sweep of its own where positives are given by labels or ids. In the sweep, a tile is
    compared with its lines' positives, with two exponentials more per cell and direction, two more tiles of memory, and
    no further product: on one core, 2,048 pairs of 128 features take four to nine times as long as without. So it is
    for one step in a hundred, or for a person who looks; `batch` is worked out when it is asked for, and nothing waits
    for a GPU before.

    Args:
        engine: computes; `Auto()` by default. Across ranks `Gathered()`, `TwoSided()` or `Ring()`, and then every rank
            has to watch, or none.

    Example:
        >>> from info_nce import NTXent
        >>> watch = Watch()
        >>> view1, view2 = torch.eye(8), torch.eye(8)
        >>> loss = NTXent(0.5, engine=watch)(view1, view2)
        >>> watch.batch.top1, round(watch.batch.positive_similarity, 4)
        (1.0, 1.0)
    """

    def __init__(self, engine: Engine | None = None) -> None:
        check_engine(engine)
        self.engine = Auto() if engine is None else engine
        self.comparisons = 0
        """How many it saw."""
        self._sight: _Sight | None = None

    @property
    def batch(self) -> BatchDiagnostics | None:
        """What was seen of the last loss; None before the first, and of one inside of `torch.compile`.

        A loss that compares several times, such as `Matryoshka` with its widths, leaves the last comparison.
        """
        return None if self._sight is None else reduced(_rows(self._sight))

    def loss(self, problem: Problem) -> Tensor:
        """The loss of the other engine."""
        self._sight = None
        self.comparisons += 1
        if torch.compiler.is_compiling():  # a compiled graph hands back the loss and nothing beside it
            return self.engine.loss(problem)
        row, column = _best(self.engine, problem.matrices, symmetric=problem.symmetric)
        recording = _Recording(problem.formula, [])
        matrices = [replace(matrix, marks=Marks(row, column, *_slack(matrix, row))) for matrix in problem.matrices]
        statistics = {**problem.statistics, **_WATCHED}
        value = self.engine.loss(replace(problem, matrices=matrices, statistics=statistics, formula=recording))
        units = [(m.unit, None if m.offset is None else m.offset.detach()) for m in matrices]
        # a copy: a gradient of the gradient applies the formula again
        seen = list(recording.seen)
        if problem.symmetric and len(seen) == 1:  # the keys are the queries, and one direction stands for both
            seen *= 2
        self._sight = _Sight([row] if column is None else [row, column], units, seen)
        return value

    def tiles(self, matrix: ScoreMatrix) -> Iterator[tuple[slice, slice]]:
        """Those of the other engine."""
        return self.engine.tiles(matrix)

    def totals_along(
        self, matrices: Sequence[ScoreMatrix], statistics: Statistics, directions: tuple[int, ...]
    ) -> tuple[Totals, ...]:
        """Those of the other engine."""
        return self.engine.totals_along(matrices, statistics, directions)

    def pulled(
        self, matrix: ScoreMatrix, statistics: Statistics, lines: Mapping[int, Lines], wanted: Collection[str]
    ) -> Totals:
        """Those of the other engine."""
        return self.engine.pulled(matrix, statistics, lines, wanted)

    def hardest(self, matrix: ScoreMatrix, count: int) -> tuple[Tensor, Tensor]:
        """Those of the other engine."""
        return self.engine.hardest(matrix, count)

    def hardest_lists(self, matrix: ScoreMatrix, count: int) -> ScoreMatrix:
        """Those of the other engine."""
        return self.engine.hardest_lists(matrix, count)

    @property
    def ranks(self) -> Ranks:
        """Those of the other engine."""
        return self.engine.ranks

    def together(self, what: str = "") -> AbstractContextManager[None]:
        """As the other engine does."""
        return self.engine.together(what)

    def explain(self, rows: int, columns: int, dtype: torch.dtype = torch.float32) -> str:
        """Say what the other engine would do."""
        return f"watched, {self.engine.explain(rows, columns, dtype)}"

    def __repr__(self) -> str:
        """The engine, and that it is watched."""
        return f"Watch({self.engine!r})"


_Seen = tuple[Totals, Tensor, Tensor | None]
"""Of some lines: their totals, what they pay, and which of them count."""


@dataclass(frozen=True)
class _Recording(Coded):
    """A formula that keeps what it is given. Engines apply it to all lines of a direction, or to some after others."""

    formula: Formula
    seen: "list[_Seen]"

    def __call__(self, total: Mapping[str, Tensor]) -> tuple[Tensor, Tensor | None]:
        losses, counted = self.formula(total)
        # copies: what an engine holds here, it may go on to overwrite
        kept = {name: total[name].detach().clone() for name in _WATCHED}
        self.seen.append((kept, losses.detach().clone(), counted))
        return losses, counted


@dataclass(frozen=True)
class _Sight:
    """What was seen of a loss: the marks of its lines, how a logit becomes a similarity again, and the totals."""

    marks: list[Tensor]
    units: list[tuple[Tensor | None, Tensor | None]]
    """Of each matrix: what a similarity of 1 is in nats, and what is added."""
    seen: list[_Seen]


@torch.no_grad()
def _best(engine: Engine, matrices: Sequence[ScoreMatrix], *, symmetric: bool) -> tuple[Tensor, Tensor | None]:
    """The logit of each line's best positive: of the rows, and of a symmetric loss's columns."""
    best = {"best": Maximum("positives")}
    bare = [replace(_detached(matrix), suspects=None) for matrix in matrices]
    first, column, back = bare[0], None, bare[0].positives.T
    if symmetric and not isinstance(back, Partner):
        rows, columns = engine.totals_both(first, best)
        row, column = rows["best"], _finite(columns["best"])
    else:
        some = [matrix.positives_alone() for matrix in bare if not isinstance(matrix.positives, Nowhere)]
        row = engine.totals(some, best)["best"] if some else first.query.new_zeros(len(first.query))
    row = _finite(row)
    if symmetric and isinstance(back, Partner):  # one cell is the positive of both its lines
        column = back.of(row)
    return row, column


def _finite(mark: Tensor) -> Tensor:
    """Of a line without a positive, any number will do."""
    return mark.masked_fill(mark == float("-inf"), 0)


@torch.no_grad()
def _slack(matrix: ScoreMatrix, row: Tensor) -> tuple[Tensor, Tensor]:
    """How far a logit may be from its mark by rounding alone: for each cell, so that no vector blurs other lines.

    An inner product is rounded in proportion to the lengths of both vectors, any other similarity to its size.
    """
    share = share_lost(matrix)
    if matrix.similarity is not None:
        return share * lengths(row[:, None]), row.new_ones(matrix.shape[1])
    # infinite ones need none: their cells are no numbers, or as far from all marks as can be
    queries, keys = (torch.nan_to_num(lengths(side), posinf=0.0) for side in (matrix.query, matrix.key))
    if matrix.lookup is not None:
        keys = keys[matrix.lookup]
    return share * queries, keys if keys.dim() == 1 else keys.repeat_interleave(matrix.row_unit, 0)


def _detached(matrix: ScoreMatrix) -> ScoreMatrix:
    return matrix.with_tensors({name: operand.tensor.detach() for name, operand in matrix.operands().items()})


def _rows(sight: _Sight) -> Rows:
    """What the totals say of each line."""
    names = [name.removeprefix("watched ") for name in _WATCHED]
    total = {name: _joined([kept[f"watched {name}"] for kept, _, _ in sight.seen]) for name in names}
    loss = _joined([losses for _, losses, _ in sight.seen])
    counted = [torch.ones_like(losses) if some is None else some for _, losses, some in sight.seen]
    mark = _joined(sight.marks)[: len(loss)]
    positives, negatives = total["positives"], total["negatives"]
    has, rivals = positives > 0, negatives > 0
    every = torch.logaddexp(total["pull"], total["push"])
    positive, negative = total["positive"] / positives, total["negative"] / negatives
    spread = (total["squares"] / negatives - (negative - mark).square()).clamp(min=0).sqrt()
    unit, shift = _unit(sight.units, len(loss))
    tilt = torch.exp(total["above"] - total["push"]) - torch.exp(total["below"] - total["push"])
    effective = torch.exp(total["push"] - mark - tilt).clamp(min=1)

    def of(lines: Tensor, values: Tensor) -> Tensor:
        """The values of these lines; NaN elsewhere, and where the logits are."""
        return values.masked_fill(~lines | every.isnan(), float("nan"))

    return Rows(
        loss=loss,
        counted=_joined(counted) > 0,
        candidates=positives + negatives,
        positives=positives,
        rank=of(has, 1 + total["reaching"]),
        positive_logit=positive,
        negative_logit=negative,
        negative_logit_spread=spread,
        positive_similarity=(positive - shift) / unit,
        negative_similarity=(negative - shift) / unit,
        negative_similarity_spread=spread / unit,
        surprise=of(has, every - total["pull"]),
        push=of(has, torch.exp(total["push"] - every)),
        hardest_share=of(rivals, torch.exp(total["hardest"] - total["push"])),
        effective_negatives=of(rivals, torch.minimum(effective, negatives)),
        ties=of(has, total["ties"]),
    )


def _joined(parts: Sequence[Tensor]) -> Tensor:
    # there and in that precision, any machine can work the rest out
    return torch.cat([part.cpu().double() for part in parts])


def _unit(units: Sequence[tuple[Tensor | None, Tensor | None]], lines: int) -> tuple[Tensor, Tensor]:
    """What a similarity of 1 is in nats, and what is added to all logits alike; NaN where that is not known."""
    unknown = torch.full((), float("nan"), dtype=torch.float64)
    known = [unknown if unit is None else unit.cpu().double() for unit, _ in units]
    shifts = [torch.zeros(1) if offset is None else offset.detach().cpu() for _, offset in units]
    shift = torch.cat([of.flatten() for of in shifts]).double()
    alike = len(shift) > 0 and bool((shift == shift[0]).all())
    same = all(torch.equal(unit, known[0]) for unit in known) and known[0].numel() in {1, lines}
    return (known[0], shift[0]) if alike and same else (unknown, unknown)


@contextmanager
def watching(criterion: nn.Module, *inputs: object) -> Iterator[Watch]:
    """Within, every loss of this thread is computed under one watch, by the engine that it has.

    Afterwards, the buffers of the criterion, and of a queue among its inputs, and random states are as before.
    """
    if not isinstance(criterion, nn.Module):
        _refuse(criterion)
    watch = Watch()
    modules = [value for value in (criterion, *inputs) if isinstance(value, nn.Module)]
    devices = devices_of(value for value in inputs if isinstance(value, Tensor))

    def put_around(engine: Engine) -> Engine:
        watch.engine = engine
        return watch

    before = AROUND.set(put_around)
    try:
        with ExitStack() as stack:
            for buffer in (each for module in modules for each in module.buffers() if not each.is_inference()):
                # its values come back, so a graph from before, which has saved them, is none the worse
                stack.enter_context(torch.autograd._unsafe_preserve_version_counter(buffer))  # type: ignore[attr-defined]  # noqa: SLF001 - no other does it
            stack.enter_context(undone(modules, devices))
            yield watch
    finally:
        AROUND.reset(before)
        for queue in {part for module in modules for part in module.modules() if isinstance(part, KeyQueue)}:
            queue.load_state_dict({"progress": queue.progress}, strict=False)  # which it also keeps as numbers


def _refuse(criterion: object) -> NoReturn:
    fail(
        DTypeError,
        "There is no loss of this package in criterion, so nobody can watch it.",
        got=f"the class {criterion.__name__}" if isinstance(criterion, type) else f"a {type(criterion).__name__}",
        expected="a face such as NTXent(), or a module that holds one or calls contrast",
        hint="a function of your own: call it in the forward of a module, or pass engine=Watch() to its contrast",
    )


def batch_diagnostics(criterion: nn.Module, *inputs: Any, **tensors: Any) -> BatchDiagnostics:
    """How does the loss of this batch come about?

    The loss is computed once, without a gradient, under a `Watch`; see there for what that costs. Buffers and random
    states are left as they were.

    Args:
        criterion: any face, or a module that holds one or calls `contrast`.
        inputs: what it is called with.
        tensors: what it is called with by name.

    Returns:
        Means over the queries, and what they are means of; of a loss that compares several times, the last comparison.

    Raises:
        DTypeError: no loss of this package is in criterion.
        ArgumentError: criterion compared nothing, or inside of a compiled graph.

    Example:
        >>> from info_nce import InfoNCE
        >>> found = batch_diagnostics(InfoNCE(0.5), torch.eye(4), torch.eye(4))
        >>> found.top1, round(found.effective_negatives, 4), round(found.negative_similarity, 4)
        (1.0, 3.0, 0.0)
    """
    with watching(criterion, *inputs, *tensors.values()) as watch, torch.no_grad():
        criterion(*inputs, **tensors)
    return seen_by(watch, criterion)


def seen_by(watch: Watch, criterion: nn.Module) -> BatchDiagnostics:
    """What was seen, or an error that says why nothing was."""
    batch = watch.batch
    if batch is None:
        if not any(isinstance(module, Face | NCE) for module in criterion.modules()):
            _refuse(criterion)
        fail(
            ArgumentError,
            "Nothing was seen of the loss.",
            got="a loss inside of torch.compile" if torch.compiler.is_compiling() else "no comparison at all",
            expected="a loss that is computed as it is called",
            hint="pass the loss itself, not what torch.compile made of it",
        )
    return batch
