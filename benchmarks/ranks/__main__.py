"""Measure what losses compute on several ranks, and write it down.

make bench-ranks    all of it, in about a minute
make bench-peers    the environments of the libraries
"""

import json
import os
import subprocess
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from types import ModuleType
from typing import Any

import tyro
from tyro.conf import FlagCreatePairsOff

from benchmarks import homes, machine
from benchmarks.ranks.libraries import MODULES
from benchmarks.ranks.measure import EVEN, TIMEOUT_SECONDS
from benchmarks.ranks.page import page_of
from benchmarks.results import write

__all__ = ["main"]


def main(
    *,
    out: Path = Path("benchmarks/ranks.json"),
    page: Path = Path("docs/peers-across-ranks.md"),
    peers: Path = homes.FOLDER,
    render: bool = False,
) -> int:
    """Measure what losses compute on several ranks.

    Args:
        out: the file of what was found.
        page: the page that shows it.
        peers: the folder of the other environments.
        render: measure nothing, and write the page of the file that is there.
    """
    if not render:
        write(out, _found(peers))
    page.write_text(page_of(json.loads(out.read_text(encoding="utf-8"))), encoding="utf-8")
    return 0


def _found(peers: Path) -> dict[str, Any]:
    head = {
        "command": "python -m benchmarks.ranks",
        "date": datetime.now(timezone.utc).date().isoformat(),
        "commit": machine.commit(),
        "world_sizes": [len(sizes) for sizes in EVEN],
        "timeout_seconds": TIMEOUT_SECONDS,
    }
    found: dict[str, Any] = {"head": head, "systems": {}}
    for module in MODULES:
        system = module.SYSTEM
        told = _measured(module, peers) if system.home.is_built(peers) else {"status": homes.MISSING}
        found["systems"][system.name] = {"title": system.title, **told}
        sys.stderr.write(f"{system.title}: {told['status']}\n")
    return found


def _measured(module: ModuleType, peers: Path) -> dict[str, Any]:
    """In the library's own process, from its home."""
    home = module.SYSTEM.home
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told.json"
        done = subprocess.run(  # noqa: S603 - our own
            [home.python(peers), "-m", "benchmarks.ranks.measure", module.__name__, str(told)],
            cwd=homes.ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(home.path(peers))},
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        # libraries warn, and aborts are loud: this is said only where nothing came out
        if done.returncode:
            raise RuntimeError(f"{module.__name__} ended with {done.returncode}:\n{done.stderr}")
        found: dict[str, Any] = json.loads(told.read_text(encoding="utf-8"))
    return found


if __name__ == "__main__":
    sys.exit(tyro.cli(main, prog="python -m benchmarks.ranks", config=(FlagCreatePairsOff,)))
