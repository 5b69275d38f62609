"""What ranks hold in parts, put together, so that every measure of one process is one of all of them."""

from torch import Tensor

from info_nce.checks import ArgumentError, DTypeError, fail
from info_nce.distributed import Group, ranks_of

__all__ = ["gathered"]


def gathered(*tensors: Tensor, process_group: "Group | None" = None) -> tuple[Tensor, ...]:
    """Which embeddings, labels or ids do all ranks hold? One after the other, the same on every rank.

    With these, every measure of this module is that of all ranks: `effective_rank(*gathered(embeddings))`. Each rank
    holds all embeddings then, and no matrix of pairs. Every rank has to call it.

    Args:
        tensors: any number of them, (n, ...), on the device by which the ranks talk; n may differ between ranks, and be
            0.
        process_group: whose ranks; the default group, or this process alone where there is none.

    Returns:
        One tensor for each, a copy without history: of rank 0, then of rank 1, and so on.

    Raises:
        ArgumentError: a tensor has no rows to put together.
        DTypeError: something is no tensor.
        RanksDisagreeError: the ranks bring another number of tensors, other shapes of their rows, or other dtypes.

    Example:
        >>> import torch
        >>> gathered(torch.eye(2))  # of one process, what it has
        (tensor([[1., 0.],
                [0., 1.]]),)
    """
    ranks = ranks_of(process_group)
    with ranks.together("what is put together"):
        for tensor in tensors:
            if not isinstance(tensor, Tensor):
                fail(
                    DTypeError,
                    "What is put together must be tensors.",
                    got=f"a value of type {type(tensor).__name__}",
                    expected="tensors (n, ...)",
                    hint="torch.as_tensor(value)",
                )
            if not tensor.dim():
                fail(
                    ArgumentError,
                    "What is put together needs rows.",
                    got=f"shape {tuple(tensor.shape)}",
                    expected="(n, ...)",
                    hint="value.reshape(1) for one number of each rank",
                )
        ranks.agree(f"{len(tensors)} tensors")
        found = tuple(ranks.shared(tensor, f"tensor {place}") for place, tensor in enumerate(tensors, start=1))
        return found if ranks.size > 1 else tuple(tensor.clone() for tensor in found)
