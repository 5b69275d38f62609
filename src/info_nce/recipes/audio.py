"""What the recipes on sound share: a log-mel front end, and convolutions that look at a few frames at a time."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from info_nce.data.audio import SAMPLE_RATE

WINDOW, HOP, FFT, BANDS = 400, 160, 512, 40
"""25 ms in every 10 ms, in 40 bands, as is usual for speech."""
# Far below speech, and above the rounding of 16 bits.
_FLOOR = 1e-4


class LogMel(nn.Module):
    """How loud is each band in each 10 ms? In logarithms, with each band's mean over the recording taken off.

    Taking off the mean removes the microphone's colour, and much of the voice's.

    Source:
        Davis and Mermelstein 1980, "Comparison of parametric representations for monosyllabic word recognition",
        section II, without the cosine transform; the mel scale is O'Shaughnessy's, 2595 log10(1 + f / 700).
    """

    window: Tensor
    filters: Tensor

    def __init__(self) -> None:
        super().__init__()
        # Constants of the method, not weights: they are no part of a saved state.
        self.register_buffer("window", torch.hann_window(WINDOW), persistent=False)
        self.register_buffer("filters", mel_filters(), persistent=False)

    def forward(self, waves: Float[Tensor, "n s"]) -> Float[Tensor, "n t b"]:
        """Frame t is centred on sample `centre(t)`; only whole windows count."""
        frames = waves.float().unfold(1, WINDOW, HOP) * self.window
        power = torch.fft.rfft(frames, FFT).abs().square()
        levels = (power @ self.filters + _FLOOR).log()
        return levels - levels.mean(1, keepdim=True)


def frames_in(samples: int) -> int:
    """How many frames does a recording give?"""
    return max(0, (samples - WINDOW) // HOP + 1)


def centre(frame: Tensor) -> Tensor:
    """The sample in the middle of a frame."""
    return frame * HOP + WINDOW // 2


def mel_filters() -> Float[Tensor, "f b"]:
    """Triangles that overlap by half, evenly spaced in mel from 0 to 8 kHz."""

    def mel(hertz: float) -> float:
        return 2595 * math.log10(1 + hertz / 700)

    corners = 700 * (10 ** (torch.linspace(0, mel(SAMPLE_RATE / 2), BANDS + 2, dtype=torch.float64) / 2595) - 1)
    bins = torch.linspace(0, SAMPLE_RATE / 2, FFT // 2 + 1, dtype=torch.float64)[:, None]
    rising = (bins - corners[:-2]) / (corners[1:-1] - corners[:-2])
    falling = (corners[2:] - bins) / (corners[2:] - corners[1:-1])
    return torch.minimum(rising, falling).clamp(min=0).float()


class Convolutions(nn.Module):
    """Frames to latents: three convolutions over time, of which the middle one may take every second frame.

    Each frame is normalised by itself. A norm over time would tell each frame of the future, which is what the recipes
    here have it guess.

    Args:
        inputs: features of a frame.
        outputs: features of a latent.
        stride: frames for each latent, 1 or 2; latent t is centred on frame `stride * t`.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        sizes = [(inputs, 1), (outputs, stride), (outputs, 1)]
        self.layers = nn.ModuleList(nn.Conv1d(size, outputs, 3, step, padding=1) for size, step in sizes)
        self.norms = nn.ModuleList(nn.LayerNorm(outputs) for _ in sizes)

    def forward(self, frames: Float[Tensor, "n t b"]) -> Float[Tensor, "n u d"]:
        """Latents, one for each `stride` frames."""
        for layer, norm in zip(self.layers, self.norms, strict=True):
            frames = nn.functional.gelu(norm(layer(frames.transpose(1, 2)).transpose(1, 2)))
        return frames
