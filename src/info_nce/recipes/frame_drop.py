"""Frames of a clip left out: by chance, or by a generator that learns which ones hurt most."""

from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

# n clips, t frames, c channels

Drop = Literal["random", "adversarial", "none"]


class Reversed(torch.autograd.Function):
    """The identity, whose gradient is turned round: what lies before it is trained to make the loss larger.

    Source:
        Ganin and Lempitsky 2015, "Unsupervised Domain Adaptation by Backpropagation", arXiv:1409.7495, section 3.1.
    """

    @staticmethod
    def forward(ctx: Any, scores: Tensor) -> Tensor:  # noqa: ARG004 (torch passes it)
        """Give back what came."""
        return scores.view_as(scores)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ARG004 (torch passes it)
        """Turn it round."""
        return -gradient


class FrameDrop(nn.Module):
    """Clips with some frames blank: each has its own mean grey everywhere. In eval mode, clips as they are.

    Args:
        drop: "random"; "adversarial", where a generator is trained against the loss; or "none".
        count: how many frames of each clip are blank.
        spared: a frame that never is.
        channels: 1 or 3.

    Source:
        Pan et al. 2021, "VideoMoCo", arXiv:2103.05905, section 3.1: a generator drops a quarter of the frames and is
        trained to make features of what is left differ. Differs from the paper: the generator maximises the loss that
        the encoder minimises, through a reversed gradient, in one step of one optimizer; it is a small temporal
        convolution in place of an LSTM; frames are sampled by its scores, by the Gumbel trick with a straight-through
        gradient (arXiv:1611.01144), not just taken.
    """

    def __init__(self, drop: Drop, count: int, spared: int, channels: int) -> None:
        super().__init__()
        self.drop, self.count, self.spared = drop, count, spared
        self.generator = Generator(channels) if drop == "adversarial" and count else None

    def forward(self, clips: Float[Tensor, "n t c h w"]) -> Float[Tensor, "n t c h w"]:
        """Leave frames out."""
        if not self.training or self.drop == "none" or self.count == 0:
            return clips
        scores = clips.new_zeros(clips.shape[:2])
        if self.generator is not None:
            scores = Reversed.apply(self.generator(clips))  # type: ignore[no-untyped-call]  # torch has no types for it
        blank = self.chosen(scores)[:, :, None, None, None]
        return clips + blank * (clips.mean((2, 3, 4), keepdim=True) - clips)

    def chosen(self, scores: Float[Tensor, "n t"]) -> Float[Tensor, "n t"]:
        """Draw frames without replacement, likelier ones by the exponential of their scores: 1 for those, 0 for others.

        Its gradient is that of the softmax from which the first of them is drawn.
        """
        noisy = scores - torch.empty_like(scores).exponential_().log()
        noisy = noisy.index_fill(1, torch.tensor([self.spared], device=scores.device), -torch.inf)
        hard = torch.zeros_like(scores).scatter_(1, noisy.topk(self.count, dim=1).indices, 1.0)
        if not scores.requires_grad:
            return hard
        soft = self.count * noisy.softmax(1)
        return hard + soft - soft.detach()


class Generator(nn.Module):
    """A score for each frame: how much its loss would hurt. Sees 8 x 8 pixels of each frame and its neighbours.

    Args:
        channels: 1 or 3.
    """

    SIDE = 8

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv1d(channels * self.SIDE**2, 32, 3, padding=1), nn.ReLU(), nn.Conv1d(32, 1, 3, padding=1)
        )

    def forward(self, clips: Float[Tensor, "n t c h w"]) -> Float[Tensor, "n t"]:
        """Score frames."""
        small = functional.adaptive_avg_pool2d(clips.flatten(0, 1), self.SIDE).flatten(1)
        scores: Tensor = self.net(small.view(*clips.shape[:2], -1).transpose(1, 2))
        return scores[:, 0]
