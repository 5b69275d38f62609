"""From embeddings and settings to a score matrix: prepare both sides, fold in the temperature, find the suspects."""

# N queries, M keys, H keys in a list of one query's own, D features

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from info_nce.checks import ArgumentError, ShapeError, fail
from info_nce.distributed import ALONE, Ranks
from info_nce.engines import Engine
from info_nce.pairing import Cells, Nowhere
from info_nce.precision import compute_dtype
from info_nce.scores import ScoreMatrix, Suspects
from info_nce.similarity import Cosine, InnerProduct, Similarity
from info_nce.statistics import Maximum

__all__ = ["assemble", "given_logits", "leave_out_suspects", "lengths", "rounding", "share_lost"]


def assemble(
    query: Tensor,
    key: Tensor,
    similarity: Similarity,
    scale: float | Tensor,
    *,
    positives: Cells | None = None,
    out: Cells | None = None,
    offset: Tensor | None = None,
    lookup: Tensor | None = None,
    ranks: Ranks = ALONE,
) -> ScoreMatrix:
    """Build the matrix of `scale * similarity(query, key) + offset`; among ranks, this rank's part of it.

    An inner product's scale is folded into the queries, so that its gradient, like that of the normalisation or of a
    bilinear map, is autograd's on O(N + M) numbers and no engine ever sees it.
    """
    dtype = compute_dtype(query.dtype)
    query, key = query.to(dtype), key.to(dtype)
    scale = scale if isinstance(scale, Tensor) else torch.tensor(scale, dtype=dtype, device=query.device)
    positives, out = positives or Nowhere(), out or Nowhere()
    if isinstance(similarity, InnerProduct):
        if ranks.size > 1 and key.dim() == 2 and lookup is None:
            similarity = similarity.shifted(ranks.mean)
        plain = offset is None and lookup is None and not scale.dim()
        alike = plain and query is key and positives.symmetric and out.symmetric
        query, key = similarity.scaled_factors(query, key, scale, alike=alike)
        known = scale.detach()
        return ScoreMatrix(query, key, positives, out, offset, lookup=lookup, mirrored=query is key, unit=known)
    parameters: dict[str, Tensor] = dict(similarity.named_parameters())
    known = scale.detach()
    matrix = ScoreMatrix(query, key, positives, out, offset, None, lookup, similarity, scale, parameters, unit=known)
    if all(matrix.shape):
        _try_one_cell(matrix)
    return matrix


def given_logits(logits: Tensor, positives: Cells) -> ScoreMatrix:
    """Build the matrix of logits that are known already, (N, H): candidates with one feature, their logit."""
    return ScoreMatrix(torch.ones_like(logits[:, :1]), logits[..., None], positives, Nowhere())


def _try_one_cell(matrix: ScoreMatrix) -> None:
    """Try one cell. A tensor used without being owned would silently get no gradient on a tiled engine."""
    one = slice(0, matrix.row_unit), slice(0, 1)
    with torch.enable_grad():
        pieces = {name: operand.take(*one).detach() for name, operand in matrix.operands().items()}
        compared = (
            matrix.similarity(pieces["query"][:1], pieces["key"].flatten(0, -2)[:1]) if matrix.similarity else None
        )
        if not isinstance(compared, Tensor) or compared.shape != (1, 1):
            fail(
                ShapeError,
                f"{type(matrix.similarity).__name__} must compare every query with every key.",
                got=f"a shape of {tuple(getattr(compared, 'shape', ()))} for one query and one key",
                expected="(1, 1), and (n, m) in general",
                hint="query[:, None] with key[None], reduced over the features",
            )
        if matrix.logits(pieces).requires_grad:
            fail(
                ArgumentError,
                f"{type(matrix.similarity).__name__} uses a tensor that needs a gradient and is not its parameter.",
                got="a similarity with a hidden tensor (a closure or a plain attribute)",
                expected="every trained tensor as an nn.Parameter or a submodule of the similarity",
                hint="self.weight = nn.Parameter(...) in its __init__",
            )


@torch.no_grad()
def leave_out_suspects(
    matrices: Sequence[ScoreMatrix],
    engine: Engine,
    *,
    margin: float | None,
    scale: float | Tensor = 1.0,
    guide: Sequence[tuple[Tensor, Tensor]] | None = None,
    symmetric: bool = False,
) -> list[ScoreMatrix]:
    """Leave out the negatives whose similarity is above that of the query's best positive plus a margin.

    Args:
        matrices: all candidates of the same queries.
        engine: finds the best positives.
        margin: in units of similarity; None, without a guide, leaves nobody out.
        scale: what the matrices' similarities were multiplied with.
        guide: embeddings (query, key) of another model, one pair per matrix, whose cosine decides instead.
        symmetric: find the limits of the keys as well.
    """
    if margin is None and guide is None:
        return list(matrices)
    if guide is None:
        judges = [_plain(matrix) for matrix in matrices]
        allowance = (margin or 0.0) * scale
    else:
        judges = [
            replace(
                assemble(q.detach(), k.detach(), Cosine(), 1.0, lookup=m.lookup),
                positives=m.positives,
                replicated=m.replicated,
            )
            for m, (q, k) in zip(matrices, guide, strict=True)
        ]
        allowance = margin or 0.0
    best = {"best": Maximum("positives")}
    column_limit = None
    if symmetric:
        rows, columns = engine.totals_both(judges[0], best)
        row_limit, column_limit = rows["best"] + allowance, columns["best"] + allowance
        column_limit = column_limit + rounding([judges[0].T], column_limit, engine.ranks)
    else:
        row_limit = engine.totals([judge.positives_alone() for judge in judges], best)["best"] + allowance
    row_limit = row_limit + rounding(judges, row_limit, engine.ranks)
    return [
        replace(matrix, suspects=Suspects(row_limit, column_limit, judge if guide is not None else None))
        for matrix, judge in zip(matrices, judges, strict=True)
    ]


def rounding(judges: Sequence[ScoreMatrix], limit: Tensor, ranks: Ranks) -> Tensor:
    """How far two computations of one similarity may differ: a duplicate of a line's positive is never above it.

    An inner product is rounded in proportion to the lengths of both vectors, not to its own size. Nothing is above the
    limit of an infinite one, so that it is seen in the loss.
    """
    if judges[0].similarity is not None:
        return share_lost(judges[0]) * limit.abs()
    # a zero, so that there is a longest where there is none
    longest = torch.stack([torch.cat([lengths(judge.key).flatten(), limit.new_zeros(1)]).amax() for judge in judges])
    longest = ranks.shared(longest[None], "longest vectors").amax(0)
    of_line = torch.stack([lengths(judge.query) for judge in judges], 1) * longest
    return share_lost(judges[0]) * of_line.amax(1)


def lengths(vectors: Tensor) -> Tensor:
    """Of each; 0 where it is NaN, whose cells are NaN, too, so that no other line may suffer from it."""
    found: Tensor = torch.linalg.vector_norm(vectors.detach(), dim=-1)
    return found.masked_fill(found.isnan(), 0)


def share_lost(matrix: ScoreMatrix) -> float:
    """How much of the lengths of two vectors, multiplied, or of a similarity of the user's own, is lost by rounding."""
    features = 0 if matrix.similarity is not None else matrix.query.shape[-1]
    return (8 + 2 * float(features**0.5)) * torch.finfo(matrix.query.dtype).eps


def _plain(matrix: ScoreMatrix) -> ScoreMatrix:
    """The matrix without offsets or history: similarity times scale."""
    bare = replace(matrix, offset=None, suspects=None)
    return bare.with_tensors({name: operand.tensor.detach() for name, operand in bare.operands().items()})
