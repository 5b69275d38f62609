"""What the pages about losses say, read from the losses: question, formula, source, defaults; and their pictures."""

# N items, D features

import inspect
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import info_nce
from info_nce import functional
from info_nce.engines import Engine
from info_nce.losses import Options
from website.matrices import Recorder, Sketch

__all__ = ["FACES", "SKETCHES", "cost", "defaults", "head", "table"]

FACES: dict[str, Any] = {name: kind for name, kind in vars(info_nce).items() if hasattr(kind, "source")}
"""Every loss that `info_nce` offers, by name."""
_CHOOSING = Path(__file__).parents[1] / "docs/choosing.md"
_LETTERS = {"tau": "τ", "lambda": "λ", "sigma": "σ", "beta": "β", "nu": "ν"}


def function_of(face: Any) -> Callable[..., Tensor] | None:
    """The function that the face is the module of; None for a face that wraps others."""
    named = re.search(r"see `(\w+)`", inspect.getdoc(face.forward) or "")
    return getattr(functional, named[1]) if named else None


def _text(face: Any) -> str:
    return inspect.getdoc(function_of(face) or face) or ""


def section(text: str, name: str) -> str:
    """What stands below a heading of a docstring."""
    found = re.search(rf"^{name}:\n((?:    .*\n?|\n)*)", text, re.MULTILINE)
    return inspect.cleandoc(found[1]).strip() if found else ""


def question(face: Any) -> str:
    """What the loss asks: the first line of its docstring."""
    return _text(face).partition("\n")[0]


def formula(face: Any) -> str:
    """The formulas with which its docstring begins, and what is said of them."""
    return re.split(r"(?m)^\w+:$", _text(face).partition("\n")[2])[0].strip()


def not_when(name: str) -> str:
    """When to take another loss: what docs/choosing.md says beside this one."""
    found = re.search(rf"(?m)^\|[^|]*\|[^|]*\[`{name}`\][^|]*\|([^|]*)\|$", _CHOOSING.read_text(encoding="utf-8"))
    return re.sub(r"\]\((losses/)?", lambda m: "](" if m[1] else "](../", found[1].strip()) if found else ""


def head(name: str) -> str:
    """The beginning of a page: question, formula, what the value means, when to take another loss, source."""
    face = FACES[name]
    function = function_of(face)
    calls = f"`info_nce.{name}`" + (f", as a function `info_nce.functional.{function.__name__}`" if function else "")
    value = section(_text(face), "Returns")
    about = f"**Value.** {_joined(value)}\n\n" if value else ""
    return (
        f"*{question(face)}*\n\n{_greek(formula(face))}\n\n{_greek(about)}"
        f"**Not, when** {not_when(name)} ([which loss](../choosing.md)).\n\n"
        f"**Source.** {_greek(_joined(section(_text(face), 'Source')))}\n\n**Name.** {calls}."
    )


def _joined(text: str) -> str:
    return " ".join(text.split())


def defaults(name: str) -> str:
    """A table of the settings that the loss has a default for, with what the docstring says of each."""
    face, function = FACES[name], function_of(FACES[name])
    kinds = [Options, *reversed(face.__mro__[:-1])]
    texts = [*(inspect.getdoc(kind) or "" for kind in kinds), _text(face), inspect.getdoc(face) or ""]
    said = {name: about for text in texts for name, about in _arguments(section(text, "Args")).items()}
    rows = [
        f"| `{parameter.name}` | `{parameter.default!r}` | {_greek(_linked(said.get(parameter.name, '')))} |"
        for parameter in [*inspect.signature(face).parameters.values(), *_of_its_own(function)]
        if parameter.default is not parameter.empty
    ]
    shared = any(parameter.name == "settings" for parameter in inspect.signature(face).parameters.values())
    more = (
        f"\n\nBeside these, the options that every loss shares: see {_linked('see `Options`')[4:]}." if shared else ""
    )
    return "\n".join(["| setting | default | meaning |", "|---|---|---|", *rows]) + more


def _of_its_own(function: Callable[..., Tensor] | None) -> list[inspect.Parameter]:
    """The shared options that the loss has another default for."""
    options = inspect.signature(Options).parameters
    given = inspect.signature(function).parameters if function else {}
    return [p for name, p in given.items() if name in options and repr(p.default) != repr(options[name].default)]


def _arguments(text: str) -> dict[str, str]:
    found = re.findall(r"(?ms)^(\w+): (.*?)(?=^\w+: |\Z)", text)
    return {name: _joined(said).replace("|", "\\|") for name, said in found}


def _linked(text: str) -> str:
    return re.sub(r"see `(Face|Options)`", r"see [`\1`](../reference/losses.md#info_nce.losses.\1)", text)


def _greek(text: str) -> str:
    """Letters as in the formulas, where a docstring spells them out."""
    parts = re.split(r"(`[^`]*`|\$\$.*?\$\$)", text, flags=re.DOTALL)
    for i in range(0, len(parts), 2):
        for name, letter in _LETTERS.items():
            parts[i] = re.sub(rf"\b{name}\b(?! \()", letter, parts[i]).replace("τ+", "τ⁺")
    return "".join(parts)


def table() -> str:
    """All losses: question, source."""
    rows = [f"| [`{name}`]({name}.md) | {question(face)} | {face.source} |" for name, face in sorted(FACES.items())]
    return "\n".join(["| loss | asks | from |", "|---|---|---|", *rows])


def cost(name: str) -> str:
    """What value and gradients cost, from the matrices that the loss really builds."""
    recorder = Recorder()
    SKETCHES[name].call(recorder)
    problem = recorder.seen[0]
    if not any(matrix.shared for matrix in problem.matrices):
        return (
            "Each row has its own list of candidates, so nothing here grows with the square of the batch: rows times "
            "candidates is all that there is to compute. [Engines](../engines.md) differ little."
        )
    products = "3 matrix products: one for the value, one for the gradient of each side"
    if problem.symmetric:
        products = "4 matrix products for both directions: totals of rows and columns come from one sweep"
    elif problem.matrices[0].mirrored:
        products = "2 matrix products: the keys are the queries, so that half of the matrix says all"
    if sum(matrix.shared for matrix in problem.matrices) > 1:
        products = "3 matrix products for each matrix of shared keys"
    return (
        "`Dense()` stores every cell of the picture. `Tiled()` holds one tile at a time, in memory that grows with the "
        f"number of rows and keys, not with their product, and takes {products}. `Auto()`, the default, chooses; value "
        "and gradients are the same. See [Engines](../engines.md)."
    )


# ---- pictures


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _named(letter: str, count: int) -> list[str]:
    below = "₁₂₃₄₅₆₇₈₉"
    return [f"{letter}{below[i]}" for i in range(count)]


def _pairs(make: Callable[[Engine], nn.Module], **tensors: Tensor) -> Sketch:
    """Four queries and their keys."""

    def call(engine: Engine) -> Tensor:
        value: Tensor = make(engine)(_normal(4, 3), _normal(4, 3, seed=1), **tensors)
        return value

    return Sketch(call, _named("q", 4), [_named("k", 4)], ["keys of the batch"])


def _views(make: Callable[[Engine], nn.Module], count: int = 2) -> Sketch:
    """Views of four items."""

    def call(engine: Engine) -> Tensor:
        value: Tensor = make(engine)(*(_normal(4, 3, seed=view) for view in range(count)))
        return value

    names = [f"{item}{'₁₂₃'[view]}" for view in range(count) for item in "abcd"]
    return Sketch(call, names, [names], ["all views of the batch"])


def _explicit(engine: Engine) -> Tensor:
    loss = info_nce.InfoNCE(keep_in_batch=True, engine=engine)
    value: Tensor = loss(_normal(4, 3), _normal(4, 3, seed=1), _normal(3, 3, seed=2))
    return value


def _sup_con(engine: Engine) -> Tensor:
    value: Tensor = info_nce.SupCon(engine=engine)(_normal(6, 3), torch.tensor([0, 0, 0, 1, 1, 2]))
    return value


def _moco(engine: Engine) -> Tensor:
    loss = info_nce.MoCo(engine=engine)
    value: Tensor = loss(_normal(4, 3), _normal(4, 3, seed=1), _normal(6, 3, seed=2))
    return value


def _retrieval(engine: Engine) -> Tensor:
    loss = info_nce.RetrievalInfoNCE(margin=None, engine=engine)
    value: Tensor = loss(_normal(4, 3), _normal(4, 3, seed=1), _normal(4, 2, 3, seed=2))
    return value


def _cpc(negatives: str, engine: Engine) -> Tensor:
    loss = info_nce.CPC(3, 3, steps=2, negatives=negatives, engine=engine)  # type: ignore[arg-type]  # as named below
    value: Tensor = loss(_normal(2, 4, 3), _normal(2, 4, 3, seed=1))
    return value


def _wav2vec2(engine: Engine) -> Tensor:
    mask = torch.tensor([[False, True, True, True, True, False]])
    loss = info_nce.Wav2Vec2Contrastive(distractors=3, engine=engine)
    value: Tensor = loss(_normal(1, 6, 3), _normal(1, 6, 3, seed=1), mask, generator=torch.Generator().manual_seed(0))
    return value


def _nce(engine: Engine) -> Tensor:
    loss = info_nce.NCE(engine=engine)
    value: Tensor = loss(_normal(4), _normal(4, 3), _normal(4, seed=1), _normal(4, 3, seed=1))
    return value


def _matryoshka(engine: Engine) -> nn.Module:
    return info_nce.Matryoshka(info_nce.InfoNCE(engine=engine), widths=(2, 3))


_PREDICTIONS = [f"{s}{t}→{s}{t + k}" for s in "AB" for k in (1, 2) for t in range(1, 5 - k)]
_LATENTS = [f"{s}{t}" for s in "AB" for t in range(1, 5)]
_IDS = torch.tensor([0, 1, 0, 2])

SKETCHES: dict[str, Sketch] = {
    "InfoNCE": _pairs(lambda engine: info_nce.InfoNCE(engine=engine)),
    "InfoNCE ids": _pairs(lambda engine: info_nce.InfoNCE(engine=engine), ids=_IDS),
    "InfoNCE ids positive": _pairs(lambda engine: info_nce.InfoNCE(same_id="positive", engine=engine), ids=_IDS),
    "InfoNCE explicit": Sketch(
        _explicit, _named("q", 4), [_named("k", 4), _named("n", 3)], ["keys of the batch", "negative_keys"]
    ),
    "SymmetricInfoNCE": _pairs(lambda engine: info_nce.SymmetricInfoNCE(engine=engine)),
    "CLIPLoss": _pairs(lambda engine: info_nce.CLIPLoss(engine=engine)),
    "SigLIP": _pairs(lambda engine: info_nce.SigLIP(engine=engine)),
    "RobustInfoNCE": _pairs(lambda engine: info_nce.RobustInfoNCE(engine=engine)),
    "NTXent": _views(lambda engine: info_nce.NTXent(engine=engine)),
    "DCL": _views(lambda engine: info_nce.DCL(engine=engine)),
    "DCLW": _views(lambda engine: info_nce.DCLW(engine=engine)),
    "DebiasedInfoNCE": _views(lambda engine: info_nce.DebiasedInfoNCE(engine=engine)),
    "HardNegativeInfoNCE": _views(lambda engine: info_nce.HardNegativeInfoNCE(engine=engine)),
    "SupCon": Sketch(
        _sup_con,
        ["A a₁", "A a₂", "A b₁", "B c₁", "B c₂", "C d₁"],
        [["a₁", "a₂", "b₁", "c₁", "c₂", "d₁"]],
        ["A, B, C: labels"],
    ),
    "MoCo": Sketch(_moco, _named("q", 4), [["k"], _named("u", 6)], ["own", "queue"]),
    "RetrievalInfoNCE": Sketch(
        _retrieval,
        ["q₁ d₁", "q₂ d₂", "q₃ d₃", "q₄ d₄"],
        [_named("d", 4), _named("n", 2), _named("q", 4), _named("d", 4)],
        ["q, documents", "q, own", "q, queries", "d, documents"],
    ),
    "CPC": Sketch(partial(_cpc, "both"), _PREDICTIONS, [_LATENTS], ["latents of A and B"]),
    "CPC others": Sketch(partial(_cpc, "others"), _PREDICTIONS, [_LATENTS], ["latents of A and B"]),
    "Wav2Vec2Contrastive": Sketch(_wav2vec2, _named("c", 4), [["q"], ["1", "2", "3"]], ["own", "distractors"]),
    "NCE": Sketch(_nce, _named("x", 4), [["x"], _named("y", 3)], ["own", "noise samples"]),
    "Matryoshka": _pairs(_matryoshka),
}
"""By loss, and what is special about the picture."""
