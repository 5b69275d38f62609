"""DCL and DCLW: NT-Xent without the positive in the denominator, plain or with weighted positives."""

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import Unpack

from info_nce.assemble import assemble
from info_nce.checks import check_number
from info_nce.contrast import Reduction
from info_nce.distributed import ALONE, Ranks
from info_nce.losses.compose import check_views, check_with_negatives, loss_of, view_guides, view_matrix
from info_nce.losses.face import Face
from info_nce.losses.options import Options, Settings, Shared, Tensors, loss_function
from info_nce.objectives import Decoupled
from info_nce.similarity import Similarity
from info_nce.statistics import log_sum_exp

__all__ = ["DCL", "DCLW", "dcl", "dclw"]

_NO_TARGET = "it has no softmax target to smooth, since the positive is not a candidate"


@loss_function()
def dcl(
    view1: Float[Tensor, "n d"],
    view2: Float[Tensor, "n d"],
    temperature: float | Tensor = 0.1,
    reduction: Reduction = "mean",
    **shared: Unpack[Shared],
) -> Float[Tensor, ""] | Float[Tensor, " 2*n"]:
    r"""How far is each view from the other items, beyond its distance from its other view?

    $$ \ell_i = -s_{i i'}/\tau + \log \sum_{k \ne i, i'} e^{s_{ik}/\tau} $$

    Args:
        view1: one row per item.
        view2: row i shows the item of row i of view1.
        temperature: tau > 0, one for all, one per item (N) or per view (2 N).
        reduction: "mean" over all views, "sum", or "none" for one value per view, view 1 first.
        shared: see `Options`; label smoothing does not compose.

    Returns:
        Loss in nats; it can be negative. log(2 N - 2) = all embeddings equal.

    Raises:
        ShapeError: views of different shapes, or a single item, which has no negative.

    Example:
        >>> view = torch.eye(4)
        >>> round(dcl(view, view, temperature=0.5).item(), 5)  # log(6) - 2
        -0.20824

    Source:
        Yeh et al. 2022, "Decoupled Contrastive Learning", arXiv:2110.06848, eq. 6.
    """
    options = _checked(view1, view2, shared, "dcl")
    matrix, scale = view_matrix((view1, view2), temperature, options)
    guide = view_guides(options, (view1, view2))
    return loss_of(matrix, Decoupled(), options, reduction, scale=scale, guide=guide)


@loss_function()
def dclw(
    view1: Float[Tensor, "n d"],
    view2: Float[Tensor, "n d"],
    temperature: float | Tensor = 0.1,
    reduction: Reduction = "mean",
    *,
    sigma: float = 0.5,
    **shared: Unpack[Shared],
) -> Float[Tensor, ""] | Float[Tensor, " 2*n"]:
    r"""DCL that pulls harder on the pairs that are still far apart.

    $$ \ell_i = -w_i\, s_{i i'}/\tau + \log \sum_{k \ne i, i'} e^{s_{ik}/\tau}, \quad
       w_i = 2 - \frac{e^{s_{i i'}/\sigma}}{\frac1N \sum_j e^{s_{j j'}/\sigma}} $$

    Args:
        view1: one row per item.
        view2: row i shows the item of row i of view1.
        temperature: tau > 0, one for all, one per item (N) or per view (2 N).
        reduction: "mean" over all views, "sum", or "none" for one value per view, view 1 first.
        sigma: width of the weighting; the weights' mean is 1 whatever it is.
        shared: see `Options`; label smoothing and further positives do not compose.

    Returns:
        Loss in nats; it can be negative.

    Raises:
        ShapeError: views of different shapes, or a single item, which has no negative.

    Example:
        >>> view = torch.eye(4)
        >>> round(dclw(view, view, temperature=0.5).item(), 5)  # equal pairs have weight 1: as dcl
        -0.20824

    Source:
        Yeh et al. 2022, arXiv:2110.06848, eq. 7 and section 3.4, sigma 0.5. The weights are constants for the
        gradient, as in the usual implementations.
    """
    options = _checked(view1, view2, shared, "dclw").refuse("dclw", same_id="its weights belong to one pair per item")
    check_number("sigma", sigma, low=0, low_open=True, high_open=True, hint="0.5 as in the paper")
    matrix, scale = view_matrix((view1, view2), temperature, options)
    weight = _weights(view1, view2, options.similarity, sigma, options.ranks).repeat(2)
    guide = view_guides(options, (view1, view2))
    return loss_of(matrix, Decoupled(), options, reduction, scale=scale, guide=guide, given={"weight": weight})


def _checked(view1: Tensor, view2: Tensor, shared: Shared, name: str) -> Options:
    options = Options(**shared).refuse(name, label_smoothing=_NO_TARGET)
    check_views((view1, view2), options)
    check_with_negatives(view1, options)
    return options


@torch.no_grad()
def _weights(view1: Tensor, view2: Tensor, similarity: Similarity, sigma: float, ranks: Ranks = ALONE) -> Tensor:
    """2 - N softmax over the batch's pairs: a softmax without its factor N would leave every weight near 2."""
    every = slice(0, len(view1)), slice(0, 1)
    close = assemble(view1, view2[:, None], similarity, 1 / sigma).tile(*every).logits[:, 0]
    of_ranks = ranks.shared(log_sum_exp(close, 0)[None], "similarity of the pairs")
    return 2 - ranks.total(len(close), "pairs to be weighted") * torch.exp(close - log_sum_exp(of_ranks, 0))


class DCL(Face):
    """How far is each view from the other items? The module of `dcl`.

    Args:
        temperature: tau > 0.
        reduction: "mean" over all views, "sum", or "none".
        learnable: learn the temperature, see `Face`.
        settings: see `Options`.
    """

    source = "Yeh et al. 2022, arXiv:2110.06848, eq. 6"
    global_statistics = ("rows", "items")

    def forward(
        self, view1: Float[Tensor, "n d"], view2: Float[Tensor, "n d"], **tensors: Unpack[Tensors]
    ) -> Float[Tensor, ""] | Float[Tensor, " 2*n"]:
        """Compute the loss; see `dcl`."""
        return dcl(view1, view2, self.temperature, self.reduction, **self.shared(tensors))


class DCLW(Face):
    """DCL that pulls harder on the pairs that are still far apart: the module of `dclw`.

    Args:
        temperature: tau > 0.
        reduction: "mean" over all views, "sum", or "none".
        sigma: width of the weighting.
        learnable: learn the temperature, see `Face`.
        settings: see `Options`.
    """

    source = "Yeh et al. 2022, arXiv:2110.06848, eq. 7"
    global_statistics = ("rows", "items", "weights")
    _shown = ("sigma",)

    def __init__(
        self,
        temperature: float | Tensor = 0.1,
        reduction: Reduction = "mean",
        *,
        sigma: float = 0.5,
        learnable: bool = False,
        **settings: Unpack[Settings],
    ) -> None:
        super().__init__(temperature, reduction, learnable=learnable, **settings)
        check_number("sigma", sigma, low=0, low_open=True, high_open=True, hint="0.5 as in the paper")
        self.sigma = sigma

    def forward(
        self, view1: Float[Tensor, "n d"], view2: Float[Tensor, "n d"], **tensors: Unpack[Tensors]
    ) -> Float[Tensor, ""] | Float[Tensor, " 2*n"]:
        """Compute the loss; see `dclw`."""
        return dclw(view1, view2, self.temperature, self.reduction, sigma=self.sigma, **self.shared(tensors))
