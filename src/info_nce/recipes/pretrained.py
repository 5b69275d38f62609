"""Encoders whose weights lie on this machine already: of transformers and of timm, ready for texts and pictures."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.jit import is_tracing  # type: ignore[attr-defined]  # torch exports it, and does not say so
from torch.nn import functional

from info_nce.errors import DataError, SettingError, needs_extra

with needs_extra("train"):
    from safetensors import safe_open

_BOTH = {"text": ("vision", "visual", "image", "audio"), "image": ("text", "audio")}
"""How the halves of a model of two kinds are called that an encoder of one kind does not need."""


class Tokens(nn.Module):
    """A language model of transformers with its tokenizer: the mean over the tokens, or the model's own projection.

    Args:
        backbone: the model.
        tokenizer: its own.
        width: tokens of a row; longer texts are cut.
    """

    def __init__(self, backbone: nn.Module, tokenizer: Any, width: int) -> None:
        super().__init__()
        self.backbone: Any = backbone
        self.tokenizer, self.width = tokenizer, width

    def prepare(self, texts: Sequence[str]) -> tuple[Int64[Tensor, "n t"], Int64[Tensor, "n t"]]:
        """Token ids, and which of them are tokens rather than padding.

        Raises:
            DataError: a text has no token; the message names it.
        """
        made = self.tokenizer(
            list(texts), padding="max_length", max_length=self.width, truncation=True, return_tensors="pt"
        )
        for text, tokens in zip(texts, made["attention_mask"].sum(1).tolist(), strict=True):
            if not tokens:
                raise DataError(
                    "a text has no tokens.", got=repr(text), expected="a text with words in it", advice="leave it out"
                )
        return made["input_ids"], made["attention_mask"]

    def forward(self, ids: Int64[Tensor, "n t"], mask: Int64[Tensor, "n t"]) -> Float[Tensor, "n d"]:
        """Encode."""
        if not (is_tracing() or torch.compiler.is_compiling()):  # type: ignore[no-untyped-call]
            # Padding that all rows share costs time and changes nothing.
            longest = int(mask.sum(1).max())
            ids, mask = ids[:, :longest], mask[:, :longest]
        if hasattr(self.backbone, "get_text_features"):
            return _pooled(self.backbone.get_text_features(input_ids=ids, attention_mask=mask))
        hidden = self.backbone(input_ids=ids, attention_mask=mask).last_hidden_state
        weights = mask[:, :, None].to(hidden.dtype)
        mean: Tensor = (hidden * weights).sum(1) / weights.sum(1)
        return mean


class Pictures(nn.Module):
    """A vision model, with pictures in [0, 1] brought to the size, the channels and the range that it was trained on.

    Args:
        backbone: the model.
        mean: of each channel.
        std: of each channel.
        size: side in pixels that it insists on; 0 if it takes any.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: nn.Module, mean: Sequence[float], std: Sequence[float], size: int) -> None:
        super().__init__()
        self.backbone: Any = backbone
        self.size = size
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32)[:, None, None])

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Encode."""
        if self.size and images.shape[-2:] != (self.size, self.size):
            images = functional.interpolate(images, (self.size, self.size), mode="bilinear", antialias=True)
        # Grey, in one channel, becomes as many equal ones as there are means.
        images = (images - self.mean) / self.std
        if hasattr(self.backbone, "get_image_features"):
            return _pooled(self.backbone.get_image_features(pixel_values=images))
        return _pooled(self.backbone(images))


def tokens_network(spec: str, name: str, most_tokens: int) -> Tokens:
    """Load a language model and its tokenizer from a folder or the local cache.

    Raises:
        SettingError: they are not there, or cannot be used.
    """
    with needs_extra("text"):
        from transformers import AutoTokenizer  # noqa: PLC0415 (a large package)

    backbone = _backbone(spec, name, "text")
    with _local(spec, "tokenizer", _saved(name)):
        tokenizer = AutoTokenizer.from_pretrained(_place(name), local_files_only=True, trust_remote_code=False)
    tokenizer.padding_side = tokenizer.truncation_side = "right"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    config: Any = backbone.config
    limit = getattr(getattr(config, "text_config", config), "max_position_embeddings", most_tokens)
    return Tokens(backbone, tokenizer, min(most_tokens, limit, tokenizer.model_max_length))


def pictures_network(spec: str, name: str, channels: int) -> Pictures:
    """Load a vision model from a folder or the local cache, with the normalisation that it was trained with.

    Raises:
        SettingError: it is not there, or cannot be used.
    """
    with needs_extra("text"):
        from transformers.image_processing_base import ImageProcessingMixin  # noqa: PLC0415 (a large package)

    backbone = _backbone(spec, name, "image")
    with _local(spec, "preprocessor_config.json", _saved(name)):
        settings, _ = ImageProcessingMixin.get_image_processor_dict(_place(name), local_files_only=True)
        mean, std = settings["image_mean"], settings["image_std"]
    config: Any = backbone.config
    config = getattr(config, "vision_config", config)
    _refuse_colour(spec, channels, len(mean))
    # Convolutions take any size; a transformer's positions are made for one.
    return Pictures(backbone, mean, std, int(getattr(config, "image_size", 0) or 0))


def timm_network(spec: str, name: str, channels: int) -> Pictures:
    """Build a model of timm, without its classifier, with new weights or those of a local safetensors file.

    Raises:
        SettingError: there is no such model or no such file, or they do not belong together.
    """
    try:
        import timm  # noqa: PLC0415 (a large package)
    except (ImportError, RuntimeError) as error:  # the latter from a torchvision of another torch
        raise SettingError(
            f"the encoder {spec} needs timm.",
            got=f"{type(error).__name__}: {error}",
            expected="timm, and the torchvision that was made for this torch",
            advice="pip install timm, beside a torch and a torchvision that fit",
        ) from error
    architecture, _, file = name.partition("@")
    path = Path(file).expanduser()
    if file and (path.suffix != ".safetensors" or not path.is_file()):
        raise SettingError(
            f"the weights of the encoder {spec} cannot be used.",
            got=f"{path}" if path.is_file() else f"no file {path}",
            expected="a .safetensors file on this machine; other kinds can run code when they are opened",
            advice="save them with safetensors.torch.save_file(model.state_dict(), FILE)",
        )
    with _local(spec, "architecture", "the name of a model in timm.list_models()"):
        backbone = timm.create_model(
            architecture,
            pretrained=bool(file),
            pretrained_cfg_overlay={"file": str(path)} if file else None,
            num_classes=0,
            in_chans=channels,
        )
    if file:
        _refuse_others(spec, backbone, path)
    known = backbone.pretrained_cfg
    mean, std = ([sum(known[of]) / len(known[of])] if channels == 1 else known[of] for of in ("mean", "std"))
    return Pictures(backbone, mean, std, known["input_size"][-1] if known.get("fixed_input_size") else 0)


def _backbone(spec: str, name: str, kind: str) -> nn.Module:
    with needs_extra("text"):
        from transformers import AutoModel  # noqa: PLC0415 (a large package)

    with _local(spec, "model", _saved(name)):
        model, report = AutoModel.from_pretrained(
            _place(name),
            output_loading_info=True,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=torch.float32,
        )
    both = hasattr(model, "get_text_features") or hasattr(model, "get_image_features")
    if not both and getattr(model.config, "is_encoder_decoder", False):
        model = model.get_encoder()
    for part, _ in list(model.named_children()):
        if both and part.startswith(_BOTH[kind]):
            delattr(model, part)
    missing = set(report["missing_keys"])
    # A pooler that the file does not have would be a random one, and the mean over tokens does without any.
    if getattr(model, "pooler", None) is not None and (kind == "text" or any("pooler" in key for key in missing)):
        model.pooler = None
    if missing := {key for key in missing if key in model.state_dict()}:
        raise SettingError(
            f"the weights of the encoder {spec} are not complete.",
            got=f"none for {', '.join(sorted(missing)[:5])}{' and more' if len(missing) > 5 else ''}",
            expected="all weights of the model",
            advice="save the whole model with save_pretrained",
        )
    return model  # type: ignore[no-any-return]  # transformers has no types for it


def _pooled(output: Any) -> Tensor:
    if isinstance(output, Tensor):
        return output
    for name in ("image_embeds", "text_embeds", "pooler_output"):
        found = getattr(output, name, None)
        if isinstance(found, Tensor):
            return found.flatten(1)
    hidden: Tensor = output.last_hidden_state
    return hidden.mean(1) if hidden.ndim == 3 else hidden.flatten(2).mean(2)


def _refuse_others(spec: str, backbone: Any, file: Path) -> None:
    # timm leaves out what has no place, and leaves at random what has no value; here, all but the classifier must fit.
    with safe_open(file, framework="pt") as opened:
        there = set(opened.keys())
    heads = backbone.pretrained_cfg["classifier"]
    classifier = tuple(f"{head}." for head in ([heads] if isinstance(heads, str) else heads))
    needed = {name for name in backbone.state_dict() if not name.endswith("num_batches_tracked")}
    missing = sorted(needed - there)
    excess = sorted(name for name in there - set(backbone.state_dict()) if not name.startswith(classifier))
    if missing or excess:
        raise SettingError(
            f"the weights of the encoder {spec} are another model's.",
            got=f"{len(missing)} missing and {len(excess)} too many in {file}, such as {(missing + excess)[0]}",
            expected="all weights of the model, under timm's names",
            advice="save them with safetensors.torch.save_file(model.state_dict(), FILE)",
        )


def _saved(name: str) -> str:
    return (
        f"{name} on this machine: what save_pretrained wrote into a folder, or into the local cache, with safetensors "
        "weights; nothing is fetched"
    )


def _place(name: str) -> str:
    folder = Path(name).expanduser()
    return str(folder) if folder.is_dir() else name


def _refuse_colour(spec: str, channels: int, expected: int) -> None:
    if channels not in {1, expected}:
        raise SettingError(
            f"the encoder {spec} takes other pictures.",
            got=f"pictures of {channels} channels",
            expected=f"{expected}",
            advice="an encoder of colour pictures",
        )


@contextmanager
def _local(spec: str, what: str, expected: str) -> Iterator[None]:
    try:
        with _quiet():
            yield
    except Exception as error:  # (whatever a damaged file or an unknown model makes it raise)
        raise SettingError(
            f"the encoder {spec} cannot be loaded: its {what} is not there, or cannot be used.",
            got=f"{type(error).__name__}: {str(error).partition(chr(10))[0]}",
            expected=expected,
            advice="check the name; relative paths start at the current folder",
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    # What transformers would warn of, weights that are missing, is checked here and refused.
    transformers = sys.modules.get("transformers")
    if transformers is None:
        yield
        return
    logging: Any = transformers.utils.logging
    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()
