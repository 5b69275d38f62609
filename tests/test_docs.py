"""What is written runs: examples in docstrings, code in the guides, links, and the errors that are announced."""

# N queries, M keys, D features

import ast
import builtins
import doctest
import importlib
import pkgutil
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch.testing import assert_close

import info_nce
from benchmarks.ranks_on_paper import table
from info_nce import checks, errors, functional
from info_nce.assemble import assemble
from info_nce.contrast import contrast
from info_nce.objectives import Decoupled, Objective
from info_nce.pairing import Partner
from info_nce.similarity import Cosine
from info_nce.statistics import Count, LogSumExp, Sum

ROOT = Path(__file__).parents[1]
SOURCE = Path(info_nce.__file__).parent
PAGES = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/many-ranks.md", "docs/papers.md")


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def module_names() -> list[str]:
    names = ["info_nce", *(found.name for found in pkgutil.walk_packages([str(SOURCE)], "info_nce."))]
    return sorted(name for name in names if not name.endswith("__main__"))


@pytest.mark.parametrize("name", module_names())
def test_the_examples_of_a_docstring_are_true(name: str) -> None:
    results = doctest.testmod(importlib.import_module(name), verbose=False)
    assert results.failed == 0


@pytest.mark.parametrize("name", functional.__all__)
def test_the_example_of_a_loss_is_found_and_prints_something(name: str) -> None:
    function = getattr(functional, name)
    module = importlib.import_module(function.__module__)
    tests = doctest.DocTestFinder(recurse=False).find(function, name, module=module)
    examples = [example for test in tests for example in test.examples]
    assert name == "draw_distractors" or any(example.want for example in examples)


def test_a_wrong_example_fails() -> None:
    module = ModuleType("made_up", "Two and two.\n\n>>> 2 + 2\n5\n")
    output: list[str] = []
    runner = doctest.DocTestRunner(verbose=False)
    for test in doctest.DocTestFinder().find(module):
        runner.run(test, out=output.append)
    assert runner.summarize(verbose=False).failed == 1
    assert "Expected:" in "".join(output)


def code_blocks(text: str, language: str = "python") -> list[str]:
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```", text, re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(code) for _, code in found]


@pytest.mark.parametrize("name", PAGES)
def test_the_python_of_a_page_compiles(name: str) -> None:
    for block in code_blocks(page(name)):
        ast.parse(block)


def test_blocks_are_found_even_inside_a_list() -> None:
    assert len(code_blocks(page("README.md"))) >= 1
    assert len(code_blocks(page("ARCHITECTURE.md"))) >= 1
    assert code_blocks("1. So:\n\n   ```python\n   x =\n   ```\n```\ny\n```\n") == ["x =\n"]


def test_the_ten_lines_of_the_readme_run() -> None:
    block = code_blocks(page("README.md"))[0]
    smaller = block.replace("4096", "256").replace("3000", "200")
    assert smaller != block
    names: dict[str, Any] = {}
    exec(compile(smaller, "README.md", "exec"), names)  # noqa: S102 - our own page
    for loss in ("loss", "clip", "simclr", "deduplicated"):
        assert torch.isfinite(names[loss])
    assert names["query"].grad is not None


def test_the_first_lines_of_many_ranks_run_on_one_process_too() -> None:
    names: dict[str, Any] = {"__name__": __name__}
    exec(compile(code_blocks(page("docs/many-ranks.md"))[0], "docs/many-ranks.md", "exec"), names)  # noqa: S102 - our own page
    assert all(parameter.grad is not None for parameter in names["model"].parameters())
    assert names["loss"].item() > 0


def test_the_costs_of_many_ranks_are_those_that_the_script_prints() -> None:
    assert table() in page("docs/many-ranks.md")
    assert table("InfoNCE") not in page("docs/many-ranks.md")


def test_many_ranks_knows_every_loss() -> None:
    section = page("docs/many-ranks.md").partition("## What is global in which loss")[2]
    losses = {name for name, kind in vars(info_nce).items() if hasattr(kind, "source")}
    assert {name for name in losses if f"`{name}" not in section} == set()


def test_the_objective_that_the_architecture_calls_complete_is_complete() -> None:
    names: dict[str, Any] = {
        "__name__": __name__,
        "dataclass": dataclass,
        "Objective": Objective,
        "Sum": Sum,
        "Count": Count,
        "LogSumExp": LogSumExp,
    }
    exec(compile(code_blocks(page("ARCHITECTURE.md"))[0], "ARCHITECTURE.md", "exec"), names)  # noqa: S102 - our own page
    positives = Partner(torch.arange(5))
    scores = assemble(torch.randn(5, 3), torch.randn(7, 3), Cosine(), 10.0, positives=positives)
    assert_close(contrast(scores, names["Decoupled"]()), contrast(scores, Decoupled()))
    with pytest.raises(AssertionError):
        assert_close(contrast(scores, names["Decoupled"]()), contrast(scores, info_nce.objectives.Softmax()))


def links(text: str) -> list[str]:
    """Where the page's links lead within the repository."""
    without_code = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    targets = re.findall(r"\]\(<?([^)>\s]+)", without_code)
    return [t.partition("#")[0] for t in targets if not re.match(r"[a-z]+:|#", t)]


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_somewhere(name: str) -> None:
    folder = (ROOT / name).parent
    assert [target for target in links(page(name)) if not (folder / target).exists()] == []


def test_links_and_pictures_are_found_and_the_web_is_left_alone() -> None:
    text = "[a](a.md#part) ![b](docs/b.png) [c](https://c.org) [d](#here)\n```\n[e](e.md)\n```\n"
    assert links(text) == ["a.md", "docs/b.png"]
    assert links(page("README.md"))


@pytest.mark.parametrize("name", PAGES)
def test_every_file_that_a_page_names_exists(name: str) -> None:
    named = re.findall(r"`((?:src|tests|examples|benchmarks|docs|losses|objectives|engines)/[\w/.]*)`", page(name))
    places = (ROOT, SOURCE)
    assert [path for path in named if not any((place / path).exists() for place in places)] == []


@pytest.mark.parametrize("name", PAGES)
def test_every_make_target_that_a_page_names_exists(name: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", page("Makefile"), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", page(name), re.MULTILINE))
    assert named <= targets


def announced(source: str) -> dict[str, list[str]]:
    """Which errors the docstrings of a module announce, by the function or class."""
    found = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            section = (ast.get_docstring(node) or "").partition("Raises:\n")[2]
            lines = section.partition("\n\n")[0]
            if lines:
                found[node.name] = re.findall(r"^    (\w+):", lines, re.MULTILINE)
    return found


FILES = {str(path.relative_to(SOURCE)): path.read_text(encoding="utf-8") for path in sorted(SOURCE.rglob("*.py"))}
ANNOUNCED = {name: announced(source) for name, source in FILES.items() if announced(source)}
KNOWN: Mapping[str, Any] = {**vars(builtins), **vars(errors), **vars(checks)}


def is_error(name: str) -> bool:
    kind = KNOWN.get(name)
    return isinstance(kind, type) and issubclass(kind, Exception)


@pytest.mark.parametrize("name", ANNOUNCED)
def test_every_announced_error_exists(name: str) -> None:
    for function, kinds in ANNOUNCED[name].items():
        assert kinds, f"{function} has a Raises section that names nothing"
        assert [kind for kind in kinds if not is_error(kind)] == []


def test_an_error_that_does_not_exist_is_noticed() -> None:
    source = (
        'def f():\n    """Do.\n\n    Raises:\n        Shape: a.\n        ValueError: b\n            c: d.\n    """\n'
    )
    assert announced(source) == {"f": ["Shape", "ValueError"]}
    assert not is_error("Shape")
    assert not is_error("shapes")
    assert is_error("ShapeError")


@pytest.mark.parametrize("name", sorted(set(functional.__all__) - {"without_positive"}))
def test_every_loss_announces_its_errors(name: str) -> None:
    everything = {function: kinds for found in ANNOUNCED.values() for function, kinds in found.items()}
    assert everything[name]
