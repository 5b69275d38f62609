"""InfoNCE: one positive among many candidates, in one direction."""

# N queries, M shared negatives, H negatives of one query's own, D features, E features of a key: D but for a measure
# that compares vectors of different width

from dataclasses import replace
from typing import Literal

from jaxtyping import Float, Int
from torch import Tensor
from typing_extensions import Unpack

from info_nce.assemble import assemble
from info_nce.checks import (
    ArgumentError,
    check_alike,
    check_choice,
    check_embeddings,
    check_ids,
    check_not_empty,
    check_rows,
    check_same_features,
    fail,
)
from info_nce.contrast import Reduction
from info_nce.losses.compose import check_pairs, guide_pairs, loss_of, negative_log, pair_matrix, scale_of
from info_nce.losses.face import Face
from info_nce.losses.options import Options, Settings, Shared, Tensors, loss_function
from info_nce.objectives import Softmax
from info_nce.pairing import Cells, Everywhere, Listed, Nowhere, SameTag
from info_nce.precision import compute_dtype
from info_nce.scores import ScoreMatrix

__all__ = ["InfoNCE", "NegativeMode", "info_nce"]

NegativeMode = Literal["unpaired", "paired"]


@loss_function()
def info_nce(
    query: Float[Tensor, "n d"],
    positive_key: Float[Tensor, "n e"],
    negative_keys: Float[Tensor, "m e"] | Float[Tensor, "n h e"] | None = None,
    temperature: float | Tensor = 0.1,
    reduction: Reduction = "mean",
    negative_mode: NegativeMode = "unpaired",
    *,
    keep_in_batch: bool = False,
    negative_ids: Int[Tensor, "..."] | None = None,
    **shared: Unpack[Shared],
) -> Float[Tensor, ""] | Float[Tensor, " n"]:
    r"""How surely does each query pick its own key out of all candidates?

    $$ \ell_i = -\log \frac{\exp(s_{ii}/\tau)}{\sum_{j} \exp(s_{ij}/\tau)} $$

    Without `negative_keys`, the other queries' keys are the negatives (in-batch negatives). With them, they replace
    those, unless `keep_in_batch`.

    Args:
        query: one row per query.
        positive_key: row i is the key that belongs to query i.
        negative_keys: keys that belong to nobody, shared by all queries (M, D), or private to each query (N, H, D).
        temperature: tau > 0, one for all or one per query (N). Smaller compares harder. Typical 0.01 to 0.5.
        reduction: "mean", "sum", or "none" for one value per query.
        negative_mode: "unpaired" for shared negatives, "paired" for private ones.
        keep_in_batch: keep the other queries' keys as negatives beside `negative_keys`.
        negative_ids: with `ids`, the identity of each explicit negative, (M) or (N, H).
        shared: see `Options`. With explicit negatives, `guide` holds three tensors, and `log_q` belongs to the
            negatives, or is a pair (positive keys, negatives) with `keep_in_batch`.

    Returns:
        Loss in nats, in the input's dtype (float32 for half precision). 0 = always right and certain; log(number of
        candidates) = guessing.

    Raises:
        ShapeError: sizes do not fit, or nothing was given to compare; the message names the tensors.
        DTypeError: a tensor is none, holds integers, or another dtype than the query.
        DeviceError: a tensor is on another device than the query.
        ArgumentError: an option has a value without a meaning, or is not for this call.

    Example:
        >>> import torch
        >>> q = torch.eye(4)
        >>> round(info_nce(q, q, temperature=0.1).item(), 5)
        0.00014

    Source:
        van den Oord, Li, Vinyals 2018, "Representation Learning with Contrastive Predictive Coding", arXiv:1807.03748,
        eq. 4. Differs from the paper: cosine similarity with a temperature instead of a bilinear form. Names, defaults
        and shapes are those of info-nce-pytorch 0.1.4.
    """
    options = Options(**shared)
    return compared(
        query,
        positive_key,
        negative_keys,
        temperature,
        reduction,
        negative_mode,
        options,
        keep_in_batch=keep_in_batch,
        negative_ids=negative_ids,
    )


def compared(
    query: Tensor,
    positive_key: Tensor,
    negative_keys: Tensor | None,
    temperature: float | Tensor,
    reduction: Reduction,
    negative_mode: NegativeMode,
    options: Options,
    *,
    keep_in_batch: bool = False,
    negative_ids: Tensor | None = None,
    replicated: bool = False,
) -> Tensor:
    """The same, of options; `replicated`: every rank has the same negatives, those of a queue."""
    _check(query, positive_key, negative_keys, negative_mode, options)
    _check_log_q(options, two_sets=negative_keys is not None and keep_in_batch)
    # once, before it takes part in several matrices: their gradients then add up in full precision
    query = query.to(compute_dtype(query.dtype))
    scale = scale_of(temperature, len(query), options, like=query)
    own = _own_keys(query, positive_key, scale, options, in_batch=negative_keys is None or keep_in_batch)
    if negative_keys is None:
        _refuse_without_negatives(negative_ids, keep_in_batch=keep_in_batch)
        guide = guide_pairs(options, {"query": query, "positive_key": positive_key})
        return loss_of(own, Softmax(options.label_smoothing), options, reduction, scale=scale, guide=guide)
    others = _explicit_negatives(query, negative_keys, negative_ids, scale, options, keep_in_batch=keep_in_batch)
    others = replace(others, replicated=replicated)
    embeddings = {"query": query, "positive_key": positive_key, "negative_keys": negative_keys}
    guide = guide_pairs(options, embeddings, [(0, 1), (0, 2)])
    if guide is not None and not keep_in_batch:
        guide[0] = guide[0][0], guide[0][1][:, None]
    return loss_of([own, others], Softmax(options.label_smoothing), options, reduction, scale=scale, guide=guide)


def _own_keys(query: Tensor, key: Tensor, scale: float | Tensor, options: Options, *, in_batch: bool) -> ScoreMatrix:
    """The positives: among all keys of the batch, or each alone."""
    if in_batch:
        log_q = options.log_q
        options = options if log_q is None or isinstance(log_q, Tensor) else replace(options, log_q=log_q[0])
        return pair_matrix(query, key, scale, options)
    return assemble(query, key[:, None], options.similarity, scale, positives=Everywhere(query.device))


def _explicit_negatives(
    query: Tensor,
    negative_keys: Tensor,
    negative_ids: Tensor | None,
    scale: float | Tensor,
    options: Options,
    *,
    keep_in_batch: bool,
) -> ScoreMatrix:
    """The candidates that belong to nobody, unless their id says otherwise."""
    shape = tuple(negative_keys.shape[:-1])
    ids = options.checked_ids((len(query),), query.device)
    alike: Cells = Nowhere()
    if negative_ids is not None and ids is not None:
        check_ids("negative_ids", negative_ids, shape, query.device)
        alike = SameTag(ids, negative_ids) if len(shape) == 1 else Listed(ids[:, None] == negative_ids)
    elif negative_ids is not None or (ids is not None and not keep_in_batch):
        fail(
            ArgumentError,
            "ids and negative_ids say together which negatives are the query itself.",
            got="ids without negative_ids" if negative_ids is None else "negative_ids without ids",
            expected="both, or neither",
            hint=f"pass negative_ids of shape {shape}",
        )
    log_q = options.log_q[1] if options.log_q is not None and not isinstance(options.log_q, Tensor) else options.log_q
    offset = negative_log(log_q, shape, query)
    as_positives = options.same_id == "positive"
    return assemble(
        query,
        negative_keys,
        options.similarity,
        scale,
        positives=alike if as_positives else Nowhere(),
        out=Nowhere() if as_positives else alike,
        offset=offset,
        ranks=options.ranks,
    )


def _refuse_without_negatives(negative_ids: Tensor | None, *, keep_in_batch: bool) -> None:
    if negative_ids is not None or keep_in_batch:
        fail(
            ArgumentError,
            "There are no negative_keys for this option.",
            got=f"keep_in_batch={keep_in_batch}, negative_ids {'given' if negative_ids is not None else 'missing'}",
            expected="negative_keys beside them",
            hint="without negative_keys the batch's own keys are the negatives, and ids describe them",
        )


def _check_log_q(options: Options, *, two_sets: bool) -> None:
    log_q = options.log_q
    pair = isinstance(log_q, (tuple, list)) and len(log_q) == 2
    if log_q is not None and not (pair if two_sets else isinstance(log_q, Tensor)):
        fail(
            ArgumentError,
            "log_q must say which candidates it is for.",
            got=f"{len(log_q)} tensors" if isinstance(log_q, (tuple, list)) else f"one {type(log_q).__name__}",
            expected="log_q=(of the positive keys, of the negatives)" if two_sets else "one tensor",
            hint="log_q is a pair where in-batch and explicit negatives stand side by side, and only there",
        )


def _check(
    query: Tensor, positive_key: Tensor, negative_keys: Tensor | None, negative_mode: NegativeMode, options: Options
) -> None:
    check_choice("negative_mode", negative_mode, ("unpaired", "paired"))
    check_pairs(query, positive_key, options, ("query", "positive_key"))
    if negative_keys is None:
        return
    check_embeddings({"negative_keys": negative_keys}, {"negative_keys": 3 if negative_mode == "paired" else 2})
    check_alike({"query": query, "negative_keys": negative_keys})
    check_same_features({"positive_key": positive_key, "negative_keys": negative_keys})
    if negative_mode == "paired":
        check_rows("negative_keys", negative_keys, len(query), "query", hint="or negative_mode='unpaired' for (M, D)")
    check_not_empty(alone=options.alone, negative_keys=negative_keys)


class InfoNCE(Face):
    """How surely does each query pick its own key out of all candidates? The module of `info_nce`.

    A drop-in for info-nce-pytorch 0.1.4: `InfoNCE(temperature=0.1, reduction="mean", negative_mode="unpaired")`.

    Args:
        temperature: tau > 0. Smaller compares harder. Typical 0.01 to 0.5.
        reduction: "mean", "sum", or "none" for one value per query.
        negative_mode: "unpaired" for negatives shared by all queries, "paired" for private ones.
        keep_in_batch: keep the other queries' keys as negatives beside explicit ones.
        learnable: learn the temperature, see `Face`.
        settings: see `Options`.

    Example:
        >>> import torch
        >>> loss = InfoNCE()
        >>> query, key = torch.eye(4), torch.eye(4)
        >>> round(loss(query, key).item(), 5)
        0.00014
    """

    source = "van den Oord, Li, Vinyals 2018, arXiv:1807.03748, eq. 4"
    _shown = ("negative_mode", "keep_in_batch")

    def __init__(
        self,
        temperature: float | Tensor = 0.1,
        reduction: Reduction = "mean",
        negative_mode: NegativeMode = "unpaired",
        *,
        keep_in_batch: bool = False,
        learnable: bool = False,
        **settings: Unpack[Settings],
    ) -> None:
        super().__init__(temperature, reduction, learnable=learnable, **settings)
        check_choice("negative_mode", negative_mode, ("unpaired", "paired"))
        self.negative_mode: NegativeMode = negative_mode
        self.keep_in_batch = keep_in_batch

    def forward(
        self,
        query: Float[Tensor, "n d"],
        positive_key: Float[Tensor, "n e"],
        negative_keys: Float[Tensor, "m e"] | Float[Tensor, "n h e"] | None = None,
        *,
        negative_ids: Int[Tensor, "..."] | None = None,
        **tensors: Unpack[Tensors],
    ) -> Float[Tensor, ""] | Float[Tensor, " n"]:
        """Compute the loss; see `info_nce`."""
        return info_nce(
            query,
            positive_key,
            negative_keys,
            self.temperature,
            self.reduction,
            self.negative_mode,
            keep_in_batch=self.keep_in_batch,
            negative_ids=negative_ids,
            **self.shared(tensors),
        )
