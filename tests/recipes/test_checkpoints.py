"""A checkpoint is read whole, from this run, without running anything from it; or the one before it is."""

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from info_nce.errors import RunError
from info_nce.recipes.checkpoints import Checkpoint, latest_checkpoint, load_tensors, read_checkpoint, write_checkpoint


def checkpoint(step: int, run_id: str = "mine") -> Checkpoint:
    tensors = {"weight": torch.full((3, 4), float(step)), "half": torch.ones(2, dtype=torch.bfloat16)}
    return Checkpoint(step, run_id, tensors, {"seconds": 1.5})


def steps(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_what_is_written_is_read(tmp_path: Path) -> None:
    found = read_checkpoint(write_checkpoint(tmp_path, checkpoint(7)), "mine")
    assert (found.step, found.run_id, found.extra) == (7, "mine", {"seconds": 1.5})
    torch.testing.assert_close(dict(found.tensors), dict(checkpoint(7).tensors))


def test_the_last_two_are_kept_and_leftovers_are_swept(tmp_path: Path) -> None:
    (tmp_path / ".step-00000001.safetensors.123.part").write_bytes(b"killed while writing")
    for step in (1, 2, 3):
        write_checkpoint(tmp_path, checkpoint(step))
    assert steps(tmp_path) == ["step-00000002.safetensors", "step-00000003.safetensors"]


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def foreign(path: Path) -> None:
    write_checkpoint(path.parent, checkpoint(2, "another"))


def without_header(path: Path) -> None:
    save_file({"weight": torch.ones(2)}, path)


def a_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps({"weight": 1}))


@pytest.mark.parametrize("spoil", [truncated, flipped, emptied, foreign, without_header, a_pickle])
def test_a_spoilt_checkpoint_is_refused_and_the_one_before_it_used(tmp_path: Path, spoil: object) -> None:
    write_checkpoint(tmp_path, checkpoint(1))
    spoil(write_checkpoint(tmp_path, checkpoint(2)))  # type: ignore[operator]  # a parameter of the test
    found, refused = latest_checkpoint(tmp_path, "mine")
    assert found is not None
    assert found.step == 1
    assert len(refused) == 1
    assert refused[0].startswith("step-00000002.safetensors: ")


def test_when_none_can_be_read_all_are_named(tmp_path: Path) -> None:
    for step in (1, 2):
        truncated(write_checkpoint(tmp_path, checkpoint(step)))
    with pytest.raises(RunError, match=r"step-00000002\.safetensors.*step-00000001\.safetensors"):
        latest_checkpoint(tmp_path, "mine")


def test_no_checkpoint_at_all_is_no_error(tmp_path: Path) -> None:
    assert latest_checkpoint(tmp_path / "nowhere", "mine") == (None, [])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="nowhere"):
        load_tensors(tmp_path / "nowhere")
