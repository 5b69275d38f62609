"""Does an encoder of sound hear phones, on voices and sentences that it never met? Beside log-mel and no training."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from info_nce.data.audio import SoundSet, as_float
from info_nce.data.splits import Splits, cut
from info_nce.evaluation.probes import linear_probe
from info_nce.evaluation.results import Accuracy
from info_nce.evaluation.scorecard import CHANCE, TRAINED, UNTRAINED, Score, Scorecard
from info_nce.recipes.log_mel import HOP, WINDOW, LogMel, frames_in, pooled
from info_nce.recipes.runs import Run

PHONES, VOICES, GUESS = "phone, linear probe", "voice, linear probe", "probability of the right latent"
ONE, SEVEN, STATISTICS = "log-mel, 1 frame", "log-mel, 7 frames", "log-mel, mean and deviation"
# Frames to each side of a moment that every kind of feature must have.
MARGIN = 8
# With 40,000 moments to learn from, a tenth of it and ten times as much changed the accuracy on the validation part by
# less than .015, for 7 frames of log-mel and for wav2vec2's context; so nothing is chosen, and all get the same.
STRENGTHS = (0.1,)

FrameFeatures = Callable[[Float[Tensor, "1 s"], Int64[Tensor, " k"]], Float[Tensor, "k d"]]
"""Of a recording, at some of its 10 ms frames."""


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Where one can ask which phone sounds: the middle of each.

    Args:
        waves: the recordings.
        frames: of each recording, the 10 ms frames in the middle of its phones.
        phones: the right answers, one recording after the other.
    """

    waves: tuple[Tensor, ...]
    frames: tuple[Int64[Tensor, " k"], ...]
    phones: Int64[Tensor, " m"]

    def features(self, features: FrameFeatures) -> Float[Tensor, "m d"]:
        """What is known at each moment."""
        with torch.inference_mode():
            every = [features(as_float(w)[None], f) for w, f in zip(self.waves, self.frames, strict=True) if len(f)]
        return torch.cat(every)

    def recordings(self) -> Int64[Tensor, " m"]:
        """The recording of each moment."""
        return torch.repeat_interleave(torch.tensor([len(frames) for frames in self.frames]))


def middles(part: SoundSet) -> Moments:
    """The moments of a part whose phones are known: the middle of each phone that is no pause."""
    frames, phones = [], []
    for i, wave in enumerate(part.waves):
        length = len(wave)
        starts = part.phones.starts[i]  # type: ignore[union-attr]  # the caller has asked
        ends = torch.cat([starts[1:], torch.tensor([length])])
        middle = (starts + ends) // 2
        sounding = part.phones.at(i, middle)  # type: ignore[union-attr]  # see above
        frame = ((middle - WINDOW // 2) / HOP).round().long()
        asked = (sounding >= 0) & (ends > starts)  # some are named and take no time
        fits = asked & (frame >= MARGIN) & (frame < frames_in(length) - MARGIN)
        frames.append(frame[fits])
        phones.append(sounding[fits])
    return Moments(part.waves, tuple(frames), torch.cat(phones))


def log_mel(around: int) -> FrameFeatures:
    """The front end itself: a frame, with so many on both sides."""
    front = LogMel()

    def features(wave: Tensor, frames: Tensor) -> Tensor:
        levels = front(wave)[0]
        return torch.cat([levels[frames + shift] for shift in range(-around, around + 1)], dim=1)

    return features


def context(model: nn.Module, shifts: Sequence[int]) -> FrameFeatures:
    """What a model makes of a moment: its context there, and so many latents later."""
    stride = int(model.stride)  # type: ignore[arg-type]  # every model of such a recipe has one

    def features(wave: Tensor, frames: Tensor) -> Tensor:
        every = model.context(wave)[0]  # type: ignore[operator]  # every model of such a recipe has it
        here = torch.div(frames, stride, rounding_mode="floor")
        return torch.cat([every[here + shift] for shift in shifts], dim=1)

    return features


def evaluate_sounds(run: Run[SoundSet], shifts: Sequence[int] = (0,)) -> Scorecard:
    """How well does a linear classifier name phones and voices from a model's context, beside log-mel and no training?

    Every row uses the same moments and the same classifier.

    Args:
        run: with a trained model, finished or not. Without labels, only the task that it was trained on is measured.
        shifts: at which latents after a moment the model's context is taken.

    Returns:
        The numbers, which are also written to evaluation.json in the run's folder.

    Raises:
        RunError: the data is not what the run was trained on, or the folder cannot be written to.
    """
    splits, trained, untrained = run.splits(), run.model(), run.untrained()
    scores, notes = list(_guesses(run)), list(splits.facts.notes)
    verdict = "Nothing is known of what is said or by whom, so nobody can say how well it hears phones or voices."
    headline = GUESS
    if splits.test.voices is not None:
        headline, found = VOICES, voice_scores(splits, trained, untrained)
        scores, verdict = [*found, *scores], ""
        notes.append("Telling voices apart is no goal of this recipe: plain statistics of log-mel do it well.")
    if splits.test.phones is not None:
        headline = PHONES
        found, verdict = phone_scores(splits, trained, untrained, shifts)
        scores = [*found, *scores]
        notes.append("± is by recordings, whose moments are not independent; another training seed moves numbers too.")
    else:
        notes.append("Which phone sounds when is not known of these recordings, so phones are not scored.")
    card = Scorecard(
        run=run.path.resolve().name,
        recipe=run.recipe.name,
        weights=run.fingerprint(),
        counts={name: len(part) for name, part in splits.parts().items()},
        headline=headline,
        scores=tuple(scores),
        verdict=verdict,
        notes=tuple(filter(None, (run.note, *notes))),
    )
    card.save(run.path)
    return card


def phone_scores(
    splits: Splits[SoundSet], trained: nn.Module, untrained: nn.Module, shifts: Sequence[int]
) -> tuple[list[Score], str]:
    """Name the phone at the middle of each, and say in a sentence how much training was worth.

    Args:
        splits: with phones.
        trained: the model.
        untrained: the same before training.
        shifts: at which latents after a moment the model's context is taken; at the moment alone, too, if there are
            several.
    """
    train, validation, test = (middles(part) for part in splits.parts().values())
    kinds = {ONE: log_mel(0), SEVEN: log_mel(3)}
    for system, model in ((UNTRAINED, untrained), (TRAINED, trained)):
        if len(shifts) > 1:
            kinds[f"{system}, one moment"] = context(model, (0,))
        kinds[system] = context(model, shifts)
    recordings = test.recordings()
    majority = test.phones == train.phones.bincount().argmax()
    scores = [Score(CHANCE, PHONES, *share(majority, recordings), "always the most frequent phone")]
    right: dict[str, Bool[Tensor, " m"]] = {}
    for system, features in kinds.items():
        probe = linear_probe(
            train.features(features),
            train.phones,
            validation.features(features),
            validation.phones,
            test.features(features),
            strengths=STRENGTHS,
        )
        right[system] = probe.classes == test.phones
        scores.append(Score(system, PHONES, *share(right[system], recordings), f"C = {probe.strength:g}"))
    gains = []
    for baseline, words in ((SEVEN, "than log-mel with its surroundings"), (UNTRAINED, "than before training")):
        gain, error = share(right[TRAINED].double() - right[baseline].double(), recordings)
        gains.append(f"{100 * abs(gain):.1f} ± {100 * error:.1f} points {'more' if gain >= 0 else 'fewer'} {words}")
    found = scores[-1]
    return scores, (
        f"Of {len(recordings):,} phones in the test part a linear classifier on its context names "
        f"{100 * found.value:.1f} ± {100 * found.standard_error:.1f} % rightly, {' and '.join(gains)}."
    )


def voice_scores(splits: Splits[SoundSet], trained: nn.Module, untrained: nn.Module) -> list[Score]:
    """Name the voice of each recording.

    Where no voice is in two parts, the classifier learns the test part's voices from other recordings of that part.
    """
    parts = {name: (part.waves, part.voices) for name, part in splits.parts().items()}
    test = splits.test
    if not set(_listed(test.voices)) <= set(_listed(splits.train.voices)):
        chosen = {
            name: test.take(torch.tensor(items, dtype=torch.int64)) for name, items in cut(_listed(test.voices)).items()
        }
        parts = {name: (part.waves, part.voices) for name, part in chosen.items()}
    kinds: dict[str, Callable[[Sequence[Tensor]], Tensor]] = {
        STATISTICS: log_mel_statistics,
        UNTRAINED: lambda waves: pooled(untrained, waves),
        TRAINED: lambda waves: pooled(trained, waves),
    }
    (fit, known), (held_out, wanted), (asked, answers) = parts["train"], parts["validation"], parts["test"]
    if known is None or wanted is None or answers is None:
        return []
    majority = answers == known.bincount().argmax()
    scores = [Score(CHANCE, VOICES, *_of_items(majority), "always the most frequent voice")]
    for system, features in kinds.items():
        probe = linear_probe(features(fit), known, features(held_out), wanted, features(asked))
        scores.append(Score(system, VOICES, *_of_items(probe.classes == answers), f"C = {probe.strength:g}"))
    return scores


def log_mel_statistics(waves: Sequence[Tensor]) -> Float[Tensor, "n d"]:
    """The mean and the deviation of each band over a recording: its colour, which is most of a voice."""
    front = LogMel()
    levels = [front.levels(as_float(wave)[None])[0] for wave in waves]
    return torch.stack([torch.cat([level.mean(0), level.std(0)]) for level in levels])


def share(right: Float[Tensor, " m"] | Bool[Tensor, " m"], recordings: Int64[Tensor, " m"]) -> tuple[float, float]:
    """The mean over moments, and its standard error, for which a recording is one draw.

    Source:
        Cochran 1977, "Sampling Techniques", section 9A.1: the ratio estimate for clusters of unequal size.
    """
    values, clusters = right.double(), torch.unique(recordings, return_inverse=True)[1]
    mean, count = float(values.mean()), int(clusters.max()) + 1 if len(clusters) else 0
    if count < 2:
        return mean, math.nan
    off = torch.zeros(count, dtype=torch.float64).index_add_(0, clusters, values - mean)
    return mean, math.sqrt(float(off.square().sum()) * count / (count - 1)) / len(values)


def _of_items(right: Bool[Tensor, " n"]) -> tuple[float, float]:
    found = Accuracy(int(right.sum()), len(right))
    return found.share, found.standard_error


def _guesses(run: Run[SoundSet]) -> list[Score]:
    # The loss that the last validation of the training found, as a probability: nothing has to be known for it.
    held_out = [line for line in run.metrics() if "validation_loss" in line]
    if not held_out:
        return []
    right, guessing = (math.exp(-held_out[-1][name]) for name in ("validation_loss", "log_candidates"))
    return [Score(CHANCE, GUESS, guessing), Score(TRAINED, GUESS, right, setting="geometric mean, validation part")]


def _listed(voices: Tensor | None) -> list[int]:
    return [] if voices is None else voices.tolist()
