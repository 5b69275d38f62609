"""What a reader must know to read the numbers of an evaluation rightly."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool
from torch import Tensor

from info_nce.data import ImageSet, Splits
from info_nce.evaluation.features import raw_pixels
from info_nce.evaluation.results import ENOUGH

# Below this many test pictures of a class, its own accuracy is little more than a coin that was tossed a few times.
FEW = 10
_NAMED = 5


def has_labels(splits: Splits[ImageSet]) -> bool:
    """Is there anything to compare the answers with?"""
    return splits.train.labels is not None and splits.test.labels is not None and len(splits.test) > 0


def notes_for(
    run_note: str, splits: Splits[ImageSet], far: Bool[Tensor, " n"], neighbours: Sequence[int]
) -> tuple[str, ...]:
    """Say what is unusual about the data or the run, one sentence each; nothing where all is as it should be.

    Args:
        run_note: what the run says of itself, such as "unfinished: step 300 of 800".
        splits: the data.
        far: which test pictures have no look-alike in training.
        neighbours: how many neighbours the votes ask.
    """
    notes = [f"This run is {run_note}."] if run_note else []
    return (*notes, *(_about_labels(splits, far, neighbours) if has_labels(splits) else (_NO_LABELS,)))


_NO_LABELS = (
    "Accuracy needs labels: put the pictures of each kind into a sub-folder of their own, then train again. "
    "Without them, only the spread of the embeddings can be measured."
)


def _about_labels(splits: Splits[ImageSet], far: Bool[Tensor, " n"], neighbours: Sequence[int]) -> list[str]:
    train, test, names = splits.train, splits.test, splits.train.class_names
    known, asked = (torch.bincount(p.labels, minlength=len(names)) for p in (train, test) if p.labels is not None)
    unseen = [name for name, k, n in zip(names, known, asked, strict=True) if n and not k]
    rare = [name for name, n in zip(names, asked, strict=True) if 0 < n < FEW]
    pixels = raw_pixels(test.images[:1]).shape[1]
    found = {
        "All pictures are of one class, so every answer is right and the accuracies say nothing.": len(names) == 1,
        f"Training has no picture of {_listed(unseen)}, so no classifier can name those.": unseen,
        f"Fewer than {FEW} test pictures of {_listed(rare)}: read accuracies of single classes with care.": rare,
        "There are no validation pictures, so the linear probe's penalty could not be chosen on them.": (
            len(splits.validation) == 0
        ),
        "Every test picture has a look-alike in training, so all of them could be named by memory.": not far.any(),
        f"Only {int(far.sum())} test pictures have no look-alike in training: too few to judge by.": (
            0 < far.sum() < ENOUGH
        ),
        f"As features, raw pixels were averaged down to {pixels:,} numbers per picture.": (
            pixels < test.images[0].numel()
        ),
        **{
            f"There are only {len(train):,} training pictures, so the {k} neighbours are all of them.": k > len(train)
            for k in neighbours
        },
    }
    return [note for note, applies in found.items() if applies]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more classes" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
