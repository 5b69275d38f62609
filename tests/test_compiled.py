"""Losses on tiles inside of `torch.compile`: one operator, no graph break, value and gradients of the plain call."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend
from torch.testing import assert_close

from info_nce import functional as f
from info_nce.assemble import assemble
from info_nce.checks import ArgumentError, DTypeError
from info_nce.coded import Coded, Spelled, decode, encode
from info_nce.compiler import compiled_where_followed
from info_nce.contrast import _Formula, contrast
from info_nce.engines import Auto, Dense, Engine, Tiled
from info_nce.engines.base import Problem
from info_nce.engines.operators import _arguments, _Loss
from info_nce.objectives import Objective, Softmax
from info_nce.pairing import Shifted, pairs, views
from info_nce.similarity import Cosine, Similarity
from info_nce.statistics import Count, LogSumExp, Statistic, Sum
from tests import needs

N, D = 7, 3
TILED = Tiled(3, 2)
LARGE = 600
"""So many rows are more than `Auto` stores."""

Loss = Callable[..., Tensor]


@pytest.fixture(autouse=True)
def _compiler() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def embeddings(rows: int = N, count: int = 2, **kind: Any) -> list[Tensor]:
    generator = torch.Generator().manual_seed(rows)
    kind = {"dtype": torch.float64} | kind  # the compiler rounds otherwise
    return [torch.randn(rows, D, generator=generator).to(**kind).requires_grad_() for _ in range(count)]


def check(loss: Loss, *inputs: Tensor, backend: Any = "aot_eager") -> None:
    """Compare the compiled loss with the plain one, weighted so that no gradient is all ones."""
    wanted = [tensor for tensor in inputs if tensor.requires_grad]

    def weighted(*inputs: Tensor) -> Tensor:
        values = loss(*inputs)
        return (values * torch.arange(1.0, values.numel() + 1).reshape(values.shape)).sum() * 3

    compiled, plain = torch.compile(weighted, fullgraph=True, backend=backend)(*inputs), weighted(*inputs)
    assert_close(compiled, plain)
    assert_close(torch.autograd.grad(compiled, wanted), torch.autograd.grad(plain, wanted))


@needs.compiler
def test_a_difference_would_be_noticed() -> None:
    def loss(query: Tensor, key: Tensor) -> Tensor:
        return f.info_nce(query, key, temperature=0.1 if torch.compiler.is_compiling() else 0.11, engine=TILED)

    with pytest.raises(AssertionError, match="not close"):
        check(loss, *embeddings())


@needs.compiler
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("engine", [TILED, Tiled()], ids=repr)
@pytest.mark.parametrize("loss", [f.info_nce, f.symmetric_info_nce, f.nt_xent, f.debiased_info_nce])
def test_every_reduction_compiles(loss: Loss, engine: Engine, reduction: str) -> None:
    check(lambda *views: loss(*views, reduction=reduction, engine=engine), *embeddings())


@needs.compiler
@pytest.mark.parametrize(
    "option", ["ids", "positive ids", "guide", "log_q", "margin", "label_smoothing", "temperature"]
)
@pytest.mark.parametrize("loss", [f.info_nce, f.symmetric_info_nce])
def test_the_shared_options_compile(loss: Loss, option: str) -> None:
    ids = torch.arange(N) // 2
    options: dict[str, dict[str, Any]] = {
        "ids": {"ids": ids},
        "positive ids": {"ids": ids, "same_id": "positive"},
        "guide": {"guide": tuple(tensor.detach()[:N] for tensor in embeddings(N + 1))},
        "log_q": {"log_q": torch.randn(N)},
        "margin": {"margin": 0.1},
        "label_smoothing": {"label_smoothing": 0.1},
        "temperature": {"temperature": 0.1 + torch.rand(())},
    }
    check(lambda *views: loss(*views, engine=TILED, **options[option]), *embeddings())


def operators_of(loss: Loss, *inputs: Tensor) -> list[str]:
    """Which operators of ours are in the compiled graph."""
    seen: list[str] = []

    def backend(graph: torch.fx.GraphModule, _: Any) -> Any:
        seen.extend(str(node.target) for node in graph.graph.nodes if "info_nce" in str(node.target))
        return graph

    assert_close(torch.compile(loss, fullgraph=True, backend=backend)(*inputs), loss(*inputs))
    return seen


@needs.compiler
def test_auto_stores_the_matrix_only_while_it_is_small() -> None:
    assert operators_of(f.nt_xent, *embeddings()) == []
    assert operators_of(f.nt_xent, *embeddings(LARGE)) == ["info_nce.value_and_gradients.default"]


@needs.compiler
def test_without_a_gradient_none_is_formed() -> None:
    with torch.no_grad():
        assert operators_of(f.nt_xent, *embeddings(LARGE)) == ["info_nce.answer.default"]


@needs.compiler
def test_another_batch_size_is_no_other_graph() -> None:
    counter = CompileCounterWithBackend("aot_eager")
    for rows in (LARGE, LARGE + 50, LARGE + 101, 2 * LARGE):
        check(f.nt_xent, *embeddings(rows), backend=counter)
    assert counter.frame_count <= 2


@needs.compiler
def test_autocast_changes_nothing_inside() -> None:
    def loss(one: Tensor, other: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return f.symmetric_info_nce(one, other, engine=TILED)

    check(loss, *embeddings())
    check(loss, *embeddings(dtype=torch.bfloat16))


@needs.compiler
def test_a_second_derivative_is_refused() -> None:
    (query, key) = embeddings()
    compiled = torch.compile(f.info_nce, fullgraph=True, backend="eager")(query, key, engine=TILED)
    (slope,) = torch.autograd.grad(compiled, query, create_graph=True)
    with pytest.raises(ArgumentError, match="engine=Dense"):
        torch.autograd.grad(slope.square().sum(), query)


@pytest.mark.parametrize("loss", [f.info_nce, f.nt_xent, f.sigmoid_loss, f.dcl])
@pytest.mark.parametrize("engine", [TILED, Dense(), None], ids=repr)
def test_whatever_the_compiler_follows_the_loss_is_right(loss: Loss, engine: Engine | None) -> None:
    encoder = torch.nn.Linear(D, D, dtype=torch.float64)

    def step(*inputs: Tensor) -> Tensor:
        return loss(*map(encoder, inputs), engine=engine).exp()

    views = embeddings()
    compiled, plain = torch.compile(step, backend="aot_eager")(*views), step(*views)
    assert_close(compiled, plain)
    wanted = [*views, *encoder.parameters()]
    assert_close(torch.autograd.grad(compiled, wanted), torch.autograd.grad(plain, wanted))


def test_a_function_that_no_compiler_follows_is_left_out_of_the_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    def doubled(x: Tensor) -> Tensor:
        return 3 * x if torch.compiler.is_compiling() else 2 * x

    def plus_one(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        return lambda x: function(x) + 1

    x = torch.ones(2)
    monkeypatch.setattr("info_nce.compiler.FOLLOWED", True)
    assert torch.compile(plus_one(compiled_where_followed(doubled)), backend="eager")(x).tolist() == [4.0, 4.0]
    monkeypatch.setattr("info_nce.compiler.FOLLOWED", False)
    apart = plus_one(compiled_where_followed(doubled))
    assert torch.compile(apart, backend="eager")(x).tolist() == [3.0, 3.0]
    torch._dynamo.reset()  # it remembers the break
    with pytest.raises(torch._dynamo.exc.Unsupported):
        torch.compile(apart, backend="eager", fullgraph=True)(x)


class Weighted(Similarity):
    """A user's own, with a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(D, dtype=torch.float64))

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        return -((query[:, None] - key[None]).abs() * self.weight).sum(-1)


@needs.compiler
def test_a_similarity_of_ones_own_is_stored_by_auto_and_refused_by_tiles() -> None:
    similarity = Weighted()
    query, key = embeddings(LARGE)
    check(lambda query, key: f.info_nce(query, key, similarity=similarity), query, key)
    with pytest.raises(torch._dynamo.exc.Unsupported, match="Weighted"):
        torch.compile(f.info_nce, fullgraph=True, backend="eager")(query, key, similarity=similarity, engine=TILED)


@needs.compiler
def test_an_objective_of_ones_own_compiles() -> None:
    @dataclass(frozen=True)
    class Squared(Objective):
        power: float

        def statistics(self) -> dict[str, Statistic]:
            return {"all": LogSumExp("candidates", power=self.power), "own": Sum("positives")}

        def per_query(self, total: Mapping[str, Tensor]) -> Tensor:
            return (total["all"] - total["own"]) ** 2

    def loss(query: Tensor, key: Tensor) -> Tensor:
        positives = Shifted(len(query), 0, query.device)
        matrix = assemble(query, key, Cosine(), 2.0, positives=positives)
        return contrast(matrix, Squared(1.5), engine=TILED)

    check(loss, *embeddings())


def problem(**changes: Any) -> Problem:
    query, key = embeddings()
    positives, out = pairs(N, torch.arange(N) // 2, "out", query.device)
    matrix = assemble(query, key, Cosine(), 2.0, positives=positives, out=out, offset=torch.randn(N))
    objective = Softmax(label_smoothing=0.1)
    return replace(
        Problem([matrix], objective.statistics(), _Formula(objective), {}, "mean", symmetric=True), **changes
    )


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # torch 2.14 looks at that of copies that it makes itself
def test_the_operators_keep_the_rules_of_operators() -> None:
    operators = torch.ops.info_nce
    arguments = _arguments(_Loss(TILED, problem(reduction="none")))
    arguments = (arguments[0], [t.detach().requires_grad_(t.requires_grad) for t in arguments[1]], *arguments[2:])
    assert any(arguments[-1])
    torch.library.opcheck(operators.answer.default, arguments)
    rules = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(operators.answer_backward.default, (*arguments, [torch.ones(N).double()]), test_utils=rules)
    # the rule left out differentiates gradients, which is refused
    arguments = (_arguments(_Loss(TILED, problem()))[0], *arguments[1:])
    torch.library.opcheck(operators.value_and_gradients.default, arguments, test_utils=rules)


def same(one: Any, other: Any) -> bool:
    """Whether two objects are equal in every attribute, tensors compared by number."""
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, Coded):
        return type(one) is type(other) and same(vars(one), vars(other))
    return bool(one == other)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        "it's",
        (1, 2.5, float("-inf"), torch.device("cpu"), []),
        {"a": torch.arange(3), "b": {}},
        Count("positives"),
        Auto(memory=1 << 20),
        views(2, N, torch.arange(N), "out", torch.device("cpu")),
        problem(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_spelled_out_can_be_read(value: Any) -> None:
    assert same(decode(encode(value)), value)
    assert not same(decode(encode(value)), [value])


def test_one_tensor_stays_one() -> None:
    (every,) = embeddings(count=1)
    found = decode(encode(assemble(every, every, Cosine(), 1.0, positives=Shifted(N, 0, every.device))))
    assert found.mirrored
    assert found.query is found.key


def test_sizes_and_numbers_are_not_in_the_text() -> None:
    small, large = (encode(Shifted(rows, 0, torch.device("cpu"))) for rows in (3, 5))
    assert small.text == large.text
    assert encode(Softmax(0.1)).text == encode(Softmax(0.2)).text
    assert encode(Softmax(0.1)).real != encode(Softmax(0.2)).real


def test_a_class_defined_again_is_another_one() -> None:
    def define() -> type[Coded]:
        class Mine(Coded):
            pass

        return Mine

    first, second = define(), define()
    assert type(decode(encode(first()))) is first
    assert type(decode(encode(second()))) is second


def test_what_cannot_be_spelled_out_is_refused() -> None:
    class Odd(Coded):
        def __init__(self) -> None:
            self.call = lambda: 0

    with pytest.raises(DTypeError, match=r"function[^\0]*Dense\(\)"):
        encode(Odd())
    assert Spelled("None").tensors == []
    assert isinstance(Dense(), Coded)
