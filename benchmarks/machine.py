"""Which machine, which code: what a figure means nothing without."""

import hashlib
import os
import platform
import subprocess
from pathlib import Path

from benchmarks.homes import ROOT

__all__ = ["BUSY", "code_of", "commit", "load", "machine", "total_bytes"]

BUSY = 0.5
"""More than this many other processes that want to run, and figures mean little."""
_CORE = ("*.py", "engines/*.py", "losses/*.py", "objectives/*.py")


def machine() -> dict[str, str | int]:
    """The parts that decide how long a product takes."""
    return {"cpu": _cpu(), "cores": _cores(), "memory_bytes": total_bytes(), "system": platform.system()}


def total_bytes() -> int:
    """The machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def load() -> float:
    """How many processes wanted to run in the last minute."""
    return round(os.getloadavg()[0], 2)


def commit() -> str:
    """The commit that is checked out; with a plus where the package differs from it."""
    changed = _git("status", "--porcelain", "--", "src/info_nce")
    return f"{_git('rev-parse', '--short=10', 'HEAD') or 'unknown'}{'+' if changed else ''}"


def code_of(source: Path = ROOT / "src/info_nce") -> str:
    """A fingerprint of the code that is measured; a change in it makes earlier figures stale."""
    digest = hashlib.sha256()
    for path in sorted(path for pattern in _CORE for path in source.glob(pattern)):
        digest.update(str(path.relative_to(source)).encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _git(*words: str) -> str:
    git = ["git", *words]
    done = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - fixed words
    return done.stdout.strip()


def _cpu() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text(encoding="utf-8").splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
