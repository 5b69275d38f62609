"""An encoder of clips with two streams: one that sees how the frames differ, one that sees what is in a frame.

Motion tells clips apart so well that one encoder for both never learns what is moving: a shortcut. A stream that sees
a single frame cannot take it, and a loss of its own makes it learn.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from info_nce.recipes.encoders import block, initialised

# n clips, t frames, c channels, d features of a stream, e features of its projection


class TwoStreams(nn.Module):
    """Clips to h: the features of the motion stream, then those of the appearance stream.

    The motion stream takes all frames at once, as channels of one picture. The appearance stream takes one frame while
    training, the middle one; in use, every second one, each alone, and averages.

    Args:
        frames: of a clip.
        channels: 1 or 3.
        image_size: side in pixels.
        width: channels of the first layer; the work grows with its square.
        appearance: whether there is a stream for it at all.

    Source:
        Simonyan and Zisserman 2014, "Two-Stream Convolutional Networks for Action Recognition in Videos",
        arXiv:1406.2199. Differs from the paper: the motion stream sees frames in place of optical flow.
    """

    def __init__(self, frames: int, channels: int, image_size: int, width: int, *, appearance: bool = True) -> None:
        super().__init__()
        # Its first layer is wide enough to see from where to where something moves.
        self.motion = strided_encoder(frames * channels, image_size, width, kernel=5)
        self.appearance = strided_encoder(channels, image_size, width) if appearance else None
        self.middle = frames // 2
        self.widths = [4 * width] * (2 if appearance else 1)
        """How many features of h are each stream's."""

    def forward(self, clips: Float[Tensor, "n t c h w"]) -> Float[Tensor, "n d"]:
        """Encode clips with numbers from 0 to 1."""
        motion: Tensor = self.motion(clips.flatten(1, 2))
        if self.appearance is None:
            return motion
        frames = clips[:, self.middle : self.middle + 1] if self.training else clips[:, ::2]
        each: Tensor = self.appearance(frames.flatten(0, 1))
        return torch.cat([motion, each.view(*frames.shape[:2], -1).mean(1)], dim=1)


class Apart(nn.Module):
    """A projection of each stream for itself, to unit length each, side by side.

    Args:
        widths: the features of each stream in h.
        features: of each projection.
    """

    def __init__(self, widths: list[int], features: int) -> None:
        super().__init__()
        self.widths = widths
        self.heads = nn.ModuleList(_head(width, features) for width in widths)

    def forward(self, h: Float[Tensor, "n d"]) -> Float[Tensor, "n e"]:
        """Project."""
        streams = zip(self.heads, torch.split(h, self.widths, 1), strict=True)
        return torch.cat([functional.normalize(head(stream), dim=1) for head, stream in streams], dim=1)


def strided_encoder(channels: int, image_size: int, width: int, *, kernel: int = 3) -> nn.Sequential:
    """Three convolutions with a stride each, and the mean over what is left of the picture; more of them from 56 on."""
    stages, size = [block(channels, width, kernel=kernel, stride=2)], image_size
    while size >= 56:  # a larger picture is first brought to the size that the rest is made for
        stages.append(block(width, width, stride=2))
        size //= 2
    stages += [block(width, 2 * width, stride=2), block(2 * width, 4 * width, stride=2)]
    return initialised(nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten()))


def _head(width: int, features: int) -> nn.Module:
    return nn.Sequential(nn.Linear(width, 256, bias=False), nn.BatchNorm1d(256), nn.ReLU(), nn.Linear(256, features))
