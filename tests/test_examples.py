"""The examples run, and do what they say."""

import importlib.util
import math
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

from tests import needs

EXAMPLES = Path(__file__).parent.parent / "examples"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_losses_by_hand_equal_the_library() -> None:
    for hand, library in load("from_scratch").main().values():
        assert hand == pytest.approx(library, rel=1e-12)


def test_the_plain_script_runs_and_its_loss_falls() -> None:
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    figures = load("plain").main(steps=60, batch_size=128)
    assert figures["loss"] < math.log(2 * 128 - 1) - 1  # far from guessing


@pytest.mark.slow
def test_the_plain_script_beats_the_raw_canvas_and_the_untrained_encoder() -> None:
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    figures = load("plain").main()
    assert figures["trained"] > figures["raw"] + 0.03
    assert figures["trained"] > figures["untrained"] + 0.05


NEEDS = {"ranks_accelerate": "accelerate", "ranks_lightning": "lightning"}
SLOW = pytest.mark.slow  # starting three processes that import torch takes a quarter of a minute
RANKS = [
    "ranks_ddp",
    pytest.param("ranks_fsdp", marks=[SLOW, needs.shards]),
    pytest.param("ranks_accelerate", marks=SLOW),
    pytest.param("ranks_lightning", marks=SLOW),
]


def trained(script: Path, processes: int, folder: Path) -> tuple[dict[str, Tensor], list[str]]:
    """The weights after a script has trained on so many processes, and what its ranks said."""
    weights = folder / f"{script.stem}-{processes}.pt"
    command = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    done = subprocess.run(
        [sys.executable, *command, str(script), "--save", str(weights)],
        capture_output=True,
        text=True,
        timeout=180,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Tensor] = torch.load(weights)
    return found, [part for part in done.stdout.replace("rank ", "\nrank ").splitlines() if part.startswith("rank ")]


@pytest.mark.parametrize("name", RANKS)
def test_two_ranks_end_with_the_weights_of_one_process(name: str, tmp_path: Path) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name], reason=f"the script is for {NEEDS[name]}: pip install --group examples")
    script = EXAMPLES / f"{name}.py"
    one, _ = trained(script, 1, tmp_path)
    two, said = trained(script, 2, tmp_path)
    assert len(said) == 2
    assert len({line.partition(":")[2] for line in said}) == 1  # loss and temperature
    torch.testing.assert_close(two, one, rtol=0, atol=1e-6)


def test_a_loss_that_knows_nothing_of_other_ranks_ends_elsewhere(tmp_path: Path) -> None:
    text = (EXAMPLES / "ranks_ddp.py").read_text(encoding="utf-8")
    local = tmp_path / "local.py"
    local.write_text(text.replace(", engine=Gathered()", ""), encoding="utf-8")
    assert "engine=" not in local.read_text(encoding="utf-8")
    one, two = (trained(local, processes, tmp_path)[0] for processes in (1, 2))
    with pytest.raises(AssertionError):
        torch.testing.assert_close(two, one, rtol=0, atol=1e-3)
