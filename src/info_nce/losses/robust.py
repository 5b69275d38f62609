"""RINCE: InfoNCE that false positives cannot dominate."""

from jaxtyping import Float
from torch import Tensor
from typing_extensions import Unpack

from info_nce.contrast import Reduction
from info_nce.losses.compose import check_pairs, guide_pairs, loss_of, pair_matrix, scale_of
from info_nce.losses.face import Face
from info_nce.losses.options import Options, Settings, Shared, Tensors, loss_function
from info_nce.objectives import Robust

__all__ = ["RobustInfoNCE", "robust_info_nce"]


@loss_function()
def robust_info_nce(
    query: Float[Tensor, "n d"],
    positive_key: Float[Tensor, "n e"],
    temperature: float | Tensor = 0.1,
    reduction: Reduction = "mean",
    *,
    q: float = 0.1,
    lam: float = 0.01,
    **shared: Unpack[Shared],
) -> Float[Tensor, ""] | Float[Tensor, " n"]:
    r"""How far does each query's own key outweigh all candidates, when some pairs are wrong?

    $$ \ell_i = -\frac{e^{q s_+}}{q} + \frac{\big(\lambda (e^{s_+} + \sum_j e^{s_j})\big)^q}{q} $$

    Args:
        query: one row per query.
        positive_key: row i belongs with query i; the other rows are its negatives.
        temperature: tau > 0, one for all or one per query (N).
        reduction: "mean", "sum", or "none" for one value per query.
        q: in (0, 1]. Towards 0 the loss becomes InfoNCE + log lambda; at 1 it is symmetric and most robust.
        lam: lambda in (0, 1], the weight of the candidates; smaller weighs the positive more.
        shared: see `Options`; label smoothing and further positives do not compose.

    Returns:
        Loss; may be negative, and no count of nats but for q towards 0. It grows like e^(q / tau): in float32 it is
        infinite at temperatures below q / 88, where the gradient is finite but does not grow, see
        `info_nce.objectives.Robust`.

    Raises:
        ShapeError: query and positive_key do not pair up.
        ArgumentError: q or lam is out of range, or an option does not compose.

    Example:
        >>> import torch
        >>> a = torch.eye(2)
        >>> round(robust_info_nce(a, a, temperature=1.0, q=1.0, lam=0.5).item(), 5)  # -e + (e + 1) / 2
        -0.85914

    Source:
        Chuang et al. 2022, "Robust Contrastive Learning against Noisy Views", arXiv:2201.04309, eq. 5; q 0.1, lambda
        0.01 and temperature 0.1 of the authors' code. Not Ranking InfoNCE (2201.11736), which shares the short name.
    """
    options = Options(**shared).refuse(
        "robust_info_nce",
        label_smoothing="its positive enters as a power, not as a target",
        same_id="it is defined for one positive",
    )
    objective = Robust(q, lam)
    check_pairs(query, positive_key, options, ("query", "positive_key"))
    scale = scale_of(temperature, len(query), options, like=query)
    guide = guide_pairs(options, {"query": query, "positive_key": positive_key})
    matrix = pair_matrix(query, positive_key, scale, options)
    return loss_of(matrix, objective, options, reduction, scale=scale, guide=guide)


class RobustInfoNCE(Face):
    """How far does each query's own key outweigh all candidates, when some pairs are wrong? See `robust_info_nce`.

    Args:
        temperature: tau > 0.
        reduction: "mean", "sum", or "none" for one value per query.
        q: robustness in (0, 1].
        lam: weight of the candidates in (0, 1].
        learnable: learn the temperature, see `Face`.
        settings: see `Options`.
    """

    source = "Chuang et al. 2022, arXiv:2201.04309, eq. 5"
    _shown = ("q", "lam")

    def __init__(
        self,
        temperature: float | Tensor = 0.1,
        reduction: Reduction = "mean",
        *,
        q: float = 0.1,
        lam: float = 0.01,
        learnable: bool = False,
        **settings: Unpack[Settings],
    ) -> None:
        super().__init__(temperature, reduction, learnable=learnable, **settings)
        objective = Robust(q, lam)
        self.q, self.lam = objective.q, objective.lam

    def forward(
        self, query: Float[Tensor, "n d"], positive_key: Float[Tensor, "n e"], **tensors: Unpack[Tensors]
    ) -> Float[Tensor, ""] | Float[Tensor, " n"]:
        """Compute the loss; see `robust_info_nce`."""
        return robust_info_nce(
            query, positive_key, self.temperature, self.reduction, q=self.q, lam=self.lam, **self.shared(tensors)
        )
