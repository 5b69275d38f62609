"""In which precision is computed: never in less than single, whatever the inputs' and the caller's."""

from contextlib import AbstractContextManager, nullcontext

import torch

__all__ = ["compute_dtype", "without_autocast"]


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """Logits and totals are float32 for half and single precision, float64 for double."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def without_autocast(device_type: str) -> AbstractContextManager[object]:
    """Compute in the tensors' own precision, whatever precision the caller is in."""
    # some devices, such as "meta", know no autocast and refuse its name
    if device_type == "meta" or not torch.is_autocast_enabled(device_type):
        return nullcontext()
    return torch.autocast(device_type, enabled=False)
