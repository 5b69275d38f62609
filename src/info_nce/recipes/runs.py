"""The run folder: what training leaves behind, and how everything after it reads that again.

RUN/config.json            recipe, settings, number of processes, command, versions, data: written first
RUN/metrics.jsonl          one JSON object per logged step: step, epoch, loss, log_candidates, alignment, uniformity,
                           learning_rate, seconds
RUN/checkpoints/           the last two checkpoints
RUN/encoder.safetensors    the final weights of encoder and projection head; absent until training has finished
RUN/evaluation.json, RUN/report.html, RUN/search-*.png    written by evaluation and report
"""

import json
import platform
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from info_nce.data import Splits, load_splits
from info_nce.errors import RunError
from info_nce.recipes.checkpoints import latest_checkpoint, load_tensors, save_tensors
from info_nce.recipes.encoders import ContrastiveModel, contrastive_model
from info_nce.recipes.files import write_safely
from info_nce.recipes.progress import Metrics

_PACKAGES = ("info-nce-kit", "torch", "numpy", "accelerate", "kornia", "safetensors", "pillow")


@dataclass(frozen=True, slots=True)
class Run:
    """A run folder, opened for reading.

    Args:
        path: the folder.
        recipe: the recipe's name, such as "simclr".
        config: every setting of the recipe, by name.
        data: what the run was trained on: name, counts, image_size, channels, fingerprint, ...
        finished: whether training went to its end; if not, the last checkpoint speaks for the run.
        note: what a reader of the result must be told, such as "unfinished: step 300 of 800"; "" if nothing.
        weights: of encoder and projection head.
    """

    path: Path
    recipe: str
    config: Mapping[str, Any]
    data: Mapping[str, Any]
    finished: bool
    note: str
    weights: Mapping[str, Tensor] = field(repr=False)

    def model(self) -> ContrastiveModel:
        """The trained encoder with its projection head, in eval mode."""
        model = self._fresh()
        model.load_state_dict(dict(self.weights))
        return model

    def encoder(self) -> nn.Module:
        """The trained encoder in eval mode: pictures in [0, 1] (n c h w) to h (n d)."""
        return self.model().encoder

    def untrained_encoder(self) -> nn.Module:
        """The same architecture as the run's seed initialised it, in eval mode: the baseline that costs nothing."""
        return self._fresh().encoder

    def embed(
        self, images: UInt8[Tensor, "n c h w"], batch_size: int = 512
    ) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n e"]]:
        """Pictures as bytes to h, the encoder's output, and z, its projection in which the loss compares."""
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        model = self.model().to(device)
        with torch.inference_mode():
            h = torch.cat([model.encoder(part.to(device).float() / 255) for part in torch.split(images, batch_size)])
            return h.cpu(), model.projector(h).cpu()

    def splits(self) -> Splits:
        """The same three parts that training had.

        Raises:
            RunError: the pictures changed since, so test pictures may have been trained on.
        """
        return _same(self.config, self.data)

    def metrics(self) -> list[dict[str, float]]:
        """The lines of metrics.jsonl, oldest first."""
        return Metrics(self.path / "metrics.jsonl").read()

    def _fresh(self) -> ContrastiveModel:
        # In a scope of its own: looking at a run must not disturb the caller's random state.
        with torch.random.fork_rng():
            torch.manual_seed(_whole(self.config, "seed"))
            size = _whole(self.data, "channels"), _whole(self.data, "image_size")
            return contrastive_model(*size, width=_whole(self.config, "width")).eval()


def load_run(path: str | Path) -> Run:
    """Open a run folder, finished or not.

    Raises:
        RunError: it is no run folder, or training has not come to its first checkpoint.
    """
    folder = Path(path).expanduser()
    record = read_config(folder)
    final = folder / "encoder.safetensors"
    if final.exists():
        weights, _ = load_tensors(final)
        return Run(folder, record.recipe, record.config, record.data, finished=True, note="", weights=weights)
    checkpoint, _ = latest_checkpoint(folder / "checkpoints", record.id)
    if checkpoint is None:
        raise RunError(
            f"{folder} holds no trained encoder yet.",
            got="neither encoder.safetensors nor a checkpoint",
            expected="a run that has come to its first checkpoint",
            advice=f"info-nce train {record.recipe} --resume {folder}",
        )
    weights = {
        name.removeprefix("model."): tensor for name, tensor in checkpoint.tensors.items() if name.startswith("model.")
    }
    note = f"unfinished: step {checkpoint.step:,} of {record.config['steps']:,}"
    return Run(folder, record.recipe, record.config, record.data, finished=False, note=note, weights=weights)


def begin_run(
    folder: Path, recipe: str, config: Mapping[str, Any], command: Sequence[str] = (), *, processes: int = 1
) -> tuple[Splits, str]:
    """Load the data, make a run folder, and write down what will be done in it.

    Args:
        folder: new or empty.
        recipe: by name.
        config: its settings.
        command: the words that started this.
        processes: how many train together.

    Returns:
        The data, and the run's id, which its checkpoints carry.

    Raises:
        DataError: the data cannot be used; then no folder is made.
        RunError: the folder is in use, or cannot be made.
    """
    refuse_used(folder)
    splits = _load(config)
    record = Record(uuid.uuid4().hex, recipe, dict(config), _data(splits), processes)
    text = json.dumps({**asdict(record), "command": list(command), "versions": _versions()}, indent=2)
    write_safely(folder / "config.json", text.encode())
    return splits, record.id


def reopen_run(folder: Path, *, processes: int = 1) -> tuple[Splits, str]:
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
    return _same(record.config, record.data), record.id


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
    save_tensors(folder / "encoder.safetensors", model.state_dict(), {"kind": "encoder and projection head"})


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
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = f"a config.json that no run wrote ({type(error).__name__}: {error})"
    raise RunError(
        f"{folder} is not a run folder.",
        got=why,
        expected="a folder that `info-nce train` wrote, with its config.json",
        advice="ls runs",
    )


_PARTS = ("train", "validation", "test")


def _load(config: Mapping[str, Any]) -> Splits:
    at_hand = Path(str(config["data_file"])).expanduser()
    return load_splits(
        str(config["data"]),
        data_file=str(at_hand) if config["data_file"] else None,
        image_size=_whole(config, "image_size"),
        skip_bad=bool(config["skip_bad"]),
    )


def _same(config: Mapping[str, Any], data: Mapping[str, Any]) -> Splits:
    # Where the run found its data, in place of what the user typed then, perhaps in another folder. A wheel that was
    # at hand may be gone; the pinned sha256 makes any other copy as good.
    wheel = config["data_file"] if Path(str(config["data_file"])).is_file() else ""
    splits = _load({**config, "data": data["source"], "data_file": wheel})
    if splits.fingerprint() != data["fingerprint"]:
        raise RunError(
            f"the pictures in {data['source']} are not those that this run was trained on.",
            got=f"{_counts(splits)} pictures for training, validation and test",
            expected=f"the same pictures as then, {tuple(data[part] for part in _PARTS)}",
            advice="restore the folder, or train a new run on what is there now",
        )
    return splits


def _counts(splits: Splits) -> tuple[int, ...]:
    return len(splits.train), len(splits.validation), len(splits.test)


def _data(splits: Splits) -> dict[str, object]:
    facts = splits.facts
    return {
        "name": splits.train.name.split("/")[0],
        "source": splits.source,
        **dict(zip(_PARTS, _counts(splits), strict=True)),
        "class_names": list(splits.train.class_names),
        "channels": splits.train.images.shape[1],
        "image_size": splits.train.images.shape[-1],
        "fingerprint": splits.fingerprint(),
        "licence": facts.licence,
        "credit": facts.credit,
        "origin": facts.origin,
        "notes": list(facts.notes),
    }


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    return versions | {package: _version(package) for package in _PACKAGES}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed as a package"


def _whole(record: Mapping[str, Any], name: str) -> int:
    value = record.get(name)
    if not isinstance(value, int):
        raise RunError(
            "this run was written by another version of info-nce.",
            got=f"{name} = {value!r} in config.json",
            expected=f"a whole number as {name}",
            advice="train again, or use the version named in config.json",
        )
    return value
