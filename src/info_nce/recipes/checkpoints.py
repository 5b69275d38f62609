"""Checkpoints: one file each, whole or not there, read without running any code from it.

A checkpoint is a safetensors file. Its tensors are the weights, the optimizer's moments and the random state; its
header holds everything else as JSON, with a digest of the tensors.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from info_nce.errors import RunError, needs_extra
from info_nce.recipes.files import write_safely

with needs_extra("train"):
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import save as to_bytes

# The last one, and the one before it in case the last cannot be read.
KEPT = 2
_HEADER = "info_nce"


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """All that training needs to go on as if it had never stopped.

    Args:
        step: how many steps are done.
        run_id: of the run it belongs to; another run's checkpoint is refused.
        tensors: weights, moments and random state, by name.
        extra: what is no tensor, as JSON can hold it.
    """

    step: int
    run_id: str
    tensors: Mapping[str, Tensor]
    extra: Mapping[str, object]


def save_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, object]) -> None:
    """Write tensors and a header into one file, safely.

    Raises:
        RunError: the disk is full or cannot be written to.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps({**header, "digest": digest_of(plain)})
    write_safely(path, to_bytes(plain, {_HEADER: text}))


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, object]]:
    """Read such a file: its tensors and its header.

    Raises:
        RunError: it is missing, truncated, damaged, or was written by something else.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})[_HEADER])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        intact = header["digest"] == digest_of(tensors)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise _refused(path, f"{type(error).__name__}: {error}") from error
    if not intact:
        raise _refused(path, "tensors that differ from the digest in its header")
    return tensors, header


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint and drop the oldest, never fewer than one being whole on the disk."""
    path = folder / f"step-{checkpoint.step:08d}.safetensors"
    header = {"step": checkpoint.step, "run_id": checkpoint.run_id, "extra": dict(checkpoint.extra)}
    save_tensors(path, checkpoint.tensors, header)
    for old in (*_newest_first(folder)[KEPT:], *folder.glob(".*.part")):
        old.unlink(missing_ok=True)
    return path


def read_checkpoint(path: Path, run_id: str) -> Checkpoint:
    """Read one checkpoint.

    Raises:
        RunError: it cannot be read, or belongs to another run.
    """
    tensors, header = load_tensors(path)
    step, extra = header.get("step"), header.get("extra")
    if not isinstance(step, int) or not isinstance(extra, dict):
        raise _refused(path, "a file with tensors that is no checkpoint")
    if header.get("run_id") != run_id:
        raise _refused(path, f"a checkpoint of another run ({header.get('run_id')}, not {run_id})")
    return Checkpoint(step=step, run_id=run_id, tensors=tensors, extra=extra)


def latest_checkpoint(folder: Path, run_id: str) -> tuple[Checkpoint | None, list[str]]:
    """Read the newest checkpoint that can be read, and say which were refused and why.

    Returns:
        The checkpoint, None if there is no file at all, and one line for each file refused.

    Raises:
        RunError: there are files, and none can be read.
    """
    refused: list[str] = []
    for path in _newest_first(folder):
        found = _read_or_reason(path, run_id)
        if isinstance(found, Checkpoint):
            return found, refused
        refused.append(found)
    if refused:
        raise RunError(
            f"no checkpoint in {folder} can be read.",
            got="; ".join(refused),
            expected="at least one whole checkpoint of this run",
            advice="train again into another folder",
        )
    return None, []


def _read_or_reason(path: Path, run_id: str) -> Checkpoint | str:
    try:
        return read_checkpoint(path, run_id)
    except RunError as error:
        return f"{path.name}: {error.got}"


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*.safetensors"), reverse=True)


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """Tell tensors apart: the sha256 of their names and bytes, which may be mapped from a file."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        # As bytes, because NumPy has no bfloat16; not copied, because there may be gigabytes of them.
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _refused(path: Path, why: str) -> RunError:
    return RunError(
        f"{path} cannot be used.",
        got=why,
        expected="a whole file that this run wrote",
        advice="remove it; the one before it is used then",
    )
