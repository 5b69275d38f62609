"""A small encoder of pictures for the recipes that compare pictures with something else."""

from jaxtyping import Float
from torch import Tensor, nn

from info_nce.recipes.encoders import conv_encoder


class SmallTower(nn.Module):
    """Four convolutions: what a CPU can train while one waits.

    Args:
        channels: of the pictures: 1 or 3.
        image_size: side in pixels.
        width: channels of the first layer; the work grows with its square.

    Attributes:
        features: how many numbers a row of the output has.
    """

    def __init__(self, channels: int, image_size: int, width: int) -> None:
        super().__init__()
        self.features = 8 * width
        self.encoder = conv_encoder(channels, image_size, width)

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Encode pictures in [0, 1]."""
        output: Tensor = self.encoder(images)
        return output
