"""The state of a training step as named tensors, and back: weights, the optimizer's moments, random state."""

import math
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from info_nce.errors import RunError
from info_nce.recipes.checkpoints import Checkpoint


class Optimizer(Protocol):
    """What torch's optimizers and accelerate's wrapper of them have in common."""

    state: Any

    def state_dict(self) -> dict[str, Any]:
        """Moments and settings."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take them back."""


Parts = dict[str, Tensor]


def random_state() -> Parts:
    """Where the random generators of this process stand: the processor's, and the accelerator's where there is one."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    if torch.backends.mps.is_available():
        state["mps"] = torch.mps.get_rng_state()
    return state


def set_random_state(state: Parts) -> None:
    """Let them stand there again."""
    torch.set_rng_state(state["cpu"])
    if "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"])
    if "mps" in state:
        torch.mps.set_rng_state(state["mps"])


def capture(
    step: int,
    spent: dict[str, float | None],
    run_id: str,
    modules: dict[str, nn.Module],
    optimizer: Optimizer,
    random: Sequence[Parts],
) -> Checkpoint:
    """Take down everything that the next step depends on; the random states are those of all processes.

    Args:
        step: how many are done.
        spent: "seconds" of training, and the "best" validation loss, None before the first.
        run_id: of the run.
        modules: by name.
        optimizer: of all of them.
        random: of each process.
    """
    tensors: Parts = {}
    for name, module in modules.items():
        tensors |= {f"{name}.{key}": value for key, value in module.state_dict().items()}
    state = optimizer.state_dict()
    for index, moments in state["state"].items():
        tensors |= {f"optimizer.{index}.{key}": value for key, value in moments.items()}
    tensors |= {f"random.{kind}": torch.stack([of[kind] for of in random]) for kind in random[0]}
    return Checkpoint(step, run_id, tensors, {**spent, "param_groups": state["param_groups"]})


def restore(
    checkpoint: Checkpoint, modules: dict[str, nn.Module], optimizer: Optimizer, *, rank: int, processes: int
) -> tuple[float, float]:
    """Put it all back.

    Args:
        checkpoint: where to go on from.
        modules: as they were captured.
        optimizer: as it was captured.
        rank: of this process, whose random state is put back.
        processes: how many there are; as many as there were.

    Returns:
        How many seconds the run had taken, and its best validation loss.

    Raises:
        RunError: the checkpoint was written by another version of the model.
    """
    try:
        for name, module in modules.items():
            module.load_state_dict(below(checkpoint, name))
        groups = checkpoint.extra["param_groups"]
        optimizer.load_state_dict({"state": _moments(checkpoint), "param_groups": groups})
        _match_layout(optimizer)
        # One process alone used to write its state without a dimension for processes.
        states = below(checkpoint, "random").items()
        set_random_state({kind: every.view(processes, -1)[rank].clone() for kind, every in states})
        seconds, best = checkpoint.extra["seconds"], checkpoint.extra.get("best")
        return float(seconds), math.inf if best is None else float(best)  # type: ignore[arg-type]  # refused below if they are no numbers
    except (RuntimeError, KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"the checkpoint of step {checkpoint.step:,} does not fit this model.",
            got=str(error).splitlines()[0],
            expected="the weights of the same architecture, optimizer and kind of machine",
            advice="go on with the version of info-nce that began the run (see config.json), or train again",
        ) from error


def _match_layout(optimizer: Optimizer) -> None:
    # A file keeps values, not strides. Moments laid out like their weights go through the same machine instructions
    # as before, and so give the same bits.
    for parameter, moments in optimizer.state.items():
        for key, value in moments.items():
            if value.shape == parameter.shape:
                moments[key] = torch.empty_like(parameter).copy_(value)


def below(checkpoint: Checkpoint, name: str) -> Parts:
    """Everything of one module, by the names that it has there."""
    return {key[len(name) + 1 :]: value for key, value in checkpoint.tensors.items() if key.startswith(f"{name}.")}


def _moments(checkpoint: Checkpoint) -> dict[int, Parts]:
    moments: dict[int, Parts] = {}
    for key, value in below(checkpoint, "optimizer").items():
        index, _, kind = key.partition(".")
        moments.setdefault(int(index), {})[kind] = value
    return moments
