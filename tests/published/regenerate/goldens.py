"""Values and gradients from other libraries, written to `tests/published/goldens.json`.

How to run it, with torch installed as in `constraints.txt`, from the root of the repository:

    python tests/published/regenerate/goldens.py            all libraries
    python tests/published/regenerate/goldens.py lightly    only this one; the cases of the others are kept

Each library runs in a process and a throw-away virtual environment of its own. That environment sees the packages of
the Python that runs this script, so torch is not installed again, and adds the library, held back by
`constraints.txt`. Two libraries that would bring torchvision are installed without their dependencies, and only the
file of the loss is imported.

Every input is float64 and stored in the case (normal numbers rounded to 4 decimals), so nothing depends on a random
generator. A case is

    name, library, version, torch     what was run
    call                              how, as one would type it
    inputs, options                   what went in
    value or values                   what came out: a number, or one for each query
    gradients                         d value / d input, or d Σ values / d input
    reference                         the oracle of tests/reference that gives the same: function, arguments, options;
                                      the oracle's values are per query: "reduction" says what to do with them
    note                              what a reader must know
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import types
import venv
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
ROOT = HERE.parents[3]
GOLDENS = HERE.parents[1] / "goldens.json"

Matrix = list[list[float]]
Case = dict[str, Any]

# library: (requirement, with its dependencies?)
PEERS = {
    "info-nce-pytorch": ("info-nce-pytorch==0.1.4", True),
    "pytorch-metric-learning": ("pytorch-metric-learning==2.9.0", True),
    "sentence-transformers": ("sentence-transformers==6.2.0", True),
    "lightly": ("lightly==1.6.0", False),
    "open_clip_torch": ("open_clip_torch==3.3.0", False),
}


# ---- in the process of one library


def numbers(*shape: int, seed: int) -> Any:
    """Normal numbers, rounded to 4 decimals, as nested lists."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(*shape, generator=generator, dtype=torch.float64)
    rounded: Any = [[round(x, 4) for x in row] for row in drawn.reshape(-1, shape[-1]).tolist()]
    if len(shape) == 3:
        rounded = [rounded[i * shape[1] : (i + 1) * shape[1]] for i in range(shape[0])]
    return rounded


def related(first: Matrix, *, seed: int) -> Matrix:
    """A second side whose rows are like those of the first."""
    drift = numbers(len(first), len(first[0]), seed=seed)
    return [[round(a + 0.7 * e, 4) for a, e in zip(x, y, strict=True)] for x, y in zip(first, drift, strict=True)]


def case(
    name: str,
    library: str,
    call: str,
    inputs: dict[str, Any],
    compute: Callable[..., Any],
    *,
    options: dict[str, Any] | None = None,
    reference: dict[str, Any] | None = None,
    note: str = "",
) -> Case:
    """Run `compute` on float64 tensors of the inputs; keep what comes out and the gradients."""
    import torch

    tensors = {key: torch.tensor(value, dtype=torch.float64, requires_grad=True) for key, value in inputs.items()}
    out = compute(**tensors)
    out.sum().backward()
    found = {"value": out.item()} if out.ndim == 0 else {"values": out.tolist()}
    result: Case = {
        "name": name,
        "library": library,
        "version": version(library),
        "torch": torch.__version__,
        "call": call,
        "options": options or {},
        "inputs": inputs,
        **found,
        "gradients": {key: tensor.grad.tolist() for key, tensor in tensors.items() if tensor.grad is not None},
        "reference": reference,
    }
    return result | ({"note": note} if note else {})


def info_nce_pytorch() -> Iterator[Case]:
    info_nce = importlib.import_module("info_nce").info_nce  # the other package of this name
    query = numbers(5, 4, seed=1)
    key = related(query, seed=2)
    negatives = {"in-batch": None, "unpaired": numbers(3, 4, seed=3), "paired": numbers(5, 3, 4, seed=4)}
    for kind, negative_keys in negatives.items():
        mode = "paired" if kind == "paired" else "unpaired"
        inputs = {"query": query, "positive_key": key}
        if negative_keys is not None:
            inputs["negative_keys"] = negative_keys
        for temperature in (0.1, 0.5):
            for reduction in ("mean", "sum", "none"):
                options = {"temperature": temperature, "reduction": reduction, "negative_mode": mode}
                yield case(
                    f"info-nce-pytorch {kind} {temperature} {reduction}",
                    "info-nce-pytorch",
                    "info_nce({}, temperature={}, reduction={!r}, negative_mode={!r})".format(
                        ", ".join(inputs), temperature, reduction, mode
                    ),
                    inputs,
                    lambda chosen=options, **tensors: info_nce(**tensors, **chosen),
                    options=options,
                    reference={
                        "function": "info_nce",
                        "arguments": list(inputs),
                        "options": {"temperature": temperature, "negative_mode": mode},
                        "reduction": reduction,
                    },
                )


def pytorch_metric_learning() -> Iterator[Case]:
    import torch

    losses = importlib.import_module("pytorch_metric_learning.losses")
    view1 = numbers(5, 4, seed=11)
    view2 = related(view1, seed=12)
    for temperature in (0.07, 0.5):
        yield case(
            f"pytorch-metric-learning NT-Xent {temperature}",
            "pytorch-metric-learning",
            f"SelfSupervisedLoss(NTXentLoss(temperature={temperature}))(view1, view2)",
            {"view1": view1, "view2": view2},
            lambda view1, view2, t=temperature: losses.SelfSupervisedLoss(losses.NTXentLoss(temperature=t))(
                view1, view2
            ),
            options={"temperature": temperature},
            reference={
                "function": "nt_xent",
                "arguments": [["view1", "view2"]],
                "options": {"temperature": temperature},
                "reduction": "mean",
            },
            note="adds the smallest normal number inside the log: about 1e-308, invisible here",
        )
    features = numbers(8, 4, seed=13)
    for labels, note in (
        ([0, 1, 2, 0, 1, 2, 0, 1], "every query has a positive, so the mean over non-zero losses is the mean"),
        (
            [0, 1, 2, 0, 1, 3, 0, 1],
            "labels 2 and 3 occur once: such a query has loss 0, and the mean over non-zero losses leaves it out",
        ),
    ):
        for temperature in (0.1, 0.5):
            yield case(
                f"pytorch-metric-learning SupCon {labels} {temperature}",
                "pytorch-metric-learning",
                f"SupConLoss(temperature={temperature})(features, torch.tensor({labels}))",
                {"features": features},
                lambda features, t=temperature, tags=labels: losses.SupConLoss(temperature=t)(
                    features, torch.tensor(tags)
                ),
                options={"temperature": temperature, "labels": labels},
                reference={
                    "function": "sup_con",
                    "arguments": ["features", labels],
                    "options": {"temperature": temperature},
                    "reduction": "mean",
                },
                note=note,
            )


def sentence_transformers() -> Iterator[Case]:
    import torch

    losses = importlib.import_module("sentence_transformers.sentence_transformer.losses")

    def loss(*columns: Any, **options: Any) -> Any:
        ranking = losses.MultipleNegativesRankingLoss(None, **options)
        return ranking.compute_loss_from_embeddings(list(columns), torch.empty(0))

    query = numbers(5, 4, seed=21)
    document = related(query, seed=22)
    negative = numbers(5, 4, seed=23)
    pair = {"query": query, "document": document}
    hard = pair | {"negative": negative}
    all_four = ["query_to_doc", "query_to_query", "doc_to_query", "doc_to_doc"]
    rows: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any] | None, str]] = [
        ("one way", pair, {}, {"function": "info_nce", "arguments": ["query", "document"], "options": {}}, ""),
        (
            "one way, one hard negative",
            hard,
            {},
            {
                "function": "info_nce",
                "arguments": ["query", "document", "negative"],
                "options": {"keep_in_batch": True},
            },
            "every query sees all documents and all hard negatives, the other queries' too",
        ),
        (
            "symmetric",
            pair,
            {"directions": ["query_to_doc", "doc_to_query"], "partition_mode": "per_direction"},
            {"function": "symmetric_info_nce", "arguments": ["query", "document"], "options": {}},
            "",
        ),
        (
            "three directions, joint",
            pair,
            {"directions": ["query_to_doc", "query_to_query", "doc_to_doc"], "partition_mode": "joint"},
            {"function": "retrieval_info_nce", "arguments": ["query", "document"], "options": {"margin": None}},
            "the denominator of Qwen3-Embedding without its rule and without hard negatives",
        ),
        (
            "four directions, joint (GTE)",
            pair,
            {"directions": all_four, "partition_mode": "joint"},
            None,
            "the positive is twice in the denominator: once as query to document, once as document to query",
        ),
    ]
    for name, inputs, options, reference, note in rows:
        for scale in (20.0, 5.0):
            chosen = options | {"scale": scale}
            if reference is not None:
                at_scale = reference["options"] | {"temperature": 1.0 / scale}
                reference = reference | {"options": at_scale, "reduction": "mean"}  # noqa: PLW2901 (the case as it is stored)
            yield case(
                f"sentence-transformers {name} {scale}",
                "sentence-transformers",
                "MultipleNegativesRankingLoss(None, {}).compute_loss_from_embeddings([{}], labels)".format(
                    ", ".join(f"{key}={value!r}" for key, value in chosen.items()), ", ".join(inputs)
                ),
                inputs,
                lambda chosen=chosen, **tensors: loss(*tensors.values(), **chosen),
                options=chosen,
                reference=reference,
                note=note,
            )


def _empty_packages(*names: str) -> None:
    """Stand-ins for packages whose `__init__` would import much more than the loss."""
    for name in names:
        stand_in = types.ModuleType(name)
        folder = name.replace(".", "/")
        stand_in.__path__ = [str(Path(path) / folder) for path in sys.path if (Path(path) / folder).is_dir()]
        sys.modules[name] = stand_in


def lightly() -> Iterator[Case]:
    _empty_packages("lightly", "lightly.loss", "lightly.utils")
    losses = importlib.import_module("lightly.loss.dcl_loss")
    view1 = numbers(5, 4, seed=31)
    view2 = related(view1, seed=32)
    rows: list[tuple[str, str, dict[str, float]]] = [
        ("DCLLoss", "dcl", {"temperature": 0.1}),
        ("DCLLoss", "dcl", {"temperature": 0.5}),
        ("DCLWLoss", "dclw", {"temperature": 0.1, "sigma": 0.5}),
        ("DCLWLoss", "dclw", {"temperature": 0.5, "sigma": 1.0}),
    ]
    for name, function, options in rows:
        arguments = ", ".join(f"{key}={value}" for key, value in options.items())
        yield case(
            f"lightly {name} {arguments}",
            "lightly",
            f"{name}({arguments})(view1, view2)",
            {"view1": view1, "view2": view2},
            lambda view1, view2, loss=name, chosen=options: getattr(losses, loss)(**chosen)(view1, view2),
            options=options,
            reference={
                "function": function,
                "arguments": ["view1", "view2"],
                "options": options,
                "reduction": "mean",
            },
            note="the mean over the queries of both views",
        )


def open_clip_torch() -> Iterator[Case]:
    _empty_packages("open_clip")
    losses = importlib.import_module("open_clip.loss")
    image = numbers(5, 4, seed=41)
    text = related(image, seed=42)
    inputs = {"image": image, "text": text}
    note = "open_clip does not normalise: the features go in as they are, so the similarity is the dot product"
    for scale in (2.0, 0.5):
        yield case(
            f"open_clip ClipLoss {scale}",
            "open_clip_torch",
            f"ClipLoss()(image, text, logit_scale={scale})",
            inputs,
            lambda image, text, s=scale: losses.ClipLoss()(image, text, s),
            options={"logit_scale": scale},
            reference={
                "function": "symmetric_info_nce",
                "arguments": ["image", "text"],
                "options": {"temperature": 1.0 / scale, "similarity": "dot"},
                "reduction": "mean",
            },
            note=note,
        )
        yield case(
            f"open_clip SigLipLoss {scale}",
            "open_clip_torch",
            f"SigLipLoss()(image, text, logit_scale={scale}, logit_bias=-3.0)",
            inputs,
            lambda image, text, s=scale: losses.SigLipLoss()(image, text, s, -3.0),
            options={"logit_scale": scale, "logit_bias": -3.0},
            reference={
                "function": "sigmoid_loss",
                "arguments": ["image", "text"],
                "options": {"temperature": 1.0 / scale, "bias": -3.0, "similarity": "dot"},
                "reduction": "mean",
            },
            note=note,
        )


CASES: dict[str, Callable[[], Iterator[Case]]] = {
    "info-nce-pytorch": info_nce_pytorch,
    "pytorch-metric-learning": pytorch_metric_learning,
    "sentence-transformers": sentence_transformers,
    "lightly": lightly,
    "open_clip_torch": open_clip_torch,
}


# ---- in the process that was started


def run_peer(library: str, folder: Path) -> list[Case]:
    """Make an environment in `folder`, install the library, run its cases there."""
    requirement, with_dependencies = PEERS[library]
    venv.create(folder, with_pip=False)
    python = str(folder / "bin" / "python")
    own_packages = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    (Path(own_packages) / "packages_of_the_caller.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    install = [python, "-m", "pip", "install", "--quiet", "-c", str(ROOT / "constraints.txt"), requirement]
    subprocess.run(install if with_dependencies else [*install, "--no-deps"], check=True)
    run = [python, "-W", "ignore", str(HERE), "--inside", library]
    threads = {"OMP_NUM_THREADS": "1", "PYTHONPATH": ""}
    done = subprocess.run(run, check=True, capture_output=True, text=True, env={**os.environ, **threads}, cwd=folder)
    cases: list[Case] = json.loads(done.stdout.splitlines()[-1])
    return cases


def write(cases: list[Case]) -> None:
    """One case a line, so that a changed case is a changed line."""
    lines = ",\n".join(json.dumps(one, ensure_ascii=False) for one in cases)
    GOLDENS.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", nargs="*", help=f"any of {', '.join(PEERS)}; all if none is named")
    parser.add_argument("--inside", choices=sorted(PEERS), help="print the cases of one library; for the script itself")
    arguments = parser.parse_args()
    if arguments.inside:
        sys.stdout.write("\n" + json.dumps(list(CASES[arguments.inside]())) + "\n")
        return
    known = json.loads(GOLDENS.read_text(encoding="utf-8")) if GOLDENS.exists() else []
    by_library = {library: [one for one in known if one["library"] == library] for library in PEERS}
    for library in arguments.library or PEERS:
        with tempfile.TemporaryDirectory() as folder:
            by_library[library] = run_peer(library, Path(folder))
        sys.stdout.write(f"{library}: {len(by_library[library])} cases\n")
    write([one for cases in by_library.values() for one in cases])


if __name__ == "__main__":
    main()
