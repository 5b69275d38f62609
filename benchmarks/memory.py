"""How much memory a process takes: its resident set now, and the most that it was."""

import ctypes
import resource
import sys
from contextlib import suppress
from pathlib import Path

__all__ = ["peak_bytes", "release", "reset_peak", "resident_bytes"]

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def resident_bytes() -> int:
    """The resident set now; where the system does not say, the most that it was."""
    return _status("VmRSS") or _most()


def peak_bytes() -> int:
    """The most that the resident set was since `reset_peak`; where that is not to be had, since the start."""
    return _status("VmHWM") or _most()


def reset_peak() -> None:
    """Forget earlier peaks, where the system can."""
    with suppress(OSError):
        _CLEAR.write_text("5")


def release() -> None:
    """Give freed memory back, so that it does not hide what is taken next."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def _status(field: str) -> int:
    if not _STATUS.exists():
        return 0
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


def _most() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
