"""How a figure becomes a file."""

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure
from PIL import Image

from info_nce import plots
from info_nce.errors import RunError, SettingError

BEGINS = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


def figure(text: str = "熊 and bear") -> Figure:
    drawn = Figure((2, 1))
    drawn.text(0.1, 0.5, text)
    return drawn


@pytest.mark.parametrize("suffix", BEGINS)
def test_the_suffix_says_what_is_written_and_the_same_figure_gives_the_same_bytes(suffix: str, tmp_path: Path) -> None:
    first, second, other = (
        plots.save(figure(text), tmp_path / f"{i}{suffix}").read_bytes() for i, text in enumerate(["a", "a", "b"])
    )
    assert first.startswith(BEGINS[suffix])
    assert first == second
    assert first != other


@pytest.mark.parametrize("suffix", BEGINS)
def test_a_figure_that_was_saved_is_the_one_that_it_was(suffix: str, tmp_path: Path) -> None:
    drawn = plots.alignment_uniformity([{"alignment": 1 - i / 9, "uniformity": -i} for i in range(9)])
    places = [axes.get_position().bounds for axes in drawn.axes]
    first, second = (plots.save(drawn, tmp_path / f"{i}{suffix}").read_bytes() for i in range(2))
    assert first == second
    assert [axes.get_position().bounds for axes in drawn.axes] == places
    assert all(axes.get_in_layout() for axes in drawn.axes)


def test_threads_that_save_at_once_leave_the_settings_of_matplotlib(tmp_path: Path) -> None:
    before = mpl.rcParams.copy()
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda i: plots.save(figure("a"), tmp_path / f"{i}.svg"), range(12)))
    assert mpl.rcParams.copy() == before


def test_capital_suffixes_and_letters_that_the_font_lacks_are_fine(tmp_path: Path) -> None:
    file = plots.save(figure(), tmp_path / "new folder" / "a.PNG", dots_per_inch=100)
    assert Image.open(io.BytesIO(file.read_bytes())).size == (200, 100)


@pytest.mark.parametrize("name", ["a.jpg", "a", "png", ".png"])
def test_another_suffix_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"\.png, \.svg or \.pdf"):
        plots.save(figure(), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    with pytest.raises(RunError, match="cannot be written"):
        plots.save(figure(), tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("dots", [0, "many"])
def test_a_picture_without_dots_is_refused(dots: Any, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="dots_per_inch is out of range"):
        plots.save(figure(), tmp_path / "a.png", dots_per_inch=dots)
