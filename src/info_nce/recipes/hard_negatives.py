"""What a pair of texts goes to training with: hard negatives that came with it, and those that the model finds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from info_nce.data.pairs import TextPairSet
from info_nce.mining import mine_hard_negatives

Prepare = Callable[[Sequence[str]], tuple[Tensor, ...]]
Encode = Callable[[nn.Module, Sequence[str]], Float[Tensor, "n d"]]
"""A model and texts to embeddings, as the model has them now."""

KEPT = 8
"""Of how many found for each query those of a step are drawn."""


@dataclass(frozen=True, slots=True)
class Mining:
    """When hard negatives are looked for among all documents, and which ones are taken.

    Args:
        steps: before which the model looks.
        skip: how many of the most similar ones are left out.
        relative_margin: how far below the query's own document they must be, as a share of its similarity.
    """

    steps: frozenset[int]
    skip: int
    relative_margin: float


class PairInputs:
    """The model's arguments for chosen pairs: what each is about, and its texts: query, document, hard negatives.

    A query with too few hard negatives gets documents drawn at random in their place; while no query has any, there are
    none. What was mined is a buffer of the loss, `mined`, so that a resumed run finds it again.

    Args:
        part: the pairs.
        prepare: texts to tensors of one row each.
        count: of hard negatives of each query, at a step.
        device: where to.
        mining: when the model looks for some; never if left out.
        encode: embeds texts, for mining.
    """

    def __init__(
        self,
        part: TextPairSet,
        prepare: Prepare,
        *,
        count: int,
        device: torch.device,
        mining: Mining | None = None,
        encode: Encode | None = None,
    ) -> None:
        self.part, self.prepare, self.count, self.device = part, prepare, count, device
        self.mining, self.encode = mining, encode
        self.groups = torch.tensor(part.groups, dtype=torch.int64)
        self.mined: Tensor | None = None

    def __call__(self, chosen: Int64[Tensor, " k"]) -> tuple[Tensor, ...]:
        """Groups, then what `prepare` makes of all texts of a pair, (k texts ...)."""
        rows = chosen.tolist()
        lists = [[self.part.queries[i], self.part.documents[i]] for i in rows]
        if self.count and (self.part.negatives or (self.mined is not None and bool((self.mined >= 0).any()))):
            lists = [[*texts, *self._negatives(i)] for texts, i in zip(lists, rows, strict=True)]
        prepared = self.prepare([text for texts in lists for text in texts])
        tensors = (tensor.reshape(len(rows), len(lists[0]), *tensor.shape[1:]) for tensor in prepared)
        return tuple(tensor.to(self.device) for tensor in (self.groups[chosen], *tensors))

    def before_step(self, step: int, modules: Mapping[str, nn.Module]) -> None:
        """Look for hard negatives with the model as it is, if it is time to."""
        if self.mining is None or self.encode is None:
            return
        mined = modules["loss"].mined
        if not isinstance(mined, Tensor):
            return
        if step in self.mining.steps:
            mined.copy_(self._mine(modules["model"], self.encode, self.mining))
        self.mined = mined.cpu()

    def _mine(self, model: nn.Module, encode: Encode, mining: Mining) -> Int64[Tensor, "n k"]:
        first: dict[str, int] = {}  # a document that answers several queries is one
        for row, text in enumerate(self.part.documents):
            first.setdefault(text, row)
        rows = torch.tensor(list(first.values()))
        mode = model.training
        model.eval()
        queries, documents = encode(model, self.part.queries), encode(model, list(first))
        model.train(mode)
        found = mine_hard_negatives(
            queries,
            documents,
            KEPT,
            query_ids=self.groups,
            document_ids=self.groups[rows],
            skip=mining.skip,
            relative_margin=mining.relative_margin,
        )
        return torch.where(found.found, rows[found.index.clamp(min=0)], -1)

    def _negatives(self, row: int) -> list[str]:
        """Those that came with the data first; the rest by chance, from torch's global generator."""
        own = list(self.part.negatives[row]) if self.part.negatives else []
        mined = [] if self.mined is None else [self.part.documents[i] for i in self.mined[row].tolist() if i >= 0]
        chosen = [texts[i] for texts in (own, mined) for i in torch.randperm(len(texts)).tolist()]
        taken = list(dict.fromkeys(chosen))[: self.count]
        while len(taken) < self.count:
            other = int(torch.randint(len(self.part), ()))
            if self.part.groups[other] != self.part.groups[row]:
                taken.append(self.part.documents[other])
        return taken
