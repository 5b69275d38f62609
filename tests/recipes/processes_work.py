"""What each of several processes does in test_processes.py."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from rich.console import Console
from torch import Tensor, nn

from info_nce import InfoNCE
from info_nce.engines import Auto, Engine, Gathered
from info_nce.errors import UserError
from info_nce.recipes import loop
from info_nce.recipes.checkpoints import load_tensors
from info_nce.recipes.interruption import Interruption
from info_nce.recipes.loop import Loop, Training, fit
from info_nce.recipes.processes import Processes
from info_nce.recipes.progress import Metrics

STEPS = 6
QUIET = Console(quiet=True)


class Towers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.query: nn.Module = nn.Linear(4, 3)
        self.key: nn.Module = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 3))
        self.double()

    def forward(self, query: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
        query, key = self.query(query), self.key(key)
        return query, key


class Noisy(Towers):
    """Draws random numbers, on each process its own, and has gradients that come in another order than its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Sequential(nn.Linear(4, 300), nn.Tanh(), nn.Linear(300, 3)).double()
        self.key = nn.Sequential(nn.Linear(4, 300), nn.Tanh(), nn.Linear(300, 3)).double()

    def forward(self, query: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
        key = self.key(key)
        return self.query(query + 0.1 * torch.randn_like(query)), key


class Dealt:
    """Seven pairs a step, the same for any number of processes."""

    candidates = 7

    def __init__(self, failing: int = -1) -> None:
        self.processes, self.failing = Processes(), failing

    def __len__(self) -> int:
        return 4

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        if step == 2 and self.processes.rank == self.failing:
            raise ZeroDivisionError
        query = torch.rand(7, 4, dtype=torch.double, generator=torch.Generator().manual_seed(step))
        mine = query.tensor_split(self.processes.count)[self.processes.rank]
        return mine, mine.square()


def perform(tasks: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]) -> dict[str, Any]:
    """Several tasks in one start of the processes, which accelerate knows from where a launcher would say so."""
    rank, size = torch.distributed.get_rank(), torch.distributed.get_world_size()
    told = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size, "OMP_NUM_THREADS": 1}
    os.environ.update({name: str(value) for name, value in told.items()}, MASTER_ADDR="127.0.0.1")
    return {name: function(*arguments) for name, (function, arguments) in tasks.items()}


def train(folder: Path, chunk_size: int = 0, engine: Engine | None = None) -> Any:
    """What is learned and logged."""
    loss = InfoNCE(0.1, learnable=True, engine=engine or Gathered(Auto()))
    training = Training(Towers(), loss, Loop(STEPS, 0.01, 0.1, log_every=2, chunk_size=chunk_size), folder, "mine")
    fit(training, Dealt(), QUIET)
    lines = [line | {"seconds": 0.0} for line in Metrics(folder / "metrics.jsonl").read()]
    return {name: plain(module) for name, module in training.modules.items()}, lines


def plain(module: nn.Module) -> dict[str, Any]:
    """Its weights as numbers, which outlive the process that has computed them."""
    return {name: tensor.tolist() for name, tensor in module.state_dict().items()}


def stop(folder: Path, at: int, asking: int) -> Any:
    """Stopped as if a signal had reached one process only, then gone on with."""

    class Asked(Interruption):
        seen = -1

        @property
        def asked(self) -> bool:
            self.seen += 1
            return self.seen >= at and Processes().rank == asking

        @asked.setter
        def asked(self, value: bool) -> None:
            pass

    with patch.object(loop, "Interruption", Asked):
        steps = [fit(noisy(folder), Dealt(), QUIET)]
    torch.manual_seed(99)
    again = noisy(folder)
    steps.append(fit(again, Dealt(), QUIET))
    whole = noisy(folder.with_name("whole"))
    fit(whole, Dealt(), QUIET)
    return steps, plain(again.modules["model"]), plain(whole.modules["model"])


def stop_unsettled(folder: Path, at: int, asking: int) -> Any:
    """The same without the pass that lets DDP sort its buckets."""
    with patch.object(Training, "_settle", lambda *_: None):
        return stop(folder, at, asking)


def noisy(folder: Path) -> Training:
    model = Noisy()
    torch.manual_seed(100 + Processes().rank)
    loss = InfoNCE(0.1, learnable=True, engine=Gathered())
    return Training(model, loss, Loop(STEPS, 0.01, 0.1, checkpoint_seconds=0.0, chunk_size=2), folder, "mine")


def random_states(folder: Path) -> Any:
    """Those of the last checkpoint."""
    return load_tensors(max((folder / "checkpoints").iterdir()))[0]["random.cpu"].tolist()


def fail(folder: Path, failing: int) -> tuple[str, str]:
    """Which error, where one process makes a mistake."""
    loss = InfoNCE(0.1, engine=Gathered())
    try:
        fit(Training(Towers(), loss, Loop(STEPS, 0.01, 0.1), folder, "mine"), Dealt(failing), QUIET)
    except (ZeroDivisionError, UserError) as error:
        return type(error).__name__, str(error)
    return "", ""


def refuse(work: Callable[..., Any], *arguments: Any) -> str:
    """The text of an error."""
    try:
        work(*arguments)
    except UserError as error:
        return str(error)
    return ""


def first_fails() -> str:
    """What the main process cannot make."""
    return refuse(Processes().first, _mistake)


def _mistake() -> None:
    raise UserError("no.", got=1, expected=2, advice="3")


def first() -> tuple[int, list[int]]:
    processes = Processes()
    return processes.first(lambda: processes.rank + 5), processes.gathered(processes.rank)
