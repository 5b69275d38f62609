"""The score matrices that engines and objectives are tried on: every kind that a loss of this package builds."""

# N queries, M keys, H keys of one query's own, D features

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from info_nce.assemble import assemble, leave_out_suspects
from info_nce.engines import Dense
from info_nce.pairing import Everywhere, Listed, Nowhere, Partner, Shifted, labelled, pairs, views
from info_nce.scores import ScoreMatrix
from info_nce.similarity import Cosine, Similarity

__all__ = ["Trial", "numbers", "trials"]

CPU = torch.device("cpu")
D = 3


@dataclass(frozen=True)
class Trial:
    """One case.

    Args:
        what: it is, in words.
        matrices: the same queries in each.
        symmetric: whether each key looks for its query, too.
        finite: whether every logit is a finite number.
    """

    what: str
    matrices: Sequence[ScoreMatrix]
    symmetric: bool = False
    finite: bool = True

    def leaves(self) -> tuple[list[ScoreMatrix], dict[str, Tensor]]:
        """The matrices made of fresh tensors that need a gradient, and these by name."""
        made: list[ScoreMatrix] = []
        found: dict[str, Tensor] = {}
        for number, matrix in enumerate(self.matrices):
            own = {name: o.tensor.detach().clone().requires_grad_() for name, o in matrix.operands().items()}
            made.append(matrix.with_tensors(own))
            found |= {f"{name} of matrix {number}" if len(self.matrices) > 1 else name: t for name, t in own.items()}
        return made, found


class _Own(Similarity):
    """A similarity that is no inner product, with a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.linspace(0.5, 1.5, D, dtype=torch.float64))

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        return -((query[:, None] - key[None]).square() * self.weight).sum(-1).add(0.1).sqrt()


def numbers(*shape: int, seed: int) -> Tensor:
    """Normal numbers, without the generator of whoever calls."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def trials() -> Iterator[Trial]:
    """From the plainest to the strangest, so that the first one that fails says most."""
    yield from _shared()
    yield from _mirrored()
    yield from _lists()
    yield from _suspects()
    yield from _several()
    yield from _borders()


def _pair(n: int = 7, m: int | None = None, **settings: object) -> ScoreMatrix:
    query, key = numbers(n, D, seed=1), numbers(m or n, D, seed=2)
    settings = {"positives": Shifted(n, 0, CPU), **settings}
    return assemble(query, key, Cosine(), 5.0, **settings)  # type: ignore[arg-type]  # keywords of assemble


def _shared() -> Iterator[Trial]:
    yield Trial("pairs", [_pair()])
    yield Trial("pairs, both directions", [_pair()], symmetric=True)
    yield Trial("more keys than queries", [_pair(5, 11, positives=Partner(torch.tensor([0, 10, 3, 7, 4])))])
    tags = torch.tensor([0, 1, 0, 2, 1, 3, 0])
    for same in ("out", "positive"):
        positives, out = pairs(7, tags, same, CPU)
        yield Trial(f"equal ids, same_id={same!r}", [_pair(positives=positives, out=out)])
    yield Trial("an offset for each key", [_pair(offset=numbers(7, seed=3))])
    query, key = numbers(5, D, seed=4), numbers(5, D, seed=5)
    scale = torch.linspace(1, 3, 5, dtype=torch.float64)
    own = assemble(query, key, _Own(), scale, positives=Shifted(5, 0, CPU))
    yield Trial("a similarity that is no inner product, a temperature for each query", [own])


def _mirrored() -> Iterator[Trial]:
    for count, items in ((2, 4), (3, 3)):
        every = numbers(count * items, D, seed=6)
        positives, out = views(count, items, None, "out", CPU)
        yield Trial(f"{count} views, mirrored", [assemble(every, every, Cosine(), 5.0, positives=positives, out=out)])
    every = numbers(7, D, seed=7)
    positives, out = labelled(torch.tensor([0, 1, 0, 2, 1, 0, 1]))
    with_labels = assemble(every, every, Cosine(), 5.0, positives=positives, out=out)
    yield Trial("labels, mirrored, one row without a positive", [with_labels])


def _lists() -> Iterator[Trial]:
    query = numbers(6, D, seed=8)
    first = Partner(torch.tensor([0, 1, 2, 3, 0, 1]))
    private = ScoreMatrix(query, numbers(6, 4, D, seed=9), first, Nowhere(), numbers(6, 4, seed=10))
    yield Trial("a private list for each query", [private])
    yield Trial("a list for each two queries", [ScoreMatrix(query, numbers(3, 4, D, seed=11), first, Nowhere())])
    places = torch.tensor([[0, 4, 4, 1], [2, 2, 2, 2], [3, 0, 1, 4], [1, 1, 0, 3], [4, 3, 2, 1], [0, 0, 0, 0]])
    table = numbers(5, D, seed=12)
    yield Trial("lists looked up in a table", [ScoreMatrix(query, table, first, Nowhere(), lookup=places)])


def _suspects() -> Iterator[Trial]:
    plain = _pair()
    for symmetric in (False, True):
        found = leave_out_suspects([plain], Dense(), margin=-0.2, scale=5.0, symmetric=symmetric)
        both = ", both directions" if symmetric else ""
        yield Trial(f"suspects left out by a margin{both}", found, symmetric)
    guide = [(numbers(7, 2, seed=13), numbers(7, 2, seed=14))]
    yield Trial("suspects left out by a guide", leave_out_suspects([plain], Dense(), margin=None, guide=guide))


def _several() -> Iterator[Trial]:
    query, key = numbers(5, D, seed=15), numbers(5, D, seed=16)
    own = assemble(query, key, Cosine(), 5.0, positives=Shifted(5, 0, CPU))
    hard = assemble(query, numbers(5, 2, D, seed=17), Cosine(), 5.0)
    among = assemble(key, key, Cosine(), 5.0, out=Shifted(5, 0, CPU))
    yield Trial("three matrices: keys, private lists, keys among themselves", [own, hard, among])
    alone = assemble(query, key[:, None], Cosine(), 5.0, positives=Everywhere(CPU))
    yield Trial(
        "two matrices: the positive alone, and a queue", [alone, assemble(query, numbers(9, D, seed=18), Cosine(), 5.0)]
    )


def _borders() -> Iterator[Trial]:
    yield Trial("one query and one key", [_pair(1)])
    yield Trial("one query and many keys", [_pair(1, 9, positives=Partner(torch.tensor([4])))])
    nobody = torch.zeros(7, 7, dtype=torch.bool)
    nobody[2], nobody[5, :5] = True, True
    nobody.fill_diagonal_(0)
    yield Trial("a query whose negatives are all left out", [_pair(out=Listed(nobody))])
    offset = numbers(6, 4, seed=19)
    offset[1, 1:], offset[4, [0, 2, 3]] = float("-inf"), float("-inf")
    first = Partner(torch.tensor([0, 0, 2, 3, 1, 1]))
    buried = ScoreMatrix(numbers(6, D, seed=20), numbers(6, 4, D, seed=21), first, Nowhere(), offset)
    yield Trial("negatives with a logit of -inf", [buried], finite=False)
    nothing = _pair(7)
    yield Trial("no query", [replace(nothing, query=nothing.query[:0], positives=Nowhere())])
