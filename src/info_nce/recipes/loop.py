"""The one training loop: any model, any loss, any batches; stopped at any step, it goes on as if it had not been.

A step is a function of the weights, the optimizer's moments, the step's number and torch's random state. The order of
the data and the learning rate follow from the number alone, so a checkpoint holds the rest and nothing more.

Several processes, started by `torchrun` or `accelerate launch`, make each step together: every one of them has its part
of the batch and its own random state, and all have the same weights. What only one of them can know, that somebody
pressed Ctrl-C or that a picture is broken, they tell each other before a step, so that all stop at the same one.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from info_nce import cached_step
from info_nce.errors import RunError, needs_extra
from info_nce.recipes.checkpoints import latest_checkpoint, save_tensors, write_checkpoint
from info_nce.recipes.interruption import Interruption
from info_nce.recipes.processes import Processes
from info_nce.recipes.progress import Display, Metrics
from info_nce.recipes.signs import Positives, collapsed, first_two, signs
from info_nce.recipes.state import capture, random_state, restore, set_random_state
from info_nce.recipes.tracking import tracked_by
from info_nce.similarity import Cosine

with needs_extra("train"):
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState
    from rich.console import Console

# All pairs of this many rows are enough for three digits, and their memory does not grow with the batch.
GEOMETRY_ROWS = 2048
# How often the validation loss is taken in a run, of how many batches, and from which random numbers every time.
VALIDATIONS, VALIDATION_BATCHES, VALIDATION_SEED = 10, 4, 20_181_007
BEST = "best.safetensors"


class Batches(Protocol):
    """What a recipe feeds its model with."""

    candidates: int
    """How many keys each query is told apart from, its own included; their logarithm is the loss of guessing.

    Those of the whole batch, on however many processes.
    """

    def __len__(self) -> int:
        """How many batches are one epoch."""

    def __call__(self, step: int) -> tuple[Tensor, ...]:
        """The model's arguments at a step, counted from 0: this process's part of them, one row for each item."""


@dataclass(frozen=True, slots=True)
class Loop:
    """How to train, whatever is trained.

    Args:
        steps: updates of the weights.
        learning_rate: at its highest.
        weight_decay: of AdamW, on matrices and kernels only.
        warmup: the share of the steps in which the learning rate rises; it falls along a cosine throughout.
        clip: the gradient's norm is cut to this.
        log_every: steps between two lines of metrics.
        checkpoint_seconds: at most this much work is lost by a power cut.
        chunk_size: rows that go through the model at once, on each process; 0 = all of the batch. The loss is that of
            the whole batch either way.
        precision: of the model's arithmetic, "float32" or "bfloat16" by autocast.
        track: "none", or who else is told the metrics: "tensorboard" or "wandb".
    """

    steps: int
    learning_rate: float
    weight_decay: float
    warmup: float = 0.05
    clip: float = 5.0
    log_every: int = 10
    checkpoint_seconds: float = 30.0
    chunk_size: int = 0
    precision: str = "float32"
    track: str = "none"

    def learning_rate_at(self, step: int) -> float:
        """The learning rate of a step, counted from 0. Loshchilov and Hutter 2017, arXiv:1608.03983, eq. 5."""
        rising = (step + 1) / max(1.0, self.warmup * self.steps)
        return self.learning_rate * min(rising, (1 + math.cos(math.pi * step / self.steps)) / 2)


@dataclass
class Training:
    """A model in training: what changes from step to step.

    Args:
        model: its outputs, one row for each row of its inputs, are the arguments of the loss.
        loss: to a scalar, in nats; on several processes that of all their rows, as `engine=Gathered()` computes it.
            Model and loss may each have a method `after_step(*outputs)`, called after the optimizer's step.
        loop: how to train.
        folder: of the run.
        run_id: checkpoints carry it, and one that carries another is refused.
        positives: which of the model's outputs are to come together; the first two by default.
        validation: held-out batches; the weights that have the smallest loss on them are kept in best.safetensors.
    """

    model: nn.Module
    loss: nn.Module
    loop: Loop
    folder: Path
    run_id: str
    positives: Positives = first_two
    validation: Batches | None = None
    step: int = 0
    seconds: float = 0.0
    best: float = math.inf
    refused: list[str] = field(default_factory=list)

    optimizer: Any = field(init=False)  # accelerate's wrapper, which has no types
    accelerator: Any = field(init=False)
    processes: Processes = field(init=False)
    settled: bool = field(init=False)
    modules: dict[str, nn.Module] = field(init=False)

    def __post_init__(self) -> None:
        """Prepare for the machine, and take up the newest checkpoint there is."""
        self.processes = Processes()
        self.settled = self.processes.count == 1
        mixed = "bf16" if self.loop.precision == "bfloat16" else "no"
        # accelerate remembers the first precision that it was asked for, and refuses another one in the same process
        AcceleratorState._reset_state()  # noqa: SLF001 (there is no public way)
        self.accelerator = Accelerator(
            cpu=not torch.accelerator.is_available(), mixed_precision=mixed, **tracked_by(self.loop.track, self.folder)
        )
        self.accelerator.init_trackers("info-nce")
        self.modules = {"model": self.model, "loss": self.loss}  # as they are before they are wrapped
        optimizer = _optimizer(self.model, self.loss, self.loop)
        self.model, self.optimizer = self.accelerator.prepare(self.model, optimizer)
        # A loss that learns nothing has nothing to reduce, and DDP refuses it.
        self.loss = self.accelerator.prepare_model(self.loss, evaluation_mode=not _parameters(self.loss))
        kept = self.folder / "checkpoints"
        found, self.refused = self.processes.first(lambda: latest_checkpoint(kept, self.run_id))
        if found is not None:
            mine = {"rank": self.processes.rank, "processes": self.processes.count}
            self.step = found.step
            self.seconds, self.best = restore(found, self.modules, self.optimizer, **mine)

    def update(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Do one step; the weights are left alone if it went wrong.

        Raises:
            RunError: the loss or its gradient is not finite.
        """
        inputs = tuple(tensor.to(self.accelerator.device) for tensor in inputs)
        if not self.settled:
            self._settle(inputs)
        for group in self.optimizer.param_groups:
            group["lr"] = self.loop.learning_rate_at(self.step)
        model, kept = self.model, list[Tensor]()  # cached_step finds a model that a function knows by a name

        def loss_of(embeddings: tuple[Tensor, ...]) -> Tensor:
            kept.extend(z.detach() for z in embeddings)
            value: Tensor = self.loss(*embeddings)
            return value

        self.optimizer.zero_grad()
        loss = cached_step(
            lambda batch: model(*batch),
            [inputs],
            loss_of,
            chunk_size=self.loop.chunk_size or max(1, len(inputs[0])),
            backward=self.accelerator.backward,
        )
        norm = self.accelerator.clip_grad_norm_(_parameters(self.model, self.loss), self.loop.clip)
        if not (math.isfinite(loss.item()) and math.isfinite(norm.item())):
            raise self._diverged(loss.item(), norm.item())
        self.optimizer.step()
        for module in self.modules.values():
            for follow, arguments in (("clamp_temperature", []), ("after_step", kept)):
                if callable(method := getattr(module, follow, None)):
                    method(*arguments)
        self.step += 1
        return loss, tuple(kept)

    def validate(self) -> float:
        """The loss on held-out batches, the same ones every time; NaN where there are none.

        The weights are kept if it is the smallest so far. Training is not disturbed: neither its random numbers nor the
        statistics of its batch norm.
        """
        if self.validation is None:
            return math.nan
        random, training = random_state(), {name: module.training for name, module in self.modules.items()}
        torch.manual_seed(VALIDATION_SEED + self.processes.rank)
        losses = []
        try:
            for module in self.modules.values():
                module.eval()
            with torch.no_grad():
                for step in range(min(VALIDATION_BATCHES, len(self.validation))):
                    inputs = tuple(tensor.to(self.accelerator.device) for tensor in self.validation(step))
                    losses.append(float(self.loss(*self.model(*inputs))))
        finally:
            for name, module in self.modules.items():
                module.train(training[name])
            set_random_state(random)
        found = sum(losses) / len(losses)
        if found < self.best:
            self.best = found
            with self.processes.together():
                if self.processes.main:
                    header = {"kind": "the weights with the smallest validation loss", "step": self.step}
                    save_tensors(self.folder / BEST, self.modules["model"].state_dict(), header)
        return found

    def save(self) -> None:
        """Write a checkpoint of this very step: the main process does, with the random states of all."""
        random = self.processes.gathered(random_state())
        with self.processes.together():
            if self.processes.main:
                spent = {"seconds": self.seconds, "best": self.best if math.isfinite(self.best) else None}
                state = capture(self.step, spent, self.run_id, self.modules, self.optimizer, random)
                write_checkpoint(self.folder / "checkpoints", state)

    def _settle(self, inputs: tuple[Tensor, ...]) -> None:
        # DDP sorts its buckets once, after its first backward pass, and three processes add up in an order that depends
        # on the place in a bucket. So that a resumed run does not begin with unsorted ones, a pass without effect does.
        random, buffers = random_state(), [buffer.clone() for buffer in self.model.buffers()]
        self.accelerator.backward(self.loss(*self.model(*(tensor[:2] for tensor in inputs))))
        set_random_state(random)
        for buffer, value in zip(self.model.buffers(), buffers, strict=True):
            buffer.copy_(value)
        self.settled = True

    def _diverged(self, loss: float, norm: float) -> RunError:
        kept = sorted((self.folder / "checkpoints").glob("step-*.safetensors"))
        return RunError(
            f"training diverged at step {self.step + 1:,}.",
            got=f"a loss of {loss}, a gradient of norm {norm}",
            expected=f"finite numbers; the last good checkpoint is {kept[-1] if kept else 'not written yet'}",
            advice="train again with a smaller --learning-rate or a higher --temperature",
        )


def fit(training: Training, batches: Batches, *consoles: Console) -> int:
    """Train until the last step, or until Ctrl-C.

    Args:
        training: taken up where its checkpoint stands.
        batches: the arguments of the model.
        consoles: where progress goes.

    Returns:
        How many steps are done: all, or fewer if the user asked to stop; either way there is a checkpoint of them.

    Raises:
        RunError: training diverged, or the disk is full.
    """
    loop, processes, metrics = training.loop, training.processes, Metrics(training.folder / "metrics.jsonl")
    display = Display(consoles, steps=loop.steps, done=training.step)
    for reason in training.refused:
        display.say(f"refused {reason}; the checkpoint before it is used")
    with processes.together():
        if processes.main:  # a killed run may have logged beyond its last checkpoint; those steps come again
            metrics.rewind(training.step)
    before, started, saved = training.seconds, time.monotonic(), training.seconds
    with Interruption() as interruption, display:
        while training.step < loop.steps:
            asked, due = zip(
                *processes.gathered((interruption.asked, training.seconds - saved > loop.checkpoint_seconds)),
                strict=True,
            )
            if any(asked):
                break
            if due[0]:  # by the clock of the main process; no two are alike
                training.save()
                saved = training.seconds
            with processes.together():
                inputs = _inputs(training, batches)
            loss, embeddings = training.update(inputs)
            training.seconds = before + time.monotonic() - started
            display.advance()
            if training.step % loop.log_every == 0 or training.step == loop.steps:
                line = _line(training, batches, loss, embeddings)
                with processes.together():
                    if processes.main:
                        metrics.append(line)
                training.accelerator.log(line, step=training.step)
                display.show(line)
                if advice := collapsed(line, late=training.step > loop.warmup * loop.steps):
                    display.say(advice, once=True)
    training.save()
    for tracker in training.accelerator.trackers:  # end_training() would leave the process group, too
        tracker.finish()
    return training.step


def _inputs(training: Training, batches: Batches) -> tuple[Tensor, ...]:
    if callable(look := getattr(batches, "before_step", None)):  # batches that depend on what is trained
        look(training.step, training.modules)
    return batches(training.step)


def _line(training: Training, batches: Batches, loss: Tensor, embeddings: tuple[Tensor, ...]) -> dict[str, float]:
    query, positive_key = _sample(training.processes, training.positives(training.modules["loss"], embeddings))
    loss_module = training.modules["loss"]
    # of inner products, a temperature says nothing without their sizes
    cosines = isinstance(getattr(loss_module, "similarity", Cosine()), Cosine)
    temperature = getattr(loss_module, "temperature", None) if cosines else None
    sharpness = {} if temperature is None else {"temperature": torch.as_tensor(temperature).detach().mean().item()}
    line = {
        "step": training.step,
        "epoch": round(training.step / len(batches), 3),
        "loss": _agreed(training, loss.item()),
        "log_candidates": math.log(batches.candidates),
        **signs(query, positive_key, sharpness.get("temperature")),
        **sharpness,
        "learning_rate": training.loop.learning_rate_at(training.step - 1),
        "seconds": round(training.seconds, 3),
    }
    due = training.step == training.loop.steps or _validations_by(training, 0) > _validations_by(training, 1)
    return line | ({"validation_loss": training.validate()} if due and training.validation is not None else {})


def _validations_by(training: Training, lines_ago: int) -> int:
    # a validation comes with the first line after each tenth of the run
    return VALIDATIONS * (training.step - lines_ago * training.loop.log_every) // training.loop.steps


def _agreed(training: Training, loss: float) -> float:
    # The one sign of processes that train apart: a loss that compares only the rows of its own process, for one.
    losses = training.processes.gathered(loss)
    if len(set(losses)) > 1:
        raise RunError(
            f"the processes do not train the same model at step {training.step:,}.",
            got=f"losses {', '.join(map(str, losses))}",
            expected="one loss, that of the rows of all processes",
            advice="a loss with engine=Gathered(), and nothing that differs between processes but their rows",
        )
    return loss


def _sample(processes: Processes, sides: Sequence[Tensor]) -> list[Tensor]:
    # The first rows are a fair sample, for a batch has no order; as many of each process. Cloned, for what is sent of a
    # view is all of its memory.
    most = max(1, GEOMETRY_ROWS // processes.count)
    parts = processes.gathered([z[:most].detach().cpu().clone() for z in sides])
    return [torch.cat(sides) for sides in zip(*parts, strict=True)]


def _parameters(*modules: nn.Module) -> list[nn.Parameter]:
    return [parameter for module in modules for parameter in module.parameters() if parameter.requires_grad]


def _optimizer(model: nn.Module, loss: nn.Module, loop: Loop) -> torch.optim.Optimizer:
    # Decay pulls towards zero, which is no natural place for a scale, a bias or a temperature.
    matrices = [p for p in _parameters(model) if p.dim() > 1]
    others = [p for p in _parameters(model) if p.dim() <= 1] + _parameters(loss)
    groups = [{"params": matrices, "weight_decay": loop.weight_decay}, {"params": others, "weight_decay": 0.0}]
    # Fused: one pass over the weights, which takes a fifth of the time where most of them are an embedding's.
    return torch.optim.AdamW(groups, lr=loop.learning_rate, fused=True)
