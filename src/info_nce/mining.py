"""Hard negatives: for each query, the documents that are most easily taken for its own and are not."""

# N queries, M documents, D features, K negatives of each query, P known pairs, C rows of a chunk

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from info_nce.checks import (
    ArgumentError,
    ShapeError,
    check_embeddings,
    check_ids,
    check_number,
    check_same_features,
    check_whole,
    fail,
    finite,
)
from info_nce.neighbours import CELLS, similarities
from info_nce.similarity import unit

__all__ = ["HardNegatives", "SearchIndex", "mine_hard_negatives"]

_AT_ONCE = 1024  # queries that an index is asked for at once


@dataclass(frozen=True, slots=True, eq=False)
class HardNegatives:
    """What was found: K places for each query, the hardest first, of which the last ones may be empty.

    Args:
        index: rows of `document`; -1 where a place is empty.
        found: which places are filled.
        similarity: cosines; NaN where a place is empty.
    """

    index: Int64[Tensor, "n k"]
    found: Bool[Tensor, "n k"]
    similarity: Float[Tensor, "n k"]


class SearchIndex(Protocol):
    """What finds candidates in place of the exact search: any index of faiss over the documents, at unit length."""

    def search(self, x: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Find the k largest inner products of each row, largest first, and the rows they belong to; -1 for none."""


def mine_hard_negatives(
    query: Float[Tensor, "n d"],
    document: Float[Tensor, "m d"],
    k: int,
    *,
    positives: Int64[Tensor, "p 2"] | None = None,
    query_ids: Int64[Tensor, " n"] | None = None,
    document_ids: Int64[Tensor, " m"] | None = None,
    skip: int = 0,
    deepest: int | None = None,
    margin: float | None = None,
    relative_margin: float | None = None,
    index: SearchIndex | None = None,
    cells: int = CELLS,
) -> HardNegatives:
    r"""Which documents does each query take for its own, and they are not?

    The k most similar of the documents d that are no known positive of the query q and that are not too similar to be
    trusted:

    $$ s(q, d) \le s(q, d^+) - \text{margin}, \quad s(q, d) \le s(q, d^+) - \text{relative margin} \cdot |s(q, d^+)| $$

    Args:
        query: one row per query.
        document: one row per document, each document once.
        k: how many to find for each query.
        positives: known pairs: (row of query, row of document).
        query_ids: with `document_ids`, one integer each: equal integers are known pairs, too.
        document_ids: see `query_ids`.
        skip: leave out so many of the most similar negatives of each query: they may be unknown positives.
        deepest: look at so many of the most similar negatives, the skipped ones among them; at all by default.
        margin: how far a negative must be below the query's positive; None does not look. 0 = not above it.
        relative_margin: the same, as a share of the positive's similarity.
        index: searches in place of the exact search, and needs `deepest`; `faiss.IndexFlatIP` finds the same ones.
        cells: how many similarities are held at once; changes the memory and not the result.

    Returns:
        Up to k negatives of each query, and a mask of those that were found: a query has fewer where no more fulfil
        the conditions. A place is never filled with a positive or with a document that is there already. The positive
        of a query with several is its most similar one; the margins do not bind a query without any.

    Raises:
        ShapeError: sizes do not fit.
        DTypeError: embeddings or ids are none.
        ArgumentError: no positives are told, a number means nothing, or an index is given without `deepest`.

    Example:
        >>> found = mine_hard_negatives(torch.eye(3), torch.eye(3), 1, query_ids=torch.arange(3),
        ...                             document_ids=torch.arange(3))
        >>> found.index.tolist()
        [[1], [0], [0]]

    Source:
        Moreira et al. 2024, "NV-Retriever", arXiv:2407.15831, section 3.2: top-k shifted by N (`skip`), TopK-MarginPos
        (`margin`) and TopK-PercPos (`relative_margin`: 0.05 for their 95 %). Differs from the paper: conditions may be
        combined, a query may have several positives, the share is of the positive's absolute similarity, so that a
        negative similarity does not turn it round, and the model that searches may be the one being trained.
    """
    pairs = _pairs(query, document, positives, query_ids, document_ids)
    _check_numbers(k, skip, deepest, margin, relative_margin)
    if index is not None and deepest is None:
        fail(
            ArgumentError,
            "An index has to be told how many candidates to find.",
            got="index without deepest",
            expected="deepest, the number of negatives to look at",
            hint="deepest=100",
        )
    with torch.no_grad():
        limit = _limit(query, document, pairs, margin, relative_margin, cells)
        found = [
            _hardest(scores, places, limit[rows, None], k, skip, deepest)
            for rows, scores, places in (
                _compared(query, document, pairs, cells)
                if index is None or deepest is None
                else _looked_up(index, query, len(document), pairs, deepest)
            )
        ]
    return _joined(found, query, k)


# a chunk: which queries, their similarities, and the documents that these belong to; None for all in their order
_Chunk = tuple[slice, Float[Tensor, "c l"], Int64[Tensor, "c l"] | None]


def _compared(query: Tensor, document: Tensor, pairs: Tensor, cells: int) -> Iterator[_Chunk]:
    for rows, scores in similarities(query, document, cells=cells):
        own = pairs[_of(pairs, rows)]
        scores[own[:, 0] - rows.start, own[:, 1]] = -torch.inf
        yield rows, scores, None


def _looked_up(index: SearchIndex, query: Tensor, documents: int, pairs: Tensor, deepest: int) -> Iterator[_Chunk]:
    # So many more that enough are left without the positives, all of which may be among the first.
    most = min(documents, deepest + (int(torch.bincount(pairs[:, 0]).max()) if len(pairs) else 0))
    known = pairs[:, 0] * documents + pairs[:, 1]
    for start in range(0, len(query), _AT_ONCE):
        rows = slice(start, min(len(query), start + _AT_ONCE))
        sought = unit(query[rows].float()).cpu().numpy()
        scores, places = (torch.from_numpy(array) for array in index.search(sought, most))
        cell = torch.arange(rows.start, rows.stop)[:, None] * documents + places
        scores = scores.masked_fill((places < 0) | torch.isin(cell, known.cpu()), -torch.inf)
        yield rows, scores.to(query.device), places.to(query.device)


def _hardest(
    scores: Tensor, places: Tensor | None, limit: Tensor, k: int, skip: int, deepest: int | None
) -> tuple[Tensor, Tensor]:
    """The k largest scores of each row within the window of ranks and not above the limit, and whose they are."""
    if deepest is not None:
        scores, order = scores.topk(min(deepest, scores.shape[1]), dim=1)
        scores, order = scores[:, skip:], order[:, skip:]
        places = order if places is None else places.gather(1, order)
    elif skip:
        scores.scatter_(1, scores.topk(min(skip, scores.shape[1]), dim=1).indices, -torch.inf)
    scores, order = scores.masked_fill(scores > limit, -torch.inf).topk(min(k, scores.shape[1]), dim=1)
    return scores, order if places is None else places.gather(1, order)


def _joined(found: list[tuple[Tensor, Tensor]], query: Tensor, k: int) -> HardNegatives:
    similarity = query.new_full((len(query), k), -torch.inf)
    index = torch.full((len(query), k), -1, dtype=torch.int64, device=query.device)
    if found:
        wide = found[0][0].shape[1]
        similarity[:, :wide] = torch.cat([scores for scores, _ in found]).to(query.dtype)
        index[:, :wide] = torch.cat([places for _, places in found])
    there = similarity > -torch.inf
    return HardNegatives(index.where(there, -1), there, similarity.where(there, torch.nan))


def _limit(
    query: Tensor, document: Tensor, pairs: Tensor, margin: float | None, relative_margin: float | None, cells: int
) -> Tensor:
    """The largest similarity that a negative of each query may have."""
    best = query.new_full((len(query),), torch.inf)
    if margin is None and relative_margin is None:
        return best
    best[pairs[:, 0]] = -torch.inf
    for some in torch.split(pairs, max(1, cells // query.shape[1])):
        alike = (unit(query[some[:, 0]]) * unit(document[some[:, 1]])).sum(1)
        best.scatter_reduce_(0, some[:, 0], alike, "amax")
    limits = [best] if margin is None else [best - margin]
    if relative_margin is not None:
        limits.append(torch.where(best.isinf(), best, best - relative_margin * best.abs()))
    return torch.stack(limits).amin(0)


def _of(pairs: Tensor, rows: slice) -> slice:
    bounds = torch.searchsorted(pairs[:, 0].contiguous(), torch.tensor([rows.start, rows.stop], device=pairs.device))
    return slice(int(bounds[0]), int(bounds[1]))


def _pairs(
    query: Tensor, document: Tensor, positives: Tensor | None, query_ids: Tensor | None, document_ids: Tensor | None
) -> Int64[Tensor, "p 2"]:
    """All known pairs, sorted by query."""
    check_embeddings({"query": query, "document": document})
    check_same_features({"query": query, "document": document})
    finite(query=query, document=document)
    if (query_ids is None) != (document_ids is None) or (positives is None and query_ids is None):
        fail(
            ArgumentError,
            "Which documents answer a query has to be told, or they would be found as its negatives.",
            got="neither positives nor ids" if query_ids is document_ids else "ids of one side",
            expected="positives, or query_ids and document_ids, or all of them",
            hint="query_ids=torch.arange(n), document_ids=torch.arange(n) if document i answers query i",
        )
    found = []
    if positives is not None:
        _check_positives(positives, len(query), len(document))
        found.append(positives.to(query.device))
    if query_ids is not None and document_ids is not None:
        check_ids("query_ids", query_ids, (len(query),), query.device)
        check_ids("document_ids", document_ids, (len(document),), query.device)
        ordered, order = document_ids.sort()
        first, after = (torch.searchsorted(ordered, query_ids, right=right) for right in (False, True))
        counts = after - first
        rows = torch.repeat_interleave(counts)
        place = torch.arange(len(rows), device=rows.device) - (counts.cumsum(0) - counts)[rows]
        found.append(torch.stack([rows, order[first[rows] + place]], 1))
    pairs: Tensor = torch.unique(torch.cat(found), dim=0)
    return pairs


def _check_positives(positives: Tensor, queries: int, documents: int) -> None:
    whole = positives.dtype == torch.int64 and positives.dim() == 2 and positives.shape[1] == 2
    if not whole or (
        len(positives)
        and not bool(
            ((positives >= 0) & (positives < torch.tensor([queries, documents], device=positives.device))).all()
        )
    ):
        fail(
            ShapeError,
            "positives must hold pairs of a row of query and a row of document.",
            got=f"{positives.dtype} {tuple(positives.shape)}" + (", with rows that are not there" if whole else ""),
            expected=f"torch.int64 (P, 2), rows below {queries} and {documents}",
            hint="positives = torch.tensor([[query_row, document_row], ...])",
        )


def _check_numbers(k: int, skip: int, deepest: int | None, margin: float | None, relative_margin: float | None) -> None:
    check_whole("k", k, hint="k=4")
    check_whole("skip", skip, low=0, hint="skip=0 skips none")
    if deepest is not None:
        check_whole("deepest", deepest, low=skip + 1, hint="deepest=skip + 100")
    for name, value in (("margin", margin), ("relative_margin", relative_margin)):
        if value is not None:
            check_number(name, value, hint="0 to 0.2 are usual, None is off")
