"""The shapes of the annotations are true: checked at run time, in a process of its own."""

import subprocess
import sys
from pathlib import Path


def test_annotations_take_every_right_shape_and_refuse_wrong_ones() -> None:
    run = [sys.executable, "-c", "from tests.annotated import main; main()"]
    done = subprocess.run(run, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    assert done.stdout == ""
