"""A file is whole or not there, also on a full disk."""

import errno
import os
from pathlib import Path

import pytest

from info_nce.errors import RunError
from info_nce.recipes.files import write_safely


def test_a_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    write_safely(tmp_path / "new folder" / "it", b"one")
    write_safely(tmp_path / "new folder" / "it", b"two")
    assert (tmp_path / "new folder" / "it").read_bytes() == b"two"
    assert len(list((tmp_path / "new folder").iterdir())) == 1


def test_a_full_disk_leaves_the_old_file_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_safely(tmp_path / "it", b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match="the disk is full") as caught:
        write_safely(tmp_path / "it", b"new")
    assert "--resume" in caught.value.advice
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"old"]


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"in the way")
    with pytest.raises(RunError, match="cannot be written") as caught:
        write_safely(tmp_path / "file" / "it", b"new")
    assert "another place" in caught.value.advice


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere" / "it")
    for content in (b"one", b"two"):
        write_safely(tmp_path / "link", content)
        assert (tmp_path / "elsewhere" / "it").read_bytes() == content
    assert (tmp_path / "link").is_symlink()
    assert [file.name for file in tmp_path.rglob("*.part")] == []
