"""Debiased and hard-negative InfoNCE: some negatives are positives in disguise, and the hard ones teach most."""

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import Unpack

from info_nce.assemble import leave_out_suspects
from info_nce.checks import ArgumentError, fail
from info_nce.contrast import Reduction, contrast
from info_nce.losses.compose import check_views, check_with_negatives, loss_of, view_guides, view_matrix
from info_nce.losses.face import Face
from info_nce.losses.options import Options, Settings, Shared, Tensors, loss_function
from info_nce.objectives import Debiased, Softmax

__all__ = ["DebiasedInfoNCE", "HardNegativeInfoNCE", "debiased_info_nce", "hard_negative_info_nce"]


@loss_function()
def debiased_info_nce(
    view1: Float[Tensor, "n d"],
    view2: Float[Tensor, "n d"],
    temperature: float | Tensor = 0.5,
    reduction: Reduction = "mean",
    *,
    positive_prior: float = 0.1,
    **shared: Unpack[Shared],
) -> Float[Tensor, ""] | Float[Tensor, " 2*n"]:
    r"""NT-Xent with the share of hidden positives subtracted from the negatives.

    $$ \ell_i = -\log \frac{e^{s_+}}{e^{s_+} + N g}, \quad
       g = \max\Big\{ \frac{1}{1-\tau^+} \Big( \frac1N \sum_j e^{s_j} - \tau^+ e^{s_+} \Big),\ e^{-1/\tau} \Big\} $$

    Args:
        view1: one row per item.
        view2: row i shows the item of row i of view1.
        temperature: tau > 0, one for all, one per item (N) or per view (2 N).
        reduction: "mean" over all views, "sum", or "none" for one value per view, view 1 first.
        positive_prior: probability that a "negative" is of the query's own class, in [0, 1). 0 gives NT-Xent.
        shared: see `Options`. The floor e^(-1/tau) needs a similarity with a known minimum (cosine); label smoothing,
            logQ and further positives do not compose.

    Returns:
        Loss in nats. 0 = always right and certain.

    Raises:
        ShapeError: views of different shapes, or a single item, which has no negative.
        ArgumentError: positive_prior is outside [0, 1), or an option does not compose.

    Example:
        >>> view = torch.eye(4)
        >>> round(debiased_info_nce(view, view).item(), 5)  # g = (1 - 0.1 e^2) / 0.9
        0.21153
        >>> round(debiased_info_nce(view, view, positive_prior=0.0).item(), 5)
        0.59444

    Source:
        Chuang et al. 2020, "Debiased Contrastive Learning", arXiv:2007.00224, eq. 8 with one positive, tau+ 0.1,
        temperature 0.5. N counts a query's negatives (2 N - 2 views).
    """
    return _debiased(view1, view2, temperature, reduction, Debiased(positive_prior), shared, "debiased_info_nce")


@loss_function()
def hard_negative_info_nce(
    view1: Float[Tensor, "n d"],
    view2: Float[Tensor, "n d"],
    temperature: float | Tensor = 0.5,
    reduction: Reduction = "mean",
    *,
    beta: float = 1.0,
    positive_prior: float = 0.1,
    top_k: int | None = None,
    **shared: Unpack[Shared],
) -> Float[Tensor, ""] | Float[Tensor, " 2*n"]:
    r"""NT-Xent in which the hard negatives count more, or only the k hardest count.

    $$ \ell_i = -\log \frac{e^{s_+}}{e^{s_+} + N g}, \quad
       g = \max\Big\{ \frac{1}{1-\tau^+} \Big( \sum_j w_j e^{s_j} - \tau^+ e^{s_+} \Big),\ e^{-1/\tau} \Big\} $$

    $$ w_j = \frac{e^{\beta s_j}}{\sum_k e^{\beta s_k}} $$

    As `debiased_info_nce`, with a weighted mean over the negatives; the logits s have been divided by the
    temperature. With `top_k`, plain NT-Xent over the positive and the k most similar negatives.

    Args:
        view1: one row per item.
        view2: row i shows the item of row i of view1.
        temperature: tau > 0, one for all, one per item (N) or per view (2 N).
        reduction: "mean" over all views, "sum", or "none" for one value per view, view 1 first.
        beta: concentration on hard negatives, >= 0; it multiplies the logits, after the temperature. 0 weights evenly.
        positive_prior: probability that a "negative" is of the query's own class, in [0, 1).
        top_k: keep only this many negatives per query, without weights or debiasing (beta and the prior do not apply).
        shared: see `Options`; what does not compose is as in `debiased_info_nce`, but `top_k` takes all of them.

    Returns:
        Loss in nats. 0 = always right and certain.

    Raises:
        ShapeError: views of different shapes, or a single item, which has no negative.
        ArgumentError: a setting is out of range, or top_k exceeds the number of negatives.

    Example:
        >>> view = torch.eye(4)
        >>> round(hard_negative_info_nce(view, view, top_k=2).item(), 5)  # log(1 + 2 exp(-2))
        0.23954

    Source:
        Robinson et al. 2021, "Contrastive Learning with Hard Negative Samples", arXiv:2010.04592, section 4, with beta
        1, tau+ 0.1, temperature 0.5 of the authors' code. The weights take part in the gradient, as there.
    """
    objective = Debiased(positive_prior, beta)  # refuses a prior and a beta without a meaning for `top_k` too
    if top_k is None:
        return _debiased(view1, view2, temperature, reduction, objective, shared, "hard_negative_info_nce")
    return _hardest(view1, view2, temperature, reduction, top_k, Options(**shared))


def _debiased(
    view1: Tensor,
    view2: Tensor,
    temperature: float | Tensor,
    reduction: Reduction,
    objective: Debiased,
    shared: Shared,
    name: str,
) -> Tensor:
    options = Options(**shared).refuse(
        name,
        label_smoothing="its rivals are an estimate, not candidates that could share a target",
        log_q="its estimate takes the negatives as sampled evenly",
        same_id="it corrects the negatives by one positive",
    )
    check_views((view1, view2), options)
    check_with_negatives(view1, options)
    if options.similarity.minimum is None:
        fail(
            ArgumentError,
            f"{name} needs a similarity with a known minimum.",
            got=f"similarity={options.similarity}",
            expected="Cosine(), or a similarity with the attribute `minimum`",
            hint="its estimate is kept above exp(minimum / temperature)",
        )
    matrix, scale = view_matrix((view1, view2), temperature, options)
    floor = torch.as_tensor(options.similarity.minimum * scale, dtype=matrix.query.dtype, device=view1.device)
    guide = view_guides(options, (view1, view2))
    return loss_of(matrix, objective, options, reduction, scale=scale, guide=guide, given={"floor": floor})


def _hardest(
    view1: Tensor, view2: Tensor, temperature: float | Tensor, reduction: Reduction, top_k: int, options: Options
) -> Tensor:
    check_views((view1, view2), options)
    negatives = 2 * options.ranks.total(len(view1), "items") - 2
    if not isinstance(top_k, int) or isinstance(top_k, bool) or not 1 <= top_k <= negatives:
        fail(
            ArgumentError,
            "top_k must be a number of negatives that each query has.",
            got=f"top_k={top_k!r} with {negatives} negatives",
            expected=f"1 to {negatives}",
            hint="a larger batch, or top_k=None for all of them",
        )
    options.refuse("top_k", same_id="it looks up one positive per view")
    matrix, scale = view_matrix((view1, view2), temperature, options)
    matrix = leave_out_suspects(
        [matrix],
        options.chosen_engine,
        margin=options.margin,
        scale=scale,
        guide=view_guides(options, (view1, view2)),
    )[0]
    hardest = options.chosen_engine.hardest_lists(matrix, top_k)
    objective = Softmax(options.label_smoothing)
    return contrast([matrix.positives_alone(), hardest], objective, engine=options.engine, reduction=reduction)


class DebiasedInfoNCE(Face):
    """NT-Xent with the share of hidden positives subtracted: the module of `debiased_info_nce`.

    Args:
        temperature: tau > 0.
        reduction: "mean" over all views, "sum", or "none".
        positive_prior: probability that a "negative" is of the query's own class.
        learnable: learn the temperature, see `Face`.
        settings: see `Options`.
    """

    source = "Chuang et al. 2020, arXiv:2007.00224, eq. 8"
    global_statistics = ("rows", "items")
    _shown = ("positive_prior",)

    def __init__(
        self,
        temperature: float | Tensor = 0.5,
        reduction: Reduction = "mean",
        *,
        positive_prior: float = 0.1,
        learnable: bool = False,
        **settings: Unpack[Settings],
    ) -> None:
        super().__init__(temperature, reduction, learnable=learnable, **settings)
        self.positive_prior = Debiased(positive_prior).positive_prior

    def forward(
        self, view1: Float[Tensor, "n d"], view2: Float[Tensor, "n d"], **tensors: Unpack[Tensors]
    ) -> Float[Tensor, ""] | Float[Tensor, " 2*n"]:
        """Compute the loss; see `debiased_info_nce`."""
        return debiased_info_nce(
            view1,
            view2,
            self.temperature,
            self.reduction,
            positive_prior=self.positive_prior,
            **self.shared(tensors),
        )


class HardNegativeInfoNCE(Face):
    """NT-Xent in which the hard negatives count more: the module of `hard_negative_info_nce`.

    Args:
        temperature: tau > 0.
        reduction: "mean" over all views, "sum", or "none".
        beta: concentration on hard negatives.
        positive_prior: probability that a "negative" is of the query's own class.
        top_k: keep only this many negatives per query, without weights or debiasing.
        learnable: learn the temperature, see `Face`.
        settings: see `Options`.
    """

    source = "Robinson et al. 2021, arXiv:2010.04592, section 4"
    global_statistics = ("rows", "items")
    _shown = ("beta", "positive_prior", "top_k")

    def __init__(
        self,
        temperature: float | Tensor = 0.5,
        reduction: Reduction = "mean",
        *,
        beta: float = 1.0,
        positive_prior: float = 0.1,
        top_k: int | None = None,
        learnable: bool = False,
        **settings: Unpack[Settings],
    ) -> None:
        super().__init__(temperature, reduction, learnable=learnable, **settings)
        objective = Debiased(positive_prior, beta)
        self.beta, self.positive_prior, self.top_k = objective.beta, objective.positive_prior, top_k

    def forward(
        self, view1: Float[Tensor, "n d"], view2: Float[Tensor, "n d"], **tensors: Unpack[Tensors]
    ) -> Float[Tensor, ""] | Float[Tensor, " 2*n"]:
        """Compute the loss; see `hard_negative_info_nce`."""
        return hard_negative_info_nce(
            view1,
            view2,
            self.temperature,
            self.reduction,
            beta=self.beta,
            positive_prior=self.positive_prior,
            top_k=self.top_k,
            **self.shared(tensors),
        )
