"""MoCo's loss: a query against its key and a queue of keys of past batches."""

from jaxtyping import Float, Int
from torch import Tensor
from typing_extensions import Unpack

from info_nce.checks import ArgumentError, check_embeddings, check_same_features, fail
from info_nce.contrast import Reduction
from info_nce.losses.compose import may_differ
from info_nce.losses.face import Face
from info_nce.losses.info_nce import compared
from info_nce.losses.options import Options, Settings, Shared, Tensors, loss_function
from info_nce.queue import KeyQueue

__all__ = ["MoCo", "moco"]


@loss_function()
def moco(
    query: Float[Tensor, "n d"],
    key: Float[Tensor, "n e"],
    queue: KeyQueue | Float[Tensor, "m e"],
    temperature: float | Tensor = 0.07,
    reduction: Reduction = "mean",
    *,
    queue_ids: Int[Tensor, " m"] | None = None,
    **shared: Unpack[Shared],
) -> Float[Tensor, ""] | Float[Tensor, " n"]:
    r"""How surely does each query pick its own key out of a queue of other keys?

    $$ \ell_i = -\log \frac{e^{q_i k_i / \tau}}{e^{q_i k_i / \tau} + \sum_{j} e^{q_i k_j^{queue} / \tau}} $$

    Args:
        query: the encoder's output.
        key: the momentum encoder's output for the other view; no gradient flows into it.
        queue: a `KeyQueue`, or a tensor of keys. Enqueue this batch's keys after the step, not before.
        temperature: tau > 0, one for all or one per query (N).
        reduction: "mean", "sum", or "none" for one value per query.
        queue_ids: with `ids`, the identity of each key of a tensor; a `KeyQueue` knows its own.
        shared: see `Options`; `log_q` belongs to the queue's keys.

    Returns:
        Loss in nats. 0 = always right and certain; log(1 + keys in the queue) = guessing.

    Raises:
        ShapeError: sizes do not fit.
        ArgumentError: the queue is empty.

    Example:
        >>> import torch
        >>> q = torch.eye(4)
        >>> round(moco(q, q, -q, temperature=0.5).item(), 5)  # log(1 + 3 exp(-2) + exp(-4))
        0.3537

    Source:
        He et al. 2020, "Momentum Contrast for Unsupervised Visual Representation Learning", arXiv:1911.05722, eq. 1;
        temperature 0.07.
    """
    if isinstance(queue, KeyQueue):
        if not queue.filled:
            fail(
                ArgumentError,
                "The queue is empty, so the query has no negative.",
                got=f"{queue!r}",
                expected="at least one key",
                hint="enqueue the keys of a first batch before the first loss: queue.enqueue(momentum_encoder(batch))",
            )
        if shared.get("ids") is not None and queue_ids is None:
            queue_ids = queue.ids()
        queue = queue.keys()
        queue = queue.to(key.dtype) if isinstance(key, Tensor) else queue
    check_embeddings({"queue": queue, "key": key})
    options = Options(**shared)
    if not may_differ(options.similarity):
        check_same_features({"key": key, "queue": queue})
    options.ranks.same(queue, "the queue, which every rank must hold alike (KeyQueue(across_ranks=True))")
    key, queue = key.detach(), queue.detach()
    return compared(
        query, key, queue, temperature, reduction, "unpaired", options, negative_ids=queue_ids, replicated=True
    )


class MoCo(Face):
    """How surely does each query pick its own key out of a queue? The module of `moco`.

    Args:
        temperature: tau > 0; 0.07 in the paper, 0.2 in its second version.
        reduction: "mean", "sum", or "none" for one value per query.
        learnable: learn the temperature, see `Face`.
        settings: see `Options`.

    Example, one step of training:

        key = momentum_encoder(view2)
        loss = moco(encoder(view1), key, queue)
        loss.backward(); optimizer.step()
        momentum_encoder.update(encoder)
        queue.enqueue(key)
    """

    source = "He et al. 2020, arXiv:1911.05722, eq. 1"
    global_statistics = ("queue",)

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
        self,
        query: Float[Tensor, "n d"],
        key: Float[Tensor, "n e"],
        queue: KeyQueue | Float[Tensor, "m e"],
        *,
        queue_ids: Int[Tensor, " m"] | None = None,
        **tensors: Unpack[Tensors],
    ) -> Float[Tensor, ""] | Float[Tensor, " n"]:
        """Compute the loss; see `moco`."""
        return moco(query, key, queue, self.temperature, self.reduction, queue_ids=queue_ids, **self.shared(tensors))
