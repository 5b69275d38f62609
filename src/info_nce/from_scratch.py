"""The losses in ten lines of plain torch each, to be read and copied; tests hold them to the library.

They store the whole matrix and check nothing. The library computes the same numbers at any size, and says what is wrong
with what it is given.
"""

# N queries or items, D features, M keys in a queue

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor, nn

__all__ = ["LearnedTemperature", "enqueue", "info_nce", "moco", "nt_xent", "symmetric_info_nce", "train_epoch"]


def info_nce(query: Tensor, key: Tensor, temperature: float = 0.1) -> Tensor:
    """Each query (N, D) picks its own key, the one in the same row."""
    query = F.normalize(query, dim=1)
    key = F.normalize(key, dim=1)
    logits = query @ key.T / temperature  # every cell, the positives too
    own = torch.arange(len(query), device=query.device)
    return F.cross_entropy(logits, own)


def symmetric_info_nce(query: Tensor, key: Tensor, temperature: float | Tensor = 0.07) -> Tensor:
    """Each query picks its key, and each key picks its query: CLIP."""
    query = F.normalize(query, dim=1)
    key = F.normalize(key, dim=1)
    logits = query @ key.T / temperature
    own = torch.arange(len(query), device=query.device)
    rows = F.cross_entropy(logits, own)  # which key?
    columns = F.cross_entropy(logits.T, own)  # which query?
    return (rows + columns) / 2


def nt_xent(views: Tensor, temperature: float = 0.1) -> Tensor:
    """SimCLR: each of 2N views, in the order a1 a2 b1 b2 ..., picks its partner."""
    views = F.normalize(views, dim=1)
    logits = views @ views.T / temperature
    itself = torch.eye(len(views), dtype=torch.bool, device=views.device)
    logits = logits.masked_fill(itself, -torch.inf)  # nobody may pick itself
    partner = torch.arange(len(views), device=views.device) ^ 1  # 1 0 3 2 5 4 ...
    return F.cross_entropy(logits, partner)


def moco(query: Tensor, key: Tensor, queue: Tensor, temperature: float = 0.07) -> Tensor:
    """Each query picks its own key among that key and the M keys of a queue."""
    query = F.normalize(query, dim=1)
    key = F.normalize(key.detach(), dim=1)  # another encoder's: no gradient
    queue = F.normalize(queue.detach(), dim=1)
    positive = (query * key).sum(dim=1, keepdim=True)  # (N, 1)
    negatives = query @ queue.T  # (N, M)
    logits = torch.cat([positive, negatives], dim=1) / temperature
    own = torch.zeros(len(query), dtype=torch.long, device=query.device)
    return F.cross_entropy(logits, own)


def enqueue(queue: Tensor, key: Tensor) -> Tensor:
    """After the step, this batch's keys join the queue, and the oldest leave it."""
    return torch.cat([key.detach(), queue])[: len(queue)]


class LearnedTemperature(nn.Module):
    """A temperature that is trained: what is kept is log(1 / temperature)."""

    def __init__(self, start: float = 0.07, smallest: float = 0.01) -> None:
        super().__init__()
        self.smallest = smallest
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / start)))

    def forward(self) -> Tensor:
        """Return the temperature itself, not its inverse."""
        return torch.exp(-self.log_scale)

    @torch.no_grad()
    def clamp(self) -> None:
        """After the optimizer's step: never below the smallest."""
        self.log_scale.clamp_(max=math.log(1 / self.smallest))


def train_epoch(
    encoder: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    optimizer: torch.optim.Optimizer,
    temperature: float = 0.1,
) -> float:
    """Go once through pairs of views; return the mean loss of the epoch."""
    total, items = 0.0, 0
    for view1, view2 in batches:
        embedded = [encoder(view1), encoder(view2)]
        views = torch.stack(embedded, dim=1).flatten(0, 1)  # a1 a2 b1 b2 ...
        loss = nt_xent(views, temperature)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(view1)
        items += len(view1)
    return total / items
