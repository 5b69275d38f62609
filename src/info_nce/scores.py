"""The score matrix: every query compared with every candidate, of which a part at a time ever exists."""

# N queries, M shared keys, H keys in a list of one query's own, D features

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal, cast

import torch
from torch import Tensor

from info_nce.coded import Coded
from info_nce.pairing import Cells, Everywhere, Listed, Nowhere, Partner
from info_nce.similarity import Similarity

__all__ = ["Marks", "Operand", "ScoreMatrix", "Suspects", "Tile"]

Role = Literal["candidates", "positives", "negatives"]
ROWS, COLUMNS = 1, 0
"""Which way a statistic runs over a tile: over the keys of each query, or over the queries of each key."""


@dataclass(frozen=True, eq=False)
class Operand:
    """A tensor that the matrix is made of, and which part of it a tile needs: `take` it, `give` back its gradient."""

    tensor: Tensor
    part: Callable[[slice, slice], tuple[slice | Tensor, ...]]
    repeats: bool = False

    def take(self, rows: slice, columns: slice) -> Tensor:
        """Cut out what the tile of these rows and columns is made of."""
        return self.tensor[self.part(rows, columns)]

    def give(self, total: Tensor, rows: slice, columns: slice, gradient: Tensor) -> None:
        """Add a tile's gradient to the whole tensor's."""
        where = self.part(rows, columns)
        if self.repeats:  # an entry may be looked up often: += would count it once
            total.index_put_([cast("Tensor", where[0])], gradient, accumulate=True)
        else:
            total[where] += gradient


def _of_rows(rows: slice, _: slice) -> tuple[slice]:
    return (rows,)


def _of_columns(_: slice, columns: slice) -> tuple[slice]:
    return (columns,)


def _of_both(rows: slice, columns: slice) -> tuple[slice, slice]:
    return rows, columns


def _whole(_: slice, __: slice) -> tuple[()]:
    return ()


@dataclass(frozen=True, eq=False)
class Suspects(Coded):
    """Negatives that are too similar to be negatives: above a limit on the raw similarity, or on a guide's.

    Never part of a gradient: they only say who is left out.
    """

    row_limit: Tensor | None
    column_limit: Tensor | None = None
    guide: "ScoreMatrix | None" = None

    @property
    def directions(self) -> list[int]:
        """For which of them there is a limit."""
        return [dim for dim, limit in ((COLUMNS, self.column_limit), (ROWS, self.row_limit)) if limit is not None]

    def mask(self, similarity: Tensor, rows: slice, columns: slice, dim: int) -> Tensor:
        """Which cells of this part are above the limit of the query in this direction."""
        values, limit = self._sides(similarity, rows, columns, dim)
        return values > limit

    def weights(self, similarity: Tensor, rows: slice, columns: slice, dim: int) -> Tensor:
        """The same as numbers, 1 and 0, which a processor compares several times as fast."""
        values, limit = self._sides(similarity, rows, columns, dim)
        return values.clone().gt_(limit)

    def _sides(self, similarity: Tensor, rows: slice, columns: slice, dim: int) -> tuple[Tensor, Tensor]:
        values = similarity if self.guide is None else self.guide.tile(rows, columns).logits
        limit, lines = (self.row_limit, rows) if dim == ROWS else (self.column_limit, columns)
        if limit is None:
            raise NotImplementedError  # whoever asks for a direction sets its limit
        return values.detach(), limit[lines].unsqueeze(dim)


@dataclass(frozen=True, eq=False)
class Marks(Coded):
    """A logit of each line that its cells are compared with, such as that of its positive. Never part of a gradient.

    Args:
        row: of each query.
        column: of each key, where keys are queries, too.
        row_slack, column_slack: of each query, and of each key, (M), or (N, H) for lists; a logit that is no farther
            from its mark than the product of both may differ from it by rounding alone.
    """

    row: Tensor
    column: Tensor | None
    row_slack: Tensor
    column_slack: Tensor

    @property
    def T(self) -> "Marks | None":  # noqa: N802 - as in torch
        """Those of keys that look for their queries."""
        return None if self.column is None else Marks(self.column, self.row, self.column_slack, self.row_slack)

    @property
    def slack(self) -> Tensor:
        """Of each cell."""
        return self.row_slack[:, None] * self.column_slack

    def of(self, rows: slice, columns: slice) -> "Marks":
        """Those of a part's lines."""
        column = None if self.column is None else self.column[columns]
        slack = self.column_slack
        slack = slack[columns] if slack.dim() == 1 else slack[rows, columns]
        return Marks(self.row[rows], column, self.row_slack[rows], slack)


class Tile:
    """A part of the score matrix: its logits, and the role that each cell plays."""

    def __init__(
        self,
        logits: Tensor,
        positive: Tensor | None = None,
        out: tuple[Tensor | None, Tensor | None] = (None, None),
        marks: Marks | None = None,
    ) -> None:
        self.logits = logits
        self._positive, self._out, self._marks = positive, out, marks

    @property
    def positive(self) -> Tensor | None:
        """Which cells are positives; None says: none."""
        return self._positive

    @property
    def out(self) -> tuple[Tensor | None, Tensor | None]:
        """Cells left out, by direction: `out[ROWS]`, `out[COLUMNS]` differ where a limit belongs to a query."""
        return self._out

    @property
    def marks(self) -> Marks:
        """Those of its lines."""
        if self._marks is None:
            raise NotImplementedError  # whoever asks has set them
        return self._marks

    def mark(self, dim: int) -> Tensor:
        """The mark of each line, shaped to be compared with the cells."""
        mark = self.marks.row if dim == ROWS else self.marks.column
        if mark is None:
            raise NotImplementedError  # as above
        return mark.unsqueeze(dim)

    def partners(self, dim: int) -> Tensor | None:  # noqa: ARG002 - for a tile that knows its matrix
        """The logit of each line's positive, where each has exactly one; None says: look at the cells."""
        return None

    def unfit(self, role: Role, dim: int) -> Tensor | None:
        """Which cells do not play this role; None says: all of them do."""
        if role == "positives":
            positive = self.positive
            return torch.ones_like(self.logits, dtype=torch.bool) if positive is None else ~positive
        out = self.out[dim]
        if role == "candidates":
            return out
        positive = self.positive
        return out if positive is None else positive if out is None else out | positive

    def of(self, role: Role, dim: int, fill: float) -> Tensor:
        """The logits of the cells that play this role, `fill` elsewhere."""
        unfit = self.unfit(role, dim)
        return self.logits if unfit is None else self.logits.masked_fill(unfit, fill)


class _Judged(Tile):
    """A tile that asks its matrix who is who only where a statistic wants to know."""

    def __init__(self, matrix: "ScoreMatrix", similarity: Tensor, logits: Tensor, rows: slice, columns: slice) -> None:
        super().__init__(logits, marks=matrix.marks_of(rows, columns))
        self.matrix, self.similarity, self.rows, self.columns = matrix, similarity, rows, columns
        self._asked: dict[str, Tensor | None] = {}

    @property
    def positive(self) -> Tensor | None:
        """Ask the positives."""
        if "positive" not in self._asked:
            self._asked["positive"] = self.matrix.positives.mask(self.rows, self.columns)
        return self._asked["positive"]

    @property
    def out(self) -> tuple[Tensor | None, Tensor | None]:
        """Ask who is left out, and who is a suspect and no positive."""
        if "out" not in self._asked:
            self._asked["out"] = self.matrix.out.mask(self.rows, self.columns)
        out, suspects = self._asked["out"], self.matrix.suspects
        if suspects is None:
            return out, out
        both: list[Tensor | None] = [out, out]
        for dim in suspects.directions:
            mask = suspects.mask(self.similarity, self.rows, self.columns, dim)
            mask = mask if self.positive is None else mask & ~self.positive
            both[dim] = mask if out is None else mask | out
        return both[0], both[1]

    def partners(self, dim: int) -> Tensor | None:
        """Read them, if the tile is the whole matrix."""
        positives = self.matrix.positives
        if not isinstance(positives, Partner) or self.logits.shape != self.matrix.shape:
            return None
        return positives.read(self.logits, dim)


@dataclass(frozen=True, eq=False)
class ScoreMatrix(Coded):
    """Queries against candidates, in nats: `logits = scale * similarity + offset`.

    Args:
        query: (N, D). For an inner product the scale is folded in already, so that its gradient costs nothing more.
        key: keys shared by all queries (M, D); or lists (G, H, D), one for each run of N / G queries (one per query
            when G = N); or, with `lookup`, a table (M, D) that lists are looked up in.
        offset: added to the logits of a candidate: (M), or (N, H) for lists.
        positives, out: the cells that are positives, and those that are left out; all others are negatives.
        suspects: negatives that are left out because they look like positives.
        lookup: (N, H), which rows of `key` are the candidates of each query.
        similarity, scale, parameters: for a similarity that is no inner product: the module, 1 / temperature, and the
            module's parameters, listed here so that an engine can return their gradients.
        replicated: every rank has the same keys, such as those of a queue: no other rank has further ones.
        marks: a logit of each line, for those statistics that compare its cells with one.
        unit: what a similarity of 1 is in nats, (), or (N) for one temperature per query, so that people can read
            similarities again; None if nobody knows.
        mirrored: the keys are the queries, with the square root of the scale in both, and query i sees key j as query
            j sees key i: half of the matrix says all. `key` is `query` then.
    """

    query: Tensor
    key: Tensor
    positives: Cells
    out: Cells
    offset: Tensor | None = None
    suspects: Suspects | None = None
    lookup: Tensor | None = None
    similarity: Similarity | None = None
    scale: Tensor | None = None
    parameters: dict[str, Tensor] = field(default_factory=dict)
    mirrored: bool = False
    replicated: bool = False
    marks: Marks | None = None
    unit: Tensor | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Queries and candidates."""
        return len(self.query), self.key.shape[-2] if self.lookup is None else self.lookup.shape[1]

    @property
    def shared(self) -> bool:
        """Whether all queries meet the same keys, so that keys can be queries too."""
        return self.key.dim() == 2 and self.lookup is None

    @property
    def row_unit(self) -> int:
        """How many rows cannot be parted, because they share one list."""
        return 1 if self.key.dim() == 2 or not len(self.key) else len(self.query) // len(self.key)

    @property
    def row_cost(self) -> int:
        """How many numbers a row of a tile needs: its logits, and its list where it has one of its own."""
        return self.shape[1] * (1 if self.shared else 1 + self.key.shape[-1] // self.row_unit)

    @property
    def product(self) -> bool:
        """Whether the matrix is one product of queries and shared keys, plus an offset."""
        return self.shared and self.similarity is None

    @torch.no_grad()
    def reach(self) -> float:
        """How far from 0 can a logit lie? By Cauchy and Schwarz, from the longest vectors."""
        if not self.product:
            return float("inf")
        longest = torch.linalg.vector_norm(self.query, dim=1).amax()
        longest = longest * (longest if self.mirrored else torch.linalg.vector_norm(self.key, dim=1).amax())
        return float(longest if self.offset is None else longest + self.offset.abs().amax())

    def operands(self) -> dict[str, Operand]:
        """Every tensor that the logits depend on, by name."""
        found = {"query": Operand(self.query, _of_rows)}
        if not self.mirrored:
            found["key"] = Operand(self.key, self._key_part, self.lookup is not None)
        if self.offset is not None:
            found["offset"] = Operand(self.offset, _of_columns if self.offset.dim() == 1 else _of_both)
        if self.scale is not None:
            found["scale"] = Operand(self.scale, _of_rows if self.scale.dim() else _whole)
        return found | {name: Operand(tensor, _whole) for name, tensor in self.parameters.items()}

    def _key_part(self, rows: slice, columns: slice) -> tuple[slice | Tensor, ...]:
        if self.lookup is not None:
            return (self.lookup[rows, columns],)
        if self.shared:
            return (columns,)
        return slice(rows.start // self.row_unit, rows.stop // self.row_unit), columns

    def with_tensors(self, tensors: dict[str, Tensor]) -> "ScoreMatrix":
        """The same matrix made of other tensors."""
        return replace(
            self,
            query=tensors["query"],
            key=tensors["query" if self.mirrored else "key"],
            offset=tensors.get("offset"),
            scale=tensors.get("scale"),
            parameters={name: tensors[name] for name in self.parameters},
        )

    def logits(self, pieces: dict[str, Tensor]) -> Tensor:
        """Compute the logits of a tile, without its offset, from the pieces that its operands gave."""
        query, key = pieces["query"], pieces["key"]
        if key.dim() == 3:  # runs of queries with a list of their own
            query = query.reshape(len(key), self.row_unit, query.shape[-1])
        logits = query @ key.mT if self.similarity is None else self._compare(self.similarity, query, key, pieces)
        if key.dim() == 3:
            logits = logits.flatten(0, 1)
        if "scale" in pieces:
            logits = logits * (pieces["scale"][:, None] if pieces["scale"].dim() else pieces["scale"])
        return logits

    def _compare(self, similarity: Similarity, query: Tensor, key: Tensor, pieces: dict[str, Tensor]) -> Tensor:
        parameters = {name: pieces[name] for name in self.parameters}

        def compare(query: Tensor, key: Tensor) -> Tensor:
            compared: Tensor = torch.func.functional_call(similarity, parameters, (query, key))
            return compared.to(query.dtype)

        return compare(query, key) if query.dim() == 2 else torch.vmap(compare)(query, key)

    def tile(self, rows: slice, columns: slice, pieces: dict[str, Tensor] | None = None) -> Tile:
        """Compute a part of the matrix."""
        pieces = pieces or self.pieces(rows, columns)
        similarity = self.logits(pieces)
        return self.judged(
            similarity, similarity + pieces["offset"] if "offset" in pieces else similarity, rows, columns
        )

    def pieces(self, rows: slice, columns: slice) -> dict[str, Tensor]:
        """What a tile is made of, by name."""
        found = {name: operand.take(rows, columns) for name, operand in self.operands().items()}
        return found | ({"key": self.key[columns]} if self.mirrored else {})

    def marks_of(self, rows: slice, columns: slice) -> Marks | None:
        """The marks of a part's lines."""
        if self.marks is None:
            return None
        marks = replace(self.marks, column=self.marks.row) if self.mirrored else self.marks
        return marks.of(rows, columns)

    def judged(self, similarity: Tensor, logits: Tensor, rows: slice, columns: slice) -> Tile:
        """Say which role each cell of a part plays."""
        return _Judged(self, similarity, logits, rows, columns)

    @property
    def columns(self) -> list[Tensor]:
        """All that belongs to the shared keys, a line for each of them: another batch's can take its place."""
        suspects = self.suspects or Suspects(None)
        limit = suspects.row_limit if self.mirrored else suspects.column_limit
        found = [self.key, self.offset, *self.positives.tags, *self.out.tags, limit]
        found += suspects.guide.columns if suspects.guide else []
        found += [self.marks.column, self.marks.column_slack] if self.marks else []
        return [column for column in found if column is not None]

    def elsewhere(self, columns: Iterator[Tensor]) -> "ScoreMatrix":
        """The same queries against the keys of another batch, of which these are the `columns`."""
        key = next(columns)
        offset = None if self.offset is None else next(columns)
        positives, out = self.positives.elsewhere(columns), self.out.elsewhere(columns)
        suspects = self.suspects
        if suspects is not None:
            known = (suspects.row_limit if self.mirrored else suspects.column_limit) is not None
            limit = next(columns) if known else None
            guide = None if suspects.guide is None else suspects.guide.elsewhere(columns)
            suspects = Suspects(suspects.row_limit, limit, guide)
        marks = self.marks
        if marks is not None:
            column = None if marks.column is None else next(columns)
            marks = replace(marks, column=column, column_slack=next(columns))
        return replace(
            self,
            key=key,
            offset=offset,
            positives=positives,
            out=out,
            suspects=suspects,
            marks=marks,
            mirrored=False,
        )

    @property
    def T(self) -> "ScoreMatrix":  # noqa: N802 - as in torch
        """The keys of a product looking for their queries."""
        query, key, suspects = self.query, self.key, self.suspects
        if suspects is not None:
            plain = replace(self, offset=None, suspects=None)
            guide = suspects.guide or (None if self.offset is None else plain)
            suspects = Suspects(suspects.column_limit, suspects.row_limit, guide and guide.T)
        if self.offset is not None:  # it belongs to the lines now: one feature more, which the queries have 1 of
            query = torch.cat([query, torch.ones_like(query[:, :1])], 1)
            key = torch.cat([key, self.offset[:, None]], 1)
        return replace(
            self,
            query=key,
            key=query,
            offset=None,
            positives=self.positives.T,
            out=self.out.T,
            suspects=suspects,
            marks=self.marks and self.marks.T,
        )

    def listed(self, lookup: Tensor, left_out: Tensor) -> "ScoreMatrix":
        """The same queries against negatives (N, H) that are looked up among the keys, but those left out (N, H)."""
        return replace(
            self,
            lookup=lookup,
            offset=None if self.offset is None else self.offset[lookup],
            positives=Nowhere(),
            out=Listed(left_out),
            suspects=None,
            mirrored=False,
        )

    def positives_alone(self) -> "ScoreMatrix":
        """A matrix with the same positives and as little else as possible, to find the best of them cheaply."""
        bare = replace(self, suspects=None, mirrored=False)
        if isinstance(self.positives, Partner) and self.shared:
            everywhere = Everywhere(self.query.device)
            offset = None if self.offset is None else self.offset[self.positives.column][:, None]
            lookup = self.positives.column[:, None]
            return replace(bare, lookup=lookup, offset=offset, positives=everywhere, out=Nowhere())
        return bare
