"""What a pass must find so that it repeats an earlier one: random numbers, buffers, precision."""

import inspect
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from types import FunctionType, MethodType

import torch
from torch import Tensor, nn

__all__ = ["Buffers", "Randomness", "devices_of", "modules_of", "undone", "without_autocast"]


def modules_of(function: object) -> list[nn.Module]:
    """The modules that a callable works with: itself, or what a method, a partial or a function refers to."""
    if isinstance(function, nn.Module):
        return [function]
    if isinstance(function, partial):
        held = (function.func, *function.args, *function.keywords.values())
        return [module for each in held for module in modules_of(each)]
    if isinstance(function, MethodType):
        return modules_of(function.__self__)
    if isinstance(function, FunctionType):
        if hasattr(function, "__wrapped__"):  # decorated
            return modules_of(function.__wrapped__)
        names = inspect.getclosurevars(function)
        return [value for value in (*names.nonlocals.values(), *names.globals.values()) if isinstance(value, nn.Module)]
    return [value for value in getattr(function, "__dict__", {}).values() if isinstance(value, nn.Module)]


def devices_of(tensors: Iterable[Tensor]) -> list[torch.device]:
    """The devices, other than the CPU, with a random state that an encoder of these tensors may draw from."""
    devices = dict.fromkeys(tensor.device for tensor in tensors if tensor.device.type not in {"cpu", "meta"})
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    # an encoder may bring its input there itself; but asking a device that nobody uses would start it
    if accelerator is not None and getattr(torch.get_device_module(accelerator), "is_initialized", lambda: True)():
        devices[accelerator] = None
    return list(devices)


class Randomness:
    """The state of torch's global generators, of the CPU and of these devices, now."""

    def __init__(self, devices: Iterable[torch.device]) -> None:
        self._cpu = torch.get_rng_state()
        self._others = {device: torch.get_device_module(device).get_rng_state(device) for device in devices}

    def restore(self) -> None:
        """Draw again what was drawn from here on."""
        torch.set_rng_state(self._cpu)
        for device, state in self._others.items():
            torch.get_device_module(device).set_rng_state(state, device)


class Buffers:
    """The buffers of these modules, as they are now."""

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        owners = dict.fromkeys(owner for module in modules for owner in module.modules())
        self._kept = [
            (owner, name, buffer, buffer.detach().clone())
            for owner in owners
            for name, buffer in owner.named_buffers(recurse=False)
        ]

    @torch.no_grad()
    def restore(self) -> None:
        """Bring them back, in place, also where a module has put another tensor in a buffer's place."""
        for owner, name, buffer, value in self._kept:
            buffer.copy_(value)
            setattr(owner, name, buffer)


@contextmanager
def undone(modules: Iterable[nn.Module], devices: Iterable[torch.device]) -> Iterator[None]:
    """What is run within this leaves buffers and random states as they were."""
    buffers, randomness = Buffers(modules), Randomness(devices)
    try:
        yield
    finally:
        buffers.restore()
        randomness.restore()


@contextmanager
def without_autocast(devices: Iterable[torch.device]) -> Iterator[None]:
    """A backward pass in the precision of its forward pass: autocast would lower what had been kept out of it."""
    with ExitStack() as stack:
        for kind in {"cpu", *(device.type for device in devices)}:
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield
