"""SupCon: items of one label are each other's positives."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from typing_extensions import Unpack

from info_nce.checks import ArgumentError, check_embeddings, check_ids, check_not_empty, fail
from info_nce.contrast import Reduction
from info_nce.losses.compose import guide_pairs, loss_of, scale_of, self_matrix
from info_nce.losses.face import Face
from info_nce.losses.options import Options, Settings, Shared, Tensors, loss_function
from info_nce.objectives import Objective, Softmax, SoftmaxInside
from info_nce.pairing import labelled

__all__ = ["SupCon", "sup_con", "without_positive"]


def without_positive(labels: Int[Tensor, " n"]) -> Int[Tensor, ""]:
    """How many rows share their label with no other row, so that `sup_con` leaves them out?

    Example:
        >>> int(without_positive(torch.tensor([0, 0, 1])))
        1
    """
    _, counts = torch.unique(labels, return_counts=True)
    alone: Tensor = (counts == 1).sum()
    return alone


@loss_function()
def sup_con(
    features: Float[Tensor, "n d"],
    labels: Int[Tensor, " n"],
    temperature: float | Tensor = 0.1,
    reduction: Reduction = "mean",
    *,
    inside: bool = False,
    **shared: Unpack[Shared],
) -> Float[Tensor, ""] | Float[Tensor, " n"]:
    r"""How surely does each item pick the items of its own label out of the batch?

    $$ \ell_i = \frac{-1}{|P(i)|} \sum_{p \in P(i)} \log \frac{e^{s_{ip}/\tau}}{\sum_{a \ne i} e^{s_{ia}/\tau}} $$

    Args:
        features: one row per view of an item, all views in one tensor.
        labels: one integer per row; equal labels are positives of each other.
        temperature: tau > 0, one for all or one per row (N).
        reduction: "mean" over the rows that have a positive, "sum", or "none" (0 for a row without a positive).
        inside: average the positives inside the log (the paper's eq. 3) instead of outside (eq. 2).
        shared: see `Options`. Labels already say who belongs together, so `ids` are refused.

    Returns:
        Loss in nats. The best value is not 0 but log of the number of positives. A row without a positive is left out
        of the mean; `without_positive(labels)` says how many there are, and the module keeps that number.

    Raises:
        ShapeError: not one label per row.
        DTypeError: labels are no integers.
        ArgumentError: no row at all has a positive, or an option does not compose.

    Example:
        >>> features = torch.eye(3).repeat_interleave(2, 0)
        >>> labels = torch.tensor([0, 0, 1, 1, 2, 2])
        >>> round(sup_con(features, labels, temperature=0.5).item(), 5)  # log(1 + 4 exp(-2))
        0.43265

    Source:
        Khosla et al. 2020, "Supervised Contrastive Learning", arXiv:2004.11362, eq. 2 and 3, temperature 0.1. Differs
        from the authors' code: no factor temperature / base temperature, and no NaN for a row without a positive.
    """
    reason = "labels say already who belongs together"
    options = Options(**shared).refuse("sup_con", ids=reason, same_id=reason)
    check_embeddings({"features": features})
    check_not_empty(alone=options.alone, features=features)
    check_ids("labels", labels, (len(features),), features.device)
    every = options.ranks.shared(labels, "labels")
    if not torch.compiler.is_compiling() and int(without_positive(every)) == len(every):
        fail(
            ArgumentError,
            "No row has a positive.",
            got=f"{len(every)} rows with {len(every)} different labels",
            expected="at least two rows of one label",
            hint="concatenate two views of each item and repeat the labels, or sample several items per label",
        )
    if inside:
        options.refuse("sup_con(inside=True)", label_smoothing="the target is inside the log")
    scale = scale_of(temperature, len(features), options, like=features)
    positives, out = labelled(labels)
    matrix = self_matrix(features, scale, options, positives, out)
    objective: Objective = SoftmaxInside() if inside else Softmax(options.label_smoothing)
    guide = guide_pairs(options, {"features": features}, [(0, 0)])
    return loss_of(matrix, objective, options, reduction, scale=scale, guide=guide)


class SupCon(Face):
    """How surely does each item pick the items of its own label? The module of `sup_con`.

    Args:
        temperature: tau > 0.
        reduction: "mean" over the rows that have a positive, "sum", or "none".
        inside: average the positives inside the log.
        learnable: learn the temperature, see `Face`.
        settings: see `Options`.

    Attributes:
        queries_without_positive: of the last batch, how many rows were left out; None before the first.
    """

    source = "Khosla et al. 2020, arXiv:2004.11362, eq. 2 (outside) and 3 (inside)"
    global_statistics = ("rows", "labels")
    _shown = ("inside",)
    queries_without_positive: Tensor | None = None

    def __init__(
        self,
        temperature: float | Tensor = 0.1,
        reduction: Reduction = "mean",
        *,
        inside: bool = False,
        learnable: bool = False,
        **settings: Unpack[Settings],
    ) -> None:
        super().__init__(temperature, reduction, learnable=learnable, **settings)
        self.inside = inside

    def forward(
        self, features: Float[Tensor, "n d"], labels: Int[Tensor, " n"], **tensors: Unpack[Tensors]
    ) -> Float[Tensor, ""] | Float[Tensor, " n"]:
        """Compute the loss; see `sup_con`."""
        loss = sup_con(features, labels, self.temperature, self.reduction, inside=self.inside, **self.shared(tensors))
        self.queries_without_positive = None
        if not torch.compiler.is_compiling():
            every = labels if self.engine is None else self.engine.ranks.shared(labels, "labels")
            self.queries_without_positive = without_positive(every)
        return loss
