"""Files that are either whole or not there: a power cut, a full disk or Ctrl-C leaves the old one in place."""

import contextlib
import errno
import os
from pathlib import Path

from info_nce.errors import RunError


def write_safely(path: Path, content: bytes) -> None:
    """Write a file in one step: under another name, to the disk, and then renamed. A link stays one.

    Raises:
        RunError: the disk is full or cannot be written to; what was there before is still there.
    """
    target = path.resolve()  # a rename would replace a link, and not the file that it stands for
    draft = target.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
        _sync_folder(target.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise cannot_write(path, error) from error


def cannot_write(path: Path, error: OSError) -> RunError:
    """Say what a failed write means, and what can be done."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return RunError(
        f"{path} cannot be written" + (": the disk is full." if full else "."),
        got=error,
        expected="room on the disk, and a folder that may be written to",
        advice="make room, then go on with --resume" if full else "another place, or mend the permissions",
    )


def _sync_folder(folder: Path) -> None:
    # The rename itself reaches the disk with its folder; Windows has no such call and needs none.
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
