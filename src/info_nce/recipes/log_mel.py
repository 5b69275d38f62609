"""Sound to numbers: log-mel frames, convolutions on them, and what a model makes of a whole recording."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int16
from torch import Tensor, nn

from info_nce.data.audio import SAMPLE_RATE, as_float

WINDOW, HOP, FFT, BANDS = 400, 160, 512, 40
"""25 ms in every 10 ms, in 40 bands, as is usual for speech."""
WIDTH = 3
"""Frames that a latent looks at."""
# A longer recording is sent through a model in pieces, so that its memory has a bound.
_PIECE = 20 * SAMPLE_RATE
# Far below speech, and above the rounding of 16 bits.
_FLOOR = 1e-4


def pooled(model: nn.Module, waves: Sequence[Int16[Tensor, " s"]]) -> Float[Tensor, "n d"]:
    """Average a model's context over each recording, however long it is."""
    device = next(model.parameters()).device

    def context(samples: Tensor) -> Tensor:
        found: Tensor = model.context(as_float(samples)[None].to(device))[0]  # type: ignore[operator]  # every model of such a recipe has it
        return found

    rows = []
    with torch.inference_mode():
        for wave in waves:
            whole = nn.functional.pad(wave, (0, max(0, WINDOW - len(wave))))
            pieces = [piece for piece in torch.split(whole, _PIECE) if len(piece) >= WINDOW]
            rows.append(torch.cat([context(piece) for piece in pieces]).mean(0).cpu())
        return torch.stack(rows) if rows else context(torch.zeros(WINDOW)).cpu()[:0]


class MeanContext(nn.Module):
    """A model's context, averaged over time.

    Args:
        model: has a `context` of recordings.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, waves: Float[Tensor, "n s"]) -> Float[Tensor, "n d"]:
        """Encode."""
        output: Tensor = self.model.context(waves).mean(1)  # type: ignore[operator]  # torch types no methods
        return output


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
        """Frame t is centred on sample `HOP * t + WINDOW / 2`; only whole windows count."""
        levels = self.levels(waves)
        return levels - levels.mean(1, keepdim=True)

    def levels(self, waves: Float[Tensor, "n s"]) -> Float[Tensor, "n t b"]:
        """The logarithms themselves."""
        with torch.autocast(
            waves.device.type, enabled=False
        ):  # bfloat16 knows two digits, of which a logarithm eats one
            frames = waves.float().unfold(1, WINDOW, HOP) * self.window
            power = torch.fft.rfft(frames, FFT).abs().square()
            levels: Tensor = (power @ self.filters + _FLOOR).log()
        return levels


def frames_in(samples: int) -> int:
    """How many frames does a recording give?"""
    return max(0, (samples - WINDOW) // HOP + 1)


def latents_in(samples: int, stride: int) -> int:
    """How many latents does it give, of `stride` frames each?"""
    return -(-frames_in(samples) // stride)


def mel_filters() -> Float[Tensor, "f b"]:
    """Triangles that overlap by half, evenly spaced in mel from 0 to 8 kHz."""
    corners = _corners()
    bins = torch.linspace(0, SAMPLE_RATE / 2, FFT // 2 + 1, dtype=torch.float64)[:, None]
    rising = (bins - corners[:-2]) / (corners[1:-1] - corners[:-2])
    falling = (corners[2:] - bins) / (corners[2:] - corners[1:-1])
    return torch.minimum(rising, falling).clamp(min=0).float()


def stretched(frames: Float[Tensor, "n t b"], factors: Float[Tensor, " n"]) -> Float[Tensor, "n t b"]:
    """The same words from a longer or a shorter throat: every frequency of a recording times its factor.

    Args:
        frames: log-mel.
        factors: one for each recording; above 1 what was loud at 1,000 Hz is loud above that.

    Source:
        Jaitly and Hinton 2013, "Vocal Tract Length Perturbation (VTLP) improves speech recognition", section 2. Differs
        from it: bands are read between their neighbours, where the paper moves the filters; the highest are cut off.
    """
    middles = _corners()[1:-1].to(frames)
    # Band b is what lay at its own frequency divided by the factor, counted in bands, which are even in mel.
    place = (_mel(middles / factors[:, None]) / _mel(torch.tensor(SAMPLE_RATE / 2)) * (BANDS + 1) - 1).clamp(
        0, BANDS - 1
    )
    below = place.floor().long().clamp(max=BANDS - 2)
    share = place - below
    mixing = frames.new_zeros(len(frames), BANDS, BANDS)
    mixing.scatter_(1, below[:, None], (1 - share)[:, None]).scatter_add_(1, below[:, None] + 1, share[:, None])
    return frames @ mixing


def factors(count: int, strength: float) -> Float[Tensor, " n"]:
    """Draw for `stretched`, evenly from 1 - strength to 1 + strength, from torch's global generator."""
    return 1 + strength * (2 * torch.rand(count) - 1)


def _mel(hertz: Tensor) -> Tensor:
    return 2595 * torch.log10(1 + hertz / 700)


def _corners() -> Float[Tensor, " c"]:
    highest = _mel(torch.tensor(SAMPLE_RATE / 2, dtype=torch.float64))
    return 700 * (10 ** (torch.linspace(0, float(highest), BANDS + 2, dtype=torch.float64) / 2595) - 1)


class Convolutions(nn.Module):
    """Frames to latents: three convolutions over time, of which the first alone looks at the neighbours of a frame.

    So latents that are three frames apart share none, and to tell one from the other is more than copying. Each frame
    is normalised by itself: a norm over time would tell it of the future, which is what the recipes here have it guess.

    Args:
        inputs: features of a frame.
        outputs: features of a latent.
        stride: frames for each latent, 1 or 2; latent t is centred on frame `stride * t`.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        first = nn.Conv1d(inputs, outputs, WIDTH, stride, padding=WIDTH // 2)
        self.layers = nn.ModuleList([first, nn.Conv1d(outputs, outputs, 1), nn.Conv1d(outputs, outputs, 1)])
        self.norms = nn.ModuleList(nn.LayerNorm(outputs) for _ in self.layers)

    def forward(self, frames: Float[Tensor, "n t b"]) -> Float[Tensor, "n u d"]:
        """Latents, one for each `stride` frames."""
        for layer, norm in zip(self.layers, self.norms, strict=True):
            frames = nn.functional.gelu(norm(layer(frames.transpose(1, 2)).transpose(1, 2)))
        return frames
