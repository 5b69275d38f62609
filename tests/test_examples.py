"""The examples run, and do what they say."""

import importlib.util
import math
from pathlib import Path
from types import ModuleType

import pytest

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
