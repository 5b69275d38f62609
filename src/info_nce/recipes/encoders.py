"""Small convolutional encoders with a projection head: what a CPU can train while one waits."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from info_nce.recipes.towers import image_tower

# c channels, d features of the encoder, e features of the projection


class ContrastiveModel(nn.Module):
    """An encoder, and a projection head that only the loss sees.

    Args:
        encoder: pictures in [0, 1] (n c h w) to h (n d).
        projector: h to z (n e), where the loss compares.

    Source:
        Chen et al. 2020, arXiv:2002.05709, section 2.1; that h serves better than z afterwards is its section 4.2.
    """

    def __init__(self, encoder: nn.Module, projector: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.projector = projector

    def forward(self, view1: Float[Tensor, "n c h w"], view2: Float[Tensor, "n c h w"]) -> tuple[Tensor, Tensor]:
        """Project two views of the same pictures, in one pass so that batch norm sees both."""
        z: Tensor = self.projector(self.encoder(torch.cat([view1, view2])))
        z1, z2 = z.chunk(2)
        return z1, z2


def contrastive_model(
    channels: int, image_size: int, *, width: int = 32, projection: int = 128, encoder: str = ""
) -> ContrastiveModel:
    """Build the encoder for pictures of one size, with its projection head.

    Args:
        channels: 1 or 3.
        image_size: side in pixels; each doubling from 28 on adds a stage that halves it.
        width: channels of the first layer; the work grows with its square.
        projection: features of z.
        encoder: another encoder in place of this one, see `towers.image_tower`.

    Returns:
        A model with freshly initialised weights, drawn from torch's global generator.

    Example:
        >>> contrastive_model(1, 28).encoder(torch.rand(2, 1, 28, 28)).shape
        torch.Size([2, 256])
    """
    if encoder:
        tower = image_tower(encoder, channels, image_size)
        pictures: nn.Module = tower
        features = tower.features
    else:
        pictures, features = conv_encoder(channels, image_size, width), 8 * width
    projector = nn.Sequential(
        nn.Linear(features, 256, bias=False), nn.BatchNorm1d(256), nn.ReLU(), nn.Linear(256, projection)
    )
    return ContrastiveModel(pictures, projector)


def conv_encoder(channels: int, image_size: int, width: int) -> nn.Sequential:
    """Four convolutions, the first of them with a stride: the full-size layer is where a CPU would lose its time."""
    stages = [block(channels, width, stride=2)]
    while image_size >= 56:  # a larger picture is first brought to the size that the rest is made for
        stages.append(block(width, width, stride=2))
        image_size //= 2
    stages += [block(width, 2 * width), nn.MaxPool2d(2), block(2 * width, 4 * width), nn.MaxPool2d(2)]
    encoder = nn.Sequential(*stages, block(4 * width, 8 * width), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return initialised(encoder)


def initialised(encoder: nn.Sequential) -> nn.Sequential:
    """Draw the weights of convolutions that a ReLU follows, and lay them out for speed."""
    for layer in encoder.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    # Channels last halves the time of a small convolution on a CPU; torch's own types do not know this call.
    return encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]  # torch's types know no memory format here


def block(inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1) -> nn.Module:
    """A convolution with batch norm."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())
