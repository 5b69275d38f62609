"""Where a system lives: in the project's own environment, in a folder in front of it, or in an environment of its own.

    python -m benchmarks.homes          # builds those that are missing

Two packages with one import name, or with another torch, cannot share a process, so each system has one to itself.
"""

import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["FOLDER", "HOMES", "MISSING", "OWN", "ROOT", "Home"]

ROOT = Path(__file__).resolve().parents[1]
FOLDER = Path(".cache/peers")
MISSING = "not installed: make bench-peers"


@dataclass(frozen=True, slots=True)
class Home:
    """An environment.

    Args:
        name: of its folder.
        kind: the project's own; a folder in front of that one's packages; or a virtual environment of its own.
        requirements: what is installed there.
        size: on the disk, for people.
    """

    name: str
    kind: Literal["own", "folder", "venv"]
    requirements: tuple[str, ...] = ()
    size: str = ""

    def is_built(self, peers: Path) -> bool:
        """Whether everything is there."""
        return self.kind == "own" or self._mark(peers).exists()

    def python(self, peers: Path) -> str:
        """The interpreter; not resolved, as a virtual environment is known by the path of its interpreter."""
        return str(Path(peers).absolute() / self.name / "bin" / "python") if self.kind == "venv" else sys.executable

    def path(self, peers: Path) -> list[str]:
        """What stands in front of the interpreter's own packages; the benchmark itself is always there."""
        own = {"own": [ROOT / "src"], "folder": [Path(peers).absolute() / self.name], "venv": []}
        return [str(part) for part in (*own[self.kind], ROOT)]

    def build(self, peers: Path) -> None:
        """Install it."""
        folder = Path(peers) / self.name
        target = []
        if self.kind == "venv":
            venv.create(folder, with_pip=True)
        else:
            # without dependencies: torch and the like are there, and must be the same ones
            target = ["--no-deps", "--target", str(folder)]
        pip = [self.python(peers), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade"]
        subprocess.run([*pip, *target, *self.requirements], check=True)  # noqa: S603 - our own list
        self._mark(peers).write_text("\n".join(self.requirements), encoding="utf-8")

    def _mark(self, peers: Path) -> Path:
        return Path(peers) / self.name / "complete"


OWN = Home("own", "own")
HOMES = {
    "info-nce-pytorch": Home("info-nce-pytorch", "folder", ("info-nce-pytorch==0.1.4",), "20 kB"),
    "same-torch": Home(
        "same-torch",
        "folder",
        (
            "pytorch-metric-learning==2.9.0",
            "sentence-transformers==6.2.0",
            "transformers>=5,<6",
            "tokenizers",
            "regex",
        ),
        "150 MB",
    ),
    "vision": Home(
        "vision",
        "venv",
        ("torch==2.14.1", "torchvision==0.29.1", "lightly==1.6.0", "open_clip_torch==3.3.0"),
        "5.6 GB",
    ),
}


def main(peers: Path = FOLDER) -> int:
    """Build the environments of the libraries that the losses are compared with.

    Args:
        peers: the folder that holds them.
    """
    for home in HOMES.values():
        if home.is_built(peers):
            sys.stdout.write(f"{home.name}: is there\n")
            continue
        sys.stdout.write(f"{home.name}: {', '.join(home.requirements)} ({home.size})\n")
        sys.stdout.flush()
        home.build(peers)
    return 0


if __name__ == "__main__":
    import tyro

    sys.exit(tyro.cli(main))
