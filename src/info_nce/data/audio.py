"""A set of recordings in memory, of any length, with what is known about who speaks and which phone sounds when."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int16, Int64
from torch import Tensor

from info_nce.data.splits import only

SAMPLE_RATE = 16_000
"""Of all recordings here; others are brought to it."""


@dataclass(frozen=True, slots=True, eq=False)
class Phones:
    """Which phone sounds when.

    Args:
        starts: for each recording, the sample at which each of its phones begins, in order.
        labels: for each recording, its phones as an index into `names`.
        names: as the source writes them.
        pauses: how the names of silence begin.
    """

    starts: tuple[Int64[Tensor, " p"], ...]
    labels: tuple[Int64[Tensor, " p"], ...]
    names: tuple[str, ...]
    pauses: str = "_"

    def at(self, recording: int, samples: Int64[Tensor, " t"]) -> Int64[Tensor, " t"]:
        """Which phone sounds at each of these samples of a recording? -1 in a pause, and before the first phone."""
        place = torch.searchsorted(self.starts[recording], samples, right=True) - 1
        label = self.labels[recording][place.clamp(min=0)]
        silent = torch.tensor([name.startswith(self.pauses) for name in self.names])
        return label.masked_fill(silent[label] | (place < 0), -1)

    def take(self, index: Sequence[int]) -> "Phones":
        """Choose recordings."""
        starts, labels = (tuple(of[i] for i in index) for of in (self.starts, self.labels))
        return replace(self, starts=starts, labels=labels)


@dataclass(frozen=True, slots=True, eq=False)
class SoundSet:
    """Recordings at 16 kHz, with labels that only the evaluation may see.

    Args:
        name: of this part, such as "speech/train".
        waves: one recording each, 16 bits per sample.
        names: what to call each, so that a person finds it again: its file, or its number and voice.
        voices: who speaks, as an index into `voice_names`, or None where nobody said.
        voice_names: in the order of the labels; empty without labels.
        phones: which phone sounds when, where that is known.
    """

    name: str
    waves: tuple[Int16[Tensor, " s"], ...]
    names: tuple[str, ...]
    voices: Int64[Tensor, " n"] | None = None
    voice_names: tuple[str, ...] = ()
    phones: Phones | None = None

    def __len__(self) -> int:
        """Count the recordings."""
        return len(self.waves)

    @property
    def seconds(self) -> float:
        """How long all of them are together."""
        return sum(len(wave) for wave in self.waves) / SAMPLE_RATE

    def take(self, index: Int64[Tensor, " k"], name: str | None = None) -> "SoundSet":
        """Choose recordings, with everything that belongs to them."""
        chosen = index.tolist()
        return replace(
            self,
            name=self.name if name is None else name,
            waves=tuple(self.waves[i] for i in chosen),
            names=tuple(self.names[i] for i in chosen),
            voices=None if self.voices is None else self.voices[index],
            phones=None if self.phones is None else self.phones.take(chosen),
        )

    def crops(self, chosen: Int64[Tensor, " k"], length: int) -> Float[Tensor, "k s"]:
        """Cut a piece out of each of the chosen recordings, at a place that torch's global generator draws.

        Args:
            chosen: which recordings; none is shorter than the piece.
            length: samples of a piece.

        Returns:
            From -1 to 1.
        """
        waves = [self.waves[i] for i in chosen.tolist()]
        room = torch.tensor([len(wave) - length + 1 for wave in waves])
        starts = (torch.rand(len(waves), dtype=torch.float64) * room).long().tolist()
        pieces = [wave[start : start + length] for wave, start in zip(waves, starts, strict=True)]
        return as_float(torch.stack(pieces))

    def content(self) -> Iterator[bytes]:
        """Waveforms, then labels."""
        for wave in self.waves:
            yield f"{len(wave)}".encode()
            yield wave.contiguous().numpy().tobytes()
        if self.voices is not None:
            yield repr(self.voice_names).encode()
            yield self.voices.numpy().tobytes()
        if self.phones is not None:
            yield repr(self.phones.names).encode()
            for tensor in (*self.phones.starts, *self.phones.labels):
                yield tensor.contiguous().numpy().tobytes()

    def about(self) -> dict[str, Any]:
        """What an encoder of sound has to know."""
        return {"sample_rate": SAMPLE_RATE}

    def items(self, kind: str) -> tuple[Int16[Tensor, " s"], ...]:
        """The waveforms; there is no other kind here."""
        return only("sound", kind, self.waves)

    def ids(self) -> tuple[str, ...]:
        """What each recording is called."""
        return self.names


def as_float(samples: Int16[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Bring 16 bits to -1 to 1."""
    return samples.float() / 32_768
