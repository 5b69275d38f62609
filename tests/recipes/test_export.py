"""An exported encoder computes what the model computes, wherever it runs, or is not written."""

import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from info_nce.errors import RunError, SettingError
from info_nce.recipes import recipe_class
from info_nce.recipes.base import Network
from info_nce.recipes.export import Format, export
from info_nce.recipes.programs import torchscript_program
from info_nce.recipes.runs import load_run
from info_nce.recipes.simclr import SimCLR
from info_nce.recipes.train import train
from tests.pictures import folder_of
from tests.recipes.small import CASES, small


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("run")
    pictures = folder_of(root / "pictures", 40, classes=("a", "b"))
    config = SimCLR(data=str(pictures), image_size=16, steps=2, batch_size=8, width=4, threads=1)
    train(config, root / "run", Console(quiet=True))
    return root / "run"


def pasted(readme: Path) -> str:
    lines = readme.read_text().splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith(("import ", "from ")))
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", "\n".join(lines[first:])],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    ).stdout


def test_an_exported_run_is_a_run(run: Path, tmp_path: Path) -> None:
    images = load_run(run).splits().test.images
    export(load_run(run), tmp_path / "out")
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "README.txt",
        "config.json",
        "encoder.safetensors",
    ]
    torch.testing.assert_close(
        load_run(tmp_path / "out").embed("image", images), load_run(run).embed("image", images), rtol=0, atol=0
    )
    assert "['image']" in pasted(tmp_path / "out" / "README.txt")


def test_torchscript_gives_the_models_embeddings_for_any_number_of_pictures(run: Path, tmp_path: Path) -> None:
    program, readme = export(load_run(run), tmp_path / "out", "torchscript")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*deprecated")  # newer releases of torch say so
        loaded = torch.jit.load(program)  # type: ignore[no-untyped-call]
    images = load_run(run).splits().train.images
    for count in (1, 3, 20):
        with torch.no_grad():
            found = loaded(images[:count].float() / 255)
        torch.testing.assert_close(found, load_run(run).embed("image", images[:count]))
    assert "torch.Size([2, 32])" in pasted(readme)


@pytest.mark.slow
def test_onnx_gives_the_models_embeddings_for_any_number_of_pictures(run: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    program, readme = export(load_run(run), tmp_path / "out", "onnx")
    session = onnxruntime.InferenceSession(program, providers=["CPUExecutionProvider"])
    images = load_run(run).splits().train.images
    for count in (1, 3, 20):
        found = session.run(None, {"images": (images[:count].float() / 255).numpy()})[0]
        torch.testing.assert_close(torch.from_numpy(found), load_run(run).embed("image", images[:count]))
    assert "(2, 32)" in pasted(readme)


class Forgetful(nn.Module):
    """Its program knows one number of rows by heart."""

    def forward(self, images: Tensor) -> Tensor:
        return images.reshape(int(images.shape[0]), -1)


def test_a_program_that_computes_something_else_is_not_written(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = Network(
        module=Forgetful(), prepare=lambda images: (images.float(),), arguments=("images",), takes="pictures"
    )
    monkeypatch.setattr(SimCLR, "networks", lambda *_: {"image": wrong})
    monkeypatch.setattr(SimCLR, "embedders", lambda *_: {"image": lambda images: images.flatten(1).float()})
    with pytest.raises(SettingError, match="does not do what the model does"):
        export(load_run(run), tmp_path / "out", "torchscript")
    assert not (tmp_path / "out").exists()


def test_what_cannot_become_a_program_is_refused_with_the_reason() -> None:
    class Python(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            raise RuntimeError(f"only on Tuesdays, and not {len(images)}")

    network = Network(module=Python(), prepare=lambda items: items, arguments=("images",), takes="pictures")
    with pytest.raises(SettingError, match="only on Tuesdays"):
        torchscript_program(network, (torch.ones(1, 1),))


def test_there_is_no_program_of_an_encoder_that_is_not_there(run: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="--kind text"):
        export(load_run(run), tmp_path / "out", "onnx", kind="text")


def test_a_folder_in_use_is_left_alone(run: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(RunError, match="another folder with --to"):
        export(load_run(run), tmp_path)
    moved = replace(load_run(run), data={**load_run(run).data, "fingerprint": "0"})
    with pytest.raises(RunError, match="is not there"):
        export(moved, tmp_path / "out", "torchscript")


RECURRENT = "cpc", "wav2vec2"  # the exporter writes the length of the example into a recurrent network


@pytest.mark.slow
@pytest.mark.parametrize("form", ["torchscript", "onnx"])
@pytest.mark.parametrize("case", CASES)
def test_every_recipe_becomes_a_program_or_says_why_not(tmp_path: Path, case: str, form: Format) -> None:
    if form == "onnx":
        pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    name = case.split(maxsplit=1)[0]
    recipe = recipe_class(name)(**small(case, tmp_path), threads=1)
    assert train(recipe, tmp_path / "run", Console(quiet=True))
    run = load_run(tmp_path / "run")
    for kind in run.embedders():
        if form == "onnx" and name in RECURRENT:
            with pytest.raises(SettingError, match=r"another --format|cannot become"):
                export(run, tmp_path / kind, form, kind=kind)
            assert not (tmp_path / kind).exists()
        else:
            program, _ = export(run, tmp_path / kind, form, kind=kind)  # which has compared its embeddings
            assert program.stat().st_size > 1_000
