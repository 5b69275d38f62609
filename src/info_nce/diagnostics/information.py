"""How much does one side of a pair say of the other at least, by what a loss makes of it? All in nats.

What is bounded is the information between the sides of pairs that are drawn anew. Pairs that the encoder was trained on
say too much, and so do batches in which an item comes twice, and an encoder that sees the whole batch (batch norm while
it trains).
"""

# K candidates of a query

import copy
import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import Unpack

from info_nce.checks import ArgumentError, DTypeError, check_whole, fail
from info_nce.distributed import ALONE
from info_nce.losses import (
    CPC,
    DCL,
    DCLW,
    NCE,
    DebiasedInfoNCE,
    Face,
    HardNegativeInfoNCE,
    InfoNCE,
    Matryoshka,
    MoCo,
    NTXent,
    RetrievalInfoNCE,
    RobustInfoNCE,
    SigLIP,
    SupCon,
    SymmetricInfoNCE,
    Wav2Vec2Contrastive,
)
from info_nce.losses.options import Tensors

__all__ = ["info_nce_bound", "mutual_information_bound"]

Number = TypeVar("Number", float, Tensor)

_BELOW_ZERO = -1e-3
"""No rounding makes a loss that cannot be negative as negative as this."""


def info_nce_bound(loss: Number, candidates: int) -> Number:
    r"""How much information does an InfoNCE loss vouch for?

    $$ I(X; Y) \ge \log K - L $$

    It holds in expectation over batches, for any critic, where one candidate is the query's own key and the K - 1
    others are drawn from p(y) independently of it and of each other, as in a batch of K independent pairs, in either
    direction. `mutual_information_bound` looks whether a loss is such a one; here the caller answers
    for it.

    Args:
        loss: in nats, the mean or one per query; of the softmax over all candidates.
        candidates: K, how many there are of a query, the positive among them.

    Returns:
        A lower bound, never above log K: a loss near 0 says that there is more information than so many candidates can
        show, and a larger batch is due. Of little variance, and far too low where the information is far above log K.

    Raises:
        ArgumentError: there is no candidate, or the loss is negative: its positive is no candidate then, and the value
            no bound.
        DTypeError: the loss is no number.

    Example:
        >>> round(info_nce_bound(2.0, candidates=128), 5)
        2.85203

    Source:
        van den Oord, Li, Vinyals 2018, arXiv:1807.03748, section 2.3; proved for any critic in Poole et al. 2019,
        arXiv:1905.06922, I_NCE.
    """
    check_whole("candidates", candidates, hint="the batch size, for in-batch negatives")
    values = torch.tensor(float(loss)) if isinstance(loss, Real) and not isinstance(loss, bool) else loss
    if not isinstance(values, Tensor) or not values.is_floating_point():
        fail(
            DTypeError,
            "loss must be a number, or a tensor of them.",
            got=f"loss of {loss.dtype if isinstance(loss, Tensor) else type(loss).__name__}",
            expected="a float or a floating-point tensor, in nats",
            hint="the loss with reduction='mean' or 'none', as it is",
        )
    if (values < _BELOW_ZERO).any():
        fail(
            ArgumentError,
            "A negative loss bounds no information: its positive is not among the candidates.",
            got=f"a loss of {values.min().item():.4g}",
            expected="at least 0, as of InfoNCE",
            hint="InfoNCE, which lets the positive compete; the value of DCL exceeds the information without limit",
        )
    # never above log K, whatever the rounding of a loss of 0
    return math.log(candidates) - (loss.clamp(min=0) if isinstance(loss, Tensor) else max(float(loss), 0.0))


def mutual_information_bound(
    criterion: nn.Module, query: Tensor, key: Tensor, /, *others: object, **tensors: Unpack[Tensors]
) -> Float[Tensor, ""]:
    """How much do queries say of their keys at least, by what this loss makes of a batch?

    `info_nce_bound` of the loss, where its type and its settings say that it is one, and an explanation otherwise.

    Args:
        criterion: `InfoNCE`, `SymmetricInfoNCE` or `CLIPLoss`, with any similarity and temperature.
        query: one row per pair, of pairs drawn independently.
        key: row i belongs with query i.
        others: further tensors of the loss, which all make it another quantity: refused.
        tensors: likewise.

    Returns:
        A lower bound in nats, in expectation over batches; see `estimate` for how sure it is. Across ranks, that of
        the batch of all of them.

    Raises:
        ArgumentError: the value of this loss, or of these settings, is no bound; the text says why, and what is.

    Example:
        >>> pairs = torch.eye(8)
        >>> round(mutual_information_bound(InfoNCE(temperature=0.01), pairs, pairs).item(), 5)  # log 8, all there is
        2.07944

    Source:
        See `info_nce_bound`.
    """
    face = _bounding(criterion)
    _refuse_settings(face, others, tensors)
    measured = copy.copy(face)
    measured.reduction = "mean"
    loss: Tensor = measured(query, key, **tensors)
    ranks = ALONE if face.engine is None else face.engine.ranks
    return info_nce_bound(loss, ranks.total(len(query), "pairs"))


_WITHOUT_POSITIVE = (
    "its positive is left out of the denominator, and the value exceeds the information without limit",
    "InfoNCE or SymmetricInfoNCE; nwj is a bound without the limit of log K",
)
_HARD = (
    "its negatives are mined, weighted or corrected, and are no draws from p(y)",
    "InfoNCE or SymmetricInfoNCE",
)
_IN_TWOS = (
    "its negatives come in twos, both views of an item, and are no independent draws; 10 items of 3 classes, each view "
    "a copy of its label, get 1.1018 where log 3 = 1.0986 is all there is"
)
_NO_BOUND: Mapping[type[nn.Module], tuple[str, str]] = {
    CPC: (
        "its negatives are moments of the same sequences, which are no independent draws",
        "InfoNCE on one prediction and its latent from each sequence",
    ),
    DCL: _WITHOUT_POSITIVE,
    DCLW: _WITHOUT_POSITIVE,
    DebiasedInfoNCE: _HARD,
    HardNegativeInfoNCE: _HARD,
    Matryoshka: ("it is a sum over several widths", "the loss inside of it, on embeddings that are cut to one width"),
    MoCo: (
        "older encoders made the keys of its queue, by which stale keys are told from the positive",
        "InfoNCE on a large batch",
    ),
    NCE: ("it judges each sample by itself", "InfoNCE on pairs"),
    NTXent: (_IN_TWOS, "SymmetricInfoNCE()(view1, view2)"),
    RetrievalInfoNCE: (
        "its candidates are of four kinds, some of them mined or masked, and are no draws from p(y)",
        "InfoNCE()(query, document)",
    ),
    RobustInfoNCE: ("its value is made of powers and no log-likelihood", "InfoNCE or SymmetricInfoNCE"),
    SigLIP: ("it judges each pair by itself", "jensen_shannon, whose gradient is that of such a classifier"),
    SupCon: (
        "its positives are all items of a label, and its negatives are views that depend on each other",
        "SymmetricInfoNCE on two views of items that are drawn independently",
    ),
    Wav2Vec2Contrastive: (
        "its distractors are moments of the same utterance, which are no independent draws",
        "InfoNCE on one context and its target from each utterance",
    ),
}
_MASKED = "the negatives that it leaves are no draws from p(y)"
_SETTINGS: Mapping[str, str] = {
    "margin": _MASKED,
    "guide": _MASKED,
    "ids": _MASKED,
    "log_q": "candidates that another sampler drew are no draws from p(y)",
    "label_smoothing": "the loss is not that of the right answer alone",
    "temperature": "a temperature for each query may know how hard its positive is",
    "negative_keys": "whether they are independent draws from p(y), and not mined, cannot be seen in the tensor",
    "negative_ids": _MASKED,
}
"""What makes another quantity of a loss whose value is a bound."""


def _bounding(criterion: object) -> Face:
    """The loss, if its kind is one whose value is a bound."""
    if isinstance(criterion, Face) and type(criterion).forward in (InfoNCE.forward, SymmetricInfoNCE.forward):
        return criterion
    unknown = ("nothing is known of its candidates", "info_nce_bound(loss, candidates), if you know that it is one")
    why, instead = next((said for kind, said in _NO_BOUND.items() if isinstance(criterion, kind)), unknown)
    return fail(
        ArgumentError,
        f"The value of {type(criterion).__name__} is no bound on the mutual information: {why}.",
        got=type(criterion).__name__,
        expected="InfoNCE, SymmetricInfoNCE or CLIPLoss of independent pairs",
        hint=instead,
    )


def _refuse_settings(face: Face, others: Sequence[object], tensors: Tensors) -> None:
    temperature = face.temperature
    given: dict[str, object] = {
        "margin": face.margin,
        "label_smoothing": face.label_smoothing or None,
        "temperature": temperature if isinstance(temperature, Tensor) and temperature.numel() > 1 else None,
        "negative_keys": others or None,
        **tensors,
    }
    for name, value in given.items():
        if value is not None and name in _SETTINGS:
            fail(
                ArgumentError,
                f"With {name}, the value of {type(face).__name__} is no bound on the mutual information: "
                f"{_SETTINGS[name]}.",
                got=f"{name}={value}" if isinstance(value, float) else f"{name} as tensors",
                expected=f"{name} left out",
                hint="the same loss without; or info_nce_bound(loss, candidates), if you know that it is one",
            )
