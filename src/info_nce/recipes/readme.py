"""What lies beside an exported encoder: what it is, and lines to paste that load it."""

from pathlib import Path
from typing import Any

from torch import Tensor

from info_nce.recipes.base import Network
from info_nce.recipes.runs import Run

_CONTENT = {
    "image": "pictures: uint8 of shape (n {channels} {image_size} {image_size})",
    "text": "a list of texts",
    "sound": "a tuple of recordings, int16 at 16 kHz each",
    "video": "videos: uint8 of shape (n {frames} {channels} {image_size} {image_size})",
}
_RUN = {
    "torchscript": """import torch

program = torch.jit.load({file!r})
{inputs}
with torch.no_grad():
    print(program({arguments}).shape)
""",
    "onnx": """import onnxruntime

session = onnxruntime.InferenceSession({file!r}, providers=["CPUExecutionProvider"])
{inputs}
print(session.run(None, {{{named}}})[0].shape)
""",
}


def run_readme(run: Run[Any], folder: Path) -> str:
    """Say how to load an exported run."""
    kinds = {kind: _CONTENT[kind].format_map({**run.about}) for kind in run.embedders()}
    files = "\n".join(f"    info-nce embed {folder} YOUR_FILES --kind {kind} --out vectors.npy" for kind in kinds)
    items = "\n".join(f'#   vectors = run.embed("{kind}", {kind}s)   {what}' for kind, what in kinds.items())
    return f"""{_about(run)}
On the command line:

{files}

In Python, with info-nce-kit and its extra "train" installed (no code comes from these files):

from info_nce.recipes.runs import load_run

run = load_run({str(folder.resolve())!r})
print(sorted(run.embedders()))
{items}
"""


def program_readme(
    run: Run[Any], network: Network, kind: str, file: Path, inputs: tuple[Tensor, ...], features: int
) -> str:
    """Say how to run an exported program."""
    form = "onnx" if file.suffix == ".onnx" else "torchscript"
    lines, numpy = [], form == "onnx"
    for name, part in zip(network.arguments, inputs, strict=True):
        shape, dtype = (2, *part.shape[1:]), str(part.dtype).removeprefix("torch.")
        ones = f"numpy.ones({shape}, dtype=numpy.{dtype})" if numpy else f"torch.ones({shape}, dtype=torch.{dtype})"
        lines.append(f"{name} = {ones}")
    code = _RUN[form].format(
        file=str(file.resolve()),
        inputs="\n".join(lines),
        arguments=", ".join(network.arguments),
        named=", ".join(f'"{name}": {name}' for name in network.arguments),
    )
    needs = "onnxruntime and numpy" if numpy else "torch (which calls TorchScript deprecated, and still runs it)"
    return f"""{_about(run)}
{file.name} takes {network.takes}, any number of rows,
and gives embeddings (n {features}) for the kind {kind!r}. It was run beside the model before it was written.
It needs {needs}; nothing of info-nce.

{"import numpy" + chr(10) if numpy else ""}{code}"""


def _about(run: Run[Any]) -> str:
    data = run.data
    note = f" ({run.note})" if run.note else ""
    return f"""An encoder trained by info-nce, recipe {run.recipe.name}{note}, {run.recipe.paper}
on {data.get("name")}: {data.get("origin")}; licence of the data: {data.get("licence")}; credit: {data.get("credit")}
weights (sha256): {run.fingerprint()}
"""
