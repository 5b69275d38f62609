"""A module of the user's own in the current folder, out of which a test takes encoders."""

from pathlib import Path

import pytest


def own_module(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Write it and go there; of another name each time, as Python imports a name once."""
    name = f"own_{abs(hash(str(folder)))}"
    (folder / f"{name}.py").write_text(text)
    monkeypatch.chdir(folder)
    return name
