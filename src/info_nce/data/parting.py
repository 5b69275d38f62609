"""Which items are trained on, which are there to choose settings, and which to report on: always the same ones."""

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from info_nce.data.splits import SPLIT_SEED


def part_by(count: int, labels: Int64[Tensor, " n"] | None) -> dict[str, Int64[Tensor, " k"]]:
    """Cut items into fixed parts: 60 / 20 / 20 within each class; without labels 80 / 20 and nothing to test on.

    Args:
        count: how many items there are.
        labels: their classes, or None where nobody said.

    Returns:
        The items of "train", "validation" and "test", each in their order.
    """
    shuffle = np.random.default_rng(SPLIT_SEED)
    shares = (0.2, 0.2) if labels is not None else (0.2, 0.0)
    groups = torch.zeros(count, dtype=torch.int64) if labels is None else labels
    parts: dict[str, list[int]] = {"validation": [], "test": [], "train": []}
    for group in sorted(set(groups.tolist())):
        members = shuffle.permutation(torch.nonzero(groups == group)[:, 0].numpy()).tolist()
        validation, test = (round(share * len(members)) for share in shares)
        parts["validation"] += members[:validation]
        parts["test"] += members[validation : validation + test]
        parts["train"] += members[validation + test :]
    return {name: torch.tensor(sorted(index), dtype=torch.int64) for name, index in parts.items()}
