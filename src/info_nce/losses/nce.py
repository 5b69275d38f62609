"""NCE, the ancestor: tell data from noise, and so learn an unnormalised density."""

import math
from contextlib import nullcontext
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from info_nce.assemble import given_logits
from info_nce.checks import (
    ArgumentError,
    ShapeError,
    check_alike,
    check_choice,
    check_embeddings,
    check_not_empty,
    fail,
    shapes,
)
from info_nce.contrast import Reduction, contrast
from info_nce.engines import Engine
from info_nce.engines.base import check_engine
from info_nce.objectives import Sigmoid
from info_nce.pairing import Everywhere, Nowhere
from info_nce.precision import compute_dtype

__all__ = ["NCE", "nce"]


def nce(
    data_scores: Float[Tensor, " n"],
    noise_scores: Float[Tensor, "n k"],
    data_log_density: Float[Tensor, " n"],
    noise_log_density: Float[Tensor, "n k"],
    num_noise: int | None = None,
    reduction: Reduction = "mean",
    *,
    engine: Engine | None = None,
) -> Float[Tensor, ""] | Float[Tensor, " n"]:
    r"""How surely are samples of the data told from samples of a known noise?

    $$ \ell_i = -\log h(x_i) - \sum_{k=1}^{\nu} \log(1 - h(y_{ik})), \quad
       h(u) = \sigma\big(\log p_m(u) - \log p_n(u) - \log \nu\big) $$

    Not InfoNCE: each sample is judged alone, so the model learns to be normalised.

    Args:
        data_scores: log p_m of each datum under the model; need not be normalised.
        noise_scores: log p_m of the noise samples drawn for each datum.
        data_log_density: log p_n of each datum under the noise.
        noise_log_density: log p_n of the noise samples.
        num_noise: nu, the number of noise samples per datum; the width of noise_scores.
        reduction: "mean" over the data, "sum", or "none" for one value per datum.
        engine: how the sums are computed; `Auto()` chooses.

    Returns:
        Loss in nats. (1 + nu) log(1 + nu) - nu log nu = model and noise cannot be told apart.

    Raises:
        ShapeError: sizes do not fit each other or num_noise.
        DTypeError: a tensor is none, or holds integers.

    Example:
        >>> from torch import zeros as zero
        >>> round(nce(zero(2), zero(2, 1), zero(2), zero(2, 1)).item(), 5)  # 2 log 2
        1.38629

    Source:
        Gutmann and Hyvarinen 2010, "Noise-contrastive estimation", AISTATS, eq. 3 (nu = 1); 2012, JMLR 13, eq. 8.
    """
    with engine.together(f"nce(reduction={reduction!r})") if isinstance(engine, Engine) else nullcontext():
        return _nce(data_scores, noise_scores, data_log_density, noise_log_density, num_noise, reduction, engine)


def _nce(
    data_scores: Tensor,
    noise_scores: Tensor,
    data_log_density: Tensor,
    noise_log_density: Tensor,
    num_noise: int | None,
    reduction: Reduction,
    engine: Engine | None,
) -> Tensor:
    named = {
        "data_scores": data_scores,
        "noise_scores": noise_scores,
        "data_log_density": data_log_density,
        "noise_log_density": noise_log_density,
    }
    check_embeddings(named, {"data_scores": 1, "data_log_density": 1})
    check_not_empty(alone=engine is None or engine.ranks.size == 1, **named)
    check_alike(named)
    check_choice("reduction", reduction, ("mean", "sum", "none"))
    if data_scores.shape != data_log_density.shape or noise_scores.shape != noise_log_density.shape:
        fail(
            ShapeError,
            "Every score needs the noise's log-density of the same sample.",
            got=shapes(**named),
            expected="data_log_density like data_scores, noise_log_density like noise_scores",
            hint="evaluate the noise's density on the data and on the noise samples",
        )
    if len(noise_scores) != len(data_scores):
        fail(
            ShapeError,
            "noise_scores must hold the noise samples of each datum.",
            got=shapes(data_scores=data_scores, noise_scores=noise_scores),
            expected=f"noise_scores ({len(data_scores)}, number of noise samples per datum)",
            hint="noise_scores.reshape(len(data_scores), -1)",
        )
    if num_noise is not None and (isinstance(num_noise, bool) or num_noise != noise_scores.shape[1]):
        fail(
            ArgumentError,
            "num_noise must be the number of noise samples per datum.",
            got=f"num_noise={num_noise!r}, {shapes(noise_scores=noise_scores)}",
            expected=f"num_noise={noise_scores.shape[1]}",
            hint="leave num_noise out",
        )
    log_nu = math.log(noise_scores.shape[1])
    dtype = compute_dtype(data_scores.dtype)
    on_data = data_scores.to(dtype) - data_log_density.to(dtype) - log_nu
    on_noise = noise_scores.to(dtype) - noise_log_density.to(dtype) - log_nu
    matrices = [given_logits(on_data[:, None], Everywhere(data_scores.device)), given_logits(on_noise, Nowhere())]
    return contrast(matrices, Sigmoid(), engine=engine, reduction=reduction)


class NCE(nn.Module):
    """How surely are samples of the data told from samples of a known noise? The module of `nce`.

    Args:
        reduction: "mean" over the data, "sum", or "none" for one value per datum.
        engine: how the sums are computed; `Auto()` chooses.
    """

    source = "Gutmann and Hyvarinen 2010, AISTATS, eq. 3"
    global_statistics: ClassVar[tuple[str, ...]] = ()

    def __init__(self, reduction: Reduction = "mean", *, engine: Engine | None = None) -> None:
        super().__init__()
        check_engine(engine)
        self.engine = engine
        check_choice("reduction", reduction, ("mean", "sum", "none"))
        self.reduction: Reduction = reduction

    def forward(
        self,
        data_scores: Float[Tensor, " n"],
        noise_scores: Float[Tensor, "n k"],
        data_log_density: Float[Tensor, " n"],
        noise_log_density: Float[Tensor, "n k"],
        num_noise: int | None = None,
    ) -> Float[Tensor, ""] | Float[Tensor, " n"]:
        """Compute the loss; see `nce`."""
        return nce(
            data_scores,
            noise_scores,
            data_log_density,
            noise_log_density,
            num_noise,
            self.reduction,
            engine=self.engine,
        )

    def extra_repr(self) -> str:
        """Every setting, for `print`."""
        return f"reduction={self.reduction}, engine={self.engine or 'Auto()'}"
