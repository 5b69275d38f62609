"""The command line: what it prints, where it stops, and that every error says what to try."""

import builtins
import importlib.metadata
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from rich.console import Console

from info_nce import cli, commands
from info_nce.data import ImageSet
from info_nce.errors import INSTALL_EXTRAS, MissingExtraError, needs_extra
from info_nce.evaluation.scorecard import Scorecard
from info_nce.recipes import simclr
from info_nce.recipes import train as training_module
from info_nce.recipes.runs import Run
from tests.pictures import folder_of

TINY = ["--image-size", "16", "--steps", "3", "--batch-size", "8", "--width", "4", "--threads", "1"]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "pictures", 40, classes=("a", "b"))


@pytest.fixture
def evaluated(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Put a short evaluation in place of the real one, which has its own tests, and note its calls."""
    calls: list[str] = []
    evaluation, report = ModuleType("info_nce.evaluation"), ModuleType("info_nce.report")

    def short(_: simclr.SimCLR, run: Run[ImageSet]) -> Scorecard:
        calls.append(f"evaluate {run.path.name}")
        return Scorecard(run.path.name, "simclr", "", {}, "R@1", ())

    monkeypatch.setattr(simclr.SimCLR, "evaluate", short)
    evaluation.show = lambda _result, console: console.print("THE TABLE")  # type: ignore[attr-defined]  # a stand-in module
    evaluation.search = lambda run, query, top, **_: f"search {run.path.name} {query} {top}"  # type: ignore[attr-defined]  # a stand-in module
    evaluation.search_index, evaluation.INDEX_SUFFIXES = None, (".npy",)  # type: ignore[attr-defined]  # as above
    report.write_report = lambda run: run.path / "report.html"  # type: ignore[attr-defined]  # a stand-in module
    monkeypatch.setitem(sys.modules, "info_nce.evaluation", evaluation)
    monkeypatch.setitem(sys.modules, "info_nce.report", report)
    return calls


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["--help"])
    assert caught.value.code == 0
    said = capsys.readouterr().out
    assert all(
        name in said
        for name in ("train simclr", "train moco", "evaluate", "search", "doctor", "report", "plot", "runs", "data")
    )


@pytest.mark.parametrize(
    "command", ["train simclr", "train moco", "evaluate", "search", "doctor", "report", "plot", "runs", "data"]
)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main([*command.split(), "--help"])
    assert caught.value.code == 0
    assert f"usage: info-nce {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [[], ["train"], ["train", "nothing"], ["evaluate"], ["train", "simclr", "--stepz", "1"]]
)
def test_words_that_make_no_command_end_with_code_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(words)
    assert caught.value.code == 2
    assert "help" in capsys.readouterr().err


def test_train_evaluates_and_says_what_comes_next(
    tmp_path: Path, pictures: Path, evaluated: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert cli.main(["train", "simclr", "--data", str(pictures), "--run", str(run), *TINY]) == 0
    said = capsys.readouterr().out
    assert evaluated == ["evaluate run"]
    assert said.count("THE TABLE") == 1
    assert f"info-nce report {run}" in " ".join(said.split())
    assert cli.main(["evaluate", str(run)]) == 0
    assert cli.main(["search", str(run), "cat.png", "--top", "3"]) == 0
    assert "search run cat.png 3" in capsys.readouterr().out
    assert cli.main(["report", str(run)]) == 0
    assert "report.html" in "".join(capsys.readouterr().out.split())


def test_runs_lists_what_a_folder_holds(
    tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", "simclr", "--data", str(pictures), "--run", "runs/mine", *TINY]) == 0
    (tmp_path / "runs" / "no run").mkdir()
    capsys.readouterr()
    assert cli.main(["runs"]) == 0
    said = capsys.readouterr().out
    assert all(word in said for word in ("runs/mine", "simclr", "pictures", "linear"))
    assert "no run" not in said
    assert cli.main(["runs", "nowhere"]) == 2


def test_a_run_goes_to_the_folder_of_runs_by_default(
    tmp_path: Path, pictures: Path, evaluated: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", "simclr", "--data", str(pictures), *TINY]) == 0
    (run,) = (tmp_path / "runs").iterdir()
    assert run.name.startswith("simclr-20")
    assert evaluated == [f"evaluate {run.name}"]


def test_resume_takes_the_settings_of_the_run_and_no_others(
    tmp_path: Path, pictures: Path, evaluated: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(tmp_path / "run")
    settings = simclr.SimCLR(data=str(pictures), image_size=16, steps=3, batch_size=8, width=4, threads=1)
    training_module.train(settings, Path(run), Console(quiet=True))
    assert cli.main(["train", "simclr", "--resume", run, "--steps", "5", "--run", "other"]) == 2
    said = capsys.readouterr().err
    assert "--steps, --run" in said
    assert cli.main(["train", "simclr", "--resume", run, "--steps", "3"]) == 0
    assert evaluated == ["evaluate run"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["evaluate", "nowhere"], "nowhere is not a run folder"),
        (["train", "simclr", "--data", "nowhere"], "there is no folder"),
        (["train", "simclr", "--data-file", "nowhere.whl"], "there is no file"),
        (["train", "simclr", "--steps", "0"], "--steps is out of range"),
        (["train", "simclr", "--resume", "nowhere"], "nowhere is not a run folder"),
    ],
)
def test_an_error_of_the_user_is_one_panel_and_code_2(
    words: list[str], says: str, evaluated: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == 2
    said = " ".join(capsys.readouterr().err.replace("│", "").split())
    assert says in said
    assert all(part in said for part in ("got", "expected", "try"))
    assert "Traceback" not in said
    assert evaluated == []


def test_debug_shows_where_an_error_happened() -> None:
    with pytest.raises(ValueError, match="is not a run folder"):
        cli.main(["evaluate", "nowhere", "--debug"])


def test_a_bug_is_not_hidden(evaluated: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(training_module, "train", bug)
    with pytest.raises(ZeroDivisionError):
        cli.main(["train", "simclr"])
    assert evaluated == []


def test_ctrl_c_before_training_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(training_module, "train", interrupted)
    assert cli.main(["train", "simclr"]) == 130
    assert "Stopped" in capsys.readouterr().err


def test_data_lists_each_set_with_its_licence(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["data"]) == 0
    said = capsys.readouterr().out
    assert all(word in said for word in ("animals", "FOLDER", "licence", "MIT", "credit", "origin", "simclr"))


def test_a_missing_extra_is_named_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = builtins.__import__

    def without_tyro(name: str, *args: object, **kwargs: object) -> object:
        if name == "tyro":
            raise ModuleNotFoundError("No module named 'tyro'", name="tyro")
        return real(name, *args, **kwargs)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.delitem(sys.modules, "info_nce.commands")
    monkeypatch.setattr(builtins, "__import__", without_tyro)
    assert cli.main(["data"]) == 2
    said = capsys.readouterr().err
    assert "'tyro' is not installed" in said
    assert INSTALL_EXTRAS in said


def test_another_import_error_is_left_alone() -> None:
    with pytest.raises(MissingExtraError), needs_extra("train"):
        import no_such_package_here  # type: ignore[import-not-found]  # noqa: F401
    with pytest.raises(ImportError) as caught, needs_extra("train"):
        from json import no_such_name  # type: ignore[attr-defined]  # noqa: F401
    assert not isinstance(caught.value, MissingExtraError)


def test_the_namesake_is_noticed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    real = importlib.metadata.version
    monkeypatch.setattr(commands, "version", lambda name: "0.1.4" if name == "info-nce-pytorch" else real(name))
    assert cli.main(["data"]) == 0
    assert "info-nce-pytorch 0.1.4 is installed too" in capsys.readouterr().err


def test_the_module_runs_like_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "info_nce", "data"], capture_output=True, text=True, check=True)
    assert "animals" in done.stdout
    assert done.stderr == ""
