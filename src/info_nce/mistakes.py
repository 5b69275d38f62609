"""The usual mistakes in a contrastive loss, each as the wrong function that it is; `testing` compares with them."""

# N pairs, D features; V views in one tensor; C candidates of a row

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor

from info_nce.losses import info_nce, nt_xent, symmetric_info_nce

__all__ = ["REMEDIES", "RIGHT", "Kind", "Loss", "known_mistakes", "views_of"]

Kind = Literal["info_nce", "symmetric", "interleaved", "stacked"]
"""What a function takes and computes: `info_nce` and `symmetric` of pairs (query, key), or NT-Xent of all views in one
tensor, `interleaved` a1 a2 b1 b2 ... or `stacked` a1 b1 ... a2 b2 ..."""

Loss = Callable[[Tensor, Tensor, float], Tensor]
"""Of query, key and temperature; views are made of the two."""

RIGHT: dict[Kind, tuple[Loss, str]] = {
    "info_nce": (lambda query, key, t: info_nce(query, key, temperature=t), "InfoNCE"),
    "symmetric": (lambda query, key, t: symmetric_info_nce(query, key, temperature=t), "symmetric InfoNCE"),
    "interleaved": (lambda query, key, t: nt_xent(query, key, temperature=t), "NT-Xent of interleaved views"),
    "stacked": (lambda query, key, t: nt_xent(query, key, temperature=t), "NT-Xent of stacked views"),
}
"""The library's loss of each kind, and its name."""

_ALL_LEARN = "both sides learn; only the key of another encoder (MoCo) is detached"
REMEDIES = {
    "positive not divided": "divide the whole matrix by the temperature before the positive is taken out of it",
    "inverse temperature": "similarity / temperature: a temperature of 0.1 makes the logits ten times as large",
    "no temperature": "divide the similarities by the temperature",
    "divided twice": "divide by the temperature once",
    "not normalised": "F.normalize(..., dim=1) for both sides, so that an inner product is a cosine",
    "epsilon in the norm": "F.normalize(..., dim=1): an epsilon that is added, or large, makes short vectors shorter",
    "normalised along the batch": "F.normalize(..., dim=1): dim=0 mixes the items of the batch",
    "exp before log": "F.cross_entropy or torch.logsumexp: a plain exp overflows in float32 beyond 88",
    "small probabilities cut off": "F.cross_entropy, which needs no epsilon: with one, hard queries learn nothing",
    "softmax twice": "F.cross_entropy takes logits, and does the softmax itself",
    "probabilities without their logarithm": "F.cross_entropy of the logits, or F.nll_loss of their log_softmax",
    "softmax over the whole matrix": "one softmax for each query, over its own candidates: dim=1",
    "positive left out of the sum": "keep the positive in the denominator; without it, the loss is another one (DCL)",
    "positive counted twice": "the matrix holds the positive already: do not put it in front of the row once more",
    "mean in the denominator": "a sum over the candidates; a mean takes log(number of candidates) off the loss",
    "wrong labels": "torch.arange(N), row i and candidate i; zeros are for rows that begin with their positive",
    "length detached": "F.normalize, without .detach() or .data on the length",
    "negatives detached": "let the gradient through the negatives, or nothing is pushed away",
    "sum": "take the mean over the rows, or the step grows with the batch",
    "wrong sign": "minus the logarithm: the loss falls as the positive's share grows",
    "bits": "the natural logarithm: torch.log, not torch.log2",
    "gradient detached": "no .detach(), .data or torch.no_grad() between the inputs and the loss",
    "key detached": _ALL_LEARN,
    "query detached": _ALL_LEARN,
    "wrong direction": "the softmax of a query runs over the keys, dim=1",
    "both directions": 'this is the symmetric loss: check it with kind="symmetric"',
    "queries among the candidates": 'only keys are candidates; with the queries, it is NT-Xent: kind="stacked"',
    "one direction only": "the mean of two: F.cross_entropy(logits, own) and F.cross_entropy(logits.T, own)",
    "sum of both directions": "divide by two",
    "itself among the candidates": "take the diagonal out: logits.fill_diagonal_(-torch.inf)",
    "wrong pairs": "a1 a2 b1 b2 (stack): torch.arange(2 * N) ^ 1; a1 b1 a2 b2 (cat): torch.arange(2 * N).roll(N)",
    "own side left out": 'all other views are candidates, those of the same side too; without them: kind="symmetric"',
    "half of the views": "every view is a query once: 2 N rows, not N",
}
"""What to do about a mistake, by its name."""


def views_of(query: Tensor, key: Tensor, kind: Kind) -> Tensor:
    """All views in one tensor, in the layout that the kind says."""
    return torch.cat([query, key]) if kind == "stacked" else torch.stack([query, key], 1).flatten(0, 1)


def known_mistakes(kind: Kind) -> Iterator[tuple[str, Loss]]:
    """Every known mistake in a loss of this kind; some are made in several ways."""
    for name, per_row in _PER_ROW:
        yield name, _over(kind, per_row)
    right = RIGHT[kind][0]
    rows = 1 if kind in {"info_nce", "symmetric"} else 2
    yield "sum", lambda q, k, t: right(q, k, t) * rows * len(q)
    yield "wrong sign", _times(-1, right)
    yield "bits", _times(1 / math.log(2), right)
    for whole in (right, RIGHT["symmetric"][0], RIGHT["stacked"][0]):
        yield "sum of both directions", _times(2, whole)
    yield "gradient detached", lambda q, k, t: right(q.detach(), k.detach(), t)
    yield from {"info_nce": _of_pairs, "symmetric": _of_both}.get(kind, partial(_of_views, kind))()


def _times(factor: float, loss: Loss) -> Loss:
    return lambda q, k, t: factor * loss(q, k, t)


@dataclass(frozen=True)
class _Rows:
    """Rows that choose one candidate each: which is their own, and which they may choose at all."""

    query: Tensor
    key: Tensor
    own: Tensor
    allowed: Tensor
    temperature: float

    def cosines(self) -> Tensor:
        return F.normalize(self.query, dim=1) @ F.normalize(self.key, dim=1).T

    def logits(self, similarity: Tensor | None = None) -> Tensor:
        cells = (self.cosines() if similarity is None else similarity) / self.temperature
        return cells.masked_fill(~self.allowed, -torch.inf)

    def of_own(self, cells: Tensor) -> Tensor:
        return cells.gather(1, self.own[:, None])[:, 0]

    def is_own(self) -> Tensor:
        return F.one_hot(self.own, len(self.key)).bool()


_PerRow = Callable[[_Rows], Tensor]


def _right(rows: _Rows, similarity: Tensor | None = None) -> Tensor:
    """The right formula, of the right similarities or of wrong ones."""
    logits = rows.logits(similarity)
    return logits.logsumexp(1) - rows.of_own(logits)


def _at(change: Callable[[float], float]) -> _PerRow:
    return lambda rows: _right(replace(rows, temperature=change(rows.temperature)))


def _undivided(rows: _Rows) -> Tensor:
    cosines = rows.cosines()
    return _right(rows, torch.where(rows.is_own(), cosines * rows.temperature, cosines))


def _undivided_above(rows: _Rows) -> Tensor:
    return rows.logits().logsumexp(1) - rows.of_own(rows.cosines())


def _naive(rows: _Rows) -> Tensor:
    cells = rows.logits().exp()
    return -(rows.of_own(cells) / cells.sum(1)).log()


def _cut_off(rows: _Rows) -> Tensor:
    return -(rows.of_own(rows.logits().softmax(1)) + 1e-8).log()


def _twice(rows: _Rows) -> Tensor:
    return F.cross_entropy(rows.logits().softmax(1), rows.own, reduction="none")


def _no_logarithm(rows: _Rows) -> Tensor:
    return -rows.of_own(rows.logits().softmax(1))


def _one_softmax(rows: _Rows) -> Tensor:
    logits = rows.logits()
    return logits.flatten().logsumexp(0) - rows.of_own(logits)


def _without_positive(rows: _Rows) -> Tensor:
    logits = rows.logits()
    return logits.masked_fill(rows.is_own(), -torch.inf).logsumexp(1) - rows.of_own(logits)


def _positive_twice(rows: _Rows) -> Tensor:
    logits = rows.logits()
    own = rows.of_own(logits)
    return torch.cat([own[:, None], logits], 1).logsumexp(1) - own


def _averaged(rows: _Rows) -> Tensor:
    return _right(rows) - rows.allowed.sum(1).to(rows.query.dtype).log()


def _divided_by(length: Callable[[Tensor], Tensor]) -> _PerRow:
    """Vectors that are divided by what is made of their length."""

    def per_row(rows: _Rows) -> Tensor:
        query, key = (x / length(x.norm(dim=1, keepdim=True)) for x in (rows.query, rows.key))
        return _right(rows, query @ key.T)

    return per_row


def _of_product(rows: _Rows, epsilon: float) -> Tensor:
    lengths = rows.query.norm(dim=1)[:, None] * rows.key.norm(dim=1)
    return _right(rows, rows.query @ rows.key.T / (lengths + epsilon))


def _with_epsilon() -> Iterator[_PerRow]:
    """A length that is kept from 0, in the ways in which it is done, by numbers that are seen."""
    for epsilon in (1e-6, 1e-5, 1e-4, 1e-3, 1e-2):
        yield _divided_by(partial(torch.add, epsilon))
        yield _divided_by(partial(torch.hypot, torch.tensor(math.sqrt(epsilon))))  # in the root, to the squares
        yield partial(_of_product, epsilon=epsilon)
    for smallest in (0.1, 0.2, 0.5, 1.0):
        yield _divided_by(partial(torch.clamp, min=smallest))


def _negatives_detached(rows: _Rows) -> Tensor:
    cosines = rows.cosines()
    return _right(rows, torch.where(rows.is_own(), cosines, cosines.detach()))


_PER_ROW: tuple[tuple[str, _PerRow], ...] = (
    ("positive not divided", _undivided),
    ("positive not divided", _undivided_above),
    ("inverse temperature", _at(lambda t: 1 / t)),
    ("no temperature", _at(lambda _: 1.0)),
    ("divided twice", _at(lambda t: t**2)),
    # before those that do not normalise at all: of short vectors, a large epsilon makes the same
    *(("epsilon in the norm", per_row) for per_row in _with_epsilon()),
    ("not normalised", lambda rows: _right(rows, rows.query @ rows.key.T)),
    ("not normalised", lambda rows: _right(rows, rows.query @ F.normalize(rows.key, dim=1).T)),
    ("not normalised", lambda rows: _right(rows, F.normalize(rows.query, dim=1) @ rows.key.T)),
    ("normalised along the batch", lambda r: _right(r, F.normalize(r.query, dim=0) @ F.normalize(r.key, dim=0).T)),
    ("exp before log", _naive),
    ("small probabilities cut off", _cut_off),
    ("softmax twice", _twice),
    ("probabilities without their logarithm", _no_logarithm),
    ("softmax over the whole matrix", _one_softmax),
    ("positive left out of the sum", _without_positive),
    ("positive counted twice", _positive_twice),
    ("mean in the denominator", _averaged),
    ("length detached", _divided_by(Tensor.detach)),
    ("negatives detached", _negatives_detached),
)


def _choices(query: Tensor, key: Tensor, temperature: float, kind: Kind) -> _Rows:
    """Who chooses among whom."""
    if kind in {"info_nce", "symmetric"}:
        everyone = torch.ones(len(query), len(key), dtype=torch.bool)
        return _Rows(query, key, torch.arange(len(query)), everyone, temperature)
    views, places = views_of(query, key, kind), torch.arange(2 * len(query))
    own = places ^ 1 if kind == "interleaved" else places.roll(len(query))
    return _Rows(views, views, own, ~torch.eye(len(views), dtype=torch.bool), temperature)


def _over(kind: Kind, per_row: _PerRow) -> Loss:
    """A loss of rows as one of the batch: the mean, in both directions if it is symmetric."""

    def one(query: Tensor, key: Tensor, temperature: float) -> Tensor:
        return per_row(_choices(query, key, temperature, kind)).mean()

    return (lambda q, k, t: (one(q, k, t) + one(k, q, t)) / 2) if kind == "symmetric" else one


def _of_pairs() -> Iterator[tuple[str, Loss]]:
    right = RIGHT["info_nce"][0]
    yield "wrong labels", _over("info_nce", _first)
    yield "key detached", lambda q, k, t: right(q, k.detach(), t)
    yield "query detached", lambda q, k, t: right(q.detach(), k, t)
    yield "wrong direction", lambda q, k, t: right(k, q, t)
    yield "both directions", RIGHT["symmetric"][0]
    yield "queries among the candidates", RIGHT["stacked"][0]
    yield "queries among the candidates", lambda q, k, t: _of_one_side(_choices(q, k, t, "stacked"))


def _first(rows: _Rows) -> Tensor:
    return _right(replace(rows, own=torch.zeros_like(rows.own)))


def _of_one_side(rows: _Rows) -> Tensor:
    return _right(rows).chunk(2)[0].mean()


def _of_both() -> Iterator[tuple[str, Loss]]:
    right, one = RIGHT["symmetric"][0], RIGHT["info_nce"][0]
    yield "wrong labels", _over("symmetric", _first)
    yield "key detached", lambda q, k, t: right(q, k.detach(), t)
    yield "query detached", lambda q, k, t: right(q.detach(), k, t)
    yield "one direction only", one
    yield "one direction only", lambda q, k, t: one(k, q, t)
    yield "queries among the candidates", RIGHT["stacked"][0]


def _of_views(kind: Kind) -> Iterator[tuple[str, Loss]]:
    for name, wrong in (("itself among the candidates", _with_itself), ("wrong pairs", _in_other_layout)):
        yield name, _over(kind, partial(wrong, kind))
    for across in ("symmetric", "info_nce"):
        yield "own side left out", RIGHT[across][0]
    for view in (0, 1):
        yield "half of the views", _over(kind, partial(_half, kind, view))


def _with_itself(_: Kind, rows: _Rows) -> Tensor:
    return _right(replace(rows, allowed=torch.ones_like(rows.allowed)))


def _in_other_layout(kind: Kind, rows: _Rows) -> Tensor:
    places = torch.arange(len(rows.own))
    return _right(replace(rows, own=places.roll(len(places) // 2) if kind == "interleaved" else places ^ 1))


def _half(kind: Kind, view: int, rows: _Rows) -> Tensor:
    losses = _right(rows)
    return losses[view::2] if kind == "interleaved" else losses.chunk(2)[view]
