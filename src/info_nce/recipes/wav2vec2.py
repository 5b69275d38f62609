"""wav2vec 2.0: spans of the latents are hidden; what surrounds them tells what was there, quantized, from distractors.

The codebook is in `quantizers`; the data, the front end and how the result is judged are in `audio`, which other
recipes on sound share.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from info_nce import Wav2Vec2Contrastive
from info_nce.data.audio import SoundSet, as_float
from info_nce.engines import Gathered
from info_nce.errors import SettingError
from info_nce.recipes.audio import SoundRecipe
from info_nce.recipes.log_mel import BANDS, WIDTH, LogMel, factors, stretched
from info_nce.recipes.processes import Processes
from info_nce.recipes.quantizers import Gumbel, KMeans, disuse
from info_nce.recipes.sound_encoders import STRIDE, sound_encoder

# Of so many recordings, so many frames are enough for the centres, and take two seconds.
RECORDINGS, FRAMES = 400, 20_000


@dataclass(frozen=True, kw_only=True)
class Wav2Vec2(SoundRecipe):
    """Train an encoder of sound without labels: what surrounds a hidden span tells what was there.

    Baevski et al. 2020, arXiv:2006.11477. Differs from the paper: log-mel in place of the waveform, and it is what is
    quantized, too, for latents that are learned in minutes say less; a bidirectional GRU in place of the transformer,
    shorter spans, a smaller codebook. The context hears another throat than the one whose sounds are its targets.

    Args:
        batch_size: recordings per step, of all processes together.
        temperature: smaller compares harder; 0.1 in the paper.
        distractors: drawn for each hidden latent from the other hidden ones of its recording; 100 in the paper.
        mask_share: the share of latents at which a hidden span begins; 0.065 in the paper.
        mask_span: latents of a span, of 20 ms each; spans may overlap. 10 in the paper.
        quantizer: how the entry of a codebook is found: by noisy logits that are learned, "gumbel", as in the paper, or
            by the nearest of the centres that "k-means" finds before the first step (arXiv:2106.07447).
        groups: codebooks, one entry of each is taken; 2 in the paper.
        entries: of each codebook; 320 in the paper.
        targets: features in which context and quantized sounds are compared.
        diversity: of gumbel: the weight of the share of the codebook that lies idle (eq. 4); 0.1 in the paper.
    """

    name = "wav2vec2"
    title = "wav2vec 2.0"
    paper = "arXiv:2006.11477"
    shifts: ClassVar[tuple[int, ...]] = (-1, 1)
    ranges: ClassVar[dict[str, tuple[float, float]]] = SoundRecipe.ranges | {
        "temperature": (1e-3, 100),
        "distractors": (1, 10_000),
        "mask_share": (0.001, 1),
        "mask_span": (2, 1000),
        "groups": (1, 64),
        "entries": (2, 100_000),
        "targets": (1, 4096),
        "diversity": (0, 100),
    }

    steps: int = 700
    learning_rate: float = 1e-3
    context: int = 384
    temperature: float = 0.1
    distractors: int = 100
    mask_share: float = 0.1
    mask_span: int = 5
    quantizer: Literal["gumbel", "k-means"] = "gumbel"
    groups: int = 2
    entries: int = 64
    targets: int = 128
    diversity: float = 0.1

    def check(self) -> None:
        """Refuse spans that no crop holds, and codebooks that do not share out the target, too."""
        super().check()
        if self.mask_span >= self.latents:
            raise SettingError(
                "--mask-span hides all that there is.",
                got=f"spans of {self.mask_span} in a crop of {self.latents} latents",
                expected="something left to tell it from",
                advice="a smaller --mask-span, or a larger --crop-seconds",
            )
        parts = {"--targets": self.targets}
        if self.quantizer == "k-means":
            parts["the numbers of log-mel that a latent looks at"] = Hider.beneath
        for what, count in parts.items():
            if count % self.groups:
                raise SettingError(
                    f"--groups must share out {what} evenly.",
                    got=f"{count} for --groups {self.groups}",
                    expected="a multiple",
                    advice="leave them out: 128 and 2",
                )

    def model(self, about: Mapping[str, Any]) -> nn.Module:  # noqa: ARG002 (recordings are all brought to one rate)
        """Convolutions, a bidirectional GRU on them, and the codebook."""
        sizes = Hider.beneath, self.targets, self.groups, self.entries
        quantizer = Gumbel(*sizes, updates=self.steps) if self.quantizer == "gumbel" else KMeans(*sizes)
        # The middle of a span must not be heard by the latents around it.
        encoder = sound_encoder(self.encoder, self.features, self.crop, far=STRIDE * (self.mask_span + 1) // 2)
        return Hider(encoder, self.features, self.context, self.targets, quantizer)

    def criterion(self, about: Mapping[str, Any]) -> nn.Module:  # noqa: ARG002 (see above)
        """The contrast, and what keeps a learned codebook in use."""
        contrast = Wav2Vec2Contrastive(self.temperature, distractors=self.distractors, engine=Gathered())
        return Diverse(contrast, self.diversity if self.quantizer == "gumbel" else 0.0)

    def inputs(self, part: SoundSet, device: torch.device) -> "Pieces":
        """A piece of each recording, how it is stretched for the context, and which of its latents are hidden."""
        return Pieces(self, part, device)

    def candidates(self, batch_size: int) -> int:  # noqa: ARG002 (distractors are drawn in each recording)
        """Its own target, and the distractors."""
        return 1 + self.distractors

    def positives(
        self,
        loss: nn.Module,  # noqa: ARG002 (others need it)
        outputs: Sequence[Tensor],
    ) -> tuple[Float[Tensor, "m d"], Float[Tensor, "m d"]]:
        """Contexts of hidden latents, and their targets."""
        context, targets, mask = outputs[:3]
        return context[mask], targets[mask]


class Pieces:
    """What a step hears of chosen recordings; and, before the first, centres for what is heard.

    Args:
        recipe: the settings.
        part: the recordings.
        device: where to.
    """

    def __init__(self, recipe: Wav2Vec2, part: SoundSet, device: torch.device) -> None:
        self.recipe, self.part, self.device = recipe, part, device

    def __call__(self, chosen: Int64[Tensor, " k"]) -> tuple[Tensor, Tensor, Tensor]:
        """Draw pieces, throats and spans."""
        mask = spans(len(chosen), self.recipe.latents, self.recipe.mask_share, self.recipe.mask_span)
        throats = factors(len(chosen), self.recipe.stretch)
        waves = self.part.crops(chosen, self.recipe.crop)
        return waves.to(self.device), throats.to(self.device), mask.to(self.device)

    def before_step(self, step: int, modules: Mapping[str, nn.Module]) -> None:
        """Find the centres; a resumed run has them among its weights."""
        model = modules["model"]
        if step or not isinstance(model, Hider) or not isinstance(model.quantizer, KMeans):
            return
        # From a generator of its own, so that all processes find the same ones.
        drawn = torch.Generator().manual_seed(self.recipe.seed)
        chosen = torch.randperm(len(self.part), generator=drawn)[:RECORDINGS].tolist()
        with torch.no_grad():
            waves = (as_float(self.part.waves[i])[None].to(self.device) for i in chosen)
            frames = torch.cat([model.under(model.front(wave))[0] for wave in waves])
        if len(frames) < self.recipe.entries:
            raise SettingError(
                "--entries are more than there are moments to choose centres from.",
                got=f"--entries {self.recipe.entries:,}, and {len(frames):,} moments of 20 ms",
                expected="fewer",
                advice=f"--entries {max(2, len(frames) // 20)}, or more recordings",
            )
        few = torch.randperm(len(frames), generator=drawn)[: max(FRAMES, self.recipe.entries)].to(self.device)
        model.quantizer.fit(frames[few], self.recipe.seed)


def spans(rows: int, latents: int, share: float, length: int) -> Bool[Tensor, "n t"]:
    """Which latents are hidden? Spans that begin at places drawn without repetition, and may overlap.

    Args:
        rows: recordings.
        latents: of each.
        share: of the latents at which a span begins; at least one does.
        length: of a span.
    """
    places = latents - length + 1
    count = min(places, max(1, round(share * latents)))
    starts = torch.rand(rows, places).topk(count).indices  # n s
    hidden = (starts[:, :, None] + torch.arange(length)).flatten(1)
    return torch.zeros(rows, latents, dtype=torch.bool).scatter_(1, hidden, True)


class Hider(nn.Module):
    """Sound to latents; to what their surroundings say of the hidden ones; and to what these would be in a codebook.

    Args:
        encoder: log-mel frames to latents, one for each `stride` of them.
        features: of a latent.
        context: features of the context, half of them from each direction.
        targets: features in which the two are compared.
        quantizer: with the codebook.
    """

    stride = STRIDE
    beneath = WIDTH * BANDS
    """Numbers of log-mel that a latent looks at, and that are quantized in its place."""

    def __init__(
        self, encoder: nn.Module, features: int, context: int, targets: int, quantizer: Gumbel | KMeans
    ) -> None:
        super().__init__()
        self.front = LogMel()
        self.encoder = encoder
        self.hidden = nn.Parameter(torch.rand(features))
        self.surroundings = nn.GRU(features, context // 2, batch_first=True, bidirectional=True)
        self.guess = nn.Linear(2 * (context // 2), targets)
        self.quantizer = quantizer
        self.target = nn.Linear(targets, targets)

    def forward(
        self, waves: Float[Tensor, "n s"], throats: Float[Tensor, " n"], mask: Bool[Tensor, "n t"]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Guesses and targets (n t e), the mask, and how much of the codebook is used (n G V)."""
        frames = self.front(waves)
        quantized, usage = self.quantizer(self.under(frames))
        latents = self.encoder(stretched(frames, throats))
        seen = torch.where(mask[..., None], self.hidden.to(latents.dtype), latents)
        return self.guess(self.surroundings(seen)[0]), self.target(quantized), mask, usage

    def under(self, frames: Float[Tensor, "n u b"]) -> Float[Tensor, "n t f"]:
        """Of each latent, the frames that it looks at."""
        around = nn.functional.pad(frames, (0, 0, WIDTH // 2, WIDTH // 2))
        return around.unfold(1, WIDTH, self.stride).flatten(2)

    def context(self, waves: Float[Tensor, "n s"]) -> Float[Tensor, "n t c"]:
        """What is known at each time when nothing is hidden: the features to use afterwards."""
        context: Tensor = self.surroundings(self.encoder(self.front(waves)))[0]
        return context

    def after_step(self, *outputs: Tensor) -> None:  # noqa: ARG002 (others need them)
        """Less noise from now on."""
        self.quantizer.cool()


class Diverse(nn.Module):
    """The contrast, and the codebook's idle share with it.

    On several processes, that is the mean over processes of each one's, as the authors' code has it.

    Args:
        contrast: of guesses with targets.
        diversity: the weight of the idle share.

    Source:
        Baevski et al. 2020, arXiv:2006.11477, eq. 2.
    """

    def __init__(self, contrast: Wav2Vec2Contrastive, diversity: float) -> None:
        super().__init__()
        self.contrast, self.diversity = contrast, diversity

    @property
    def temperature(self) -> float | Tensor:
        """Of the contrast."""
        return self.contrast.temperature

    def forward(self, guesses: Tensor, targets: Tensor, mask: Tensor, usage: Tensor) -> Tensor:
        """In nats; while training a little more, for the contrast alone would be content with one entry for all."""
        loss: Tensor = self.contrast(guesses, targets, mask)
        if not (self.training and self.diversity):
            return loss
        extra = self.diversity * disuse(usage)
        everywhere = Processes().gathered(extra.detach().cpu())
        return loss + extra + (torch.stack(everywhere).mean().to(extra.device) - extra.detach())
