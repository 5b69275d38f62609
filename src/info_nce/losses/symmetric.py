"""Symmetric InfoNCE: each query looks for its key, and each key for its query. CLIP's loss."""

from dataclasses import replace

from jaxtyping import Float
from torch import Tensor
from typing_extensions import Unpack

from info_nce.contrast import Reduction
from info_nce.losses.compose import check_pairs, guide_pairs, loss_of, pair_matrix, scale_of
from info_nce.losses.face import Face
from info_nce.losses.options import Options, Settings, Shared, Tensors, loss_function
from info_nce.objectives import Softmax
from info_nce.precision import compute_dtype
from info_nce.similarity import swapped

__all__ = ["CLIPLoss", "SymmetricInfoNCE", "symmetric_info_nce"]


@loss_function()
def symmetric_info_nce(
    query: Float[Tensor, "n d"],
    key: Float[Tensor, "n e"],
    temperature: float | Tensor = 0.07,
    reduction: Reduction = "mean",
    **shared: Unpack[Shared],
) -> Float[Tensor, ""] | Float[Tensor, " n"]:
    r"""How surely do query and key find each other, in both directions?

    $$ \ell_i = -\tfrac12 \log \frac{e^{s_{ii}/\tau}}{\sum_j e^{s_{ij}/\tau}}
                -\tfrac12 \log \frac{e^{s_{ii}/\tau}}{\sum_j e^{s_{ji}/\tau}} $$

    Args:
        query: one row per pair, such as images.
        key: row i belongs with query i, such as its caption.
        temperature: tau > 0, one for all, or one per pair (N), which serves both of the pair's directions.
        reduction: "mean", "sum", or "none" for one value per pair.
        shared: see `Options`; `log_q` holds one number per pair, for both directions.

    Returns:
        Loss in nats. 0 = always right and certain; log N = guessing.

    Raises:
        ShapeError: query and key do not pair up.

    Example:
        >>> import torch
        >>> q = torch.eye(4)
        >>> round(symmetric_info_nce(q, q, temperature=0.5).item(), 5)  # log(1 + 3 exp(-2))
        0.34075

    Source:
        Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision", arXiv:2103.00020,
        figure 3; the temperature starts at 0.07 there and is learned (`CLIPLoss`).
    """
    options = Options(**shared)
    check_pairs(query, key, options, ("query", "key"))
    query, key = (tensor.to(compute_dtype(tensor.dtype)) for tensor in (query, key))
    scale = scale_of(temperature, len(query), options, like=query)
    objective = Softmax(options.label_smoothing)
    guide = guide_pairs(options, {"query": query, "key": key})
    there = pair_matrix(query, key, scale, options)
    if there.offset is None and (not isinstance(scale, Tensor) or scale.dim() == 0):
        return loss_of(there, objective, options, reduction, scale=scale, guide=guide, symmetric=True)
    # A temperature or an offset of its own for each query makes the two directions different matrices.
    back = pair_matrix(key, query, scale, replace(options, similarity=swapped(options.similarity)))
    back_guide = guide and [(guide[0][1], guide[0][0])]
    one = loss_of(there, objective, options, reduction, scale=scale, guide=guide)
    return (one + loss_of(back, objective, options, reduction, scale=scale, guide=back_guide)) / 2


class SymmetricInfoNCE(Face):
    """How surely do query and key find each other? The module of `symmetric_info_nce`.

    Args:
        temperature: tau > 0.
        reduction: "mean", "sum", or "none" for one value per pair.
        learnable: learn the temperature, see `Face`.
        settings: see `Options`.

    Example:
        >>> import torch
        >>> q = torch.eye(4)
        >>> round(SymmetricInfoNCE(temperature=0.5)(q, q).item(), 5)
        0.34075
    """

    source = "Radford et al. 2021, arXiv:2103.00020, figure 3"
    global_statistics = ("rows", "columns")

    def __init__(
        self,
        temperature: float | Tensor = 0.07,
        reduction: Reduction = "mean",
        *,
        learnable: bool = False,
        **settings: Unpack[Settings],
    ) -> None:
        super().__init__(temperature, reduction, learnable=learnable, **settings)

    def forward(
        self, query: Float[Tensor, "n d"], key: Float[Tensor, "n e"], **tensors: Unpack[Tensors]
    ) -> Float[Tensor, ""] | Float[Tensor, " n"]:
        """Compute the loss; see `symmetric_info_nce`."""
        return symmetric_info_nce(query, key, self.temperature, self.reduction, **self.shared(tensors))


class CLIPLoss(SymmetricInfoNCE):
    """`SymmetricInfoNCE` with a temperature that is learned from 0.07 on, as in CLIP.

    Call `clamp_temperature()` after each step of the optimizer: it keeps the logit scale at most 100.
    """

    def __init__(
        self,
        temperature: float = 0.07,
        reduction: Reduction = "mean",
        *,
        learnable: bool = True,
        **settings: Unpack[Settings],
    ) -> None:
        super().__init__(temperature, reduction, learnable=learnable, **settings)
