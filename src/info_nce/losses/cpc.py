"""CPC: from a context, tell the latents that come next from all others."""

# N sequences, T time steps, C context features, D latent features, K steps ahead, R queries of one sequence,
# P = N R predictions

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import Unpack

from info_nce.assemble import assemble
from info_nce.checks import (
    ArgumentError,
    ShapeError,
    check_choice,
    check_embeddings,
    check_not_empty,
    check_whole,
    fail,
    shapes,
)
from info_nce.contrast import Reduction
from info_nce.losses.compose import guide_pairs, loss_of, negative_log
from info_nce.losses.face import Face
from info_nce.losses.options import Options, Settings, Shared, Tensors, loss_function
from info_nce.objectives import Softmax
from info_nce.pairing import Cells, Nowhere, Partner, SameItem, SameTag, Without
from info_nce.precision import compute_dtype
from info_nce.scores import ScoreMatrix
from info_nce.similarity import DotProduct
from info_nce.temperature import logit_scale

__all__ = ["CPC", "CPCNegatives", "cpc"]

CPCNegatives = Literal["both", "same", "others"]


@loss_function(similarity=DotProduct())
def cpc(
    context: Float[Tensor, "n t c"],
    latents: Float[Tensor, "n t d"],
    weight: Float[Tensor, "k c d"],
    steps: int | Sequence[int] = 12,
    negatives: CPCNegatives = "both",
    temperature: float | Tensor = 1.0,
    reduction: Reduction = "mean",
    **shared: Unpack[Shared],
) -> Float[Tensor, ""] | Float[Tensor, " p"]:
    r"""How surely does the context now pick the latent k steps ahead out of the others?

    $$ \ell_{t,k} = -\log \frac{f_k(z_{t+k}, c_t)}{\sum_{z} f_k(z, c_t)}, \quad f_k(z, c) = \exp(c^\top W_k z) $$

    Args:
        context: c, what is known up to each time step.
        latents: z, the encoding of each time step.
        weight: one bilinear map per step ahead.
        steps: how many steps ahead, or which ones: neighbours share so much that steps 1 and 2 are often trivial.
        negatives: latents of the "same" sequence (all other times), of the "others" (all times), or of "both".
        temperature: 1, as the paper has none; one for all.
        reduction: "mean" over all predictions, "sum", or "none" for one value per prediction, in the order sequence,
            step, time.
        shared: see `Options`; `similarity` compares the predicted with the true latent, by the dot product as in the
            paper; `ids` (N) tags sequences, `log_q` and the guide (context and latents, compared without
            the maps) are (N, T, ...). Further positives do not compose.

    Returns:
        Loss in nats. 0 = always right and certain; log(number of candidates) = guessing.

    Raises:
        ShapeError: sizes do not fit, or a sequence is shorter than the farthest step.
        ArgumentError: steps are not positive, or there is no candidate but the positive.

    Example:
        >>> z = 9 * torch.eye(4)[None]
        >>> shift = torch.eye(4).roll(1, 1)[None]  # predicts the next one
        >>> round(cpc(z, z, shift, steps=1).item(), 5)
        0.0

    Source:
        van den Oord, Li, Vinyals 2018, arXiv:1807.03748, eq. 3 and 4. The paper draws the negatives; here they are all
        other latents of the batch.
    """
    options = Options(**shared).refuse("cpc", same_id="one latent is the answer")
    ahead = _check(context, latents, weight, steps, negatives, options)
    times = latents.shape[1]
    # the maps are part of the logits, which are never formed in half precision
    context, weight = (tensor.to(compute_dtype(tensor.dtype)) for tensor in (context, weight))
    query = torch.cat([context[:, : times - k] @ w for k, w in zip(ahead, weight, strict=True)], 1)  # N R D
    target = torch.cat([torch.arange(k, times, device=latents.device) for k in ahead])  # R
    if isinstance(temperature, Tensor) and temperature.numel() != 1:
        fail(
            ShapeError,
            "temperature must be one number here.",
            got=shapes(temperature=temperature),
            expected="temperature ()",
            hint="scale the context instead",
        )
    scale = logit_scale(temperature, 1, like=query)
    matrix = _matrix(query, latents, target, scale, negatives, options)
    guide = guide_pairs(options, {"context": context, "latents": latents})
    if guide is not None:
        here, there = guide[0]
        here = torch.cat([here[:, : times - k] for k in ahead], 1).flatten(0, 1)
        guide = [(here, there if negatives == "same" else there.flatten(0, 1))]
    objective = Softmax(options.label_smoothing)
    return loss_of(matrix, objective, options, reduction, scale=scale, guide=guide)


def _matrix(
    query: Tensor, latents: Tensor, target: Tensor, scale: float | Tensor, negatives: CPCNegatives, options: Options
) -> ScoreMatrix:
    (sequences, rows, _), times = query.shape, latents.shape[1]
    every = query.flatten(0, 1)
    log_q = negative_log(options.log_q, (sequences, times), latents)
    ids = options.checked_ids((sequences,), latents.device)
    if negatives == "same":
        offset = None if log_q is None else log_q.repeat_interleave(rows, 0)
        positives = Partner(target.repeat(sequences))
        return assemble(every, latents, options.similarity, scale, positives=positives, offset=offset)
    sequence = torch.arange(sequences, device=latents.device)
    positives = Partner((sequence[:, None] * times + target).flatten())
    of_row, of_column = sequence.repeat_interleave(rows), sequence.repeat_interleave(times)
    own = SameItem(of_row, of_column)
    out: Cells = Without(own, positives) if negatives == "others" else Nowhere()
    if ids is not None:
        out = out | Without(SameTag(ids[of_row], ids[of_column]), own)
    offset = None if log_q is None else log_q.flatten()
    return assemble(
        every,
        latents.flatten(0, 1),
        options.similarity,
        scale,
        positives=positives,
        out=out,
        offset=offset,
        ranks=options.ranks,
    )


def _check(
    context: Tensor,
    latents: Tensor,
    weight: Tensor,
    steps: int | Sequence[int],
    negatives: CPCNegatives,
    options: Options,
) -> list[int]:
    check_choice("negatives", negatives, ("both", "same", "others"))
    named = {"context": context, "latents": latents, "weight": weight}
    check_embeddings(named, dict.fromkeys(named, 3))
    check_not_empty(alone=options.alone, **named)
    ahead = _steps(steps)
    expected = (len(ahead), context.shape[2], latents.shape[2])
    if context.shape[:2] != latents.shape[:2] or tuple(weight.shape) != expected:
        fail(
            ShapeError,
            "context, latents and weight do not fit.",
            got=shapes(**named),
            expected=f"context (n, t, c), latents (n, t, d), weight {expected} for steps {ahead}",
            hint="CPC(context_features, latent_features, steps) makes a weight that fits",
        )
    if latents.shape[1] <= max(ahead):
        fail(
            ShapeError,
            "The sequences are too short for the farthest step.",
            got=f"{latents.shape[1]} time steps, steps {ahead}",
            expected=f"more than {max(ahead)} time steps",
            hint="longer sequences, or fewer steps",
        )
    if negatives == "others" and options.ranks.total(len(latents), "sequences") < 2:
        fail(
            ArgumentError,
            "There is no other sequence to take negatives from.",
            got="1 sequence, negatives='others'",
            expected="at least 2 sequences",
            hint="negatives='same' or 'both'",
        )
    return ahead


def _steps(steps: int | Sequence[int]) -> list[int]:
    given = range(1, steps + 1) if isinstance(steps, int) and not isinstance(steps, bool) else steps
    ahead = list(given) if isinstance(given, Sequence) else []
    if not ahead or any(not isinstance(k, int) or isinstance(k, bool) or k < 1 for k in ahead):
        fail(
            ArgumentError,
            "steps must be positive numbers of time steps.",
            got=f"steps={steps!r}",
            expected="steps=12, or steps=(3, 4, 5)",
            hint="steps=12 looks ahead 1 to 12",
        )
    return ahead


class CPC(Face):
    """How surely does the context pick the latent k steps ahead? The module of `cpc`; it owns the bilinear maps.

    Args:
        context_features: C.
        latent_features: D.
        steps: how many steps ahead (12 in the paper's speech model), or which ones.
        negatives: latents of the "same" sequence, of "others", or of "both".
        reduction: "mean", "sum", or "none" for one value per prediction.
        temperature: 1, as the paper has none.
        learnable: learn the temperature, see `Face`.
        settings: see `Options`; the similarity is the dot product unless given.
    """

    source = "van den Oord, Li, Vinyals 2018, arXiv:1807.03748, eq. 3 and 4"
    defaults = Settings(similarity=DotProduct())
    _shown = ("steps", "negatives")

    def __init__(
        self,
        context_features: int,
        latent_features: int,
        steps: int | Sequence[int] = 12,
        negatives: CPCNegatives = "both",
        reduction: Reduction = "mean",
        *,
        temperature: float | Tensor = 1.0,
        learnable: bool = False,
        **settings: Unpack[Settings],
    ) -> None:
        super().__init__(temperature, reduction, learnable=learnable, **settings)
        check_choice("negatives", negatives, ("both", "same", "others"))
        for name, value in (("context_features", context_features), ("latent_features", latent_features)):
            check_whole(name, value, hint="the last size of the tensor")
        self.steps, self.negatives = steps, negatives
        # variance 1 / C keeps the predictions at the size of the context
        maps = torch.randn(len(_steps(steps)), context_features, latent_features) / context_features**0.5
        self.weight = nn.Parameter(maps)

    def forward(
        self, context: Float[Tensor, "n t c"], latents: Float[Tensor, "n t d"], **tensors: Unpack[Tensors]
    ) -> Float[Tensor, ""] | Float[Tensor, " p"]:
        """Compute the loss; see `cpc`."""
        weight = self.weight.to(context.dtype) if isinstance(context, Tensor) else self.weight
        return cpc(
            context,
            latents,
            weight,
            self.steps,
            self.negatives,
            self.temperature,
            self.reduction,
            **self.shared(tensors),
        )
