"""The file of what the studies found: with which settings, seeds, versions, and on which machine."""

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.papers.study import Run, Study
from benchmarks.results import write

__all__ = ["RESULTS", "Kept", "begun", "circumstances", "keep", "kept", "of_today", "plain"]

RESULTS = Path("benchmarks/papers.json")
PACKAGES = ("torch", "numpy", "scikit-learn")

Kept = dict[str, dict[str, Any]]


def kept(file: Path = RESULTS) -> Kept:
    """What was found before, by the name of the study."""
    found: Kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return {name: {**study, "runs": [Run(**run) for run in study["runs"]]} for name, study in found.items()}


def of_today(study: Study[Any], found: Kept) -> bool:
    """Whether a study was run, and with its settings of today."""
    return study.name in found and bool(found[study.name]["settings"] == plain(study.settings))


def begun(study: Study[Any], file: Path = RESULTS) -> list[Run]:
    """What was found of a study with its settings of today."""
    found = kept(file)
    runs = found[study.name]["runs"] if of_today(study, found) else []
    return [run for run in runs if run.seed in study.seeds]


def keep(study: Study[Any], runs: Sequence[Run], file: Path = RESULTS) -> None:
    """Put what a study found in place of what it found before."""
    found = {
        **circumstances(f"python -m benchmarks.papers --fresh {study.name}"),
        "settings": plain(study.settings),
        "runs": list(runs),
    }
    everything: Mapping[str, Any] = {**kept(file), study.name: found}
    write(file, {name: {**one, "runs": [asdict(run) for run in one["runs"]]} for name, one in everything.items()})


def circumstances(command: str) -> dict[str, Any]:
    """What belongs to every figure: how, when, of which code, where and beside which versions it was found."""
    here = machine.machine()
    return {
        "command": command,
        "date": datetime.now(timezone.utc).date().isoformat(),
        "commit": machine.commit(),
        "machine": f"{here['cores']} cores of {here['cpu']}",
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
    }


def plain(settings: Any) -> Any:
    """Settings, as a file has them."""
    return json.loads(json.dumps(asdict(settings)))
