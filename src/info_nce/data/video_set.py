"""A set of videos in memory: all of one length and one size, with any number of labels for each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from info_nce.data.splits import only


@dataclass(frozen=True, slots=True, eq=False)
class VideoSet:
    """Videos as bytes, with labels that only the evaluation may see.

    Args:
        name: of this part, such as "moving-digits/train".
        videos: one video per row: frames, channels, height, width.
        names: what to call each, so that a person finds it again.
        labels: for each question that can be asked of a video, such as "direction", an index into its class names.
        class_names: for each question, in the order of the labels.
    """

    name: str
    videos: UInt8[Tensor, "n t c h w"]
    names: tuple[str, ...]
    labels: Mapping[str, Int64[Tensor, " n"]] = field(default_factory=dict)
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Count the videos."""
        return len(self.videos)

    def take(self, index: Int64[Tensor, " k"], name: str | None = None) -> "VideoSet":
        """Choose videos, with everything that belongs to them."""
        return replace(
            self,
            name=self.name if name is None else name,
            videos=self.videos[index],
            names=tuple(self.names[i] for i in index.tolist()),
            labels={question: labels[index] for question, labels in self.labels.items()},
        )

    def content(self) -> Iterator[bytes]:
        """The pixels of each video, then all labels."""
        yield f"{tuple(self.videos.shape)}".encode()
        for video in self.videos:
            yield video.contiguous().numpy().tobytes()
        for question in sorted(self.labels):
            yield f"{question} {self.class_names[question]}".encode()
            yield self.labels[question].numpy().tobytes()

    def about(self) -> dict[str, Any]:
        """Frames, channels and the side in pixels."""
        _, frames, channels, _, size = self.videos.shape
        classes = {question: list(names) for question, names in self.class_names.items()}
        return {"frames": frames, "channels": channels, "image_size": size, "class_names": classes}

    def items(self, kind: str) -> UInt8[Tensor, "n t c h w"]:
        """The videos."""
        return only("video", kind, self.videos)

    def ids(self) -> Sequence[str]:
        """What each video is called."""
        return self.names


def any_clip(videos: UInt8[Tensor, "n t c h w"], frames: int) -> UInt8[Tensor, "n u c h w"]:
    """Take a clip of each video, at any moment."""
    begin = torch.randint(videos.shape[1] - frames + 1, (len(videos), 1))
    return videos[torch.arange(len(videos))[:, None], begin + torch.arange(frames)]


def middle_clip(videos: UInt8[Tensor, "n t c h w"], frames: int) -> UInt8[Tensor, "n u c h w"]:
    """Take the clip in the middle of each video."""
    begin = (videos.shape[1] - frames) // 2
    return videos[:, begin : begin + frames]
