"""The shapes of the annotations are true: checked at run time, in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(sys.version_info < (3, 11), reason="beartype reads no Unpack before Python 3.11")
def test_annotations_take_every_right_shape_and_refuse_wrong_ones() -> None:
    run = [sys.executable, "-c", "from tests.annotated import main; main()"]
    done = subprocess.run(run, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    assert done.stdout == ""
