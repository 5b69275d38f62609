"""A trained encoder for use elsewhere: as a small run folder, or as a program that needs no Python of ours.

FOLDER/config.json, FOLDER/encoder.safetensors   the run without its checkpoints: `load_run` and every command take it
FOLDER/KIND.pt                                   TorchScript
FOLDER/KIND.onnx                                 ONNX
FOLDER/README.txt                                how to load it, to be pasted
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from info_nce.errors import RunError, SettingError
from info_nce.recipes.base import Network
from info_nce.recipes.checkpoints import save_tensors
from info_nce.recipes.files import write_safely
from info_nce.recipes.programs import Program, onnx_program, torchscript_program
from info_nce.recipes.readme import program_readme, run_readme
from info_nce.recipes.runs import FINAL, Run, read_config

Format = Literal["safetensors", "torchscript", "onnx"]
_MAKERS: Mapping[str, Callable[[Network, tuple[Tensor, ...]], Program]] = {
    "torchscript": torchscript_program,
    "onnx": onnx_program,
}
# Items that a program is compared on: alone, two, and all of them, as it may have learned one number of rows by heart.
_ITEMS = 7
# Of the largest number of an embedding: what another order of additions does to float32, and some more.
_TOLERANCE = 1e-4


def export(run: Run[Any], folder: str | Path, form: Format = "safetensors", *, kind: str = "") -> list[Path]:
    """Write a trained encoder into a folder.

    Args:
        run: finished or not.
        folder: new or empty.
        form: "safetensors" for all of the run's encoders, to be loaded by this package; "torchscript" or "onnx" for
            a program of one encoder. A program is run beside the model before it is written, on items of the run's
            data, one, two and several at a time.
        kind: which encoder becomes a program; the only one by default.

    Returns:
        The files.

    Raises:
        RunError: the folder is in use or cannot be written to, or the run's data is not there to compare with.
        SettingError: there is no such encoder, it cannot become such a program, or the program computes something else.
    """
    target = Path(folder).expanduser()
    _refuse_used(target)
    if form == "safetensors":
        return _as_run(run, target)
    network = _network(run, kind, form)
    name = kind or next(iter(run.recipe.networks(run.model())))
    items = _some_items(run, name)
    expected = run.embedders()[name](items)
    inputs = network.prepare(items)
    program = _MAKERS[form](network, inputs)
    for rows in sorted({1, min(2, len(items)), len(items)}):
        _compare(program, tuple(part[:rows] for part in inputs), expected[:rows], run, form)
    file = target / f"{name}{program.suffix}"
    write_safely(file, program.content)
    text = program_readme(run, network, name, file, inputs, expected.shape[1])
    write_safely(target / "README.txt", text.encode())
    return [file, target / "README.txt"]


def _refuse_used(target: Path) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise RunError(
            f"{target} is in use.",
            got="a folder with files in it" if target.is_dir() else "a file",
            expected="a folder that is new or empty",
            advice="another folder with --to",
        )


def _as_run(run: Run[Any], target: Path) -> list[Path]:
    record = read_config(run.path)
    text = json.dumps({**asdict(record), "exported": {"note": run.note, "weights": run.fingerprint()}}, indent=2)
    save_tensors(target / FINAL, run.weights, {"kind": "the final weights"})
    write_safely(target / "README.txt", run_readme(run, target).encode())
    write_safely(target / "config.json", text.encode())  # last: with it the folder is a run
    return [target / name for name in ("config.json", FINAL, "README.txt")]


def _network(run: Run[Any], kind: str, form: str) -> Network:
    networks = run.recipe.networks(run.model())
    if not networks or (kind and kind not in networks) or (not kind and len(networks) > 1):
        raise SettingError(
            f"no program can be made of this: {run.recipe.name} has no such encoder."
            if networks or kind
            else f"no program can be made of a {run.recipe.name} run.",
            got=f"--kind {kind}" if kind else "no --kind",
            expected=" or ".join(f"--kind {known}" for known in networks) or "--format safetensors",
            advice=f"--format {form} --kind {next(iter(networks))}" if networks else "--format safetensors",
        )
    return networks[kind or next(iter(networks))]


def _some_items(run: Run[Any], kind: str) -> Any:
    try:
        parts = run.splits().parts()
    except RunError as error:
        raise RunError(
            "the run's data is not there, to compare the program on.",
            got=error.got,
            expected="the data that the run was trained on",
            advice="restore it, or --format safetensors, which needs no comparison",
        ) from error
    part = next(part for part in (*reversed(parts.values()),) if len(part))
    items = part.items(kind)[:_ITEMS]
    if isinstance(items, tuple) and all(isinstance(item, Tensor) for item in items):
        shortest = min(len(item) for item in items)  # recordings: rows of one tensor have one length
        return tuple(item[:shortest] for item in items)
    return items


def _compare(program: Program, inputs: tuple[Tensor, ...], expected: Tensor, run: Run[Any], form: str) -> None:
    try:
        found = program.run(inputs)
    except Exception as error:  # (whatever the runtime raises for what it cannot do)
        raise _refused(run, form, f"{type(error).__name__} on {len(expected)} items: {error}") from error
    if found.shape != expected.shape:
        raise _refused(run, form, f"outputs of shape {tuple(found.shape)} for {tuple(expected.shape)}")
    off = float((found - expected).abs().max()) / max(float(expected.abs().max()), 1e-30)
    if not off <= _TOLERANCE:  # true for NaN as well
        raise _refused(run, form, f"numbers that are off by {off:.1e} of the largest, on {len(expected)} items")


def _refused(run: Run[Any], form: str, why: str) -> SettingError:
    return SettingError(
        f"the {form} program of {run.path} does not do what the model does, and was not written.",
        got=why,
        expected=f"the model's own embeddings, up to {_TOLERANCE:g} of the largest number",
        advice="another --format, or --format safetensors, which is the model itself",
    )
