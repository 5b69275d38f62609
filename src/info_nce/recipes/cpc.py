"""CPC: from what was heard so far, tell the latents that come next from others of the same recording.

The next latent shares frames with this one and would be trivial, so the nearest that is predicted is two away. The
data, the front end and how the result is judged are in `audio` and `log_mel`, which other recipes on sound share.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from info_nce import CPC as CPCLoss  # noqa: N811 (a class, for all its capitals)
from info_nce.data.audio import SoundSet
from info_nce.engines import Gathered
from info_nce.errors import SettingError
from info_nce.recipes.audio import SoundRecipe
from info_nce.recipes.base import Inputs
from info_nce.recipes.log_mel import LogMel, factors, stretched
from info_nce.recipes.sound_encoders import STRIDE, sound_encoder


@dataclass(frozen=True, kw_only=True)
class CPC(SoundRecipe):
    """Train an encoder of sound without labels: the context predicts the latents that come next.

    van den Oord et al. 2018, arXiv:1807.03748. Differs from the paper: log-mel frames in place of the waveform, steps 2
    to 5 of 20 ms in place of 1 to 12 of 10 ms, all latents of the recording as negatives in place of drawn ones, and a
    small encoder, for minutes on a CPU. The context hears another throat than the one whose latents it predicts, in
    the spirit of Kharitonov et al. 2020, arXiv:2007.00991.

    Args:
        batch_size: recordings per step, of all processes together.
        first_step: the nearest latent that is predicted, counted from the context.
        last_step: the farthest.
        negatives: the other latents of the "same" recording, or of "both" that and the others of the batch. Those of
            others teach to tell voices apart, which is easier.
    """

    name = "cpc"
    paper = "arXiv:1807.03748"
    ranges: ClassVar[dict[str, tuple[float, float]]] = SoundRecipe.ranges | {
        "first_step": (1, 1000),
        "last_step": (1, 1000),
    }
    shifts: ClassVar[tuple[int, ...]] = (0, 3)

    steps: int = 600
    context: int = 512
    first_step: int = 2
    last_step: int = 5
    negatives: Literal["same", "both"] = "same"

    def check(self) -> None:
        """Refuse steps that no crop holds, too."""
        super().check()
        if not self.first_step <= self.last_step < self.latents:
            raise SettingError(
                "--first-step, --last-step and --crop-seconds do not fit.",
                got=f"steps {self.first_step} to {self.last_step} in a crop of {self.latents} latents",
                expected=f"the first at most the last, and the last less than {self.latents}",
                advice="leave them out: steps 2 to 5, crops of 1.28 seconds",
            )

    def model(self, about: Mapping[str, Any]) -> nn.Module:  # noqa: ARG002 (recordings are all brought to one rate)
        """Convolutions, and a GRU on them."""
        # The context must not hear the very sound that it predicts.
        encoder = sound_encoder(self.encoder, self.features, self.crop, far=STRIDE * self.first_step)
        return Listener(encoder, self.features, self.context)

    def criterion(self, about: Mapping[str, Any]) -> nn.Module:  # noqa: ARG002 (see above)
        """One bilinear map for each step ahead, learned with the model."""
        steps = range(self.first_step, self.last_step + 1)
        return CPCLoss(self.context, self.features, steps, self.negatives, engine=Gathered())

    def inputs(self, part: SoundSet, device: torch.device) -> Inputs:
        """A piece of each recording, and how it is stretched for the context and for what that predicts."""

        def pieces(chosen: Int64[Tensor, " k"]) -> tuple[Tensor, Tensor]:
            throats = torch.stack([factors(len(chosen), self.stretch) for _ in range(2)], dim=1)
            return part.crops(chosen, self.crop).to(device), throats.to(device)

        return pieces

    def candidates(self, batch_size: int) -> int:
        """All latents of a piece, or of all pieces."""
        return self.latents * (batch_size if self.negatives == "both" else 1)

    def positives(
        self, loss: nn.Module, outputs: Sequence[Tensor]
    ) -> tuple[Float[Tensor, "m d"], Float[Tensor, "m d"]]:
        """What is predicted for the nearest step, and what comes then."""
        context, latents = outputs
        predicted = context[:, : -self.first_step] @ loss.weight[0].detach()  # type: ignore[index]  # the maps of CPC's loss
        return predicted.flatten(0, 1), latents[:, self.first_step :].flatten(0, 1)


class Listener(nn.Module):
    """Sound to latents, and to a context that knows all latents so far and none of the later ones.

    Args:
        encoder: log-mel frames to latents, one for each `stride` of them.
        features: of a latent.
        context: features of the context.
    """

    stride = STRIDE

    def __init__(self, encoder: nn.Module, features: int, context: int) -> None:
        super().__init__()
        self.front = LogMel()
        self.encoder = encoder
        self.memory = nn.GRU(features, context, batch_first=True)

    def forward(
        self, waves: Float[Tensor, "n s"], throats: Float[Tensor, "n 2"]
    ) -> tuple[Float[Tensor, "n t c"], Float[Tensor, "n t d"]]:
        """Context of one throat, latents of the other."""
        frames = self.front(waves)
        heard, latents = self.encoder(torch.cat([stretched(frames, throat) for throat in throats.T])).chunk(2)
        return self.memory(heard)[0], latents

    def context(self, waves: Float[Tensor, "n s"]) -> Float[Tensor, "n t c"]:
        """What is known at each time: the features to use afterwards."""
        context: Tensor = self.memory(self.encoder(self.front(waves)))[0]
        return context
