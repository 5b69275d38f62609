"""Who else is told the metrics: TensorBoard or Weights & Biases, through accelerate."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from info_nce.errors import SettingError

_PACKAGES = {"tensorboard": "tensorboard", "wandb": "wandb"}


def tracked_by(name: str, folder: Path) -> dict[str, Any]:
    """What an `Accelerator` needs to be told to track a run.

    Args:
        name: "none", "tensorboard" or "wandb".
        folder: of the run, where TensorBoard's files go.

    Raises:
        SettingError: the package is not installed.
    """
    if name == "none":
        return {}
    if find_spec(_PACKAGES[name]) is None:
        raise SettingError(
            f"{name} is not installed.",
            got=f"--track {name}",
            expected="a package that is installed, or none",
            advice=f"pip install {_PACKAGES[name]}",
        )
    return {"log_with": name, "project_dir": str(folder)}
