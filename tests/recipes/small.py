"""Every recipe on a few real items of a user's own, with a model that trains in a second."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.data.test_captioned_file import rows_of, write
from tests.pictures import folder_of
from tests.recordings import folder_of_speech
from tests.texts import pairs, write_csv
from tests.videos import videos_in

PICTURES = {"image_size": 16, "width": 4}
SOUND = {"features": 16, "context": 16}
CASES: dict[str, tuple[Callable[[Path], Path], dict[str, Any]]] = {
    "simclr": (lambda root: folder_of(root, 40), PICTURES),
    "moco": (lambda root: folder_of(root, 40), {**PICTURES, "queue": 20}),
    "clip": (lambda root: write(root, rows_of(root, 60)), {**PICTURES, "features": 16}),
    "text": (
        lambda root: write_csv(root / "pairs.csv", ("query", "document"), pairs(60)),
        {"features": 8, "buckets": 64, "mine": 2},
    ),
    "cpc": (folder_of_speech, SOUND),
    "wav2vec2": (folder_of_speech, {**SOUND, "entries": 8}),
    "wav2vec2 by k-means": (folder_of_speech, {**SOUND, "entries": 8, "quantizer": "k-means"}),
    "videomoco": (
        lambda root: videos_in(root, 20),
        {**PICTURES, "frames": 8, "clip_frames": 4, "queue": 20, "drop": "adversarial"},
    ),
}


def small(case: str, root: Path) -> dict[str, Any]:
    """The settings of a case, the data in that folder among them; the recipe is the case's first word."""
    make, settings = CASES[case]
    (root / "data").mkdir()
    return {**settings, "data": str(make(root / "data")), "batch_size": 7, "steps": 6}
