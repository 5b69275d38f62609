"""Who may import whom, as ARCHITECTURE.md says, and what no module of the package contains."""

import ast
import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import info_nce
from info_nce import checks, diagnostics, engines, functional, mining, neighbours, objectives, samplers, similarity

ROOT = Path(__file__).parents[1]
PACKAGE = "info_nce"
SOURCE = Path(info_nce.__file__).parent
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")

LAYERS: list[list[str]] = [
    ["checks", "compiler", "precision"],
    ["distributed"],
    ["coded", "chunks", "replay"],
    ["similarity", "temperature", "pairing"],
    ["neighbours"],
    ["mining"],
    ["scores"],
    ["statistics"],
    ["engines", "objectives", "queue", "gradcache"],
    ["assemble"],
    ["contrast"],
    ["losses"],
    ["functional", "views", "samplers", "from_scratch", "mistakes", "testing"],
    ["diagnostics"],
]
"""From the bottom up: a module may import those of the layers below, not those beside it or above."""
CORE = [name for layer in LAYERS for name in layer]
APPLICATION = [
    "data",
    "recipes",
    "evaluation",
    "plots",
    "report",
    "tutorial",
    "cli",
    "commands",
    "commands_after",
    "commands_plot",
    "errors",
    "__main__",
]
NARROWER: dict[str, set[str]] = {
    "views": {"checks", "similarity"},
    "functional": {"losses"},
    "samplers": {"checks"},
    "from_scratch": set(),
    "mistakes": {"losses"},
    "testing": {
        *("assemble", "checks", "contrast", "engines", "mistakes", "objectives"),
        *("pairing", "scores", "similarity", "statistics"),
    },
    "mining": {"checks", "neighbours", "similarity"},
    "engines": {"checks", "coded", "distributed", "precision", "pairing", "scores", "statistics"},
}
"""Modules that need less than their layer would allow."""
CELLS: dict[str, dict[str, set[str]]] = {
    "engines.blocks": {},
    "engines.exponentials": {"engines.blocks": {"blocks"}, "scores": {"COLUMNS", "ROWS"}},
}
"""Modules that work on the cells of any tile, and all that they take from others."""
PUBLIC: dict[str, set[str]] = {
    "": {*info_nce.__all__, "__version__"},
    "checks": set(checks.__all__),
    "diagnostics": set(diagnostics.__all__),
    "engines": set(engines.__all__),
    "functional": set(functional.__all__),
    "mining": set(mining.__all__),
    "neighbours": {*neighbours.__all__, "CELLS"},
    "objectives": set(objectives.__all__),
    "samplers": set(samplers.__all__),
    "similarity": set(similarity.__all__),
}
"""What the application may take from the core; "" is `info_nce` itself."""
OTHERS_BUSINESS = {"device", "engine", "rank"}
"""What an objective knows nothing of."""
FORMULAS = {"embedding", "matrix", "matrice", "objective", "positive", "negative", "query", "similarity", "statistic"}
"""What those who work on cells know nothing of."""
PROCESS_GROUPS = r"torch\.distributed\b"
ENVIRONMENT = r"os\.(environb?|getenvb?)\b"

Imports = Iterator[tuple[str, set[str]]]


def modules() -> dict[str, str]:
    """The source of every module, by its name within the package; "" is the package itself."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text(encoding="utf-8")
    return found


MODULES = modules()
each_module = pytest.mark.parametrize("name", MODULES)


def imports(tree: ast.AST) -> Imports:
    """Every import of the package itself: the module, within the package, and which of its names are taken."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                head, _, module = alias.name.partition(".")
                if head == PACKAGE:
                    yield module, set()
        elif isinstance(node, ast.ImportFrom):
            head, _, module = (node.module or "").partition(".")
            if node.level:
                yield "." * node.level + (node.module or ""), set()
            elif head == PACKAGE:
                names = {alias.name for alias in node.names}
                submodules = names & set(MODULES) if not module else set()
                yield from ((submodule, set()) for submodule in submodules)
                if names - submodules:
                    yield module, names - submodules


def height(unit: str) -> int:
    return next(i for i, layer in enumerate(LAYERS) if unit in layer)


def refusal(name: str, imported: str, names: set[str]) -> str | None:
    """Why may this module not import these names of that one? None: it may."""
    unit, other = name.partition(".")[0], imported.partition(".")[0]
    if imported.startswith("."):
        return "a relative import"
    if unit not in APPLICATION:
        return core_refusal(unit, other)
    if other in APPLICATION:
        return None
    if imported not in PUBLIC:
        return "the application uses the public modules of the core alone"
    private = names - PUBLIC[imported]
    return f"{', '.join(sorted(private))}: not public" if private else None


def core_refusal(unit: str, other: str) -> str | None:
    if other in APPLICATION:
        return "the core does not know the application"
    if not unit or unit == other:
        return None  # the package itself shows all of the core
    below = NARROWER.get(unit, {name for layer in LAYERS[: height(unit)] for name in layer})
    return None if other in below else f"may import {', '.join(sorted(below)) or 'nothing of the package'}"


def refused_imports(name: str, source: str) -> list[str]:
    tree = ast.parse(source)
    found = ((imported, refusal(name, imported, names)) for imported, names in imports(tree))
    return [f"{name or PACKAGE} imports {imported or PACKAGE}: {reason}" for imported, reason in found if reason]


def refused_statements(source: str, name: str = "") -> list[str]:
    """What no module contains: assertions, reads of the environment, and, outside of `distributed`, process groups."""
    refused = ENVIRONMENT if name.startswith("distributed.") else f"{ENVIRONMENT}|{PROCESS_GROUPS}"
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assert):
            found.append(f"{ast.unparse(node)}: python -O removes it")
        dotted: list[str] = []
        if isinstance(node, ast.Import):
            dotted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            dotted = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Attribute):
            dotted = [ast.unparse(node)]
        found += [word for word in dotted if re.match(refused, word)]
    return found


def words(source: str) -> set[str]:
    """Every word of every name in the code; not those of docstrings and comments."""
    names = {
        value
        for node in ast.walk(ast.parse(source))
        for field, value in ast.iter_fields(node)
        if field in {"id", "attr", "arg", "name", "asname", "module"} and isinstance(value, str)
    }
    return {word.rstrip("s") for name in names for word in re.split(r"[\W_]+", name.lower())}


def doings(source: str) -> list[str]:
    """What a module does when it is imported, beyond importing, naming and defining."""
    found = []
    for node in ast.parse(source).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        parts = [part for target in targets for part in (target.elts if isinstance(target, ast.Tuple) else [target])]
        names = isinstance(node, (ast.Assign, ast.AnnAssign)) and all(isinstance(p, ast.Name) for p in parts)
        text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        defines = isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef))
        # the derivative of an operator, which torch takes by a call
        derivative = isinstance(node, ast.Expr) and ".register_autograd(" in ast.unparse(node)
        if not (names or text or types or defines or derivative):
            found.append(ast.unparse(node))
    return found


def loaded_by(statement: str) -> set[str]:
    """The packages that a statement loads in a fresh process, beside those that the dependencies load themselves."""
    code = (
        f"import sys, torch, numpy, jaxtyping; known = set(sys.modules); {statement}; print(*set(sys.modules) - known)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return {name.partition(".")[0] for name in done.stdout.split()}


def optional_packages() -> set[str]:
    """What the extras install, by the names that are imported."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extras = set(
        re.findall(r'"([\w-]+)[><=]', project.partition("[project.optional-dependencies]")[2].partition("\n[")[0])
    )
    # not packages_distributions(), which finds few before Python 3.11
    of_extras = [found for found in importlib.metadata.distributions() if found.name.lower() in extras]
    files = [file.parts for found in of_extras for file in found.files or () if file.suffix == ".py"]
    return {parts[0].removesuffix(".py") for parts in files if parts[0] != ".."}


def bare_exceptions(source: str) -> list[str]:
    """The lines that except themselves from a tool and do not say why; that a call has no types says it already."""
    marked = [line for line in source.splitlines() if re.search(r"# (ruff: )?(type: ignore|noqa)\b", line)]
    reason = r"type: ignore\[no-untyped-call\]|(type: ignore\[[\w, -]+\]|noqa: [A-Z\d, ]+)(  # | - | \()\S"
    return [line for line in marked if not re.search(reason, line)]


def faces(sources: Mapping[str, str]) -> dict[str, ast.ClassDef]:
    """The classes that are faces, directly or through another face."""
    classes = {c.name: c for s in sources.values() for c in ast.walk(ast.parse(s)) if isinstance(c, ast.ClassDef)}
    known = {"Face"}
    for _ in classes:
        known |= {name for name, c in classes.items() if {ast.unparse(b).rpartition(".")[2] for b in c.bases} & known}
    return {name: c for name, c in classes.items() if name in known - {"Face"}}


def mathematics(face: ast.ClassDef) -> list[str]:
    """The arithmetic and the calls of torch in what `forward` does; its annotations are none of it."""
    found: list[str] = []
    for method in face.body:
        if isinstance(method, ast.FunctionDef) and method.name == "forward":
            for node in (n for statement in method.body for n in ast.walk(statement)):
                computes = isinstance(node, (ast.BinOp, ast.AugAssign))
                called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
                if computes or re.match(r"(torch|F|math)\.(?!compiler\.)", called):
                    found.append(f"{face.name}.forward: {ast.unparse(node)}")
    return found


LOSSES = {name: source for name, source in MODULES.items() if name.startswith("losses.")}
FACES = faces(LOSSES)


@each_module
def test_a_module_imports_only_what_its_layer_may(name: str) -> None:
    assert refused_imports(name, MODULES[name]) == []


@each_module
def test_no_module_asserts_or_joins_a_process_group_or_reads_the_environment(name: str) -> None:
    assert refused_statements(MODULES[name], name) == []


@pytest.mark.parametrize("folder", ["src", "tests", "examples", "docs"])
def test_every_exception_to_a_tool_says_why(folder: str) -> None:
    files = {path.relative_to(ROOT): path.read_text(encoding="utf-8") for path in (ROOT / folder).rglob("*.py")}
    assert {str(path): found for path, source in files.items() if (found := bare_exceptions(source))} == {}


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("objectives.")])
def test_an_objective_knows_no_engine_no_device_and_no_rank(name: str) -> None:
    assert words(MODULES[name]) & OTHERS_BUSINESS == set()


@pytest.mark.parametrize("name", CELLS)
def test_who_works_on_cells_knows_no_matrix_and_no_formula(name: str) -> None:
    assert {module: names for module, names in imports(ast.parse(MODULES[name])) if names} == CELLS[name]
    assert words(MODULES[name]) & FORMULAS == set()
    assert words(MODULES["engines.workers"]) & FORMULAS  # whoever knows a matrix is noticed


@pytest.mark.parametrize("name", [name for name in MODULES if name.partition(".")[0] in {"", *CORE}])
def test_a_module_of_the_core_only_defines_when_it_is_imported(name: str) -> None:
    assert doings(MODULES[name]) == []


def test_importing_the_package_loads_nothing_optional() -> None:
    optional = optional_packages()
    assert {"kornia", "sklearn", "accelerate", "tyro", "rich", "matplotlib", "PIL"} <= optional
    assert loaded_by("import info_nce, info_nce.losses") & optional == set()
    assert loaded_by("import info_nce, PIL") & optional == {"PIL"}


@each_module
def test_every_module_has_a_place_and_none_is_a_drawer(name: str) -> None:
    assert name.partition(".")[0] in {"", *CORE, *APPLICATION}, f"{name} is in no row of ARCHITECTURE.md's table"
    assert not {"utils", "util", "helpers", "misc", "common"} & set(name.split("."))


def test_every_place_has_a_module() -> None:
    assert {*CORE, *APPLICATION} <= set(MODULES)


def test_the_table_of_the_architecture_lists_the_layers_in_this_order() -> None:
    section = ARCHITECTURE.partition("## Where things are")[2].partition("\n## ")[0]
    first_cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("|")][2:]
    rows = [re.findall(r"`(\w+)/?`", cell) for cell in first_cells]
    *below, faces, diagnostics, application = rows
    assert [*below, sorted(faces), diagnostics] == [*LAYERS[:-3], sorted(LAYERS[-3] + LAYERS[-2]), LAYERS[-1]]
    assert sorted([*application, "__main__"]) == sorted(APPLICATION)


@pytest.mark.parametrize("name", FACES)
def test_a_face_holds_no_mathematics(name: str) -> None:
    assert mathematics(FACES[name]) == []


def test_every_exported_face_is_looked_at() -> None:
    exported = {n for n in info_nce.__all__ if isinstance(getattr(info_nce, n), type)}
    assert exported & set(FACES) == {n for n in exported if issubclass(getattr(info_nce, n), info_nce.losses.Face)}
    assert "CLIPLoss" in FACES  # a face through another face


BAD_IMPORTS = {
    "similarity imports what it is part of": ("similarity", "from info_nce.scores import Tile"),
    "pairing imports the module beside it": ("pairing", "from info_nce.similarity import Cosine"),
    "temperature imports the module beside it": ("temperature", "from info_nce.similarity import Cosine"),
    "an objective knows an engine": ("objectives.softmax", "from info_nce.engines.dense import Dense"),
    "an engine knows an objective": ("engines.tiled", "from info_nce.objectives import Softmax"),
    "an engine knows a similarity": ("engines.parts", "from info_nce.similarity import Cosine"),
    "the queue knows an engine": ("queue", "from info_nce import engines"),
    "an objective imports an engine when called": ("objectives.new", "def f():\n    import info_nce.engines"),
    "assemble calls contrast": ("assemble", "from info_nce.contrast import contrast"),
    "views import the scores": ("views", "from info_nce.scores import ScoreMatrix"),
    "the core knows the application": ("losses.new", "from info_nce.errors import UserError"),
    "the package shows the application": ("", "from info_nce.recipes.simclr import train"),
    "the core imports the whole package": ("statistics", "import info_nce"),
    "what is read as plain torch is plain torch": ("from_scratch", "from info_nce.similarity import unit"),
    "a relative import hides where it leads": ("scores", "from .engines import Dense"),
    "the application reaches into the core": ("recipes.new", "from info_nce.scores import ScoreMatrix"),
    "the application reaches into an engine": ("recipes.new", "from info_nce.engines.tiled import Tiled"),
    "the application takes a private name": ("commands", "from info_nce.checks import fail"),
    "a command reaches into a loss": ("commands", "from info_nce import losses"),
}


@pytest.mark.parametrize("case", BAD_IMPORTS)
def test_a_bad_import_is_refused(case: str) -> None:
    assert len(refused_imports(*BAD_IMPORTS[case])) == 1


@pytest.mark.parametrize(
    "source",
    [
        "def f(x):\n    assert x",
        "import torch.distributed as dist",
        "from torch import distributed",
        "from torch.distributed import all_gather",
        "import torch\ntorch.distributed.get_rank()",
        "import os\nos.environ['TILE']",
        "import os\nos.getenv('TILE')",
        "from os import environ",
    ],
)
def test_a_bad_statement_is_refused(source: str) -> None:
    assert refused_statements(source)
    grouped = "distributed" in source
    assert bool(refused_statements(source, "distributed.replicas")) is not grouped
    assert refused_statements(source, "distributed")  # the folder's face joins no group either


@pytest.mark.parametrize(
    "source",
    [
        "x.to(device)",
        "def f(engines): ...",
        "from info_nce.engines import Dense",
        "per_rank = 1",
        "f(rank=0)",
        "x.device_type",
    ],
)
def test_a_word_that_is_not_the_objectives_is_noticed(source: str) -> None:
    assert words(source) & OTHERS_BUSINESS
    assert not words('"""No engine, no device."""\nranking = 1  # rank') & OTHERS_BUSINESS


@pytest.mark.parametrize("mark", ["type" + ": ignore[arg-type]", "no" + "qa: S101"])
def test_an_exception_without_a_reason_is_noticed(mark: str) -> None:
    assert bare_exceptions(f"x = 1  # {mark}")
    assert bare_exceptions(f"x = 1  # {mark.partition('[')[0].partition(': S')[0]} - whatever it is")
    for reason in ("  # it is so", " - it is so", " (it is so)"):
        assert not bare_exceptions(f"x = 1  # {mark}{reason}")


@pytest.mark.parametrize(
    "source",
    [
        "torch.set_num_threads(1)",
        "torch.backends.cuda.matmul.allow_tf32 = True",
        "CACHE['key'] = 1",
        "for name in names: register(name)",
        "try:\n    import triton\nexcept ImportError: ...",
        "if torch.cuda.is_available():\n    import triton",
        "COUNT += 1",
    ],
)
def test_what_a_module_does_when_imported_is_noticed(source: str) -> None:
    assert doings(source)
    assert not doings('"""Text."""\nimport a\nX: int = 1\nY = Z = f()\nif TYPE_CHECKING:\n    import b\nclass C: ...')


@pytest.mark.parametrize(
    "body",
    [
        "return nt_xent(q, k) / 2",
        "q *= 2",
        "return torch.logsumexp(q, 1)",
        "return F.cross_entropy(q, k)",
    ],
)
def test_mathematics_in_a_face_is_refused(body: str) -> None:
    source = "class One(Face): ...\nclass Two(info_nce.losses.One):\n    def forward(self, q, k: A | B):\n        "
    assert mathematics(faces({"new": source + body})["Two"])
    assert mathematics(faces({"new": source + "return nt_xent(q, k)"})["Two"]) == []
