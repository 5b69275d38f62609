"""Search by picture: the picture itself first, and clear words about pictures that cannot be read."""

from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from info_nce.data.decoding import decoder_of
from info_nce.errors import DataError, SettingError
from info_nce.evaluation import Matches, search
from tests.evaluation.fakes import SIZE, FakeRun, labelled, run_on, unlabelled


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> FakeRun:
    return run_on(labelled([30, 30, 30], paths=True), tmp_path_factory.mktemp("run"))


def saved(images: torch.Tensor, row: int, file: Path) -> Path:
    Image.fromarray(images[row, 0].numpy()).save(file)
    return file


def printed(matches: Matches) -> str:
    console = Console(file=StringIO(), width=100)
    console.print(matches)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_a_picture_of_the_set_is_found_first_and_said_to_be_the_same(run: FakeRun, tmp_path: Path, part: str) -> None:
    pictures = getattr(run.splits(), part)
    found = search(run, saved(pictures.images, 5, tmp_path / "query.png"), top=4)
    first, *others = found.found
    assert (first.rank, first.part, first.place, first.same) == (1, part, pictures.paths[5], True)
    assert first.similarity == pytest.approx(1, abs=1e-5)
    assert [match.rank for match in found.found] == [1, 2, 3, 4]
    assert not any(match.same for match in others)
    assert [m.similarity for m in others] == sorted((m.similarity for m in others), reverse=True)
    assert found.searched == 90
    text = printed(found)
    assert "(the same)" in text
    assert "What you looked for is itself in the set." in text


def test_the_result_is_drawn_into_the_run_folder(run: FakeRun, tmp_path: Path) -> None:
    file = saved(run.splits().test.images, 0, tmp_path / "my $x$ (1).png")
    found = search(run, file, top=13)
    assert found.picture == run.path / "search-my-x-1-.png"
    with Image.open(found.picture) as drawn:
        assert drawn.format == "PNG"
        assert drawn.width > drawn.height


def test_a_picture_of_another_size_and_colour_is_brought_to_the_runs(run: FakeRun, tmp_path: Path) -> None:
    grey = Image.fromarray(run.splits().test.images[0, 0].numpy())
    grey.convert("RGB").resize((90, 60)).save(tmp_path / "large.jpg")
    found = search(run, tmp_path / "large.jpg", top=3)
    assert not any(match.same for match in found.found)
    grey.convert("RGB").save(tmp_path / "same.png")
    assert search(run, tmp_path / "same.png", top=1).found[0].same


def test_grey_is_what_pillow_calls_grey(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    expected = torch.from_numpy(np.asarray(Image.fromarray(noise).convert("L")).copy())
    content, _, _ = decoder_of("image", {"channels": 1, "image_size": SIZE}).read([tmp_path / "noise.png"])
    torch.testing.assert_close(content[0, 0], expected)


def test_more_than_there_are_gives_all_and_draws_the_first(run: FakeRun, tmp_path: Path) -> None:
    file = saved(run.splits().test.images, 0, tmp_path / "query.png")
    found = search(run, file, top=1000)
    assert len(found.found) == 90
    assert found.picture is not None
    with Image.open(found.picture) as drawn:
        assert drawn.height < drawn.width


def test_without_labels_and_files_numbers_are_shown(tmp_path: Path) -> None:
    splits = unlabelled(20)
    found = search(run_on(splits, tmp_path / "run"), saved(splits.train.images, 3, tmp_path / "query.png"))
    assert (found.found[0].label, found.found[0].place) == ("", "train:3")
    assert "train:3 (the same)" in printed(found)


def test_labels_with_brackets_are_text(run: FakeRun, tmp_path: Path) -> None:
    names = ("[red]a[/bold]", "$\\frac{", "<b>")
    parts = {n: replace(getattr(run.parts, n), class_names=names) for n in ("train", "validation", "test")}
    hostile = replace(run, parts=replace(run.parts, **parts))
    text = printed(search(hostile, saved(run.splits().test.images, 0, tmp_path / "query.png"), top=90))
    assert all(name in text for name in names)


def test_a_missing_picture_is_named(run: FakeRun, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no picture") as caught:
        search(run, tmp_path / "nowhere.png")
    assert "nowhere.png" in str(caught.value)
    with pytest.raises(DataError, match="a folder"):
        search(run, tmp_path)


def test_a_broken_picture_is_named(run: FakeRun, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    with pytest.raises(DataError, match="cannot be read as a picture") as caught:
        search(run, tmp_path / "broken.png")
    assert "broken.png" in str(caught.value)


def test_no_match_at_all_cannot_be_asked_for(run: FakeRun, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="--top"):
        search(run, tmp_path / "any.png", top=0)


def test_a_picture_of_the_runs_own_data_is_named_by_part_and_number(run: FakeRun) -> None:
    matches = search(run, "test:1", 3)
    assert matches.found[0].same
    paths = run.splits().test.paths
    assert paths is not None
    assert (matches.found[0].part, matches.found[0].place) == ("test", paths[1])


def test_a_number_beyond_the_part_is_refused(run: FakeRun) -> None:
    with pytest.raises(DataError, match="test:0 to test:"):
        search(run, "test:100000", 3)
