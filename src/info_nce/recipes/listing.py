"""The runs of a folder at a glance: what each was, how far it came, and what it reached."""

import time
from dataclasses import dataclass
from pathlib import Path

from info_nce.errors import RunError
from info_nce.recipes.progress import Metrics
from info_nce.recipes.runs import FINAL, read_config


@dataclass(frozen=True, slots=True)
class Entry:
    """One run.

    Args:
        path: its folder.
        recipe: by name.
        data: that it was trained on.
        steps: how many are logged, None where the metrics cannot be read, and of how many.
        finished: whether training went to its end.
        begun: when, in local time.
        loss: the last one, in nats; None where nothing is logged.
    """

    path: Path
    recipe: str
    data: str
    steps: tuple[int | None, int]
    finished: bool
    begun: str
    loss: float | None


def list_runs(folder: Path) -> list[Entry]:
    """Which runs lie in a folder, or are it? Oldest first; what is no run is left alone.

    Raises:
        RunError: there is no such folder.
    """
    if not folder.is_dir():
        raise RunError(
            f"there is no folder {folder}.",
            got="a file" if folder.exists() else "nothing there",
            expected="a folder with runs in it",
            advice="info-nce train RECIPE makes runs/RECIPE-DATE-TIME",
        )
    found = [entry for path in (folder, *folder.iterdir()) if (entry := _entry(path)) is not None]
    return sorted(found, key=lambda entry: (entry.begun, entry.path))


def _entry(path: Path) -> Entry | None:
    try:
        record = read_config(path)
    except RunError:
        return None
    logged: int | None = 0
    loss = None
    try:
        if lines := Metrics(path / "metrics.jsonl").read():
            logged, loss = int(lines[-1]["step"]), lines[-1].get("loss")
    except RunError:  # one broken run keeps no other from being listed
        logged = None
    return Entry(
        path=path,
        recipe=record.recipe,
        data=str(record.data.get("name", "?")),
        steps=(logged, int(record.config.get("steps", 0))),
        finished=(path / FINAL).exists(),
        begun=time.strftime("%Y-%m-%d %H:%M", time.localtime((path / "config.json").stat().st_mtime)),
        loss=loss,
    )
