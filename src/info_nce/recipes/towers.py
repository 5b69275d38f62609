"""Encoders of the user's own, in place of a recipe's small ones: named by a word, wrapped to look all the same.

    module:factory                a function of the user's own, in a file of the current folder or an installed package
    transformers:FOLDER_OR_NAME   weights that lie on this machine already: a folder, or a name in transformers' cache
    timm:NAME, timm:NAME@FILE     an architecture of timm with new weights, or with those of a safetensors file

Nothing is fetched, and no code runs but that of installed packages and of the module that the user names.
"""

import importlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import NoReturn

import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import Self

from info_nce.errors import SettingError
from info_nce.recipes.base import Network

KINDS = "module:factory, transformers:FOLDER_OR_NAME or timm:NAME"
# Two, because a module that loses the dimension of the rows cannot be told from a right one by a single row.
_ROWS = 2


class Tower(nn.Module):
    """Somebody's network as an encoder: inputs, one row each, to (n d); a frozen one learns nothing and holds nothing.

    Args:
        network: whose output has one row of features for each row of its inputs.
        freeze: leave its weights and its statistics alone, in training too.

    Attributes:
        features: how many numbers a row of the output has; 0 until that is known.
    """

    def __init__(self, network: nn.Module, *, freeze: bool = False) -> None:
        super().__init__()
        self.network, self.frozen, self.features = network, freeze, 0
        if freeze:
            network.requires_grad_(False)
            network.eval()

    def train(self, mode: bool = True) -> Self:
        """Change the mode, unless it is frozen: then dropout stays off, and the statistics of batch norm stay."""
        return super().train(mode and not self.frozen)

    def forward(self, *inputs: Tensor) -> Float[Tensor, "n d"]:
        """Encode."""
        with torch.no_grad() if self.frozen else nullcontext():
            output: Tensor = self.network(*inputs)
            return output


class TextTower(Tower):
    """The same for texts, which a Python function first turns into tensors."""

    def prepare(self, texts: Sequence[str]) -> tuple[Tensor, ...]:
        """Texts to what `forward` takes: one row for each text, of a fixed width.

        Raises:
            SettingError: the user's own module prepared something else.
        """
        prepared = self.network.prepare(list(texts))  # type: ignore[operator]  # torch's types know no methods
        rows = (prepared,) if isinstance(prepared, Tensor) else tuple(prepared)
        if rows and all(isinstance(part, Tensor) and part.ndim and len(part) == len(texts) for part in rows):
            return rows
        raise SettingError(
            f"{type(self.network).__name__}.prepare does not give one row for each text.",
            got=f"{_shapes(rows)} for {len(texts)} texts",
            expected="a tensor, or a tuple of tensors, of as many rows as texts",
            advice="pad every text to the same width, and stack them",
        )


class TextEncoder(nn.Module):
    """A tower of texts and what comes after it, as one module.

    Args:
        tower: takes what its `prepare` makes of texts.
        head: takes the tower's output.
    """

    def __init__(self, tower: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.tower, self.head = tower, head

    def forward(self, *prepared: Tensor) -> Float[Tensor, "n d"]:
        """Encode."""
        output: Tensor = self.head(self.tower(*prepared))
        return output

    def network(self) -> Network:
        """The same as a program of its own, from what Python makes of texts."""
        prepare: Callable[[Sequence[str]], tuple[Tensor, ...]] = self.tower.prepare  # type: ignore[assignment]  # torch types no methods
        count = len(prepare(["a"]))
        taken = ("ids", "mask")[:count] if count <= 2 else tuple(f"input{i}" for i in range(count))
        return Network(
            module=self,
            prepare=prepare,
            arguments=taken,
            takes=f"what {type(self.tower).__name__}.prepare makes of texts (it stays in Python): {', '.join(taken)}",
            varying=((0, 1),) * len(taken),
        )


def text_tower(spec: str, freeze: bool = False, *, most_tokens: int = 256) -> TextTower:
    """Which encoder of texts does this word stand for?

    Args:
        spec: `module:factory`, whose module has a method `prepare(texts)` to tensors with a row for each text, and a
            `forward` from these to (n d); or `transformers:FOLDER_OR_NAME`.
        freeze: leave its weights alone.
        most_tokens: of a text, for transformers; what is longer is cut, at the model's own limit at the latest.

    Returns:
        The encoder, in train mode as torch's modules are, with its `features` known.

    Raises:
        SettingError: there is no such encoder, or its output is not one row for each text; the message names it.

    Source:
        Reimers, Gurevych 2019, "Sentence-BERT", arXiv:1908.10084, section 3: the mean over the tokens of a text, as in
        sentence-transformers. Differs from it: a model with a text projection of its own (CLIP) keeps that.
    """
    kind, name = _parted(spec)
    if kind == "timm":
        _refuse(spec, "timm, which has encoders of pictures only", "an encoder of texts", "transformers:FOLDER")
    if kind == "transformers":
        from info_nce.recipes.pretrained import tokens_network  # noqa: PLC0415 (a large package, for this alone)

        network: nn.Module = tokens_network(spec, name, most_tokens)
    else:
        network = own_module(spec, {})
        if not callable(getattr(network, "prepare", None)):
            _refuse(
                spec,
                f"{type(network).__name__}, which has no method prepare",
                "a module with prepare(texts), which gives tensors of one row for each text, and forward of these",
                "add the method: def prepare(self, texts): return tensor_of_rows",
            )
    tower = TextTower(network, freeze=freeze)
    # As long as texts may be, so that a position too many is found here and not in training.
    long = " ".join(["word"] * most_tokens)
    with _blaming(spec, "cannot prepare a text"):
        prepared = tower.prepare([long] * _ROWS)
    _measure(tower, spec, prepared)
    return tower


def image_tower(spec: str, channels: int, image_size: int, freeze: bool = False) -> Tower:
    """Which encoder of pictures does this word stand for?

    Args:
        spec: `module:factory`, called with the channels and the image_size if it takes arguments of these names;
            `transformers:FOLDER_OR_NAME`; `timm:NAME` or `timm:NAME@FILE.safetensors`.
        channels: of the pictures: 1 or 3.
        image_size: their side in pixels. Models that need another size get the pictures brought to it.
        freeze: leave its weights alone.

    Returns:
        The encoder of pictures in [0, 1] (n c h w) to (n d), with its `features` known. Pictures are normalised in it
        as the weights of transformers and timm were trained to expect.

    Raises:
        SettingError: there is no such encoder, or its output is not one row for each picture; the message names it.
    """
    kind, name = _parted(spec)
    if kind == "transformers":
        from info_nce.recipes.pretrained import pictures_network  # noqa: PLC0415 (a large package, for this alone)

        network: nn.Module = pictures_network(spec, name, channels)
    elif kind == "timm":
        from info_nce.recipes.pretrained import timm_network  # noqa: PLC0415 (as above)

        network = timm_network(spec, name, channels)
    else:
        network = own_module(spec, {"channels": channels, "image_size": image_size})
    return tower_of(spec, network, torch.rand(_ROWS, channels, image_size, image_size), freeze)


def own_tower(spec: str, example: Tensor, known: Mapping[str, int], steps: int = 0) -> Tower:
    """The user's own encoder of what no library's encoders are taken for: clips, or frames of sound.

    Args:
        spec: `module:factory`.
        example: one row of what it will get, (1 ...).
        known: what the factory is told, if it takes arguments of these names.
        steps: how many rows of features it has to give for each such row, over time, (n t d); 0 for one, (n d).

    Raises:
        SettingError: there is no such module, or its output is not that.
    """
    kind, _ = _parted(spec)
    if kind in {"transformers", "timm"}:
        _refuse(spec, f"a model of {kind}", "module:factory", f"a function that makes that model: my_encoder:{kind}")
    tower = Tower(own_module(spec, known))
    _measure(tower, spec, (example.expand(_ROWS, *example.shape[1:]),), steps)
    return tower


def tower_of(spec: str, network: nn.Module, example: Tensor, freeze: bool) -> Tower:
    """Wrap a network, and find out how wide its output is by running rows of an example through it."""
    tower = Tower(network, freeze=freeze)
    _measure(tower, spec, (example,))
    return tower


def own_module(spec: str, known: Mapping[str, int]) -> nn.Module:
    """Call the factory that `module:factory` names.

    Args:
        spec: as the user wrote it.
        known: arguments that it gets if it takes them by name.

    Raises:
        SettingError: no such module, nothing to call in it, an error of its own, or no nn.Module comes out.
    """
    module_name, _, factory_name = spec.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), factory_name)):
        _refuse(spec, f"{spec!r}", KINDS, "for a function `make` in my_encoder.py: my_encoder:make")
    with _current_folder_first():
        with _blaming(spec, f"has a module {module_name} that cannot be imported"):
            module = importlib.import_module(module_name)
        factory = getattr(module, factory_name, None)
        if not callable(factory):
            got = f"a {type(factory).__name__}" if hasattr(module, factory_name) else f"no {factory_name} in {module}"
            _refuse(spec, got, "a function or a class, which gives an nn.Module", f"def {factory_name}(): return ...")
        with _blaming(spec, "has a factory that failed"):
            taken = inspect.signature(factory).parameters
            network = factory(**{name: value for name, value in known.items() if name in taken})
    if not isinstance(network, nn.Module):
        _refuse(spec, f"a {type(network).__name__} from {factory_name}", "a torch.nn.Module", "return the module")
    return network


def _measure(tower: Tower, spec: str, inputs: tuple[Tensor, ...], steps: int = 0) -> None:
    mode = tower.training
    tower.eval()  # batch norm has nothing to measure yet, and dropout would draw from the generator
    with _blaming(spec, f"cannot encode {_shapes(inputs)}"):
        output: object = tower(*inputs)
    tower.train(mode)
    wanted = (len(inputs[0]), steps) if steps else (len(inputs[0]),)
    fits = isinstance(output, Tensor) and output.ndim == len(wanted) + 1 and output.shape[:-1] == wanted
    if not isinstance(output, Tensor) or not fits or not output.shape[-1] or not output.is_floating_point():
        got = f"{output.dtype} {_shapes((output,))}" if isinstance(output, Tensor) else f"a {type(output).__name__}"
        _refuse(
            spec,
            f"{got} for {_shapes(inputs)}",
            f"floats ({', '.join(map(str, wanted))}, d)",
            "bring it to that rate, time before features" if steps else "pool and flatten inside the module",
        )
    tower.features = output.shape[-1]
    _leave_out_unused(tower, output)


def _leave_out_unused(tower: Tower, output: Tensor) -> None:
    # Weights that no gradient reaches, such as a pooler's, would make training on several processes wait for them.
    learned = [weight for weight in tower.parameters() if weight.requires_grad]
    if output.requires_grad and learned:
        reached = torch.autograd.grad(output.sum(), learned, allow_unused=True)
        for weight, gradient in zip(learned, reached, strict=True):
            weight.requires_grad_(gradient is not None)


def _parted(spec: str) -> tuple[str, str]:
    kind, _, name = spec.partition(":")
    if not name:
        _refuse(spec, f"{spec!r}", KINDS, "for a function `make` in my_encoder.py: my_encoder:make")
    return kind, name


def _shapes(parts: Sequence[object]) -> str:
    return ", ".join(str(tuple(p.shape)) if isinstance(p, Tensor) else type(p).__name__ for p in parts) or "nothing"


@contextmanager
def _current_folder_first() -> Iterator[None]:
    # The console script, unlike `python -m`, does not look there.
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)


@contextmanager
def _blaming(spec: str, what: str) -> Iterator[None]:
    try:
        yield
    except SettingError:
        raise
    except Exception as error:  # (somebody else's code, which may raise anything)
        raise SettingError(
            f"the encoder {spec} {what}.",
            got=f"{type(error).__name__}: {error}",
            expected=KINDS,
            advice="--debug shows where; relative paths and modules start at the current folder",
        ) from error


def _refuse(spec: str, got: str, expected: str, advice: str) -> NoReturn:
    raise SettingError(f"the encoder {spec} cannot be used.", got=got, expected=expected, advice=advice)
