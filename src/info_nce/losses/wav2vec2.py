"""wav2vec 2.0's contrastive task: tell the quantized target of a masked step from distractors of its utterance."""

# N utterances, T time steps, D features, M masked steps in all, K distractors

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from typing_extensions import Unpack

from info_nce.assemble import assemble
from info_nce.checks import (
    ArgumentError,
    DeviceError,
    DTypeError,
    ShapeError,
    check_embeddings,
    check_not_empty,
    check_same_features,
    check_whole,
    fail,
    shapes,
)
from info_nce.contrast import Reduction
from info_nce.losses.compose import loss_of, scale_of
from info_nce.losses.face import Face
from info_nce.losses.options import Options, Settings, Shared, Tensors, loss_function
from info_nce.objectives import Softmax
from info_nce.pairing import Everywhere, Listed
from info_nce.precision import compute_dtype

__all__ = ["Wav2Vec2Contrastive", "draw_distractors", "wav2vec2_contrastive"]


def draw_distractors(
    mask: Bool[Tensor, "n t"], count: int = 100, generator: torch.Generator | None = None
) -> Int[Tensor, "m k"]:
    """Which steps distract from each masked step? Drawn evenly from the other masked steps of its utterance.

    Args:
        mask: the masked steps.
        count: K; drawn with replacement, as in the authors' code.
        generator: for repeatable draws.

    Returns:
        Positions in the flattened (N * T), one row per masked step in the order of the mask.

    Raises:
        ArgumentError: an utterance has one masked step alone, which nothing can distract from.

    Example:
        >>> mask = torch.tensor([[True, False, True], [False, True, True]])
        >>> draw_distractors(mask, 2).tolist()  # of two masked steps, each distracts from the other
        [[2, 2], [0, 0], [5, 5], [4, 4]]
    """
    _check_mask(mask)
    check_whole("distractors", count, hint="100 as in the paper")
    lengths = mask.sum(1)
    if bool((lengths == 1).any()):
        fail(
            ArgumentError,
            "An utterance with a single masked step has no distractor.",
            got=f"utterance {int((lengths == 1).nonzero()[0])} has 1 masked step",
            expected="none, or at least 2 masked steps in each utterance",
            hint="mask longer spans, or drop the utterance",
        )
    steps = mask.flatten().nonzero().squeeze(1)
    first = (lengths.cumsum(0) - lengths).repeat_interleave(lengths)
    others = (lengths - 1).repeat_interleave(lengths)
    rank = torch.arange(len(steps), device=mask.device) - first
    uniform = torch.rand(len(steps), count, device=mask.device, generator=generator, dtype=torch.float64)
    drawn = (uniform * others[:, None]).long()
    drawn += drawn >= rank[:, None]  # step over the masked step itself
    return steps[first[:, None] + drawn]


@loss_function()
def wav2vec2_contrastive(
    context: Float[Tensor, "n t d"],
    targets: Float[Tensor, "n t d"],
    mask: Bool[Tensor, "n t"],
    temperature: float | Tensor = 0.1,
    reduction: Reduction = "mean",
    *,
    distractors: int | Int[Tensor, "m k"] = 100,
    generator: torch.Generator | None = None,
    **shared: Unpack[Shared],
) -> Float[Tensor, ""] | Float[Tensor, " m"]:
    r"""How surely does the context of a masked step pick its own quantized latent among distractors?

    $$ \ell_t = -\log \frac{e^{\cos(c_t, q_t)/\tau}}{\sum_{q \in \{q_t\} \cup D_t} e^{\cos(c_t, q)/\tau}} $$

    Args:
        context: the transformer's output.
        targets: the quantized latents of the same steps.
        mask: true where the input was masked: those steps are predicted.
        temperature: tau > 0, one for all or one per masked step (M).
        reduction: "mean" over the masked steps, "sum" (the authors' choice), or "none" for one value per masked step.
        distractors: how many to draw for each masked step from the others of its utterance, or their positions in the
            flattened (N * T), as `draw_distractors` returns them.
        generator: for repeatable draws.
        shared: see `Options`. Identity is told by equal targets: a distractor equal to the target is left out. ids,
            guide, logQ do not compose.

    Returns:
        Loss in nats. 0 = always right and certain; log(1 + number of distractors) = guessing.

    Raises:
        ShapeError: sizes do not fit, or nothing is masked.
        DTypeError: the mask is not boolean.
        ArgumentError: an utterance has a single masked step, or an option does not compose.

    Example:
        >>> z = torch.eye(4)[None]
        >>> mask = torch.ones(1, 4, dtype=torch.bool)
        >>> round(wav2vec2_contrastive(z, z, mask, temperature=0.5, distractors=3).item(), 5)  # log(1 + 3 exp(-2))
        0.34075

    Source:
        Baevski et al. 2020, "wav2vec 2.0", arXiv:2006.11477, eq. 3; 100 distractors, temperature 0.1. The diversity
        loss is not part of it.
    """
    reason = "identity is told by equal targets"
    options = Options(**shared).refuse(
        "wav2vec2_contrastive", ids=reason, same_id=reason, guide=reason, log_q="distractors are drawn evenly"
    )
    _check(context, targets, mask, options)
    steps = mask.flatten().nonzero().squeeze(1)
    lookup = _distractors(distractors, mask, len(steps), generator)
    # once, before it takes part in several matrices: their gradients then add up in full precision
    dtype = compute_dtype(context.dtype)
    table = targets.flatten(0, 1).to(dtype)
    query = context.flatten(0, 1)[steps].to(dtype)
    scale = scale_of(temperature, len(query), options, like=query)
    # equal targets get equal tags; comparing tags costs M K numbers, comparing vectors M K D
    tag = torch.unique(table.detach(), dim=0, return_inverse=True)[1]
    same = Listed(tag[lookup] == tag[steps][:, None])
    own = assemble(query, table, options.similarity, scale, positives=Everywhere(query.device), lookup=steps[:, None])
    others = assemble(query, table, options.similarity, scale, out=same, lookup=lookup)
    return loss_of([own, others], Softmax(options.label_smoothing), options, reduction, scale=scale)


def _check(context: Tensor, targets: Tensor, mask: Tensor, options: Options) -> None:
    named = {"context": context, "targets": targets}
    check_embeddings(named, {"context": 3, "targets": 3})
    check_not_empty(alone=options.alone, **named)
    check_same_features(named)
    _check_mask(mask)
    if mask.device != context.device:
        fail(
            DeviceError,
            "mask must be on the device of the embeddings.",
            got=f"mask on {mask.device}, context on {context.device}",
            expected=str(context.device),
            hint="mask.to(context.device)",
        )
    if context.shape[:2] != targets.shape[:2] or mask.shape != targets.shape[:2]:
        fail(
            ShapeError,
            "context, targets and mask do not fit.",
            got=shapes(context=context, targets=targets, mask=mask),
            expected="context (n, t, d), targets (n, t, d), mask (n, t)",
            hint="all three describe the same time steps",
        )
    if not options.ranks.total(int(mask.any()), "ranks with a masked step"):
        fail(
            ShapeError,
            "No step is masked.",
            got=shapes(mask=mask),
            expected="at least two masked steps",
            hint="mask spans of the input",
        )


def _check_mask(mask: object) -> None:
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
        fail(
            DTypeError,
            "mask must be a tensor of booleans.",
            got=str(mask.dtype) if isinstance(mask, Tensor) else type(mask).__name__,
            expected="torch.bool",
            hint="mask.bool()",
        )
    if mask.dim() != 2:
        fail(
            ShapeError,
            "mask must have one row per utterance.",
            got=shapes(mask=mask),
            expected="mask (utterances, time steps)",
            hint="mask[None] for a single utterance",
        )


def _distractors(distractors: int | Tensor, mask: Tensor, masked: int, generator: torch.Generator | None) -> Tensor:
    if isinstance(distractors, Tensor):
        if distractors.device != mask.device:
            fail(
                DeviceError,
                "distractors must be on the device of the embeddings.",
                got=f"distractors on {distractors.device}, mask on {mask.device}",
                expected=str(mask.device),
                hint="distractors.to(mask.device)",
            )
        outside = (
            distractors.dtype == torch.int64
            and distractors.numel()
            and (int(distractors.min()) < 0 or int(distractors.max()) >= mask.numel())
        )
        if (
            distractors.dim() != 2
            or distractors.shape[1] == 0
            or len(distractors) != masked
            or distractors.dtype != torch.int64
            or outside
        ):
            fail(
                ShapeError,
                "distractors must hold positions for each masked step.",
                got=f"{shapes(distractors=distractors)} of {distractors.dtype}",
                expected=f"int64 ({masked}, K), in 0 to {mask.numel() - 1}",
                hint="draw_distractors(mask, 100)",
            )
        return distractors
    return draw_distractors(mask, distractors, generator)


class Wav2Vec2Contrastive(Face):
    """How surely does the context of a masked step pick its own latent? The module of `wav2vec2_contrastive`.

    `torch.compile` breaks its graph here, and with `fullgraph=True` it cannot compile: how many steps are masked, and
    with it the shape of everything that is computed, is known only from the mask's values.

    Args:
        temperature: tau > 0; 0.1 in the paper.
        reduction: "mean" over the masked steps, "sum", or "none".
        distractors: how many to draw for each masked step.
        learnable: learn the temperature, see `Face`.
        settings: see `Options`.
    """

    source = "Baevski et al. 2020, arXiv:2006.11477, eq. 3"
    global_statistics = ()
    _shown = ("distractors",)

    def __init__(
        self,
        temperature: float | Tensor = 0.1,
        reduction: Reduction = "mean",
        *,
        distractors: int = 100,
        learnable: bool = False,
        **settings: Unpack[Settings],
    ) -> None:
        super().__init__(temperature, reduction, learnable=learnable, **settings)
        check_whole("distractors", distractors, hint="100 as in the paper")
        self.distractors = distractors

    def forward(
        self,
        context: Float[Tensor, "n t d"],
        targets: Float[Tensor, "n t d"],
        mask: Bool[Tensor, "n t"],
        *,
        generator: torch.Generator | None = None,
        **tensors: Unpack[Tensors],
    ) -> Float[Tensor, ""] | Float[Tensor, " m"]:
        """Compute the loss; see `wav2vec2_contrastive`."""
        return wav2vec2_contrastive(
            context,
            targets,
            mask,
            self.temperature,
            self.reduction,
            distractors=self.distractors,
            generator=generator,
            **self.shared(tensors),
        )
