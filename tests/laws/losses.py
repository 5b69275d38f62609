"""Every loss of two tensors, as the laws take them."""

# N items or queries, D features

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from info_nce import functional as f
from tests.strategies import normal

Loss = Callable[..., Tensor]

close = partial(assert_close, rtol=1e-11, atol=1e-11)


def labelled_views(view1: Tensor, view2: Tensor, **settings: Any) -> Tensor:
    """Each item is a label of its own."""
    return f.sup_con(torch.cat([view1, view2]), torch.arange(len(view1)).repeat(2), **settings)


def one_label(view1: Tensor, view2: Tensor, **settings: Any) -> Tensor:
    """All items have one label."""
    return f.sup_con(torch.cat([view1, view2]), torch.zeros(2 * len(view1), dtype=torch.int64), **settings)


def two_positives(view1: Tensor, view2: Tensor, **settings: Any) -> Tensor:
    """Each item is a label of its own, and one of its views is there twice."""
    return f.sup_con(torch.cat([view1, view2, view1]), torch.arange(len(view1)).repeat(3), **settings)


def own_queue(query: Tensor, key: Tensor, **settings: Any) -> Tensor:
    """A queue that holds one key more than the batch."""
    return f.moco(query, key, torch.cat([key, key[:1]]), **settings)


def explicit(query: Tensor, key: Tensor, **settings: Any) -> Tensor:
    return f.info_nce(query, key, key.roll(1, 0), keep_in_batch=True, **settings)


# loss of two tensors: how many candidates, the positive included, a query has in a batch of N
SOFTMAX: dict[str, tuple[Loss, Callable[[int], int]]] = {
    "info_nce": (f.info_nce, lambda n: n),
    "explicit negatives": (explicit, lambda n: 2 * n),
    "symmetric_info_nce": (f.symmetric_info_nce, lambda n: n),
    "nt_xent": (f.nt_xent, lambda n: 2 * n - 1),
    "nt_xent of three views": (lambda a, b, **s: f.nt_xent(a, b, a, **s), lambda n: 3 * n - 1),
    "sup_con": (labelled_views, lambda n: 2 * n - 1),
    "sup_con, one label": (one_label, lambda n: 2 * n - 1),
    "sup_con inside": (partial(two_positives, inside=True), lambda n: 3 * n - 1),
    "moco": (own_queue, lambda n: n + 2),
    "retrieval": (f.retrieval_info_nce, lambda n: 3 * n - 2),
    "debiased": (f.debiased_info_nce, lambda n: 2 * n - 1),
    "hard negatives": (f.hard_negative_info_nce, lambda n: 2 * n - 1),
    "the 2 hardest": (partial(f.hard_negative_info_nce, top_k=2), lambda _: 3),
}
DECOUPLED: dict[str, Loss] = {"dcl": f.dcl, "dclw": f.dclw}
OTHERS: dict[str, Loss] = {"robust": f.robust_info_nce, "sigmoid": f.sigmoid_loss}
LOSSES: dict[str, Loss] = {name: loss for name, (loss, _) in SOFTMAX.items()} | DECOUPLED | OTHERS

every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())
every_softmax = pytest.mark.parametrize(("loss", "candidates"), SOFTMAX.values(), ids=SOFTMAX.keys())


def two(n: int, d: int, seed: int) -> tuple[Tensor, Tensor]:
    """Two views that are more alike than chance."""
    item = normal(n, d, seed=seed)
    return item + 0.7 * normal(n, d, seed=seed + 1), item + 0.7 * normal(n, d, seed=seed + 2)


def gradients(loss: Callable[[Tensor, Tensor], Tensor], *given_tensors: Tensor) -> list[Tensor]:
    leaves = [tensor.detach().clone().requires_grad_() for tensor in given_tensors]
    # MoCo's keys have no gradient
    return list(torch.autograd.grad(loss(*leaves).sum(), leaves, allow_unused=True, materialize_grads=True))
