"""From a trained run to vectors, and from vectors to what was looked for, as a user does it."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console

from info_nce import cli
from info_nce.errors import DataError, RunError, SettingError
from info_nce.evaluation import embed, load_index, save_index, search, search_index
from info_nce.recipes.clip import CLIP
from info_nce.recipes.runs import load_run
from info_nce.recipes.simclr import SimCLR
from info_nce.recipes.train import train
from tests.pictures import folder_of

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of(tmp_path_factory.mktemp("pictures"), 40, classes=("a", "b"))


@pytest.fixture(scope="module")
def simclr(pictures: Path) -> Path:
    config = SimCLR(data=str(pictures), image_size=16, steps=2, batch_size=8, width=4, threads=1)
    train(config, pictures.parent / "simclr", QUIET)
    return pictures.parent / "simclr"


@pytest.fixture(scope="module")
def clip(pictures: Path) -> Path:
    rows = [[str(file), f"a thing called number {file.stem}"] for file in sorted(pictures.rglob("*.png"))]
    with (pictures.parent / "pairs.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["image", "text"], *rows])
    config = CLIP(
        data=str(pictures.parent / "pairs.csv"), image_size=16, steps=2, batch_size=8, width=4, features=16, threads=1
    )
    train(config, pictures.parent / "clip", QUIET)
    return pictures.parent / "clip"


def test_the_runs_own_data_become_an_index_that_is_found_again(simclr: Path, tmp_path: Path) -> None:
    run = load_run(simclr)
    index, notes = embed(run)
    test = run.splits().test
    assert (len(index), notes) == (40, [])
    torch.testing.assert_close(index.vectors[-len(test) :], run.embed("image", test.images))
    assert index.ids[-1] == test.ids()[-1]
    assert set(index.shown) == {"a", "b"}
    file = save_index(index, tmp_path / "all.safetensors")
    found = search_index(file, "test:1", 3)
    assert found.found[0].place == test.ids()[1]
    assert found.found[0].similarity == pytest.approx(1, abs=1e-5)
    assert search(run, "test:1", 3).found[0].place == test.ids()[1]


def test_own_pictures_become_the_vectors_that_the_encoder_makes_of_them(simclr: Path, pictures: Path) -> None:
    run = load_run(simclr)
    index, _ = embed(run, pictures / "a")
    every, _ = embed(run)
    by_name = dict(zip(every.ids, every.vectors, strict=True))
    assert len(index) == 20
    for name, vector in zip(index.ids, index.vectors, strict=True):
        torch.testing.assert_close(vector, by_name[f"a/{name}"], rtol=1e-4, atol=1e-5)


def test_texts_find_pictures_and_pictures_find_texts(clip: Path, pictures: Path, tmp_path: Path) -> None:
    run = load_run(clip)
    by_text = search(run, "a thing called number 007", 4)
    assert (by_text.kind, by_text.searched) == ("image", 40)
    assert by_text.picture is not None
    assert by_text.picture.is_file()
    by_picture = search(run, pictures / "a" / "002.png", 4)
    assert (by_picture.kind, by_picture.picture) == ("text", None)
    assert by_picture.found[0].label.startswith("a thing called")
    assert search(run, "test:0", 2, kind="image", query_kind="image").found[0].same
    expected = torch.nn.functional.cosine_similarity(
        run.embed("text", ["a thing called number 007"]), run.embed("image", run.splits().train.images)
    )
    best = max((m.similarity for m in by_text.found if m.part == "train"), default=-1)
    assert best <= float(expected.max()) + 1e-5
    assert by_text.found[0].similarity >= float(expected.max()) - 1e-5
    index, _ = embed(run, kind="text")
    file = save_index(index, tmp_path / "texts.npy")
    assert search_index(file, "a thing called number 007", 1).found[0].label == "a thing called number 007"
    assert search_index(file, pictures / "a" / "002.png", 1).kind == "text"


def test_a_run_of_two_kinds_has_to_be_told_which(clip: Path, pictures: Path, tmp_path: Path) -> None:
    run = load_run(clip)
    with pytest.raises(SettingError, match="--kind image or --kind text"):
        embed(run)
    (tmp_path / "texts.txt").write_text("one\ntwo\n")
    assert embed(run, tmp_path / "texts.txt")[0].origin.kind == "text"
    assert embed(run, pictures / "a" / "000.png")[0].origin.kind == "image"


def test_a_run_without_texts_says_what_it_can_take(simclr: Path, tmp_path: Path) -> None:
    run = load_run(simclr)
    with pytest.raises(SettingError, match="no encoder of texts") as caught:
        search(run, "a red cat")
    assert "files of pictures" in str(caught.value)
    with pytest.raises(SettingError, match="--kind text"):
        embed(run, tmp_path, kind="text")


def test_vectors_of_other_weights_are_not_searched(simclr: Path, clip: Path, tmp_path: Path) -> None:
    index, _ = embed(load_run(simclr))
    other = replace(index, origin=replace(index.origin, weights="00" * 32))
    with pytest.raises(RunError, match="other weights"):
        search_index(save_index(other, tmp_path / "other.npy"), "test:0")
    gone = replace(index, origin=replace(index.origin, run="/nowhere"))
    file = save_index(gone, tmp_path / "gone.npy")
    with pytest.raises(RunError, match="--maker FOLDER"):
        search_index(file, "test:0")
    assert search_index(file, "test:0", run=simclr).searched == 40
    with pytest.raises(RunError, match="other weights"):
        search_index(file, "test:0", run=clip)
    narrow = replace(index, vectors=index.vectors[:, :5].contiguous())
    with pytest.raises(DataError, match="another width"):
        search_index(save_index(narrow, tmp_path / "narrow.npy"), "test:0")


def test_on_the_command_line(simclr: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "v.safetensors")
    assert cli.main(["embed", str(simclr)]) == 2
    assert "--out" in capsys.readouterr().err
    assert cli.main(["embed", str(simclr), "--out", out]) == 0
    assert "40 vectors" in capsys.readouterr().out
    assert len(load_index(out)) == 40
    assert cli.main(["search", out, "test:0", "--top", "2", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [match["rank"] for match in said["found"]] == [1, 2]
    assert cli.main(["search", str(simclr), "a red cat"]) == 2
    assert cli.main(["search", str(simclr), "test:0", "--approximate"]) == 2
