"""An encoder as a program that runs without this package: by TorchScript or by ONNX."""

import inspect
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from info_nce.errors import SettingError
from info_nce.recipes.base import Network


@dataclass(frozen=True, slots=True)
class Program:
    """A program, and how it runs.

    Args:
        content: of its file.
        suffix: of its file.
        run: arguments to embeddings, as those do it who have nothing but the file.
    """

    content: bytes
    suffix: str
    run: Callable[[tuple[Tensor, ...]], Tensor]


def torchscript_program(network: Network, inputs: tuple[Tensor, ...]) -> Program:
    """Write down what an encoder does with an example.

    Raises:
        SettingError: it cannot be written down.
    """
    content = io.BytesIO()
    with _making("torchscript"), torch.no_grad():
        torch.jit.save(torch.jit.trace(network.module, inputs, check_trace=False), content)  # type: ignore[no-untyped-call]

    def run(arguments: tuple[Tensor, ...]) -> Tensor:
        with _quiet(), torch.no_grad():
            output: Tensor = torch.jit.load(io.BytesIO(content.getvalue()))(*arguments)  # type: ignore[no-untyped-call]
            return output

    return Program(content.getvalue(), ".pt", run)


def onnx_program(network: Network, inputs: tuple[Tensor, ...]) -> Program:
    """Translate an encoder into ONNX.

    Raises:
        SettingError: the packages for it are not installed, or it cannot be translated.
    """
    try:
        import onnxruntime  # type: ignore[import-untyped]  # noqa: PLC0415 (optional, and large)
        import onnxscript  # noqa: F401, PLC0415 (torch's translator needs it)
    except ImportError as error:
        raise SettingError(
            "ONNX needs packages that are not installed.",
            got=error,
            expected="onnx, onnxscript and onnxruntime",
            advice="pip install onnx onnxscript onnxruntime",
        ) from error
    shapes: Any = tuple(dict.fromkeys(places, torch.export.Dim.DYNAMIC) for places in network.varying)
    if any(p.kind is p.VAR_POSITIONAL for p in inspect.signature(network.module.forward).parameters.values()):
        shapes = (shapes,)  # forward(*prepared) has one argument to the translator
    with _making("onnx"), torch.no_grad():
        made = torch.onnx.export(
            network.module,
            inputs,
            dynamo=True,
            verbose=False,
            dynamic_shapes=shapes,
            input_names=list(network.arguments),
            output_names=["embeddings"],
        )
        if made is None:
            raise RuntimeError("torch.onnx.export gave nothing")
        content = made.model_proto.SerializeToString()
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def run(arguments: tuple[Tensor, ...]) -> Tensor:
        named = {name: part.numpy() for name, part in zip(network.arguments, arguments, strict=True)}
        return torch.from_numpy(session.run(None, named)[0])

    return Program(content, ".onnx", run)


@contextmanager
def _making(form: str) -> Iterator[None]:
    try:
        with _quiet():
            yield
    except Exception as found:  # (the reasons for which a module cannot be translated have any type)
        error: BaseException = found
        while error.__cause__ is not None:  # the first of them says what it is about
            error = error.__cause__
        raise SettingError(
            f"this encoder cannot become a program in {form}.",
            got=f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}",
            expected="a module of tensors and torch's own operations",
            advice="another --format; --format safetensors always works",
        ) from found


@contextmanager
def _quiet() -> Iterator[None]:
    # TorchScript is deprecated, and the translator tells of itself; what matters is checked by running the program.
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
