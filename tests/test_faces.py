"""The faces: each equals its function, keeps its settings, and lives as a module among others."""

# N items, D features, T time steps

import copy
import itertools
import math
import pickle
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

import info_nce
from info_nce import functional
from info_nce.checks import ArgumentError
from info_nce.engines import Auto, Dense, Engine, Tiled
from info_nce.losses import Face
from info_nce.similarity import Bilinear, Cosine, DotProduct, NegativeSquaredDistance, Similarity
from tests import needs

f: Any = functional  # batches are unpacked into it, which types cannot follow

N, D, T = 6, 8, 6
STEPS = 2

Batch = list[Any]


def pairs(n: int = N, d: int = D) -> Batch:
    query = torch.randn(n, d)
    return [query, query + 0.5 * torch.randn(n, d)]


def with_shared_negatives(n: int = N, d: int = D) -> Batch:
    return [*pairs(n, d), torch.randn(n + 1, d)]


def with_own_negatives(n: int = N, d: int = D) -> Batch:
    return [*pairs(n, d), torch.randn(n, 3, d)]


def labelled(n: int = N, d: int = D) -> Batch:
    return [torch.randn(n, d), torch.arange(n) // 2]


def sequences(n: int = N, d: int = D) -> Batch:
    return [torch.randn(n, T, d), torch.randn(n, T, d)]


def masked(n: int = N, d: int = D) -> Batch:
    mask = torch.ones(n, T, dtype=torch.bool)
    mask[0, 1] = mask[-1, 3] = False
    return [*sequences(n, d), mask]


def samples(n: int = N, d: int = D) -> Batch:
    return [torch.randn(n), torch.randn(n, d), torch.randn(n), torch.randn(n, d)]


@dataclass(frozen=True)
class Subject:
    """A face, its function, and what goes in.

    Args:
        face: settings to module.
        function: the same loss as a function.
        batch: positional inputs: (n, d) to a list.
        own: settings of its own, none of them the default.
        arguments: what the function needs that the face owns.
    """

    face: Callable[..., Any]
    function: Callable[..., Tensor]
    batch: Callable[..., Batch] = pairs
    own: Mapping[str, Any] = field(default_factory=dict)
    arguments: Callable[[Any], dict[str, Any]] = lambda _: {}
    rows: int = N


def _maps(face: Any) -> dict[str, Any]:
    return {"weight": face.weight, "steps": STEPS}


def _bias(face: Any) -> dict[str, Any]:
    return {"bias": face.bias}


def _cpc(**settings: Any) -> info_nce.CPC:
    return info_nce.CPC(D, D, STEPS, **settings)


def _paired(**settings: Any) -> info_nce.InfoNCE:
    return info_nce.InfoNCE(negative_mode="paired", **settings)


SUBJECTS: dict[str, Subject] = {
    "InfoNCE": Subject(info_nce.InfoNCE, f.info_nce),
    "InfoNCE unpaired": Subject(info_nce.InfoNCE, f.info_nce, with_shared_negatives, {"keep_in_batch": True}),
    "InfoNCE paired": Subject(_paired, partial(f.info_nce, negative_mode="paired"), with_own_negatives),
    "SymmetricInfoNCE": Subject(info_nce.SymmetricInfoNCE, f.symmetric_info_nce),
    "CLIPLoss": Subject(info_nce.CLIPLoss, f.symmetric_info_nce),
    "NTXent": Subject(info_nce.NTXent, f.nt_xent, rows=2 * N),
    "SupCon": Subject(info_nce.SupCon, f.sup_con, labelled, {"inside": True}),
    "DCL": Subject(info_nce.DCL, f.dcl, rows=2 * N),
    "DCLW": Subject(info_nce.DCLW, f.dclw, own={"sigma": 0.3}, rows=2 * N),
    "DebiasedInfoNCE": Subject(info_nce.DebiasedInfoNCE, f.debiased_info_nce, own={"positive_prior": 0.02}, rows=2 * N),
    "HardNegativeInfoNCE": Subject(
        info_nce.HardNegativeInfoNCE, f.hard_negative_info_nce, own={"beta": 0.5, "positive_prior": 0.01}, rows=2 * N
    ),
    "HardNegativeInfoNCE top": Subject(
        info_nce.HardNegativeInfoNCE, f.hard_negative_info_nce, own={"top_k": 3}, rows=2 * N
    ),
    "SigLIP": Subject(info_nce.SigLIP, f.sigmoid_loss, own={"bias": -2.0}, arguments=_bias),
    "RobustInfoNCE": Subject(info_nce.RobustInfoNCE, f.robust_info_nce, own={"q": 0.5, "lam": 0.1}),
    "RetrievalInfoNCE": Subject(
        info_nce.RetrievalInfoNCE,
        f.retrieval_info_nce,
        with_own_negatives,
        {"query_query": False, "document_document": False},
    ),
    "MoCo": Subject(info_nce.MoCo, f.moco, with_shared_negatives),
    "CPC": Subject(_cpc, f.cpc, sequences, {"negatives": "others"}, _maps, rows=N * (2 * T - 3)),
    "Wav2Vec2Contrastive": Subject(
        info_nce.Wav2Vec2Contrastive, f.wav2vec2_contrastive, masked, {"distractors": 4}, rows=N * T - 2
    ),
}
OTHERS: dict[str, Subject] = {
    "NCE": Subject(info_nce.NCE, f.nce, samples),
    "Matryoshka": Subject(lambda **s: info_nce.Matryoshka(info_nce.InfoNCE(**s), (3, D)), f.info_nce),
}
EVERY = SUBJECTS | OTHERS

each_face = pytest.mark.parametrize("name", SUBJECTS)
each_loss = pytest.mark.parametrize("name", EVERY)
ENGINES: list[Engine] = [Dense(), Tiled(4, 3)]
each_engine = pytest.mark.parametrize("engine", ENGINES, ids=str)


def run(loss: Callable[..., Any], batch: Batch, **extra: Any) -> Any:
    """Call a loss; the same distractors are drawn each time."""
    torch.manual_seed(7)
    return loss(*batch, **extra)


def cast(batch: Batch, dtype: torch.dtype, *, grad: bool = False) -> Batch:
    """The same numbers in another type, as leaves; labels, masks and the rest unchanged."""
    return [
        x.detach().to(dtype).requires_grad_(grad) if isinstance(x, Tensor) and x.is_floating_point() else x
        for x in batch
    ]


def leaves(batch: Batch) -> list[Tensor]:
    return [x for x in batch if isinstance(x, Tensor) and x.requires_grad]


def trained(name: str, batch: Batch) -> list[Tensor]:
    """The inputs that the loss has a gradient for: a momentum encoder's keys have none."""
    return leaves(batch)[:1] if name == "MoCo" else leaves(batch)


@each_face
def test_a_face_equals_its_function(name: str) -> None:
    subject = SUBJECTS[name]
    settings: dict[str, Any] = {"temperature": 0.3, "reduction": "none", "engine": Tiled(4, 3)}
    if name not in ("SigLIP", "DCL", "DCLW", "DebiasedInfoNCE", "HardNegativeInfoNCE", "SupCon", "RobustInfoNCE"):
        settings["label_smoothing"] = 0.1
    settings["margin"] = 0.2
    face = subject.face(**settings, **subject.own)
    batch = subject.batch()
    own = {k: v for k, v in subject.own.items() if k not in subject.arguments(face)}
    expected = run(subject.function, batch, **settings, **own, **subject.arguments(face))
    assert_close(run(face, batch), expected, rtol=1e-6, atol=1e-6)


@each_face
def test_the_defaults_of_a_face_and_its_function_agree(name: str) -> None:
    subject = SUBJECTS[name]
    face, batch = subject.face(), subject.batch()
    expected = run(subject.function, batch, **subject.arguments(face))
    assert_close(run(face, batch), expected, rtol=1e-6, atol=1e-6)


def test_the_module_of_nce_equals_its_function() -> None:
    batch = samples()
    assert_close(info_nce.NCE("none")(*batch), f.nce(*batch, reduction="none"))
    assert_close(info_nce.NCE()(*batch, D), f.nce(*batch, D))


def test_matryoshka_is_the_weighted_sum_over_leading_features() -> None:
    query, key = pairs()
    face = info_nce.Matryoshka(info_nce.NTXent(0.3), (2, 5, 8), (0.5, 2.0, 0.0))
    expected = 0.5 * f.nt_xent(query[:, :2], key[:, :2], temperature=0.3)
    expected = expected + 2 * f.nt_xent(query[:, :5], key[:, :5], temperature=0.3)
    assert_close(face(query, key), expected)


DEFAULTS: dict[str, dict[str, Any]] = {
    "InfoNCE": {"temperature": 0.1, "reduction": "mean", "negative_mode": "unpaired", "keep_in_batch": False},
    "SymmetricInfoNCE": {"temperature": 0.07, "learnable": False},
    "CLIPLoss": {"temperature": 0.07, "learnable": True},
    "NTXent": {"temperature": 0.1},
    "SupCon": {"temperature": 0.1, "inside": False},
    "DCL": {"temperature": 0.1},
    "DCLW": {"temperature": 0.1, "sigma": 0.5},
    "DebiasedInfoNCE": {"temperature": 0.5, "positive_prior": 0.1},
    "HardNegativeInfoNCE": {"temperature": 0.5, "beta": 1.0, "positive_prior": 0.1, "top_k": None},
    "SigLIP": {"temperature": 0.1, "bias": -10.0, "learnable": True},
    "RobustInfoNCE": {"temperature": 0.1, "q": 0.1, "lam": 0.01},
    "RetrievalInfoNCE": {"temperature": 0.05, "margin": 0.1, "query_query": True, "document_document": True},
    "MoCo": {"temperature": 0.07},
    "CPC": {"temperature": 1.0, "negatives": "both"},
    "Wav2Vec2Contrastive": {"temperature": 0.1, "distractors": 100},
}
SHARED = {"reduction": "mean", "same_id": "out", "label_smoothing": 0.0, "engine": None, "learnable": False}


@pytest.mark.parametrize("name", DEFAULTS)
def test_defaults_are_those_of_the_paper(name: str) -> None:
    face = SUBJECTS[name].face()
    expected = {"margin": None} | SHARED | DEFAULTS[name]
    for setting, value in expected.items():
        given = getattr(face, setting)
        if isinstance(value, float):
            assert_close(float(torch.as_tensor(given).detach()), value, rtol=1e-6, atol=0)
        else:
            assert given == value, setting
    assert type(face.similarity) is (DotProduct if name == "CPC" else Cosine)


def test_cpc_looks_twelve_steps_ahead_and_the_queue_holds_65536_keys() -> None:
    assert info_nce.CPC(2, 2).steps == 12
    assert info_nce.CPC(3, 4).weight.shape == (12, 3, 4)
    assert info_nce.KeyQueue(1).size == 65_536
    assert info_nce.MomentumEncoder(nn.Linear(1, 1)).momentum == 0.999


@each_loss
def test_a_face_names_its_source(name: str) -> None:
    source = EVERY[name].face().source
    assert any(str(year) in source for year in range(2009, 2027)), source


@each_face
def test_printing_a_face_shows_every_setting(name: str) -> None:
    settings: dict[str, Any] = {"reduction": "sum", "margin": 0.25, "engine": Tiled(4, 3), "same_id": "out"}
    face = SUBJECTS[name].face(**settings, temperature=0.375, **SUBJECTS[name].own)
    text = repr(face)
    assert text.startswith(type(face).__name__ + "(")
    for setting, value in ({"temperature": 0.375} | settings | dict(SUBJECTS[name].own)).items():
        shown = f"{value:.4g}" if setting == "bias" else value
        assert f"{setting}={shown}" in text
    assert "similarity" in text


SHOWN: dict[str, Callable[[], Any]] = {
    "margin=0.0": lambda: info_nce.InfoNCE(margin=0.0),
    "query_query=False": lambda: info_nce.RetrievalInfoNCE(query_query=False),
    "margin=None": lambda: info_nce.RetrievalInfoNCE(margin=None),
    "beta=0.0": lambda: info_nce.HardNegativeInfoNCE(beta=0.0),
    "positive_prior=0.0": lambda: info_nce.DebiasedInfoNCE(positive_prior=0.0),
    "temperature=tensor(3,)": lambda: info_nce.InfoNCE(torch.full((3,), 0.1)),
    "temperature=0.07, learnable": info_nce.CLIPLoss,
    "widths=(2, 4)": lambda: info_nce.Matryoshka(info_nce.InfoNCE(), (2, 4)),
    "reduction=mean": info_nce.NCE,
    "bias=-10": info_nce.SigLIP,
}


@pytest.mark.parametrize("words", SHOWN)
def test_a_setting_that_is_off_is_shown_where_that_is_not_the_default(words: str) -> None:
    assert words in repr(SHOWN[words]())


# ---- temperature


@each_face
@each_engine
def test_the_gradient_of_a_learned_temperature_equals_finite_differences(name: str, engine: Engine) -> None:
    subject = SUBJECTS[name]
    face = subject.face(temperature=0.4, learnable=True, engine=engine).double()
    batch = cast(subject.batch(), torch.float64)
    run(face, batch).backward()
    values = []
    for step in (1e-5, -2e-5, 1e-5):
        with torch.no_grad():
            face.log_scale += step
            values.append(run(face, batch))
    assert_close(face.log_scale.grad, (values[0] - values[1])[None] / 2e-5, rtol=1e-5, atol=1e-7)
    assert face.log_scale.grad.abs() > 1e-6


@each_engine
def test_a_temperature_is_learned_through_a_similarity_of_ones_own_too(engine: Engine) -> None:
    class Own(Similarity):
        def forward(self, query: Tensor, key: Tensor) -> Tensor:
            return -(query[:, None] - key).abs().sum(-1)

    face = info_nce.InfoNCE(0.7, learnable=True, similarity=Own(), engine=engine).double()
    batch = cast(pairs(), torch.float64)
    assert torch.autograd.gradcheck(
        lambda scale: torch.func.functional_call(face, {"log_scale": scale}, tuple(batch)),
        face.log_scale.detach().requires_grad_(),
    )


@each_face
def test_a_learned_temperature_trains_and_a_fixed_one_has_no_parameter(name: str) -> None:
    subject = SUBJECTS[name]
    assert "log_scale" in dict(subject.face(learnable=True).named_parameters())
    assert "log_scale" not in dict(subject.face(learnable=False).named_parameters())
    face = subject.face(temperature=0.5, learnable=True)
    optimizer = torch.optim.SGD(face.parameters(), lr=0.01)
    batch = subject.batch()
    before = run(face, batch)
    before.backward()
    optimizer.step()
    assert run(face, batch) < before
    assert float(face.temperature.detach()) != pytest.approx(0.5, abs=1e-7)


def test_clamping_happens_only_when_asked_for_and_keeps_the_scale_at_most_100() -> None:
    face: Any = info_nce.CLIPLoss()
    batch = pairs()
    with torch.no_grad():
        face.log_scale.fill_(math.log(250))
    unclamped = f.symmetric_info_nce(*batch, 1 / 250)
    assert_close(face(*batch), unclamped, rtol=1e-5, atol=1e-5)
    assert_close(face.log_scale.exp().item(), 250.0, rtol=1e-5, atol=0)
    face.clamp_temperature()
    assert_close(face.log_scale.exp().item(), 100.0, rtol=1e-6, atol=0)
    assert_close(face(*batch), f.symmetric_info_nce(*batch, 0.01), rtol=1e-5, atol=1e-5)


def test_clamping_leaves_a_temperature_within_the_bounds_alone() -> None:
    face: Any = info_nce.CLIPLoss(0.3)
    before = face.log_scale.detach().clone()
    face.clamp_temperature()
    assert_close(face.log_scale.detach(), before, rtol=0, atol=0)
    fixed = info_nce.InfoNCE(0.001)
    fixed.clamp_temperature()
    assert fixed.temperature == 0.001


def test_the_gradient_is_alive_at_the_bound() -> None:
    face: Any = info_nce.CLIPLoss(0.001)
    face.clamp_temperature()
    query, key = pairs()
    for value in (query, -query):  # both ways: towards a harder and towards a softer comparison
        face.log_scale.grad = None
        face(value, key).backward()
        assert face.log_scale.grad is not None
        assert face.log_scale.grad.abs() > 0


def test_sigmoid_loss_is_not_clamped_as_in_its_paper() -> None:
    face: Any = info_nce.SigLIP(0.001)
    face.clamp_temperature()
    assert_close(face.temperature.item(), 0.001, rtol=1e-5, atol=0)


@each_face
def test_a_schedule_sets_the_temperature(name: str) -> None:
    subject = SUBJECTS[name]
    batch = subject.batch()
    for learnable in (False, True):
        face = subject.face(temperature=0.5, learnable=learnable)
        state = face.state_dict()
        for temperature in (0.2, torch.tensor(0.3)):
            face.temperature = temperature
            fresh = subject.face(temperature=float(temperature), learnable=learnable)
            fresh.load_state_dict({k: v for k, v in state.items() if k != "log_scale"}, strict=False)
            assert_close(run(face, batch), run(fresh, batch), rtol=1e-5, atol=1e-5)


@each_engine
def test_a_parameter_as_temperature_is_trained_and_moves_with_the_module(engine: Engine) -> None:
    temperature = nn.Parameter(torch.tensor(0.2))
    face = info_nce.InfoNCE(temperature, engine=engine)
    assert any(parameter is temperature for parameter in face.parameters())
    assert list(face.state_dict()) == ["given_temperature"]
    face.double()
    batch = cast(pairs(), torch.float64)
    assert torch.autograd.gradcheck(
        lambda value: f.info_nce(*batch, temperature=value, engine=engine),
        temperature.detach().double().requires_grad_(),
    )
    face(*batch).backward()
    assert temperature.grad is not None
    assert temperature.grad.abs() > 0


def test_a_parameter_set_as_temperature_after_building_is_trained() -> None:
    face = info_nce.InfoNCE(temperature=0.5)
    first, second = nn.Parameter(torch.tensor(0.25)), nn.Parameter(torch.tensor(0.2))
    for temperature in (first, second):  # the second takes the place of the first
        face.temperature = temperature
        assert list(face.parameters()) == [temperature]
        q, k = pairs()
        assert_close(face(q, k), f.info_nce(q, k, temperature=temperature.item()))
        assert torch.autograd.grad(face(q, k), temperature)[0] != 0
    face.temperature = 0.1  # a schedule moves it
    assert list(face.parameters()) == [second]
    assert_close(second.detach(), torch.tensor(0.1))
    with pytest.raises(ArgumentError, match=r"learns a temperature of its own(.|\n)*learnable=False"):
        info_nce.CLIPLoss().temperature = first


def test_a_schedule_may_set_a_parameter_given_as_temperature() -> None:
    temperature = nn.Parameter(torch.tensor(0.2))
    face = info_nce.InfoNCE(temperature)
    face.temperature = 0.4
    batch = pairs()
    assert_close(face(*batch), f.info_nce(*batch, temperature=0.4))
    face.temperature = torch.tensor(0.6)
    assert_close(face(*batch), f.info_nce(*batch, temperature=0.6))


@each_engine
def test_one_temperature_per_query_has_a_gradient_per_query(engine: Engine) -> None:
    batch = cast(pairs(), torch.float64)
    temperature = torch.rand(N, dtype=torch.float64) + 0.2
    face = info_nce.InfoNCE(temperature.requires_grad_(), reduction="none", engine=engine)
    each = enumerate(temperature.tolist())
    expected = torch.stack([f.info_nce(*batch, temperature=t, reduction="none")[i] for i, t in each])
    assert_close(face(*batch), expected)
    assert torch.autograd.gradcheck(lambda t: f.info_nce(*batch, temperature=t, engine=engine), temperature)


# ---- a module among modules


@each_loss
def test_a_face_survives_pickling_and_copying(name: str) -> None:
    face, batch = EVERY[name].face(), EVERY[name].batch()
    expected = run(face, batch)
    for other in (pickle.loads(pickle.dumps(face)), copy.deepcopy(face)):  # noqa: S301 - our own
        assert type(other) is type(face)
        assert repr(other) == repr(face)
        assert_close(run(other, batch), expected, rtol=0, atol=0)


def test_a_copy_learns_its_own_temperature() -> None:
    face: Any = info_nce.CLIPLoss()
    other = copy.deepcopy(face)
    other.temperature = 0.5
    assert_close(face.temperature.item(), 0.07, rtol=1e-6, atol=0)


@each_face
def test_the_state_restores_what_was_learned(name: str) -> None:
    subject = SUBJECTS[name]
    face, fresh = subject.face(temperature=0.31, learnable=True), subject.face(temperature=0.9, learnable=True)
    assert set(face.state_dict()) == {key for key, _ in face.named_parameters()}
    fresh.load_state_dict(face.state_dict())
    batch = subject.batch()
    assert_close(run(fresh, batch), run(face, batch), rtol=0, atol=0)


def test_the_state_holds_the_parameters_of_the_similarity() -> None:
    face = info_nce.InfoNCE(similarity=Bilinear(3, 4))
    assert list(face.state_dict()) == ["similarity.weight"]


@each_loss
def test_a_double_face_computes_in_double_and_a_half_one_in_single(name: str) -> None:
    subject = EVERY[name]
    settings = {} if name == "NCE" else {"learnable": True}
    batch = subject.batch()
    face = subject.face(**settings)
    single = run(face, batch)
    double = run(face.double(), cast(batch, torch.float64))
    assert double.dtype == torch.float64
    assert_close(single.double(), double, rtol=1e-4, atol=1e-4)
    for dtype in (torch.float16, torch.bfloat16):
        half = run(face.to(dtype), cast(batch, dtype))
        assert half.dtype == torch.float32
        assert torch.isfinite(half)
        assert_close(half.double(), double, rtol=0.2, atol=0.2)


def test_a_learned_temperature_in_half_precision_is_read_in_single() -> None:
    face: Any = info_nce.CLIPLoss(0.013).bfloat16()
    assert_close(face.temperature.float(), torch.exp(-face.log_scale.float()).squeeze(), rtol=1e-6, atol=0)


@each_loss
def test_the_loss_has_the_dtype_of_the_inputs_but_at_least_single(name: str) -> None:
    subject = EVERY[name]
    for dtype, expected in (
        (torch.float64, torch.float64),
        (torch.float32, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float16, torch.float32),
    ):
        batch = cast(subject.batch(), dtype, grad=True)
        loss = run(subject.face(**subject.own) if name in SUBJECTS else subject.face(), batch)
        assert loss.dtype == expected
        loss.backward()
        assert {leaf.grad.dtype for leaf in trained(name, batch) if leaf.grad is not None} == {dtype}


@each_loss
def test_reductions_have_their_shapes(name: str) -> None:
    subject = EVERY[name]
    for reduction, shape in (("none", (subject.rows,)), ("mean", ()), ("sum", ())):
        face = subject.face(reduction=reduction, **subject.own)
        assert run(face, subject.batch()).shape == shape


def test_a_face_works_where_nothing_is_trained() -> None:
    for name, mode in itertools.product(EVERY, (torch.no_grad, torch.inference_mode)):
        batch = EVERY[name].batch()
        face = EVERY[name].face(**EVERY[name].own)
        expected = run(face, batch).detach()
        with mode():
            loss = run(face, [x.clone() if isinstance(x, Tensor) else x for x in batch])
        assert not loss.requires_grad
        assert_close(loss.clone(), expected, rtol=1e-6, atol=1e-6)


def test_supcon_keeps_how_many_rows_it_left_out() -> None:
    assert info_nce.SupCon().queries_without_positive is None
    face: Any = info_nce.SupCon()
    for labels, left_out in (([0, 0, 1, 2, 2], 1), ([0, 0, 1, 1], 0)):
        face(torch.randn(len(labels), D), torch.tensor(labels))
        assert int(face.queries_without_positive) == left_out


# ---- gradients of gradients, mixed precision, compiling


@each_loss
def test_a_gradient_penalty_is_the_same_on_every_engine(name: str) -> None:
    subject = EVERY[name]
    if name == "NCE":
        pytest.skip("its face takes no engine; the function's double backward is tested with the others")
    found: list[Any] = []
    for engine in ENGINES:
        batch = cast(subject.batch(), torch.float64, grad=True) if not found else found[0][0]
        face = copy.deepcopy(subject.face(engine=engine, temperature=0.5, **subject.own))
        if name == "CPC":
            nn.init.constant_(face.weight, 0.1)
        face.double()
        inputs = trained(name, batch)
        slopes = torch.autograd.grad(run(face, batch), inputs, create_graph=True)
        penalty = torch.stack([slope.square().sum() for slope in slopes]).sum()
        found.append((batch, penalty, torch.autograd.grad(penalty, inputs)))
    (_, dense, dense_slopes), (_, tiled, tiled_slopes) = found
    assert_close(tiled, dense, rtol=1e-9, atol=1e-12)
    for one, other in zip(tiled_slopes, dense_slopes, strict=True):
        assert_close(one, other, rtol=1e-9, atol=1e-12)
        assert other.abs().max() > 0


HALF = torch.bfloat16
PRECISE = [name for name in SUBJECTS if name not in ("InfoNCE unpaired", "HardNegativeInfoNCE top")]


def gradient(face: Any, name: str, batch: Batch, *, autocast: bool = False) -> Tensor:
    with torch.autocast("cpu", dtype=HALF, enabled=autocast):
        loss = run(face, batch)
    inputs = trained(name, batch)
    return torch.cat([g.double().flatten() for g in torch.autograd.grad(loss, inputs)])


@pytest.mark.parametrize("name", PRECISE)
@pytest.mark.parametrize("temperature", [0.1, 0.01])
def test_the_gradient_under_autocast_is_as_exact_as_the_inputs_allow(name: str, temperature: float) -> None:
    """Against float64 on the same bfloat16 inputs: no worse than dense, and dense within one rounding of the result."""
    subject = SUBJECTS[name]
    if name == "RobustInfoNCE":
        temperature *= 10  # its powers leave float32 at 0.01
    rounded = cast(subject.batch(4 if name == "CPC" else 16), HALF, grad=True)
    errors, largest = {}, 1.0
    for engine in ENGINES:
        face = subject.face(temperature=temperature, engine=engine, **subject.own)
        if name == "CPC":
            nn.init.constant_(face.weight, 0.0625)  # exact in bfloat16
        low = gradient(face, name, rounded, autocast=True)
        truth = gradient(face.double(), name, cast(rounded, torch.float64, grad=True))
        largest = float(truth.abs().max())
        errors[str(engine)] = float((low - truth).abs().max())
    dense, tiled = (errors[str(engine)] for engine in ENGINES)
    assert tiled <= dense + 1e-3 * largest + 2**-20 / temperature
    assert dense <= 2**-8 * largest + 2**-20 / temperature  # the gradient itself is returned in bfloat16


@pytest.mark.parametrize("temperature", [0.1, 0.01])
def test_logits_in_half_precision_would_be_noticed(temperature: float) -> None:
    """The wrong sibling: the usual dense loss, whose product autocast makes half."""
    rounded = cast(pairs(16, D), HALF, grad=True)

    def usual(query: Tensor, key: Tensor) -> Tensor:
        query, key = nn.functional.normalize(query), nn.functional.normalize(key)
        return nn.functional.cross_entropy(query @ key.T / temperature, torch.arange(len(query)))

    low = gradient(usual, "", rounded, autocast=True)
    truth = gradient(usual, "", cast(rounded, torch.float64, grad=True))
    assert (low - truth).abs().max() > 2**-8 * truth.abs().max()


@each_loss
def test_autocast_changes_nothing_about_single_precision(name: str) -> None:
    subject = EVERY[name]
    batch = subject.batch()
    face = subject.face(**subject.own) if name in SUBJECTS else subject.face()
    expected = run(face, batch)
    with torch.autocast("cpu", dtype=HALF):
        inside = run(face, batch)
    assert inside.dtype == torch.float32
    assert_close(inside, expected, rtol=0, atol=0)


@pytest.mark.parametrize("similarity", [Bilinear(D, D), NegativeSquaredDistance(), DotProduct()], ids=repr)
def test_logits_stay_in_single_precision_under_autocast(
    similarity: Similarity, monkeypatch: pytest.MonkeyPatch
) -> None:
    from info_nce.scores import ScoreMatrix

    seen: set[torch.dtype] = set()
    logits = ScoreMatrix.logits

    def watched(self: ScoreMatrix, pieces: dict[str, Tensor]) -> Tensor:
        found = logits(self, pieces)
        seen.add(found.dtype)
        return found

    monkeypatch.setattr(ScoreMatrix, "logits", watched)
    with torch.autocast("cpu", dtype=HALF):
        for engine in ENGINES:
            batch = cast(pairs(), HALF, grad=True)
            info_nce.InfoNCE(similarity=similarity, engine=engine)(*batch).backward()
    assert seen == {torch.float32}


@pytest.fixture
def _compiler() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


# how many steps are masked is known only while running, so its shapes cannot be compiled without a break
COMPILED = [name for name in EVERY if name != "Wav2Vec2Contrastive"]


def compiled_equals_plain(name: str, backend: str, engine: Engine) -> None:
    subject = EVERY[name]
    settings: dict[str, Any] = {"learnable": True, "engine": engine} if name in SUBJECTS else {}
    face = subject.face(**subject.own, **settings)
    batch = cast(subject.batch(), torch.float32, grad=True)
    expected = run(face, batch)
    compiled = run(torch.compile(face, fullgraph=True, backend=backend), batch)
    assert_close(compiled, expected, rtol=1e-5, atol=1e-5)
    wanted = [*trained(name, batch), *face.parameters()]
    for one, other in zip(torch.autograd.grad(compiled, wanted), torch.autograd.grad(expected, wanted), strict=True):
        assert_close(one, other, rtol=1e-4, atol=1e-5)


each_compiled_engine = pytest.mark.parametrize("engine", [Dense(), Tiled(3, 2), Tiled()], ids=repr)


@needs.compiler
@pytest.mark.usefixtures("_compiler")
@pytest.mark.parametrize("name", COMPILED)
@each_compiled_engine
def test_a_face_compiles_without_a_graph_break(name: str, engine: Engine) -> None:
    compiled_equals_plain(name, "aot_eager", engine)


@pytest.mark.usefixtures("_compiler")
def test_the_face_that_breaks_the_graph_computes_the_same_and_says_so() -> None:
    face, batch = info_nce.Wav2Vec2Contrastive(distractors=3), EVERY["Wav2Vec2Contrastive"].batch()
    expected = run(face, batch)
    with pytest.raises(torch._dynamo.exc.TorchDynamoException):
        run(torch.compile(face, backend="eager", fullgraph=True), batch)
    torch._dynamo.reset()
    assert_close(run(torch.compile(face, backend="eager"), batch), expected)
    assert "fullgraph=True" in (type(face).__doc__ or "")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the compiler's own
@needs.compiler
@pytest.mark.usefixtures("_compiler")
@pytest.mark.parametrize("name", COMPILED)
@each_compiled_engine
def test_a_face_compiles_to_machine_code(name: str, engine: Engine) -> None:
    compiled_equals_plain(name, "inductor", engine)


@needs.compiler
@pytest.mark.usefixtures("_compiler")
@pytest.mark.parametrize("option", ["ids", "guide", "log_q", "margin", "label_smoothing", "temperature"])
def test_the_shared_options_compile_without_a_graph_break(option: str) -> None:
    query, key = pairs()
    value: dict[str, Any] = {
        "ids": torch.arange(N) // 2,
        "guide": tuple(pairs()),
        "log_q": torch.randn(N),
        "margin": 0.1,
        "label_smoothing": 0.1,
        "temperature": torch.rand(N) + 0.1,
    }

    def loss(query: Tensor, key: Tensor, given: Any) -> Any:
        return f.info_nce(query, key, **{option: given})

    compiled = torch.compile(loss, fullgraph=True, backend="eager")(query, key, value[option])
    assert_close(compiled, loss(query, key, value[option]))


def test_every_exported_face_is_in_the_table() -> None:
    exported = {
        name for name in info_nce.__all__ if isinstance(getattr(info_nce, name), type) and name[0].isupper()
    } - {"KeyQueue", "MomentumEncoder"}
    assert exported == {name.split(" ")[0] for name in EVERY}
    assert all(issubclass(getattr(info_nce, name.split(" ")[0]), Face) for name in SUBJECTS)
    assert isinstance(Auto(), Engine)
