"""The libraries whose losses are called on several ranks, one file each."""

from types import ModuleType

from benchmarks.ranks import lightly, metric_learning, open_clip, ours, sentence_transformers

__all__ = ["MODULES"]

MODULES: tuple[ModuleType, ...] = (ours, open_clip, lightly, sentence_transformers, metric_learning)
"""Each has its `SYSTEM`, known without importing the library; and its `variants()`, run in that one's own process."""
