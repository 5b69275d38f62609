"""The systems that are compared, one file each."""

from benchmarks.systems import (
    dense,
    info_nce_pytorch,
    lightly,
    metric_learning,
    open_clip,
    ours,
    sentence_transformers,
    stored,
    torch_chunked,
)
from benchmarks.systems.base import System

__all__ = ["SYSTEMS", "System"]

_MODULES = (
    ours,
    dense,
    stored,
    info_nce_pytorch,
    torch_chunked,
    sentence_transformers,
    metric_learning,
    lightly,
    open_clip,
)

SYSTEMS: dict[str, System] = {module.SYSTEM.name: module.SYSTEM for module in _MODULES}
