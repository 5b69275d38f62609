"""What all faces share: settings kept in a module, a temperature that may be learned. No mathematics."""

import math
from typing import Any, ClassVar, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import Unpack

from info_nce.checks import ArgumentError, check_choice, check_number, fail
from info_nce.contrast import Reduction
from info_nce.losses.options import Options, Settings, Shared, Tensors
from info_nce.precision import compute_dtype
from info_nce.temperature import logit_scale

__all__ = ["Face", "describe"]


_SETTINGS, _TENSORS = frozenset(Settings.__annotations__), frozenset(Tensors.__annotations__)


class Face(nn.Module):
    """A loss as a module: it keeps the settings, a function of `info_nce.functional` computes.

    Args:
        temperature: a number, or a tensor of yours (a parameter is trained).
        reduction: "mean", "sum", or "none" for one value per query.
        learnable: learn the temperature, in log space as in CLIP (Radford et al. 2021, arXiv:2103.00020, section 2.5):
            `clamp_temperature()`, called after the optimizer's step, keeps it from falling below 0.01 (scale 100).
        settings: see `Options`.
    """

    source = ""
    """The paper that the loss comes from."""
    defaults: ClassVar[Settings] = {}
    """Settings that this loss has another default for."""
    minimum_temperature = 0.01
    global_statistics: ClassVar[tuple[str, ...]] = ("rows",)
    """What an engine across ranks works out over all of them: totals of "rows" or "columns", and what else the loss
    needs: how many "items" there are, the "labels", the "weights" of all pairs, the same "queue" everywhere."""

    def __init__(
        self,
        temperature: float | Tensor = 0.1,
        reduction: Reduction = "mean",
        *,
        learnable: bool = False,
        **settings: Unpack[Settings],
    ) -> None:
        super().__init__()
        check_choice("reduction", reduction, ("mean", "sum", "none"))
        for name in settings:
            if name not in _SETTINGS:
                raise TypeError(
                    f"{type(self).__name__}() got an unexpected keyword argument {name!r}"
                    + ("; it goes with a batch: loss(..., " + name + "=...)" if name in _TENSORS else "")
                )
        settings = cast("Settings", {**self.defaults, **settings})
        options = Options(**settings)
        self.reduction: Reduction = reduction
        self.similarity = options.similarity
        self.same_id, self.margin, self.label_smoothing = options.same_id, options.margin, options.label_smoothing
        self.engine = options.engine
        self.learnable = learnable
        if learnable:
            # one number in one dimension: FSDP shards along the first, and refuses a parameter without one
            self.log_scale = nn.Parameter(torch.tensor([_log_scale(temperature)]))
        else:
            self.temperature = temperature

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute. A parameter would be registered as `temperature`, which is a property's name."""
        if name == "temperature":
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    @property
    def temperature(self) -> float | Float[Tensor, "..."]:
        """The temperature now: a tensor with a gradient while it is learned."""
        if self.learnable:
            scale: Tensor = self.log_scale
            if is_sharded(scale):  # outside of the forward pass of FSDP
                scale = scale.full_tensor()  # type: ignore[attr-defined]  # a DTensor has it
            return torch.exp(-scale.to(compute_dtype(scale.dtype))).squeeze(0)
        return self.given_temperature

    @temperature.setter
    def temperature(self, temperature: float | Tensor) -> None:
        """Set it, as a schedule does from step to step; a parameter is trained from then on."""
        if self.learnable and isinstance(temperature, nn.Parameter):
            fail(
                ArgumentError,
                "This loss learns a temperature of its own already.",
                got="temperature as a parameter",
                expected="a number to go on from",
                hint="learnable=False to train your parameter, or temperature.item()",
            )
        if self.learnable:
            with torch.no_grad():
                self.log_scale.fill_(_log_scale(temperature))
            return
        alone = self.engine is None or self.engine.ranks.size == 1
        queries = temperature.numel() or int(alone) if isinstance(temperature, Tensor) else 1
        logit_scale(temperature, queries, like=torch.ones(()))
        parameter = self._parameters.get("given_temperature")
        if parameter is not None and not isinstance(temperature, nn.Parameter):
            # a schedule moves the parameter, and the optimizer keeps it
            with torch.no_grad():
                parameter.copy_(torch.as_tensor(temperature))
            return
        self.given_temperature: float | Tensor = temperature

    @torch.no_grad()
    def clamp_temperature(self) -> None:
        """Bring a learned temperature back above its minimum; call it after the optimizer's step."""
        if self.learnable and self.minimum_temperature > 0:
            self.log_scale.clamp_(max=-math.log(self.minimum_temperature))

    def shared(self, tensors: Tensors) -> Shared:
        """The settings and a batch's tensors, as the keywords of a function."""
        settings = {
            "similarity": self.similarity,
            "same_id": self.same_id,
            "margin": self.margin,
            "label_smoothing": self.label_smoothing,
            "engine": self.engine,
        }
        for name in tensors:
            if name not in _TENSORS:
                raise TypeError(f"{type(self).__name__}: {name!r} does not go with a batch; it is a setting or unknown")
        # a plain dictionary: torch.compile does not follow the making of a TypedDict
        return cast("Shared", {**settings, **tensors})

    def extra_repr(self) -> str:
        """Every setting, for `print`."""
        # whoever prints may be one rank alone
        temperature = self.log_scale if self.learnable and is_sharded(self.log_scale) else self.temperature
        shown = describe(temperature) if isinstance(temperature, Tensor) else f"{temperature:.4g}"
        settings = {
            "temperature": shown + (", learnable" if self.learnable else ""),
            "reduction": self.reduction,
            "same_id": self.same_id,
            "margin": self.margin,
            "label_smoothing": self.label_smoothing,
            "engine": self.engine or "Auto()",
        }
        own = {name: value for name, value in vars(self).items() if name in self._shown}
        return ", ".join(f"{name}={value}" for name, value in (own | settings).items())

    _shown: tuple[str, ...] = ()


def _log_scale(temperature: float | Tensor) -> float:
    if isinstance(temperature, Tensor) and temperature.numel() == 1:
        temperature = temperature.item()
    check_number("temperature", temperature, low=0, low_open=True, hint="0.07 as in CLIP")
    logit_scale(temperature, 1, like=torch.ones(()))  # refuses what no float32 logit can be scaled with
    return -math.log(float(temperature))


def is_sharded(parameter: Tensor) -> bool:
    """Whether a rank holds a part of it, as under FSDP."""
    return hasattr(parameter, "full_tensor")


def describe(parameter: Tensor) -> str:
    """What it is, as far as this process alone can say."""
    if is_sharded(parameter):
        return "sharded"
    return f"{parameter.item():.4g}" if parameter.numel() == 1 else f"tensor{tuple(parameter.shape)}"
