"""The losses written by hand, for reading: what is compared, what is the right answer, what is left out.

    python examples/from_scratch.py

Each function stores the whole matrix and checks nothing; the library computes the same numbers at any size.
The last lines compare the two.
"""

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor

import info_nce
from info_nce import functional


def similarities(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    """Cosine of every query with every key, divided by the temperature: the logits."""
    return F.normalize(query, dim=1) @ F.normalize(key, dim=1).T / temperature


def info_nce_by_hand(query: Tensor, key: Tensor, temperature: float = 0.1) -> Tensor:
    """A classifier with N classes, where the class of query i is i, its own key: a cross-entropy with labels 0..N-1."""
    logits = similarities(query, key, temperature)
    own = logits.diagonal()
    return (torch.logsumexp(logits, dim=1) - own).mean()


def symmetric_by_hand(query: Tensor, key: Tensor, temperature: float = 0.07) -> Tensor:
    """CLIP: the same matrix read by rows (which caption?) and by columns (which image?)."""
    logits = similarities(query, key, temperature)
    own = logits.diagonal()
    rows, columns = torch.logsumexp(logits, dim=1) - own, torch.logsumexp(logits, dim=0) - own
    return (rows.mean() + columns.mean()) / 2


def nt_xent_by_hand(view1: Tensor, view2: Tensor, temperature: float = 0.1) -> Tensor:
    """SimCLR: 2N rows against 2N rows. A row never meets itself; its one positive is the other view of its item."""
    rows = torch.cat([view1, view2])
    logits = similarities(rows, rows, temperature)
    logits.fill_diagonal_(float("-inf"))  # exp(-inf) = 0: out of the sum
    other_view = torch.arange(len(rows)).roll(len(view1))
    positive = logits[torch.arange(len(rows)), other_view]
    return (torch.logsumexp(logits, dim=1) - positive).mean()


def sup_con_by_hand(features: Tensor, labels: Tensor, temperature: float = 0.1) -> Tensor:
    """With labels: every other row of the same label is a positive, and the log-probabilities of them are averaged."""
    logits = similarities(features, features, temperature)
    itself = torch.eye(len(features), dtype=torch.bool)
    log_probability = logits - torch.logsumexp(logits.masked_fill(itself, float("-inf")), dim=1, keepdim=True)
    positive = (labels[:, None] == labels) & ~itself
    has_positive = positive.any(1)  # a row without one has nothing to find: left out of the mean
    mean = (log_probability * positive).sum(1)[has_positive] / positive.sum(1)[has_positive]
    return -mean.mean()


def decoupled_by_hand(view1: Tensor, view2: Tensor, temperature: float = 0.1) -> Tensor:
    """DCL: as NT-Xent, with the positive left out of the denominator too."""
    rows = torch.cat([view1, view2])
    logits = similarities(rows, rows, temperature)
    index = torch.arange(len(rows))
    other_view = index.roll(len(view1))
    positive = logits[index, other_view]
    rivals = logits.clone()
    rivals[index, index] = float("-inf")
    rivals[index, other_view] = float("-inf")
    return (torch.logsumexp(rivals, dim=1) - positive).mean()


def sigmoid_by_hand(query: Tensor, key: Tensor, scale: float = 10.0, bias: float = -10.0) -> Tensor:
    """SigLIP: each of the N x N cells is a yes-or-no question of its own; the sum is divided by N, not by N x N."""
    logits = similarities(query, key, 1.0) * scale + bias
    sign = 2 * torch.eye(len(query), dtype=logits.dtype) - 1
    return -F.logsigmoid(sign * logits).sum() / len(query)


def main() -> dict[str, tuple[float, float]]:
    """Compare each with the library."""
    torch.manual_seed(0)
    a, b = torch.randn(8, 16, dtype=torch.float64), torch.randn(8, 16, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 0, 1, 3, 0, 1])
    pairs = {
        "InfoNCE": (info_nce_by_hand(a, b), info_nce.info_nce(a, b)),
        "symmetric": (symmetric_by_hand(a, b), functional.symmetric_info_nce(a, b)),
        "NT-Xent": (nt_xent_by_hand(a, b), functional.nt_xent(a, b)),
        "SupCon": (sup_con_by_hand(a, labels), functional.sup_con(a, labels)),
        "DCL": (decoupled_by_hand(a, b), functional.dcl(a, b)),
        "SigLIP": (sigmoid_by_hand(a, b), functional.sigmoid_loss(a, b)),
    }
    found = {name: (hand.item(), library.item()) for name, (hand, library) in pairs.items()}
    print(f"{'':12}{'by hand':>12}{'library':>12}{'difference':>12}")
    for name, (hand, library) in found.items():
        print(f"{name:12}{hand:12.6f}{library:12.6f}{abs(hand - library):12.1e}")
    return found


if __name__ == "__main__":
    main()
