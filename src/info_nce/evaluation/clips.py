"""What does an encoder of clips know of each video, and what of that could be told without it, or without time?"""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from info_nce.data.splits import Splits
from info_nce.data.video_set import VideoSet, middle_clip
from info_nce.evaluation.features import raw_pixels
from info_nce.evaluation.probes import linear_probe
from info_nce.evaluation.results import LINEAR, RAW, Accuracy
from info_nce.evaluation.scorecard import CHANCE, TRAINED, UNTRAINED, Score, Scorecard
from info_nce.evaluation.scoring import accuracy
from info_nce.neighbours import nearest
from info_nce.recipes.runs import Run

# n videos, t frames, c channels, d features

FRAME_RAW, FRAME_TRAINED = "one frame, raw pixels", "one frame, trained"
OTHER_CLIP = "finds the other clip of its video, R@1"
# Which question a run is judged by, where the data has it.
MAIN_QUESTION = "direction"

Clips = UInt8[Tensor, "n t c h w"]
Features = Callable[[Clips], Float[Tensor, "n d"]]


def evaluate_clips(run: Run[VideoSet], frames: int) -> Scorecard:
    """How much better than its baselines do linear classifiers name each kind of label from the encoder's features?

    The baselines are: naming the most frequent class; raw pixels of a clip, averaged down; the same encoder before
    training; and one frame, as raw pixels and as the trained encoder sees a clip in which nothing moves. What no frame
    tells, these two must not know. Without labels, and beside them: does the first clip of a video find the last one
    among those of all held-out videos?

    Args:
        run: with a trained encoder, finished or not.
        frames: of a clip.

    Returns:
        The scores, which are also written to evaluation.json in the run's folder. Linear classifiers are fitted on the
        training part, their penalty is chosen on the validation part, and they are asked about the test part.

    Raises:
        RunError: the data is not what the run was trained on, or the folder cannot be written to.
    """
    splits, systems = run.splits(), _systems(run)
    scores = _probed(splits, systems, frames) if len(splits.test) else []
    held_out = splits.test if len(splits.test) else splits.validation
    apart = splits.train.videos.shape[1] > frames
    if apart:
        scores += find_other_clips(held_out.videos, frames, systems)
    card = Scorecard(
        run=run.path.resolve().name,
        recipe=run.recipe.name,
        weights=run.fingerprint(),
        counts={name: len(part) for name, part in splits.parts().items()},
        headline=scores[0].measure if scores else OTHER_CLIP,
        scores=tuple(scores),
        notes=tuple(_notes(run, splits, apart=apart)),
    )
    card.save(run.path)
    return card


def _systems(run: Run[VideoSet]) -> Mapping[str, Features]:
    """What is compared, worst expected first; each makes features of clips."""
    trained, untrained = run.embedders()["video"], run.embedders(trained=False)["video"]
    return {
        FRAME_RAW: lambda clips: raw_pixels(_middle(clips)[:, 0]),
        FRAME_TRAINED: lambda clips: trained(_middle(clips).expand_as(clips)),
        RAW: lambda clips: raw_pixels(clips.flatten(1, 2)),
        UNTRAINED: untrained,
        TRAINED: trained,
    }


def _middle(clips: Clips) -> Clips:
    middle = clips.shape[1] // 2
    return clips[:, middle : middle + 1]


def _probed(splits: Splits[VideoSet], systems: Mapping[str, Features], frames: int) -> list[Score]:
    """Ask every question of every system."""
    clips = {name: middle_clip(part.videos, frames) for name, part in splits.parts().items()}
    seen = {system: {name: of(part) for name, part in clips.items()} for system, of in systems.items()}
    questions = sorted(splits.train.labels, key=lambda question: (question != MAIN_QUESTION, question))
    return [score for question in questions for score in ask(question, splits, seen)]


def ask(question: str, splits: Splits[VideoSet], seen: Mapping[str, Mapping[str, Float[Tensor, "n d"]]]) -> list[Score]:
    """One question, of all systems."""
    train, validation, test = (part.labels[question] for part in splits.parts().values())
    measure = f"{question}, {LINEAR}"
    scores = [_score(CHANCE, measure, accuracy(test == train.bincount().argmax()))]
    for system, features in seen.items():
        probe = linear_probe(features["train"], train, features["validation"], validation, features["test"])
        scores.append(_score(system, measure, accuracy(probe.classes == test), f"C = {probe.strength:g}"))
    return scores


def find_other_clips(videos: Clips, frames: int, systems: Mapping[str, Features]) -> list[Score]:
    """Look for the last clip of each video with its first."""
    first, last = videos[:, :frames], videos[:, -frames:]
    right: Int64[Tensor, " n"] = torch.arange(len(videos))
    scores = [Score(CHANCE, OTHER_CLIP, 1 / len(videos))]
    for system, of in systems.items():
        _, found = nearest(of(first), of(last), 1)
        scores.append(_score(system, OTHER_CLIP, accuracy(found[:, 0] == right)))
    return scores


def _score(system: str, measure: str, found: Accuracy, setting: str = "") -> Score:
    return Score(system, measure, found.share, found.standard_error, setting)


def _notes(run: Run[VideoSet], splits: Splits[VideoSet], *, apart: bool) -> list[str]:
    notes = [f"This run is {run.note}."] if run.note else []
    if not len(splits.test):
        notes.append(
            f"There is no test part: the {len(splits.validation):,} videos asked about are the validation part."
        )
    if not splits.train.labels:
        notes.append(
            "Accuracy needs labels: put the videos of each kind into a sub-folder of their own, then train again."
        )
    else:
        notes.append(f"{CHANCE}: the most frequent class of the training part is named every time.")
    if apart:
        notes.append(f"{OTHER_CLIP}: where nothing around it moves, raw pixels find a video by its background.")
    return notes
