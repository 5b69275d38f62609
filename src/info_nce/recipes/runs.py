"""The run folder: what training leaves behind, and how everything after it reads that again.

RUN/config.json            recipe, settings, number of processes, command, versions, data: written first
RUN/metrics.jsonl          one JSON object per logged step: step, epoch, loss, log_candidates, alignment, uniformity,
                           learning_rate, seconds; temperature and saturated where the loss has a temperature;
                           validation_loss ten times a run
RUN/log.txt                what the terminal showed
RUN/checkpoints/           the last two checkpoints
RUN/best.safetensors       the weights that had the smallest validation loss
RUN/encoder.safetensors    the final weights; absent until training has finished
RUN/evaluation.json, RUN/pictures.json, RUN/report.html, RUN/search-*.png    written by evaluation and report
"""

import hashlib
import json
import platform
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Generic, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from info_nce.data.splits import P, Splits
from info_nce.errors import RunError
from info_nce.recipes import recipe_class
from info_nce.recipes.base import Embedder, Recipe
from info_nce.recipes.checkpoints import latest_checkpoint, load_tensors, save_tensors
from info_nce.recipes.files import write_safely
from info_nce.recipes.loop import BEST
from info_nce.recipes.progress import Metrics
from info_nce.recipes.state import below

FINAL = "encoder.safetensors"
_PACKAGES = ("info-nce-kit", "torch", "numpy", "accelerate", "kornia", "safetensors", "pillow", "scikit-learn")

Weights = Literal["last", "best"]


@dataclass(frozen=True, slots=True)
class Run(Generic[P]):
    """A run folder, opened for reading.

    Args:
        path: the folder.
        recipe: with the settings of the run.
        data: what the run was trained on: name, counts, fingerprint, and `about`, what a model has to know of it.
        finished: whether training went to its end; if not, the last checkpoint speaks for the run.
        note: what a reader of the result must be told, such as "unfinished: step 300 of 800"; "" if nothing.
        weights: of the model.
    """

    path: Path
    recipe: Recipe[P]
    data: Mapping[str, Any]
    finished: bool
    note: str
    weights: Mapping[str, Tensor] = field(repr=False)

    @property
    def about(self) -> Mapping[str, Any]:
        """What the model was built from; see `Part.about`."""
        found: Mapping[str, Any] = self.data["about"]
        return found

    def model(self) -> nn.Module:
        """The trained model, in eval mode."""
        model = self.untrained()
        model.load_state_dict(dict(self.weights))
        return model

    def loss(self) -> nn.Module:
        """The loss as the last checkpoint left it, with its temperature and its queue; without one, a new loss."""
        loss = self.recipe.criterion(self.about)
        checkpoint, _ = latest_checkpoint(self.path / "checkpoints", read_config(self.path).id)
        if checkpoint is not None:
            loss.load_state_dict(below(checkpoint, "loss"))
        return loss

    def untrained(self) -> nn.Module:
        """The same architecture as the run's seed initialised it, in eval mode: the baseline that costs nothing."""
        # In a scope of its own: looking at a run must not disturb the caller's random state.
        with torch.random.fork_rng():
            torch.manual_seed(self.recipe.seed)
            return self.recipe.model(self.about).eval()

    def embedders(self, *, trained: bool = True) -> Mapping[str, Embedder]:
        """How items of each kind become embeddings."""
        return self.recipe.embedders(self.model() if trained else self.untrained())

    def embed(self, kind: str, items: Any) -> Float[Tensor, "n d"]:
        """Items of a kind as the trained encoder sees them.

        Raises:
            RunError: this run has no encoder for that kind.
        """
        embedders = self.embedders()
        if kind not in embedders:
            raise RunError(
                f"{self.path} has no encoder for the kind {kind!r}.",
                got=kind,
                expected=" or ".join(embedders),
                advice="a run of another recipe: info-nce --help",
            )
        return embedders[kind](items)

    def splits(self) -> Splits[P]:
        """The same three parts that training had.

        Raises:
            RunError: the data changed since, so test items may have been trained on.
        """
        return _same(self.recipe, self.data)

    def metrics(self) -> list[dict[str, float]]:
        """The lines of metrics.jsonl, oldest first."""
        return Metrics(self.path / "metrics.jsonl").read()

    def fingerprint(self) -> str:
        """Which weights are these? The sha256 of all of them, by name."""
        digest = hashlib.sha256()
        for name in sorted(self.weights):
            digest.update(name.encode())
            digest.update(self.weights[name].reshape(-1).contiguous().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()


def load_run(path: str | Path, weights: Weights = "last") -> Run[Any]:
    """Open a run folder, finished or not.

    Args:
        path: the folder.
        weights: the last ones, or those with the best validation loss.

    Raises:
        RunError: it is no run folder, or training has not come to its first checkpoint.
    """
    folder = Path(path).expanduser()
    record = read_config(folder)
    recipe, data, final = recipe_of(folder), record.data, folder / FINAL
    if weights == "best":
        best, header = load_tensors(folder / BEST)
        note = f"the best of its validations: step {header.get('step'):,} of {recipe.steps:,}"
        return Run(folder, recipe, data, finished=final.exists(), note=note, weights=best)
    if final.exists():
        return Run(folder, recipe, data, finished=True, note="", weights=load_tensors(final)[0])
    checkpoint, _ = latest_checkpoint(folder / "checkpoints", record.id)
    if checkpoint is None:
        raise RunError(
            f"{folder} holds no trained encoder yet.",
            got=f"neither {FINAL} nor a checkpoint",
            expected="a run that has come to its first checkpoint",
            advice=f"info-nce train {record.recipe} --resume {folder}",
        )
    last = below(checkpoint, "model")
    note = f"unfinished: step {checkpoint.step:,} of {recipe.steps:,}"
    return Run(folder, recipe, data, finished=False, note=note, weights=last)


def recipe_of(folder: Path) -> Recipe[Any]:
    """Read the recipe of a run, with its settings.

    Raises:
        RunError: it was written by another version.
    """
    record = read_config(folder)
    kind = recipe_class(record.recipe)
    known = {part.name for part in fields(kind)}
    # A setting that is younger than the run has a default that does what was done before there was a choice.
    if record.config.keys() <= known:
        settings: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in record.config.items()}
        return kind(**settings)
    raise RunError(
        f"{folder} was written by another version of {record.recipe}.",
        got=f"the settings {', '.join(sorted(record.config.keys() - known))}",
        expected=", ".join(sorted(known)),
        advice="train a new run, or use the version of info-nce that wrote this one",
    )


def begin_run(
    folder: Path, recipe: Recipe[P], command: Sequence[str] = (), *, processes: int = 1
) -> tuple[Splits[P], str]:
    """Load the data, make a run folder, and write down what will be done in it.

    Args:
        folder: new or empty.
        recipe: with its settings.
        command: the words that started this.
        processes: how many train together.

    Returns:
        The data, and the run's id, which its checkpoints carry.

    Raises:
        DataError: the data cannot be used; then no folder is made.
        RunError: the folder is in use, or cannot be made.
    """
    refuse_used(folder)
    splits = recipe.splits()
    record = Record(uuid.uuid4().hex, recipe.name, asdict(recipe), _data(splits), processes)
    text = json.dumps({**asdict(record), "command": list(command), "versions": _versions()}, indent=2)
    write_safely(folder / "config.json", text.encode())
    return splits, record.id


def reopen_run(folder: Path, *, processes: int = 1) -> tuple[Splits[Any], str]:
    """Load the data of a run again, to go on with it.

    Args:
        folder: of the run.
        processes: how many go on with it.

    Returns:
        The data, and the run's id.

    Raises:
        RunError: it is no run folder, the data is not the same any more, or another number of processes began it.
    """
    record = read_config(folder)
    if record.processes != processes:
        # Each process draws its own views, so with another number of them the steps to come would be other ones.
        raise RunError(
            f"{folder} was begun with another number of processes.",
            got=processes,
            expected=record.processes,
            advice=f"{started_by(record.processes)} train {record.recipe} --resume {folder}",
        )
    return _same(recipe_of(folder), record.data), record.id


def started_by(processes: int) -> str:
    """How `info-nce` is called on so many processes of one machine."""
    # Without the two dashes, torchrun takes our --run for a beginning of its own --run-path.
    return "info-nce" if processes == 1 else f"torchrun --nproc-per-node {processes} -m -- info_nce"


def refuse_used(folder: Path) -> None:
    """Refuse a folder that holds something already.

    Raises:
        RunError: it does, or it is a file.
    """
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise RunError(
            f"{folder} is in use.",
            got="a file" if folder.is_file() else "a folder with files in it",
            expected="a folder that is new or empty",
            advice=f"--resume {folder} to go on with a run, or another folder with --run",
        )


def finish_run(folder: Path, model: nn.Module) -> None:
    """Write the final weights; from here on the run counts as finished.

    Raises:
        RunError: the disk is full or cannot be written to.
    """
    save_tensors(folder / FINAL, model.state_dict(), {"kind": "the final weights"})


@dataclass(frozen=True, slots=True)
class Record:
    """What config.json holds that is read again; the command and the versions are for people.

    Args:
        id: checkpoints carry it too.
        recipe: by name.
        config: its settings.
        data: what it was trained on.
        processes: how many trained together; runs that do not say it are older than the question.
    """

    id: str
    recipe: str
    config: dict[str, Any]
    data: dict[str, Any]
    processes: int = 1


def read_config(folder: Path) -> Record:
    """Read config.json.

    Raises:
        RunError: it is missing or was not written by a run.
    """
    file = folder / "config.json"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        record = Record(**{part.name: content[part.name] for part in fields(Record) if part.name in content})
        if isinstance(record.config, dict) and isinstance(record.data, dict):
            return record
        why: object = "a config.json without settings"
    except FileNotFoundError:
        why = "no config.json in it" if folder.is_dir() else "no such folder"
    except NotADirectoryError:
        why = "a file"
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = f"a config.json that no run wrote ({type(error).__name__}: {error})"
    raise RunError(
        f"{folder} is not a run folder.",
        got=why,
        expected="a folder that `info-nce train` wrote, with its config.json",
        advice="ls runs",
    )


def _same(recipe: Recipe[P], data: Mapping[str, Any]) -> Splits[P]:
    # Where the run found its data, in place of what the user typed then, perhaps in another folder. A wheel that was
    # at hand may be gone; the pinned sha256 makes any other copy as good.
    at_hand = recipe.data_file if Path(recipe.data_file).expanduser().exists() else ""
    splits = replace(recipe, data=data["source"], data_file=at_hand).splits()
    if splits.fingerprint() != data["fingerprint"]:
        counts = _counts(splits)
        raise RunError(
            f"the data in {data['source']} are not those that this run was trained on.",
            got=f"{tuple(counts.values())} items for {', '.join(counts)}, some of them new or changed",
            expected=f"the same items as then, {tuple(data[part] for part in counts)}",
            advice="restore the data, or train a new run on what is there now",
        )
    return splits


def _counts(splits: Splits[Any]) -> dict[str, int]:
    return {name: len(part) for name, part in splits.parts().items()}


def _data(splits: Splits[Any]) -> dict[str, Any]:
    facts = asdict(splits.facts)
    return {
        "name": splits.train.name.split("/")[0],
        "source": splits.source,
        **_counts(splits),
        "about": splits.train.about(),
        "fingerprint": splits.fingerprint(),
        **{name: facts[name] for name in ("licence", "credit", "origin", "notes")},
    }


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    return versions | {package: _version(package) for package in _PACKAGES}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed as a package"
