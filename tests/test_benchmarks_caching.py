"""The benchmark of a cached step, at a size where nothing it measures means anything."""

import json
from pathlib import Path

import pytest

from benchmarks.caching import main
from tests.pictures import folder_of


def test_each_step_is_measured_in_a_process_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures, out = folder_of(tmp_path / "pictures", 10), tmp_path / "found" / "caching.json"
    sizes = ["--pictures", "20", "--plain", "8", "--chunk", "6", "--threads", "1"]
    main([*sizes, "--data", str(pictures), "--out", str(out)])
    plain, cached = json.loads(out.read_text())["steps"]
    assert (plain["step"], plain["pictures"], plain["chunk"]) == ("plain", 8, None)
    assert (cached["step"], cached["pictures"], cached["chunk"]) == ("cached", 20, 6)
    for step in (plain, cached):
        assert step["input_bytes"] == 2 * step["pictures"] * 3 * 64 * 64 * 4
        assert step["bytes"] >= 0
        assert step["loss"] > 0
    assert "| cached | 20 | 6 |" in capsys.readouterr().out
