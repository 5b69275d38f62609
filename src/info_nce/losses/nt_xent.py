"""NT-Xent: every view looks for the other views of its item among all views of the batch."""

from jaxtyping import Float
from torch import Tensor
from typing_extensions import Unpack

from info_nce.contrast import Reduction
from info_nce.losses.compose import check_views, loss_of, view_guides, view_matrix
from info_nce.losses.face import Face
from info_nce.losses.options import Options, Shared, Tensors, loss_function
from info_nce.objectives import Softmax

__all__ = ["NTXent", "nt_xent"]


@loss_function()
def nt_xent(
    *views: Float[Tensor, "n d"],
    temperature: float | Tensor = 0.1,
    reduction: Reduction = "mean",
    **shared: Unpack[Shared],
) -> Float[Tensor, ""] | Float[Tensor, " {len(views)}*n"]:
    r"""How surely does each view pick the other view of its item out of all views in the batch?

    $$ \ell_i = -\log \frac{\exp(s_{i i'}/\tau)}{\sum_{k \ne i} \exp(s_{ik}/\tau)} $$

    Args:
        views: two or more tensors (N, D); row i of each shows item i. With more than two, each other view of an item
            is a positive, outside the log as in SupCon.
        temperature: tau > 0, one for all, or one per item (N) or per view (V * N).
        reduction: "mean" over all views, "sum", or "none" for one value per view, in the order view 1, view 2, ...
        shared: see `Options`; `ids` holds one tag per item, `log_q` one number per view (V * N), `guide` the views.

    Returns:
        Loss in nats. 0 = always right and certain; log(V * N - 1) = guessing.

    Raises:
        ShapeError: fewer than two views, or views of different shapes.

    Example:
        >>> import torch
        >>> view = torch.eye(4)
        >>> round(nt_xent(view, view, temperature=0.5).item(), 5)  # log(1 + 6 exp(-2))
        0.59444

    Source:
        Chen, Kornblith, Norouzi, Hinton 2020, "A Simple Framework for Contrastive Learning of Visual Representations",
        arXiv:2002.05709, eq. 1 and Algorithm 1. The temperature 0.1 is its ImageNet setting. Differs from the authors'
        code, which returns twice the paper's mean.
    """
    options = Options(**shared)
    check_views(views, options)
    matrix, scale = view_matrix(views, temperature, options)
    objective = Softmax(options.label_smoothing)
    return loss_of(matrix, objective, options, reduction, scale=scale, guide=view_guides(options, views))


class NTXent(Face):
    """How surely does each view pick the other view of its item? The module of `nt_xent`: SimCLR's loss.

    Args:
        temperature: tau > 0; 0.1 is SimCLR's for ImageNet, 0.5 for CIFAR-10.
        reduction: "mean" over all views, "sum", or "none" for one value per view.
        learnable: learn the temperature, see `Face`.
        settings: see `Options`.

    Example:
        >>> import torch
        >>> view = torch.eye(4)
        >>> round(NTXent(temperature=0.5)(view, view).item(), 5)
        0.59444
    """

    source = "Chen, Kornblith, Norouzi, Hinton 2020, arXiv:2002.05709, eq. 1"

    def forward(
        self, *views: Float[Tensor, "n d"], **tensors: Unpack[Tensors]
    ) -> Float[Tensor, ""] | Float[Tensor, " {len(views)}*n"]:
        """Compute the loss; see `nt_xent`."""
        return nt_xent(*views, temperature=self.temperature, reduction=self.reduction, **self.shared(tensors))
