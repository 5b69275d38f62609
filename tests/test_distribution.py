"""What is published: the source archive builds the wheel, and the wheel holds the package, the tutorial and no more."""

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import info_nce

ROOT = Path(__file__).parents[1]


def run(*words: object, **settings: str) -> None:
    done = subprocess.run(list(map(str, words)), env=os.environ | settings, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    if done.returncode and "No matching distribution" in said and not os.environ.get("CI"):
        pytest.skip("there is no package registry to build with")
    assert not done.returncode, said[-2000:]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source archive, and the wheel that is built from it, not from the checkout."""
    folder = tmp_path_factory.mktemp("built")
    constraints = ROOT / "constraints.txt"
    run(sys.executable, "-m", "pip", "install", "-q", "-c", constraints, "--target", folder / "tools", "build")
    run(
        sys.executable, "-m", "build", "--outdir", folder / "dist", ROOT,
        PYTHONPATH=str(folder / "tools"), PIP_CONSTRAINT=str(constraints),
    )  # fmt: skip
    return folder / "dist"


def test_the_oldest_versions_that_are_tested_are_those_that_are_promised() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8").partition("[project.scripts]")[0]
    promised = set(re.findall(r'"([\w-]+)>=([\d.]+)"', project.partition("\ndependencies")[2]))
    lines = (ROOT / "constraints-oldest.txt").read_text(encoding="utf-8").lower().splitlines()
    pinned = dict(line.replace("_", "-").split("==") for line in lines if "==" in line)
    assert {name for name, _ in promised} >= {"torch", "numpy", "tyro", "onnx"}
    assert [(n, v) for n, v in promised if f"{pinned[n]}.".removeprefix(f"{v}.").strip("0.")] == []


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_the_tutorial_and_no_tests(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        about = next(name for name in names if name.endswith("METADATA"))
        metadata = archive.read(about).decode()
    assert {"info_nce/py.typed", "info_nce/testing/engine.py", "info_nce/tutorial/site/index.html"} <= set(names)
    assert {f"info_nce/tutorial/site/{language}/index.html" for language in ("en", "id", "zh")} <= set(names)
    assert {name.split("/")[0] for name in names} == {"info_nce", about.split("/")[0]}
    assert not [name for name in names if "test_" in name or "__pycache__" in name]
    assert f"\nVersion: {info_nce.__version__}\n" in metadata
    assert "License-Expression: Apache-2.0" in metadata
    assert sum(name.endswith(".dist-info/licenses/LICENSE") for name in names) == 1


@pytest.mark.slow
def test_the_source_archive_holds_what_builds_it_and_nothing_built(built: Path) -> None:
    (source,) = built.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "pyproject.toml",
        "hatch_build.py",
        "LICENSE",
        "README.md",
        "src/info_nce/py.typed",
        "tutorial/build.py",
    } <= names
    assert {"CITATION.cff", "mkdocs.yml", "docs/index.md", "tests/test_docs.py", "constraints.txt"} <= names
    for folder in ("src/info_nce/tutorial/site", "site-docs", ".venv", "runs"):
        assert not [name for name in names if name.startswith(folder)]
