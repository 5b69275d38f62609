"""What others build on: names, signatures, descriptions. A change of `public_api.txt` is a change of the promise."""

import ast
import dataclasses
import difflib
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pytest
import torch
from torch.testing import assert_close

import info_nce
from info_nce import (
    diagnostics,
    engines,
    from_scratch,
    functional,
    mining,
    neighbours,
    objectives,
    samplers,
    similarity,
    testing,
)
from info_nce.losses.options import Options, Settings, Shared, Tensors

losses = importlib.import_module("info_nce.losses")

MODULES: dict[str, ModuleType] = {
    "info_nce": info_nce,
    "info_nce.functional": functional,
    "info_nce.engines": engines,
    "info_nce.objectives": objectives,
    "info_nce.similarity": similarity,
    "info_nce.samplers": samplers,
    "info_nce.neighbours": neighbours,
    "info_nce.mining": mining,
    "info_nce.losses": losses,
    "info_nce.from_scratch": from_scratch,
    "info_nce.testing": testing,
    "info_nce.diagnostics": diagnostics,
}
SNAPSHOT = Path(__file__).with_name("public_api.txt")
REGENERATE = "python -m tests.test_public_api > tests/public_api.txt"

each_module = pytest.mark.parametrize("name", MODULES)


def public_names(module: ModuleType) -> list[str]:
    return list(cast("list[str]", module.__all__))


def public_objects() -> Iterator[tuple[str, Any]]:
    """Every function and class that is public, by the name that users import it by."""
    shown = {*info_nce.__all__, *functional.__all__}
    for path, module in MODULES.items():
        for name in public_names(module):
            if not isinstance(getattr(module, name), ModuleType) and not (module is losses and name in shown):
                yield f"{path}.{name}", getattr(module, name)


def methods(cls: type) -> Iterator[tuple[str, Any]]:
    """The public methods and properties that come from this package, not from torch."""
    for name, member in inspect.getmembers(cls):
        function = member.fget if isinstance(member, property) else member
        if not name.startswith("_") and inspect.isfunction(function) and function.__module__.startswith("info_nce"):
            yield name, member


def signature(function: Callable[..., object]) -> str:
    """Names, kinds and defaults. Types are mypy's business, and each Python version prints them in its own way."""
    parameters = inspect.signature(function).parameters.values()
    bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in parameters]
    return str(inspect.Signature(bare))


def snapshot() -> str:
    lines = []
    for path, thing in public_objects():
        lines.append(path + signature(thing))
        if inspect.isclass(thing):
            for name, member in methods(thing):
                lines.append(f"{path}.{name}" + (": property" if isinstance(member, property) else signature(member)))
    for name, kind in (("Settings", Settings), ("Tensors", Tensors)):
        lines.append(f"info_nce.losses.options.{name}: " + ", ".join(sorted(kind.__annotations__)))
    return "\n".join(sorted(lines)) + "\n"


def test_the_signatures_are_the_promised_ones() -> None:
    promised, now = SNAPSHOT.read_text(encoding="utf-8").splitlines(), snapshot().splitlines()
    changes = list(difflib.unified_diff(promised, now, "promised", "now", lineterm="", n=0))
    assert promised == now, "\n".join([*changes, f"If this change is meant, run: {REGENERATE}"])


def test_a_changed_default_or_order_changes_the_signature() -> None:
    def promised(query: object, key: object, temperature: float = 0.1) -> None: ...
    def renamed(query: object, keys: object, temperature: float = 0.1) -> None: ...
    def another_default(query: object, key: object, temperature: float = 0.07) -> None: ...
    def another_kind(query: object, key: object, *, temperature: float = 0.1) -> None: ...
    def another_type(query: str, key: str, temperature: float = 0.1) -> None: ...

    for changed in (renamed, another_default, another_kind):
        assert signature(changed) != signature(promised)
    assert signature(another_type) == signature(promised)


def bound(tree: ast.Module) -> tuple[set[str], set[str]]:
    """The names without an underscore that a module defines, and those that it takes from this package."""
    defined, taken = set(), set()
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            defined.add(node.name)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("info_nce"):
            taken |= {alias.asname or alias.name for alias in node.names}
    return {n for n in defined if not n.startswith("_")}, {n for n in taken if not n.startswith("_")}


def used_elsewhere(name: str, path: str) -> bool:
    root = Path(info_nce.__file__).parent
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in root.rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return any(node.module == path and name in {alias.name for alias in node.names} for node in nodes)


def order(name: str) -> tuple[int, list[int | str]]:
    """The order of ruff's RUF022: constants, classes, the rest; numbers count as numbers."""
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2
    return kind, [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


@each_module
def test_all_public_names_exist_once_and_in_order(name: str) -> None:
    names = public_names(MODULES[name])
    assert [n for n in names if not hasattr(MODULES[name], n)] == []
    assert len(set(names)) == len(names)
    assert names == sorted(names, key=order)


def test_the_order_knows_constants_classes_and_numbers() -> None:
    assert sorted(["b2", "b10", "Cosine", "CPC", "A"], key=order) == ["CPC", "A", "Cosine", "b2", "b10"]


@each_module
def test_no_public_name_is_missing(name: str) -> None:
    file = MODULES[name].__file__
    assert file is not None
    defined, taken = bound(ast.parse(Path(file).read_text(encoding="utf-8")))
    # what these take from elsewhere, they do not show
    if MODULES[name] in (similarity, samplers, neighbours, mining, testing):
        unlisted = defined - set(public_names(MODULES[name]))
        assert [n for n in unlisted if not used_elsewhere(n, name)] == [], "neither public nor used by another module"
    else:
        assert defined | taken == set(public_names(MODULES[name]))


def test_every_loss_is_a_function_and_every_face_is_at_the_top() -> None:
    things = {name: getattr(losses, name) for name in public_names(losses)}
    assert {n for n, thing in things.items() if inspect.isfunction(thing)} == set(functional.__all__)
    faces = {n for n, thing in things.items() if inspect.isclass(thing)} - {"Face", "Options"}
    assert faces <= set(info_nce.__all__)


def test_the_shared_keywords_are_the_fields_of_options() -> None:
    fields = [field.name for field in dataclasses.fields(Options)]
    assert set(fields) == set(Shared.__annotations__)
    assert set(Settings.__annotations__).isdisjoint(Tensors.__annotations__)


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Options)])
def test_every_shared_option_is_described(field: str) -> None:
    assert re.search(rf"^ *{field}: ", inspect.getdoc(Options) or "", re.MULTILINE)


@pytest.mark.parametrize(("path", "thing"), list(public_objects()))
def test_every_public_name_is_described(path: str, thing: Any) -> None:
    described = {path: thing} | ({f"{path}.{n}": m for n, m in methods(thing)} if inspect.isclass(thing) else {})
    silent = [name for name, member in described.items() if not own_docstring(member)]
    assert silent == []


def own_docstring(thing: Any) -> bool:
    """Whether somebody wrote it: a dataclass without one is given its signature."""
    text = thing.__doc__
    return bool(text) and not text.startswith(f"{getattr(thing, '__name__', '')}(")


def test_a_generated_docstring_is_none() -> None:
    @dataclasses.dataclass
    class Silent:
        rows: int

    assert not own_docstring(Silent)
    assert own_docstring(engines.Tiled)


SECTIONS = ("Args", "Returns", "Raises", "Example", "Source")
WITHOUT: dict[str, set[str]] = {
    "draw_distractors": {"Source"},  # it draws at random, for `wav2vec2_contrastive`
    "without_positive": {"Args", "Returns", "Raises", "Source"},  # it counts
}


def missing_sections(text: str) -> set[str]:
    return {section for section in SECTIONS if not re.search(rf"^{section}:\n +\S", text, re.MULTILINE)}


@pytest.mark.parametrize("name", functional.__all__)
def test_a_loss_says_what_it_takes_gives_refuses_shows_and_comes_from(name: str) -> None:
    missing = missing_sections(inspect.getdoc(getattr(functional, name)) or "")
    assert missing == WITHOUT.get(name, set())


def test_a_section_without_text_is_missing() -> None:
    assert missing_sections("What?\n\nArgs:\n    x: y\n\nReturns:\n\nExample:\n    >>> 1\n") == {
        "Returns",
        "Raises",
        "Source",
    }


@pytest.mark.parametrize("name", functional.__all__)
def test_a_loss_describes_each_of_its_own_arguments(name: str) -> None:
    function = getattr(functional, name)
    if "Args" in WITHOUT.get(name, set()):
        return
    text = (inspect.getdoc(function) or "").partition("Args:\n")[2].partition("\nReturns:")[0]
    described = {n.strip() for names in re.findall(r"^    ([\w, ]+):", text, re.MULTILINE) for n in names.split(",")}
    own = set(inspect.signature(inspect.unwrap(function)).parameters)
    assert own - described == set()


def test_the_positional_order_of_info_nce_pytorch_works() -> None:
    query, key = torch.randn(5, 3), torch.randn(5, 3)
    shared, own = torch.randn(4, 3), torch.randn(5, 2, 3)
    plain = info_nce.info_nce(query, key, temperature=0.2, reduction="sum")
    assert_close(info_nce.InfoNCE(0.2, "sum")(query, key), plain)
    for negatives, mode in ((shared, "unpaired"), (own, "paired")):
        named = info_nce.info_nce(
            query=query,
            positive_key=key,
            negative_keys=negatives,
            temperature=0.2,
            reduction="none",
            negative_mode=cast("Any", mode),
        )
        placed: torch.Tensor = cast("Any", info_nce.info_nce)(query, key, negatives, 0.2, "none", mode)
        assert_close(placed, named)
        assert_close(cast("Any", info_nce.InfoNCE)(0.2, "none", mode)(query, key, negatives), named)
        with pytest.raises(AssertionError):
            assert_close(info_nce.info_nce(key, query, negatives, 0.2, "none", cast("Any", mode)), named)


if __name__ == "__main__":
    sys.stdout.write(snapshot())
