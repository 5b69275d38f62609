"""What the losses do alike: check pairs and views, build their matrix, apply the shared options."""

# N items, V views, D features

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from info_nce.assemble import assemble, leave_out_suspects
from info_nce.checks import (
    ArgumentError,
    DeviceError,
    ShapeError,
    check_embeddings,
    check_not_empty,
    check_rows,
    check_same_features,
    fail,
    shapes,
)
from info_nce.contrast import Reduction, contrast
from info_nce.losses.options import Options
from info_nce.objectives import Objective
from info_nce.pairing import Cells, pairs, views
from info_nce.precision import compute_dtype
from info_nce.scores import ScoreMatrix
from info_nce.similarity import Bilinear, InnerProduct, Similarity
from info_nce.temperature import logit_scale

__all__ = [
    "check_pairs",
    "check_views",
    "check_with_negatives",
    "guide_pairs",
    "loss_of",
    "negative_log",
    "pair_matrix",
    "scale_of",
    "self_matrix",
    "view_guides",
    "view_matrix",
]

GuidePairs = list[tuple[Tensor, Tensor]]

_DROP_LAST = "drop_last=True in the loader, or pass unpaired keys as negative_keys of info_nce"


def check_pairs(query: Tensor, key: Tensor, options: Options, names: tuple[str, str]) -> None:
    """Refuse what is not one key for each query."""
    tensors = dict(zip(names, (query, key), strict=True))
    check_embeddings(tensors)
    check_not_empty(alone=options.alone, **tensors)
    if len(key) != len(query):
        fail(
            ShapeError,
            f"{names[0]} and {names[1]} must have the same number of samples: one key for each query.",
            got=shapes(**tensors),
            expected=f"{names[1]} {(len(query), key.shape[1])}",
            hint=_DROP_LAST,
        )
    if may_differ(options.similarity):
        return
    check_same_features(tensors)


def may_differ(similarity: Similarity) -> bool:
    """Whether query and key may have different widths: a bilinear map, or a measure of the user's own."""
    return isinstance(similarity, Bilinear) or not isinstance(similarity, InnerProduct)


def check_views(given: Sequence[Tensor], options: Options, least: int = 2) -> None:
    """Refuse what is not two or more views of the same items."""
    if len(given) < least:
        fail(
            ShapeError,
            f"At least {least} views are needed.",
            got=f"{len(given)} view",
            expected="loss(view1, view2), each (items, features)",
            hint="cut a stacked batch with views_from_stacked, an interleaved one with views_from_interleaved",
        )
    named = {f"view{i + 1}": view for i, view in enumerate(given)}
    check_embeddings(named)
    check_not_empty(alone=options.alone, **named)
    check_same_features(named)
    for name, view in named.items():
        check_rows(name, view, len(given[0]), "view1", hint="row i of every view must show the same item i")


def check_with_negatives(view1: Tensor, options: Options) -> None:
    """Refuse a single item, which has no candidate but its own views."""
    items = options.ranks.total(len(view1), "items")
    if items < 2:
        fail(
            ShapeError,
            "A single item has no negatives.",
            got=f"{items} item" if items else "no item",
            expected="at least two items",
            hint="a larger batch",
        )


def negative_log(log_q: object, shape: tuple[int, ...], like: Tensor) -> Tensor | None:
    """What is added to the logits of candidates sampled with probability q: -log q."""
    if log_q is None:
        return None
    if not isinstance(log_q, Tensor) or tuple(log_q.shape) != shape or not log_q.is_floating_point():
        got = f"a tensor {tuple(log_q.shape)} of {log_q.dtype}" if isinstance(log_q, Tensor) else repr(log_q)
        fail(
            ShapeError,
            "log_q must hold one log-probability per candidate.",
            got=f"log_q: {got}",
            expected=f"a floating-point tensor {shape}",
            hint="log of the relative frequency with which the sampler draws each candidate",
        )
    return -log_q.to(like.device, compute_dtype(like.dtype))


def scale_of(
    temperature: float | Tensor, queries: int, options: Options, *, like: Tensor, per: int | None = None
) -> float | Tensor:
    """The factor on similarities, see `logit_scale`.

    One element is one temperature for all, unless other ranks show that it is the one of a rank with one query.
    """
    scale, ranks = logit_scale(temperature, queries, like=like, per=per), options.ranks
    if ranks.size == 1 or not isinstance(temperature, Tensor) or not temperature.dim() or not isinstance(scale, Tensor):
        return scale
    several = ranks.total(int(scale.dim() > 0), "ranks with several temperatures") > 0
    first = ranks.shared(temperature.detach().reshape(-1)[:1], "temperatures")
    return scale.expand(queries) if several or len(torch.unique(first)) > 1 else scale


def pair_matrix(query: Tensor, key: Tensor, scale: float | Tensor, options: Options) -> ScoreMatrix:
    """Query i against all keys; key i is its positive."""
    query, key = (tensor.to(compute_dtype(tensor.dtype)) for tensor in (query, key))
    ids = options.checked_ids((len(query),), query.device)
    positives, out = pairs(len(query), ids, options.same_id, query.device)
    offset = negative_log(options.log_q, (len(key),), query)
    return assemble(
        query, key, options.similarity, scale, positives=positives, out=out, offset=offset, ranks=options.ranks
    )


def view_matrix(
    given: Sequence[Tensor], temperature: float | Tensor, options: Options
) -> tuple[ScoreMatrix, float | Tensor]:
    """All views against all views, in the order view 1, view 2, ...

    Returns:
        the matrix, and the factor on its similarities.
    """
    count, items = len(given), len(given[0])
    every = torch.cat(list(given))
    scale = scale_of(temperature, len(every), options, like=every, per=items)
    ids = options.checked_ids((items,), every.device)
    positives, out = views(count, items, ids, options.same_id, every.device)
    return self_matrix(every, scale, options, positives, out), scale


def self_matrix(every: Tensor, scale: float | Tensor, options: Options, positives: Cells, out: Cells) -> ScoreMatrix:
    """Every row against every row."""
    # once: the same rows are queries and keys, and their gradients add up in full precision
    every = every.to(compute_dtype(every.dtype))
    offset = negative_log(options.log_q, (len(every),), every)
    return assemble(
        every, every, options.similarity, scale, positives=positives, out=out, offset=offset, ranks=options.ranks
    )


def guide_pairs(
    options: Options, embeddings: Mapping[str, Tensor], sides: Sequence[tuple[int, int]] = ((0, 1),)
) -> GuidePairs | None:
    """The guide's embeddings, one tensor for each of ours, paired (query, key) as `sides` says for each matrix."""
    if options.guide is None:
        return None
    guide = options.guide
    guide = [guide] if isinstance(guide, Tensor) else list(guide) if isinstance(guide, (list, tuple)) else []
    if len(guide) != len(embeddings):
        fail(
            ArgumentError,
            "guide must hold one tensor for each tensor of embeddings.",
            got=f"{len(guide)} tensors in a {type(options.guide).__name__}",
            expected=f"guide=({', '.join('guide_' + name for name in embeddings)})",
            hint="embed the same items with the guide model, in the same order",
        )
    named = {f"guide_{name}": tensor for name, tensor in zip(embeddings, guide, strict=True)}
    check_embeddings(named, {f"guide_{name}": tensor.dim() for name, tensor in embeddings.items()})
    check_not_empty(alone=options.alone, **named)
    check_same_features(named)
    for (name, tensor), ours in zip(named.items(), embeddings.values(), strict=True):
        if tensor.shape[:-1] != ours.shape[:-1] or tensor.device != ours.device:
            fail(
                DeviceError if tensor.shape[:-1] == ours.shape[:-1] else ShapeError,
                f"{name} must hold one embedding for each that it guides.",
                got=f"{shapes(**{name: tensor})} on {tensor.device}",
                expected=f"{(*ours.shape[:-1], tensor.shape[-1])} on {ours.device}",
                hint="embed the same items with the guide model, in the same order",
            )
    return [(guide[query], guide[key]) for query, key in sides]


def view_guides(options: Options, given: Sequence[Tensor]) -> GuidePairs | None:
    """The guide's views against each other."""
    named = {f"view{i + 1}": view for i, view in enumerate(given)}
    found = guide_pairs(options, named, [(i, i) for i in range(len(given))])
    if found is None:
        return None
    every = torch.cat([view for view, _ in found])
    return [(every, every)]


def loss_of(
    matrices: ScoreMatrix | Sequence[ScoreMatrix],
    objective: Objective,
    options: Options,
    reduction: Reduction,
    *,
    scale: float | Tensor,
    guide: GuidePairs | None = None,
    symmetric: bool = False,
    given: Mapping[str, Tensor] | None = None,
) -> Tensor:
    """Leave the suspects out and contrast."""
    matrices = [matrices] if isinstance(matrices, ScoreMatrix) else matrices
    matrices = leave_out_suspects(
        matrices, options.chosen_engine, margin=options.margin, scale=scale, guide=guide, symmetric=symmetric
    )
    return contrast(matrices, objective, engine=options.engine, symmetric=symmetric, given=given, reduction=reduction)
