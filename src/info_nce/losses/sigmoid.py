"""SigLIP: each pair on its own is a match or not; no softmax, no normaliser."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import Unpack

from info_nce.checks import ArgumentError, check_number, fail
from info_nce.contrast import Reduction
from info_nce.losses.compose import check_pairs, guide_pairs, loss_of, pair_matrix, scale_of
from info_nce.losses.face import Face, describe
from info_nce.losses.options import Options, Settings, Shared, Tensors, loss_function
from info_nce.objectives import Sigmoid

__all__ = ["SigLIP", "sigmoid_loss"]


@loss_function()
def sigmoid_loss(
    query: Float[Tensor, "n d"],
    key: Float[Tensor, "n e"],
    temperature: float | Tensor = 0.1,
    bias: float | Tensor = -10.0,
    reduction: Reduction = "mean",
    **shared: Unpack[Shared],
) -> Float[Tensor, ""] | Float[Tensor, " n"]:
    r"""How surely is each of the N x N pairs told to match or not?

    $$ L = -\frac1N \sum_{ij} \log \sigma\big(z_{ij} (s_{ij}/\tau + b)\big), \quad
       z_{ii} = 1,\ z_{ij} = -1 \text{ else} $$

    Args:
        query: one row per pair.
        key: row i belongs with query i.
        temperature: tau > 0, one for all or one per query (N); 0.1 is the paper's initial scale of 10.
        bias: added to every logit; -10, so that training starts from "no match", which is nearly always right.
        reduction: "mean" is the sum over all pairs divided by N (not N^2), "sum", or "none" for one value per query.
        shared: see `Options`; label smoothing does not compose.

    Returns:
        Loss in nats. 0 = every pair told right with certainty; N log 2 = knowing nothing (all logits 0).

    Raises:
        ShapeError: query and key do not pair up.
        ArgumentError: bias is no single number, or an option does not compose.

    Example:
        >>> q = torch.eye(2)
        >>> round(sigmoid_loss(q, q, temperature=1.0, bias=0.0).item(), 5)  # log(1 + 1/e) + log 2
        1.00641

    Source:
        Zhai, Mustafa, Kolesnikov, Beyer 2023, "Sigmoid Loss for Language Image Pre-Training", arXiv:2303.15343, eq. 1.
        The sign of the bias is that of the paper's pseudo-code.
    """
    options = Options(**shared).refuse("sigmoid_loss", label_smoothing="it has no softmax target")
    check_pairs(query, key, options, ("query", "key"))
    scale = scale_of(temperature, len(query), options, like=query)
    guide = guide_pairs(options, {"query": query, "key": key})
    matrix = pair_matrix(query, key, scale, options)
    offset = _bias(bias, matrix.query) + (0 if matrix.offset is None else matrix.offset)
    matrix = replace(matrix, offset=offset.expand(len(key)))
    return loss_of(matrix, Sigmoid(), options, reduction, scale=scale, guide=guide)


def _bias(bias: float | Tensor, like: Tensor) -> Tensor:
    if isinstance(bias, Tensor):
        if bias.numel() != 1:
            fail(
                ArgumentError,
                "bias must be one number.",
                got=f"bias {tuple(bias.shape)}",
                expected="a number or a tensor with one element",
                hint="log_q takes one number per candidate",
            )
        return bias.to(like.device, like.dtype).reshape(())
    check_number("bias", bias, high_open=True, hint="-10 as in the paper")
    return torch.tensor(float(bias), dtype=like.dtype, device=like.device)


class SigLIP(Face):
    """How surely is each pair told to match or not? The module of `sigmoid_loss`, with learned scale and bias.

    Args:
        temperature: tau > 0 to start from; 0.1 is a scale of 10.
        bias: to start from.
        reduction: "mean" is the sum over all pairs / N, "sum", or "none".
        learnable: learn temperature (in log space) and bias. Nothing is clamped, as in the paper.
        settings: see `Options`.
    """

    source = "Zhai, Mustafa, Kolesnikov, Beyer 2023, arXiv:2303.15343, eq. 1"
    minimum_temperature = 0.0

    def __init__(
        self,
        temperature: float | Tensor = 0.1,
        bias: float = -10.0,
        reduction: Reduction = "mean",
        *,
        learnable: bool = True,
        **settings: Unpack[Settings],
    ) -> None:
        super().__init__(temperature, reduction, learnable=learnable, **settings)
        check_number("bias", bias, high_open=True, hint="-10 as in the paper")
        start = torch.tensor([float(bias)])
        self.bias: Tensor | float = nn.Parameter(start) if learnable else float(bias)

    def forward(
        self, query: Float[Tensor, "n d"], key: Float[Tensor, "n e"], **tensors: Unpack[Tensors]
    ) -> Float[Tensor, ""] | Float[Tensor, " n"]:
        """Compute the loss; see `sigmoid_loss`."""
        return sigmoid_loss(query, key, self.temperature, self.bias, self.reduction, **self.shared(tensors))

    def extra_repr(self) -> str:
        """Every setting, for `print`."""
        return f"bias={describe(torch.as_tensor(self.bias))}, {super().extra_repr()}"
