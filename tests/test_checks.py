"""What cannot be meant is refused in three lines; what is extreme is computed; what is not finite stays visible."""

# N queries, M keys, D features

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

import info_nce as package
from info_nce.checks import ArgumentError, DeviceError, DTypeError, ShapeError, finite
from info_nce.engines import Dense, Engine, Tiled
from info_nce.losses import Options
from info_nce.objectives import Debiased, Robust, Softmax
from info_nce.pairing import Partner
from info_nce.similarity import Bilinear, Cosine, DotProduct, InnerProduct, NegativeSquaredDistance, Similarity
from info_nce.views import views_from_interleaved, views_from_stacked
from tests.test_faces import EVERY, SUBJECTS, Batch, D, N, T, cast, leaves, pairs, run, trained

# wrong on purpose: types would refuse half of this file before it runs
info_nce: Any = package
f: Any = package.functional

NAN, INF = float("nan"), float("inf")
ENGINES: list[Engine] = [Dense(), Tiled(4, 3)]
each_engine = pytest.mark.parametrize("engine", ENGINES, ids=str)
each_face = pytest.mark.parametrize("name", SUBJECTS)
each_loss = pytest.mark.parametrize("name", EVERY)

Call = Callable[..., object]


def refuses(kind: type[Exception], call: Call, *words: str) -> None:
    """The call raises this kind, and the text says what, what was got, what was expected, and what to try."""
    with pytest.raises(kind) as caught:
        call()
    assert type(caught.value) is kind
    lines = str(caught.value).splitlines()
    assert [line[:12] for line in lines[-3:]] == ["  got       ", "  expected  ", "  try       "]
    assert all(len(line) > 12 for line in lines)
    for word in words:
        assert word in str(caught.value)


def call(name: str, batch: Batch | None = None, **options: Any) -> Any:
    """The function of a face with that face's own settings."""
    subject = SUBJECTS[name]
    face = subject.face()
    settings = {k: v for k, v in subject.own.items() if k != "bias"} | subject.arguments(face)
    return run(subject.function, subject.batch() if batch is None else batch, **settings, **options)


# ---- the drop-in: the seven ValueErrors of info-nce-pytorch

_generator = torch.Generator().manual_seed(1)
q, k = torch.randn(2, N, D, generator=_generator)
z = torch.randn(N, T, D, generator=_generator), torch.randn(N, T, D, generator=_generator)

SEVEN: dict[str, tuple[Batch, str, list[str]]] = {
    "query has 2 dimensions": ([q[0], k], "unpaired", ["query", "2 dimensions", "query (8,)"]),
    "positive_key has 2 dimensions": ([q, k[None]], "unpaired", ["positive_key", "2 dimensions", "(1, 6, 8)"]),
    "unpaired negatives have 2": ([q, k, torch.randn(N, 3, D)], "unpaired", ["negative_keys", "2 dimensions"]),
    "paired negatives have 3": ([q, k, torch.randn(3, D)], "paired", ["negative_keys", "3 dimensions"]),
    "one key for each query": ([q, k[:-1]], "unpaired", ["query (6, 8)", "positive_key (5, 8)", "drop_last"]),
    "paired negatives for each query": ([q, k, torch.randn(N + 1, 3, D)], "paired", ["negative_keys", "(7, 3, 8)"]),
    "positive_key of the same width": ([q, k[:, 1:]], "unpaired", ["number of components", "positive_key (6, 7)"]),
    "negative_keys of the same width": ([q, k, k[:, 1:]], "unpaired", ["number of components", "(6, 7)"]),
}


@pytest.mark.parametrize("case", SEVEN)
def test_the_value_errors_of_info_nce_pytorch_are_value_errors_here(case: str) -> None:
    batch, mode, words = SEVEN[case]
    for loss in (info_nce.InfoNCE(negative_mode=mode), lambda *a: f.info_nce(*a, negative_mode=mode)):
        with pytest.raises(ValueError):  # noqa: PT011 - the words are looked at below
            loss(*batch)
        refuses(ShapeError, lambda loss=loss: loss(*batch), *words)


def test_errors_are_kinds_of_the_errors_that_others_catch() -> None:
    assert issubclass(ShapeError, ValueError)
    assert issubclass(DeviceError, ValueError)
    assert issubclass(ArgumentError, ValueError)
    assert issubclass(DTypeError, TypeError)


# ---- temperature

NUMBERS = {"zero": 0, "negative": -0.1, "nan": NAN, "infinite": INF, "minus infinity": -INF}
NO_NUMBERS = {"bool": True, "text": "0.1", "none": None, "list": [0.1], "complex": 1j}


@each_face
@pytest.mark.parametrize("value", [*NUMBERS.values(), *NO_NUMBERS.values()], ids=[*NUMBERS, *NO_NUMBERS])
def test_a_temperature_that_is_no_positive_number_is_refused_everywhere(name: str, value: object) -> None:
    kind = ArgumentError if value in NUMBERS.values() and not isinstance(value, bool) else DTypeError
    words = ["temperature"] if kind is ArgumentError else ["temperature", "number"]
    refuses(kind, lambda: call(name, temperature=value), *words)
    for learnable in (False, True):
        refuses(kind, lambda on=learnable: SUBJECTS[name].face(temperature=value, learnable=on), *words)
        face = SUBJECTS[name].face(learnable=learnable)
        refuses(kind, lambda face=face: setattr(face, "temperature", value), *words)


TENSORS = {
    "zero": (torch.tensor(0.0), ArgumentError),
    "negative": (torch.tensor(-1.0), ArgumentError),
    "one entry is zero": (torch.cat([torch.ones(N - 1), torch.zeros(1)]), ArgumentError),
    "scales columns": (torch.ones(1, N), ShapeError),
    "square": (torch.ones(N, N), ShapeError),
    "empty": (torch.ones(0), ShapeError),
    "per nothing": (torch.ones(N + 1), ShapeError),
}


@each_face
@pytest.mark.parametrize("case", TENSORS)
def test_a_tensor_that_is_no_temperature_is_refused_everywhere(name: str, case: str) -> None:
    temperature, kind = TENSORS[case]
    if name in ("SupCon", "Wav2Vec2Contrastive") and case == "one entry is zero":
        temperature = torch.cat([torch.ones(SUBJECTS[name].rows - 1), torch.zeros(1)])
    several = name == "CPC" and case == "one entry is zero"  # it takes one temperature for all
    refuses(ShapeError if several else kind, lambda: call(name, temperature=temperature), "temperature")
    refuses(
        kind,
        lambda: SUBJECTS[name].face(temperature=temperature, learnable=False)(*SUBJECTS[name].batch()),
        "temperature",
    )


EXTREMES: dict[str, tuple[Any, str]] = {
    "1 / it is infinite": (1e-320, "too extreme"),
    "the square of 1 / it is infinite": (1e-20, "too extreme"),
    "its square is infinite": (1e20, "too extreme"),
    "no float": (10**400, "out of range"),
    "no float, and too long to be shown": (10**5000, "out of range"),
    "no float, and negative": (-(10**400), "out of range"),
    "a tensor of infinity": (torch.tensor(INF), "too extreme"),
    "a tensor whose inverse is infinite": (torch.tensor(1e-40), "too extreme"),
    "a double whose inverse is infinite": (torch.tensor(1e-320, dtype=torch.float64), "too extreme"),
    "one of many is infinite": (torch.tensor([1.0] * (N - 1) + [INF]), "too extreme"),
}


@pytest.mark.parametrize("case", EXTREMES)
@pytest.mark.parametrize("engine", [None, *ENGINES], ids=str)
def test_a_temperature_that_overflows_is_refused(case: str, engine: Engine | None) -> None:
    value, words = EXTREMES[case]
    refuses(ArgumentError, lambda: f.info_nce(q, k, temperature=value, engine=engine), "temperature", words)
    refuses(ArgumentError, lambda: info_nce.InfoNCE(temperature=value), "temperature", words)
    if not isinstance(value, Tensor) or value.numel() == 1:
        refuses(ArgumentError, lambda: info_nce.InfoNCE(temperature=value, learnable=True), "temperature")


@pytest.mark.parametrize("temperature", [1e-19, 1e19])
@pytest.mark.parametrize("kind", [float, torch.tensor])
def test_the_most_extreme_temperatures_have_finite_losses_and_gradients(temperature: float, kind: Any) -> None:
    inputs = [q.clone().requires_grad_(), k.clone().requires_grad_()]
    given = kind(temperature)
    if kind is not float:
        inputs.append(given.requires_grad_())
    loss = f.info_nce(*inputs[:2], temperature=given)
    assert all(x.isfinite().all() for x in (loss, *torch.autograd.grad(loss, inputs)))
    assert f.info_nce(q.double(), k.double(), temperature=temperature * temperature).isfinite()


def test_a_row_vector_of_temperatures_is_named_as_the_mistake_it_is() -> None:
    refuses(ShapeError, lambda: f.info_nce(q, k, temperature=torch.ones(1, N)), "row vector")


@pytest.mark.parametrize("value", [1, np.float32(0.25), np.float64(0.25), torch.tensor(0.25), torch.tensor([0.25])])
def test_numbers_of_other_libraries_are_temperatures(value: Any) -> None:
    assert_close(f.info_nce(q, k, temperature=value), f.info_nce(q, k, temperature=float(value)))


def test_a_temperature_per_query_scales_rows_and_never_columns() -> None:
    temperature = torch.linspace(0.1, 0.9, N)
    expected = [f.info_nce(q, k, temperature=float(t), reduction="none")[i] for i, t in enumerate(temperature)]
    for shape in ((N,), (N, 1)):
        found = f.info_nce(q, k, temperature=temperature.reshape(shape), reduction="none")
        assert_close(found, torch.stack(expected))


@each_face
def test_a_temperature_tensor_of_nan_comes_out_as_nan(name: str) -> None:
    assert call(name, temperature=torch.tensor(NAN)).isnan()


# ---- words


@each_loss
def test_an_unknown_reduction_is_refused(name: str) -> None:
    for word in ("avg", "Mean", None, 1, True):
        refuses(ArgumentError, lambda word=word: EVERY[name].face(reduction=word), "reduction", repr(word))
        if name in SUBJECTS:
            refuses(ArgumentError, lambda word=word: call(name, reduction=word), "'mean' or 'sum' or 'none'")
    if name == "NCE":
        refuses(ArgumentError, lambda: f.nce(*EVERY[name].batch(), reduction="avg"), "reduction")


@each_face
def test_an_unknown_same_id_is_refused(name: str) -> None:
    refuses(ArgumentError, lambda: SUBJECTS[name].face(same_id="left"), "same_id", "'out' or 'positive'")
    refuses(ArgumentError, lambda: call(name, same_id="left"), "same_id")


@each_face
@pytest.mark.parametrize("engine", ["tiled", Tiled, 4], ids=repr)
def test_an_engine_that_is_none_is_refused(name: str, engine: object) -> None:
    refuses(ArgumentError, lambda: SUBJECTS[name].face(engine=engine), "engine", "Tiled()")
    for options in ({}, {"margin": 0.1}):
        refuses(ArgumentError, lambda options=options: call(name, engine=engine, **options), "engine")


NO_SIMILARITIES = {
    "name": "cosine",
    "class": Cosine,
    "function": torch.cosine_similarity,
    "module": nn.CosineSimilarity(),
    "none": None,
}


@each_face
@pytest.mark.parametrize("similarity", NO_SIMILARITIES.values(), ids=NO_SIMILARITIES)
def test_a_similarity_that_is_none_is_refused(name: str, similarity: object) -> None:
    refuses(DTypeError, lambda: SUBJECTS[name].face(similarity=similarity), "similarity", "Cosine()")
    refuses(DTypeError, lambda: call(name, similarity=similarity), "similarity")


def test_an_unknown_negative_mode_is_refused_with_and_without_negatives() -> None:
    for mode in ("both", None, "Paired"):
        refuses(ArgumentError, lambda mode=mode: info_nce.InfoNCE(negative_mode=mode), "negative_mode")
        for batch in ([q, k], [q, k, k]):
            refuses(
                ArgumentError,
                lambda batch=batch, mode=mode: f.info_nce(*batch, negative_mode=mode),
                "negative_mode",
                "'unpaired' or 'paired'",
            )


def test_unknown_negatives_of_cpc_are_refused() -> None:
    refuses(ArgumentError, lambda: info_nce.CPC(2, 2, negatives="all"), "negatives", "'both'")
    refuses(ArgumentError, lambda: f.cpc(*z, torch.randn(1, D, D), 1, "all"), "negatives")


@each_loss
def test_an_unknown_keyword_is_a_type_error(name: str) -> None:
    with pytest.raises(TypeError, match="tau"):
        EVERY[name].face(tau=0.1)
    with pytest.raises(TypeError, match="tau"):
        run(EVERY[name].face(), EVERY[name].batch(), tau=0.1)
    with pytest.raises(TypeError, match="tau"):
        call(name, tau=0.1) if name in SUBJECTS else run(EVERY[name].function, EVERY[name].batch(), tau=0.1)


@each_face
@pytest.mark.parametrize("option", ["ids", "guide", "log_q"])
def test_what_goes_with_a_batch_is_no_setting_of_a_face(name: str, option: str) -> None:
    with pytest.raises(TypeError, match=option):
        SUBJECTS[name].face(**{option: torch.zeros(N)})


@each_face
def test_a_setting_is_given_once(name: str) -> None:
    with pytest.raises(TypeError):
        run(SUBJECTS[name].face(), SUBJECTS[name].batch(), margin=0.1)


@pytest.mark.parametrize("option", ["keep_in_batch", "negative_ids", "negative_mode"])
def test_moco_does_not_pass_options_of_info_nce_on(option: str) -> None:
    with pytest.raises(TypeError, match="moco.*" + option):
        f.moco(q, k, torch.randn(7, D), **{option: True})


# ---- tensors


@each_loss
def test_a_batch_of_nothing_is_refused(name: str) -> None:
    face, batch = EVERY[name].face(), EVERY[name].batch()
    refuses(ShapeError, lambda: face(*[x[:0] for x in batch]), "empty")
    refuses(ShapeError, lambda: face(*[x[..., :0] if x.is_floating_point() else x for x in batch]))


def replacements(tensor: Tensor) -> dict[str, tuple[object, type[Exception]]]:
    """What may stand in the place of a tensor by mistake, and the error that says so."""
    wrong: dict[str, tuple[object, type[Exception]]] = {
        "list": (tensor.tolist(), DTypeError),
        "none": (None, DTypeError),
        "array": (tensor.numpy(), DTypeError),
        "complex": (tensor.to(torch.complex64), DTypeError),
        "meta": (tensor.to("meta"), DeviceError),
        "more dimensions": (tensor[None], ShapeError),
        "no dimensions": (tensor.flatten()[0], ShapeError),
    }
    if tensor.is_floating_point():
        wrong |= {"integers": (tensor.long(), DTypeError), "double": (tensor.double(), DTypeError)}
    else:
        wrong |= {"floats": (tensor.float(), DTypeError), "shorter": (tensor[:-1], ShapeError)}
    return wrong


@each_loss
def test_what_is_not_the_right_tensor_is_refused_in_every_place(name: str) -> None:
    for place, tensor in enumerate(EVERY[name].batch()):
        for case, (wrong, kind) in replacements(tensor).items():
            if wrong is None and place == 2 and name in ("InfoNCE unpaired", "InfoNCE paired", "RetrievalInfoNCE"):
                continue  # explicit negatives may be left out
            batch = EVERY[name].batch()
            batch[place] = wrong
            face = EVERY[name].face()
            if name == "SupCon" and place == 0 and case == "double":
                continue  # one tensor alone has no other to disagree with
            with pytest.raises((ShapeError, DTypeError, DeviceError)) as caught:
                run(face, batch)
            assert type(caught.value) is kind, (place, case)
            refuses(kind, lambda face=face, batch=batch: run(face, batch))


@each_loss
def test_widths_that_differ_are_refused(name: str) -> None:
    batch = EVERY[name].batch()
    places = [i for i, x in enumerate(batch) if x.is_floating_point() and x.dim() > 1]
    for place in places if len(places) > 1 else []:
        narrow = list(batch)
        narrow[place] = batch[place][..., 1:]
        refuses(ShapeError, lambda narrow=narrow: run(EVERY[name].face(), narrow))


@each_loss
def test_lengths_that_differ_are_refused(name: str) -> None:
    batch = EVERY[name].batch()
    for place in range(len(batch)):
        if place == 2 and name in ("InfoNCE unpaired", "MoCo"):
            continue  # keys that all queries share may be any number
        short = list(batch)
        short[place] = batch[place][:-1]
        refuses(ShapeError, lambda short=short: run(EVERY[name].face(), short))


def test_views_of_different_widths_or_lengths_are_refused_by_name() -> None:
    refuses(ShapeError, lambda: f.nt_xent(q, k, k[:, 1:]), "view1 (6, 8)", "view3 (6, 7)")
    refuses(ShapeError, lambda: f.nt_xent(q, k, k[1:]), "view3 (5, 8)")
    refuses(ShapeError, lambda: f.nt_xent(q), "2 views", "views_from_stacked")
    refuses(ShapeError, f.nt_xent, "0 view")
    refuses(DTypeError, lambda: f.nt_xent(q, k, 0.5), "view3")


# ---- nothing to compare with


NO_CANDIDATE: dict[str, Call] = {
    "dcl of one item": lambda: f.dcl(q[:1], k[:1]),
    "dclw of one item": lambda: f.dclw(q[:1], k[:1]),
    "debiased of one item": lambda: f.debiased_info_nce(q[:1], k[:1]),
    "hard of one item": lambda: f.hard_negative_info_nce(q[:1], k[:1]),
    "top of one item": lambda: f.hard_negative_info_nce(q[:1], k[:1], top_k=1),
    "no negative key": lambda: f.info_nce(q, k, k[:0]),
    "no negative key of one's own": lambda: f.info_nce(q, k, torch.randn(N, 0, D), negative_mode="paired"),
    "no hard negative": lambda: f.retrieval_info_nce(q, k, torch.randn(N, 0, D)),
    "an empty queue": lambda: f.moco(q, k, info_nce.KeyQueue(D, 4)),
    "an empty tensor as queue": lambda: f.moco(q, k, k[:0]),
    "one sequence and others as negatives": lambda: f.cpc(*(x[:1] for x in z), torch.randn(1, D, D), 1, "others"),
    "no label twice": lambda: f.sup_con(q, torch.arange(N)),
    "no label twice, inside": lambda: f.sup_con(q, torch.arange(N), inside=True),
    "one row": lambda: f.sup_con(q[:1], torch.zeros(1, dtype=torch.long)),
    "nothing masked": lambda: f.wav2vec2_contrastive(*z, torch.zeros(N, T, dtype=torch.bool)),
    "no noise": lambda: f.nce(q[:, 0], q[:, :0], q[:, 0], q[:, :0]),
}


@pytest.mark.parametrize("case", NO_CANDIDATE)
def test_a_loss_without_a_candidate_is_refused(case: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        NO_CANDIDATE[case]()
    refuses(type(caught.value), NO_CANDIDATE[case])


def test_one_pair_alone_costs_nothing_as_in_info_nce_pytorch() -> None:
    for function in (f.info_nce, f.symmetric_info_nce):
        query = q[:1].clone().requires_grad_()
        loss = function(query, k[:1])
        loss.backward()
        assert loss == 0
        assert query.grad is not None
        assert not query.grad.any()


def test_an_empty_queue_says_what_to_do() -> None:
    refuses(ArgumentError, lambda: info_nce.MoCo()(q, k, info_nce.KeyQueue(D, 4)), "queue is empty", "enqueue")


# ---- options


COMPOSE: dict[str, tuple[Callable[..., Tensor], dict[str, Any], str]] = {}


def _refused(name: str, option: str, value: Any, **more: Any) -> None:
    COMPOSE[f"{name} {option} {' '.join(more)}"] = (lambda **s: call(name, **s), {option: value, **more}, option)


_IDS, _GUIDE, _LOG_Q = torch.zeros(N, dtype=torch.long), (torch.ones(N, 3), torch.ones(N, 3)), torch.zeros(N)
for _name in ("SupCon", "DCLW", "DebiasedInfoNCE", "HardNegativeInfoNCE", "HardNegativeInfoNCE top", "RobustInfoNCE"):
    _refused(_name, "same_id", "positive")
for _name in ("RetrievalInfoNCE", "Wav2Vec2Contrastive", "CPC"):
    _refused(_name, "same_id", "positive")
for _name in ("SupCon", "DCL", "DCLW", "DebiasedInfoNCE", "HardNegativeInfoNCE", "SigLIP", "RobustInfoNCE"):
    _refused(_name, "label_smoothing", 0.1)
for _name in ("DebiasedInfoNCE", "HardNegativeInfoNCE", "RetrievalInfoNCE", "Wav2Vec2Contrastive"):
    _refused(_name, "log_q", _LOG_Q)
for _name in ("DebiasedInfoNCE", "HardNegativeInfoNCE"):
    _refused(_name, "similarity", DotProduct())
    _refused(_name, "similarity", NegativeSquaredDistance(), margin=0.1)
_refused("SupCon", "ids", _IDS)
_refused("Wav2Vec2Contrastive", "ids", _IDS)
_refused("Wav2Vec2Contrastive", "guide", _GUIDE)
_refused("InfoNCE unpaired", "log_q", torch.zeros(N + 1))  # kept in batch: for which candidates?
_refused("InfoNCE unpaired", "negative_ids", torch.zeros(N + 1, dtype=torch.long))
_refused("InfoNCE paired", "ids", _IDS)
_refused("InfoNCE paired", "log_q", (_LOG_Q, torch.zeros(N, 3)))
_refused("InfoNCE", "log_q", (_LOG_Q, _LOG_Q))
_refused("InfoNCE", "keep_in_batch", True)
_refused("InfoNCE", "negative_ids", _IDS)
_refused("MoCo", "ids", _IDS)
_refused("MoCo", "queue_ids", torch.zeros(N + 1, dtype=torch.long))


@pytest.mark.parametrize("case", COMPOSE)
def test_an_option_that_does_not_compose_is_refused_and_never_ignored(case: str) -> None:
    function, options, option = COMPOSE[case]
    refuses(ArgumentError, lambda: function(**options), option.replace("queue_ids", "negative_ids"))


@pytest.mark.parametrize("log_q", [(_LOG_Q,), (_LOG_Q, _LOG_Q, _LOG_Q), ()], ids=len)
@pytest.mark.parametrize("keep_in_batch", [False, True])
def test_log_q_of_two_sets_of_candidates_is_a_pair_and_nothing_else(log_q: Any, keep_in_batch: bool) -> None:
    refuses(ArgumentError, lambda: f.info_nce(q, k, k, keep_in_batch=keep_in_batch, log_q=log_q), "log_q")


TAKES_IDS = [
    name
    for name in SUBJECTS
    if name not in ("SupCon", "Wav2Vec2Contrastive", "MoCo", "InfoNCE unpaired", "InfoNCE paired")
]


@pytest.mark.parametrize("name", TAKES_IDS)
def test_ids_that_are_not_one_integer_per_item_are_refused(name: str) -> None:
    refuses(DTypeError, lambda: call(name, ids=[0] * N), "ids", "integers")
    refuses(DTypeError, lambda: call(name, ids=torch.zeros(N)), "ids", "integers")
    refuses(DTypeError, lambda: call(name, ids=torch.zeros(N, dtype=torch.complex64)), "ids")
    refuses(ShapeError, lambda: call(name, ids=torch.zeros(N - 1, dtype=torch.long)), f"ids ({N},)")
    refuses(DTypeError, lambda: call(name, ids=torch.zeros(N, dtype=torch.bool)), "ids", "mask", "ids.long()")
    refuses(ShapeError, lambda: call(name, ids=torch.zeros(N, 1, dtype=torch.long)), "ids (6, 1)")
    refuses(ShapeError, lambda: call(name, ids=torch.zeros((), dtype=torch.long)), "ids ()")
    refuses(DeviceError, lambda: call(name, ids=torch.zeros(N, dtype=torch.long, device="meta")), "ids", "meta")


def test_ids_of_explicit_negatives_are_checked_too() -> None:
    ids, three = torch.arange(N), torch.zeros(3, dtype=torch.long)
    keys, own = torch.randn(3, D), torch.randn(N, 3, D)
    paired: dict[str, Any] = {"negative_mode": "paired"}
    refuses(DTypeError, lambda: f.info_nce(q, k, keys, ids=ids, negative_ids=three.float()), "negative_ids")
    refuses(ShapeError, lambda: f.info_nce(q, k, keys, ids=ids, negative_ids=three[:2]), "negative_ids (3,)")
    refuses(ShapeError, lambda: f.info_nce(q, k, keys, ids=ids[:3], negative_ids=three), "ids (6,)")
    refuses(ShapeError, lambda: f.info_nce(q, k, own, ids=ids, negative_ids=three, **paired), "negative_ids (6, 3)")
    refuses(ShapeError, lambda: f.moco(q, k, keys, ids=ids, queue_ids=ids), "(3,)")
    refuses(DTypeError, lambda: f.info_nce(q, k, keys, ids=ids, negative_ids=three.bool()), "negative_ids.long()")
    refuses(DTypeError, lambda: f.sup_con(q, torch.ones(N, dtype=torch.bool)), "labels.long()")


@pytest.mark.parametrize(
    "name", ["InfoNCE", "SymmetricInfoNCE", "NTXent", "SupCon", "DCL", "DCLW", "SigLIP", "MoCo", "CPC"]
)
def test_log_q_that_is_not_one_number_per_candidate_is_refused(name: str) -> None:
    refuses(ShapeError, lambda: call(name, log_q=torch.zeros(3)), "log_q", "one log-probability per candidate")
    refuses(ShapeError, lambda: call(name, log_q=torch.tensor(0.0)), "log_q")
    with pytest.raises(ArgumentError) as caught:
        call(name, log_q=[0.0] * 6)
    refuses(type(caught.value), lambda: call(name, log_q=[0.0] * 6), "log_q")
    refuses(ShapeError, lambda: call(name, log_q=torch.zeros(3, dtype=torch.long)), "log_q")


TAKES_GUIDE = [name for name in SUBJECTS if name != "Wav2Vec2Contrastive"]


def guide_of(batch: Batch, width: int = 3) -> list[Tensor]:
    return [torch.randn(*x.shape[:-1], width) for x in batch if x.is_floating_point()]


@pytest.mark.parametrize("name", TAKES_GUIDE)
def test_a_guide_that_does_not_match_the_embeddings_is_refused(name: str) -> None:
    batch = SUBJECTS[name].batch()
    guide = guide_of(batch)
    assert torch.isfinite(call(name, batch, guide=guide)).all()
    assert torch.isfinite(call(name, batch, guide=tuple(guide))).all()
    for other in ([*guide, guide[0]], [], 5, {name: guide[0]}):
        with pytest.raises((ArgumentError, DTypeError)) as caught:
            call(name, batch, guide=other)
        refuses(type(caught.value), lambda other=other: call(name, batch, guide=other), "guide")
    for place, tensor in enumerate(guide):
        wrongs: list[tuple[Any, type[Exception]]] = [
            (tensor[:-1], ShapeError),
            (tensor[None], ShapeError),
            (tensor[:, 0], ShapeError),
            (tensor[..., :0], ShapeError),
            (tensor[..., None], ShapeError),
            (tensor.long(), DTypeError),
            (None, DTypeError),
        ]
        for wrong, kind in wrongs:
            bad = [*guide[:place], wrong, *guide[place + 1 :]]
            refuses(kind, lambda bad=bad: call(name, batch, guide=bad), "guide_")
    refuses(DeviceError, lambda: call(name, batch, guide=[x.to("meta") for x in guide]), "guide_", "meta")


@pytest.mark.parametrize("name", ["InfoNCE paired", "RetrievalInfoNCE"])
def test_a_guide_of_fewer_hard_negatives_is_refused_and_not_repeated(name: str) -> None:
    batch = SUBJECTS[name].batch()
    guide = guide_of(batch)
    for count in (1, 2):
        refuses(ShapeError, lambda count=count: call(name, batch, guide=[*guide[:2], guide[2][:, :count]]), "(6, 3, 3)")


@pytest.mark.parametrize("negatives", ["both", "same", "others"])
def test_a_guide_of_other_time_steps_is_refused(negatives: str) -> None:
    face = info_nce.CPC(D, D, 1, negatives)
    right, long = torch.randn(N, T, 3), torch.randn(N, T + 2, 3)
    for guide in ([right, long], [long, right], [long, long], [right[:, 1:], right]):
        refuses(ShapeError, lambda guide=guide: face(*z, guide=guide), f"({N}, {T}, 3)")


RANGES: dict[str, tuple[Callable[[Any], object], list[Any], list[Any]]] = {
    "label_smoothing": (lambda v: f.info_nce(q, k, label_smoothing=v), [-0.1, 1.0, 2, NAN, INF], [0, 0.5]),
    "margin": (lambda v: f.info_nce(q, k, margin=v), [NAN, INF, -INF], [0, -1, 0.5, None]),
    "sigma": (lambda v: f.dclw(q, k, sigma=v), [0, -1, NAN, INF], [1, 0.2]),
    "positive_prior": (lambda v: f.debiased_info_nce(q, k, positive_prior=v), [-0.1, 1.0, NAN, INF], [0, 0.5]),
    "beta": (lambda v: f.hard_negative_info_nce(q, k, beta=v), [-0.1, NAN, INF], [0, 3]),
    "q": (lambda v: f.robust_info_nce(q, k, q=v), [0, -0.1, 1.1, NAN, INF], [1, 0.5]),
    "lam": (lambda v: f.robust_info_nce(q, k, lam=v), [0, -0.1, 1.1, NAN, INF], [1, 0.5]),
    "bias": (lambda v: f.sigmoid_loss(q, k, bias=v), [NAN, INF, -INF], [0, -3, 4.5]),
    "momentum": (lambda v: info_nce.MomentumEncoder(nn.Linear(1, 1), v), [-0.1, 1.1, NAN, INF], [0, 1, 0.5]),
    "weight": (lambda v: info_nce.Matryoshka(info_nce.InfoNCE(), (2,), (v,)), [-1, NAN, INF], [1, 0.5]),
    "power": (lambda v: info_nce.functional and _power(v), [0, -1, NAN, INF], [1, 2.5]),
    "label_smoothing of Softmax": (Softmax, [-1, 1.0, 2.0, NAN, INF], [0, 0.5]),
    "positive_prior of Debiased": (Debiased, [-0.1, 1.0, 1.5, NAN, INF], [0, 0.5]),
    "beta of Debiased": (lambda v: Debiased(beta=v), [-1, NAN, INF], [0, 3]),
    "q of Robust": (lambda v: Robust(q=v), [0, -0.1, 1.1, NAN, INF], [1, 0.5]),
    "lam of Robust": (lambda v: Robust(lam=v), [0, -0.1, 1.1, NAN, INF], [1, 0.5]),
    "positive_prior with top_k": (
        lambda v: f.hard_negative_info_nce(q, k, top_k=2, positive_prior=v),
        [-0.1, 1.0, 7, NAN, INF],
        [0, 0.5],
    ),
}


def _power(value: float) -> object:
    from info_nce.statistics import LogSumExp

    return LogSumExp("candidates", power=value)


@pytest.mark.parametrize("name", RANGES)
def test_a_setting_out_of_its_range_is_refused(name: str) -> None:
    make, wrong, right = RANGES[name]
    name = name.partition(" ")[0]
    for value in wrong:
        refuses(ArgumentError, lambda value=value: make(value), name, repr(value))
    for value in (True, "0.1", [0.1], 1j) + ((None,) if name != "margin" else ()):
        refuses(DTypeError, lambda value=value: make(value), name, "number")
    for value in right:
        make(value)


FACES_WITH_RANGES: dict[str, tuple[Any, str]] = {
    "label_smoothing": (info_nce.NTXent, "label_smoothing"),
    "margin": (info_nce.RetrievalInfoNCE, "margin"),
    "sigma": (info_nce.DCLW, "sigma"),
    "positive_prior": (info_nce.DebiasedInfoNCE, "positive_prior"),
    "positive_prior of hard negatives": (info_nce.HardNegativeInfoNCE, "positive_prior"),
    "beta": (info_nce.HardNegativeInfoNCE, "beta"),
    "q": (info_nce.RobustInfoNCE, "q"),
    "lam": (info_nce.RobustInfoNCE, "lam"),
    "bias": (info_nce.SigLIP, "bias"),
}


@pytest.mark.parametrize("name", FACES_WITH_RANGES)
def test_a_face_refuses_a_setting_when_it_is_built(name: str) -> None:
    face, setting = FACES_WITH_RANGES[name]
    refuses(ArgumentError, lambda: face(**{setting: NAN}), setting)
    refuses(DTypeError, lambda: face(**{setting: True}), setting)


@pytest.mark.parametrize("top_k", [0, -1, 2 * N - 1, True, 1.0, "2"], ids=repr)
def test_top_k_is_a_number_of_negatives_that_there_are(top_k: Any) -> None:
    refuses(ArgumentError, lambda: f.hard_negative_info_nce(q, k, top_k=top_k), f"top_k={top_k!r}", "1 to 10")
    f.hard_negative_info_nce(q, k, top_k=2 * N - 2)


@pytest.mark.parametrize("bias", [torch.zeros(2), torch.zeros(N, N), torch.zeros(0)], ids=lambda b: str(tuple(b.shape)))
def test_a_bias_is_one_number(bias: Tensor) -> None:
    refuses(ArgumentError, lambda: f.sigmoid_loss(q, k, bias=bias), "bias")


@pytest.mark.parametrize("size", [0, -1, True, 2.0, "3"], ids=repr)
@pytest.mark.parametrize("name", ["rows", "columns"])
def test_a_tile_has_a_size(name: str, size: Any) -> None:
    refuses(ArgumentError, lambda: Tiled(**{name: size}), name)


# ---- a similarity of one's own


def test_a_similarity_that_closes_over_a_trained_tensor_is_refused() -> None:
    weight = nn.Parameter(torch.eye(D))

    class Hidden(Similarity):
        def forward(self, query: Tensor, key: Tensor) -> Tensor:
            return query @ weight @ key.mT

    for engine in ENGINES:
        refuses(ArgumentError, lambda e=engine: f.info_nce(q, k, similarity=Hidden(), engine=e), "Hidden", "Parameter")
    weight.requires_grad_(False)
    f.info_nce(q, k, similarity=Hidden())


def test_an_inner_product_may_close_over_a_trained_tensor_because_autograd_sees_it() -> None:
    weight = nn.Parameter(torch.eye(D))

    class Mapped(InnerProduct):
        def factors(self, query: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
            return query @ weight, key

    found = [torch.autograd.grad(f.info_nce(q, k, similarity=Mapped(), engine=e), weight)[0] for e in ENGINES]
    assert_close(found[1], found[0])


@pytest.mark.parametrize(
    "name", ["InfoNCE", "InfoNCE unpaired", "InfoNCE paired", "NTXent", "SigLIP", "SymmetricInfoNCE"]
)
def test_a_similarity_of_pairs_alone_is_refused(name: str) -> None:
    class Rowwise(Similarity):
        def forward(self, query: Tensor, key: Tensor) -> Tensor:
            return torch.cosine_similarity(query, key)

    refuses(ShapeError, lambda: call(name, similarity=Rowwise()), "Rowwise", "every query with every key")


@each_engine
def test_a_similarity_in_half_precision_is_summed_in_single(engine: Engine) -> None:
    class Half(Similarity):
        def forward(self, query: Tensor, key: Tensor) -> Tensor:
            compared: Tensor = (query @ key.mT).bfloat16()
            return compared

    loss = f.info_nce(q, k, similarity=Half(), engine=engine)
    expected = nn.functional.cross_entropy((q @ k.mT).bfloat16().float() / 0.1, torch.arange(N))
    assert loss.dtype == torch.float32
    assert_close(loss, expected)


def test_a_bilinear_map_for_other_widths_is_refused() -> None:
    refuses(ShapeError, lambda: f.info_nce(q, k, similarity=Bilinear(D, D + 1)), "Bilinear(8, 8)")
    f.info_nce(q, k[:, :5], similarity=Bilinear(D, 5))


# ---- contrast itself


def test_contrast_refuses_what_it_would_otherwise_ignore() -> None:
    from info_nce.assemble import assemble

    own = assemble(q, k, Cosine(), 10.0, positives=Partner(torch.arange(N)))
    more = assemble(q, torch.randn(3, D), Cosine(), 10.0)
    lists = assemble(q, torch.randn(N, 3, D), Cosine(), 10.0)
    info_nce.contrast([own, more], Softmax())
    refuses(ArgumentError, lambda: info_nce.contrast([own, more], Softmax(), symmetric=True), "one matrix")
    refuses(ArgumentError, lambda: info_nce.contrast(lists, Softmax(), symmetric=True), "shared")
    refuses(ArgumentError, lambda: info_nce.contrast([], Softmax()), "score matrix")
    refuses(ArgumentError, lambda: info_nce.contrast(own, Softmax(), reduction="avg"), "reduction")
    refuses(ArgumentError, lambda: info_nce.contrast(own, Softmax(), engine="dense"), "engine")
    refuses(DTypeError, lambda: info_nce.contrast(own, Softmax), "objective")


def test_options_are_checked_where_they_are_kept() -> None:
    refuses(ArgumentError, lambda: Options(margin=NAN), "margin")
    refuses(DTypeError, lambda: Options(similarity="cosine"), "similarity")  # type: ignore[arg-type]  # wrong on purpose


# ---- the queue, Matryoshka, sequences


def test_a_queue_refuses_what_it_cannot_hold() -> None:
    for wrong in ({"features": 0}, {"features": 2.0}, {"features": True}, {"size": 0}, {"size": -1}, {"size": "8"}):
        refuses(ArgumentError, lambda w=wrong: info_nce.KeyQueue(**{"features": 2, "size": 4, **w}), *wrong)
    refuses(DTypeError, lambda: info_nce.KeyQueue(2, 4, dtype=torch.int64), "int64")
    queue = info_nce.KeyQueue(2, 4)
    refuses(ShapeError, lambda: queue.enqueue(torch.randn(3, 3)), "keys (n, 2)")
    refuses(ShapeError, lambda: queue.enqueue(torch.randn(2)), "keys (n, 2)")
    refuses(ShapeError, lambda: queue.enqueue(torch.tensor(1.0)), "keys (n, 2)")
    refuses(ShapeError, lambda: queue.enqueue(torch.randn(1, 3, 2)), "keys (n, 2)")
    refuses(DTypeError, lambda: queue.enqueue(torch.ones(3, 2, dtype=torch.long)), "int64")
    refuses(DTypeError, lambda: queue.enqueue([[1.0, 2.0]]), "list")
    refuses(ShapeError, lambda: queue.enqueue(torch.randn(3, 2), torch.zeros(2, dtype=torch.long)), "ids (3,)")
    refuses(DTypeError, lambda: queue.enqueue(torch.randn(3, 2), torch.zeros(3)), "ids")
    assert queue.filled == 0


def test_moco_refuses_a_queue_of_another_width_or_kind() -> None:
    queue = info_nce.KeyQueue(D + 1, 4)
    queue.enqueue(torch.randn(2, D + 1))
    refuses(ShapeError, lambda: f.moco(q, k, queue), "queue (2, 9)")
    refuses(ShapeError, lambda: f.moco(q, k, torch.randn(2, D + 1)), "queue (2, 9)")
    for wrong in (None, [[1.0] * D], torch.ones(2, D, dtype=torch.long)):
        refuses(DTypeError, lambda wrong=wrong: f.moco(q, k, wrong), "queue")
    refuses(ShapeError, lambda: f.moco(q, k, torch.randn(D)), "queue (8,)")
    refuses(DTypeError, lambda: f.moco(q, k.tolist(), queue), "key")


def test_keys_without_an_id_are_nobodys_duplicates() -> None:
    queue = info_nce.KeyQueue(D, 4)
    queue.enqueue(torch.randn(4, D))
    for ids in (torch.full((N,), -1), torch.zeros(N, dtype=torch.long), torch.arange(N)):
        assert_close(f.moco(q, k, queue, ids=ids), f.moco(q, k, queue))


def test_matryoshka_refuses_what_it_cannot_cut() -> None:
    nested = info_nce.Matryoshka
    for widths in ((), (0,), (2.0,), (True,), ("2",), 4, None):
        refuses(ArgumentError, lambda w=widths: nested(info_nce.InfoNCE(), w), "widths")
    refuses(ArgumentError, lambda: nested(info_nce.InfoNCE(), (2, 4), (1.0,)), "1 weights, 2 widths")
    for weights in ((0, 0), (0.0, -1.0), (NAN, 1.0), (1.0, INF)):
        refuses(ArgumentError, lambda w=weights: nested(info_nce.InfoNCE(), (2, 4), w), "weight")
    nested(info_nce.InfoNCE(), (2, 4), (0, 1))
    refuses(ArgumentError, lambda: nested(info_nce.CPC(2, 2), (2,)), "CPC")
    refuses(ArgumentError, lambda: nested(info_nce.InfoNCE(similarity=Bilinear(4)), (2,)), "Bilinear")
    refuses(ArgumentError, lambda: nested(info_nce.NCE(), (2,)), "NCE")
    refuses(DTypeError, lambda: nested(f.info_nce, (2,)), "loss")
    refuses(ShapeError, lambda: nested(info_nce.InfoNCE(), (4, D + 1))(q, k), "8 features", "9")


def test_matryoshka_cuts_embeddings_given_by_name_as_well() -> None:
    face = info_nce.Matryoshka(info_nce.InfoNCE(), (3, D))
    expected = face(q, k)
    assert_close(face(q, positive_key=k), expected)
    assert_close(face(query=q, positive_key=k), expected)
    assert_close(face(q, k, ids=torch.arange(N)), expected)


MASK = torch.ones(N, T, dtype=torch.bool)


def test_wav2vec2_refuses_what_masks_nothing_or_not_enough() -> None:
    once = MASK.clone()
    once[2] = torch.arange(T) == 3
    refuses(ArgumentError, lambda: f.wav2vec2_contrastive(*z, once), "utterance 2 has 1 masked step")
    refuses(ArgumentError, lambda: f.draw_distractors(once), "utterance 2")
    refuses(ShapeError, lambda: f.wav2vec2_contrastive(*z, ~MASK), "No step is masked")
    for wrong in (MASK.long(), MASK.float(), MASK.tolist(), None):
        refuses(DTypeError, lambda wrong=wrong: f.wav2vec2_contrastive(*z, wrong), "mask", "bool")
        refuses(DTypeError, lambda wrong=wrong: f.draw_distractors(wrong), "mask", "bool")
    refuses(ShapeError, lambda: f.draw_distractors(MASK[0]), "mask")
    refuses(ShapeError, lambda: f.wav2vec2_contrastive(z[0], z[1][:, 1:], MASK), "targets (6, 5, 8)")
    refuses(DeviceError, lambda: f.wav2vec2_contrastive(*z, MASK.to("meta")), "mask", "meta")


@pytest.mark.parametrize("count", [0, -1, True, 2.0, None], ids=repr)
def test_a_number_of_distractors_is_at_least_one(count: Any) -> None:
    refuses(ArgumentError, lambda: f.wav2vec2_contrastive(*z, MASK, distractors=count), "distractor")
    refuses(ArgumentError, lambda: f.draw_distractors(MASK, count), "distractor")
    refuses(ArgumentError, lambda: info_nce.Wav2Vec2Contrastive(distractors=count), "distractor")


def test_distractors_given_as_positions_are_checked() -> None:
    def loss(distractors: Tensor) -> Any:
        return f.wav2vec2_contrastive(*z, MASK, distractors=distractors)

    right = f.draw_distractors(MASK, 3)
    loss(right)
    for wrong in (right[1:], right[:, 0], right[:, :0], right.int(), right.float(), right - N * T, right + N * T):
        refuses(ShapeError, lambda wrong=wrong: loss(wrong), "distractors", "int64 (36, K)")
    refuses(DeviceError, lambda: loss(right.to("meta")), "distractors")


@pytest.mark.parametrize("steps", [0, -1, (), (0,), (1, -2), (1.5,), 2.5, "2", None, True, (True,)], ids=repr)
def test_steps_of_cpc_are_whole_and_ahead(steps: Any) -> None:
    refuses(ArgumentError, lambda: f.cpc(*z, torch.randn(1, D, D), steps), "steps")
    refuses(ArgumentError, lambda: info_nce.CPC(D, D, steps), "steps")


@pytest.mark.parametrize("features", [0, -1, 2.5, True, None], ids=repr)
def test_features_of_cpc_are_a_number(features: Any) -> None:
    refuses(ArgumentError, lambda: info_nce.CPC(features, D), "context_features")
    refuses(ArgumentError, lambda: info_nce.CPC(D, features), "latent_features")


def test_cpc_refuses_sequences_that_are_too_short_and_maps_that_do_not_fit() -> None:
    refuses(ShapeError, lambda: f.cpc(*z, torch.randn(1, D, D), (T,)), "too short", f"more than {T}")
    refuses(ShapeError, lambda: info_nce.CPC(D, D)(*z), "too short")
    refuses(ShapeError, lambda: f.cpc(*z, torch.randn(2, D, D), 1), "weight (1, 8, 8)")
    refuses(ShapeError, lambda: f.cpc(*z, torch.randn(1, D, D + 1), 1), "weight (1, 8, 8)")
    refuses(ShapeError, lambda: f.cpc(z[0], z[1][:, 1:], torch.randn(1, D, D), 1), "latents (6, 5, 8)")
    refuses(ShapeError, lambda: f.cpc(*z, torch.randn(1, D, D), 1, temperature=torch.ones(N)), "temperature")


def test_nce_refuses_densities_of_other_samples() -> None:
    data, noise = torch.randn(N), torch.randn(N, 3)
    refuses(ShapeError, lambda: f.nce(data, noise, data[:-1], noise), "data_log_density (5,)")
    refuses(ShapeError, lambda: f.nce(data, noise, data, noise[:, 1:]), "noise_log_density (6, 2)")
    refuses(ShapeError, lambda: f.nce(data, noise[1:], data, noise[1:]), "noise_scores (5, 3)")
    refuses(ArgumentError, lambda: f.nce(data, noise, data, noise, 4), "num_noise=4")
    refuses(ArgumentError, lambda: f.nce(data, noise[:, :1], data, noise[:, :1], True), "num_noise=True")


# ---- layouts of views


def two_views(items: int, width: int = 16, noise: float = 0.5) -> tuple[Tensor, Tensor]:
    item = torch.randn(items, width)
    return item + noise * torch.randn(items, width), item + noise * torch.randn(items, width)


def stacked(one: Tensor, two: Tensor) -> Tensor:
    return torch.cat([one, two])


def interleaved(one: Tensor, two: Tensor) -> Tensor:
    return torch.stack([one, two], 1).flatten(0, 1)


def test_layouts_are_told_apart() -> None:
    for seed in range(20):
        torch.manual_seed(seed)
        one, two = two_views(64)
        for found in (views_from_stacked(stacked(one, two)), views_from_interleaved(interleaved(one, two))):
            assert_close(found, (one, two))
    refused = 0
    for seed in range(20):
        torch.manual_seed(seed)
        for function, layout in ((views_from_stacked, interleaved), (views_from_interleaved, stacked)):
            wrong = layout(*two_views(64))
            function(wrong, check=False)
            try:
                function(wrong)
            except ArgumentError:
                refused += 1
    assert refused >= 36
    right_call = "views_from_interleaved(features, 2)"
    refuses(ArgumentError, lambda: views_from_stacked(interleaved(*two_views(64, noise=0.3))), "stacked", right_call)


def three_views(items: int) -> list[Tensor]:
    item = torch.randn(items, 8)
    return [item + 0.3 * torch.randn(items, 8) for _ in range(3)]


def test_three_views_are_cut_in_both_layouts() -> None:
    views = three_views(20)
    assert_close(views_from_stacked(torch.cat(views), 3), tuple(views))
    assert_close(views_from_interleaved(torch.stack(views, 1).flatten(0, 1), 3), tuple(views))


def drifting(items: int) -> tuple[Tensor, Tensor]:
    one, two = two_views(items)
    walk = torch.cumsum(torch.randn(items, 16), 0)
    return one + walk, two + walk


def towers_apart(items: int) -> tuple[Tensor, Tensor]:
    one, two = two_views(items)
    return one + 3 * torch.randn(16), two + 3 * torch.randn(16)


def sorted_by_class(items: int) -> tuple[Tensor, Tensor]:
    label = torch.randn(-(-items // 4), 16).repeat_interleave(4, 0)[:items]
    one, two = two_views(items)
    return one + label, two + label


RIGHT: dict[str, Callable[[int], tuple[Tensor, Tensor]]] = {
    "an untrained encoder": lambda n: (torch.randn(n, 16), torch.randn(n, 16)),
    "two features": lambda n: (torch.randn(n, 2), torch.randn(n, 2)),
    "one feature": lambda n: (torch.randn(n, 1), torch.randn(n, 1)),
    "a collapsed encoder": lambda n: (torch.ones(n, 8), torch.ones(n, 8)),
    "nearly collapsed": lambda n: (1 + 1e-6 * torch.randn(n, 8), 1 + 1e-6 * torch.randn(n, 8)),
    "all zero": lambda n: (torch.zeros(n, 8), torch.zeros(n, 8)),
    "good views": two_views,
    "noisy views": lambda n: two_views(n, noise=3.0),
    "equal views": lambda n: two_views(n, noise=0.0),
    "a gap between two encoders": towers_apart,
    "neighbours in time": drifting,
    "sorted by class": sorted_by_class,
    "not a number": lambda n: (torch.full((n, 4), NAN), torch.randn(n, 4)),
    "half precision": lambda n: (torch.randn(n, 16).half(), torch.randn(n, 16).half()),
}


@pytest.mark.parametrize("case", RIGHT)
def test_the_right_layout_is_never_refused(case: str) -> None:
    for items, seed in itertools.product((1, 2, 16, 17, 32, 100), range(40)):
        torch.manual_seed(seed)
        one, two = RIGHT[case](items)
        found = views_from_stacked(stacked(one, two))
        assert_close(found, (one, two), equal_nan=True)
        if case != "a gap between two encoders":
            views_from_interleaved(interleaved(one, two))


def test_the_gap_between_two_encoders_may_be_interleaved_too() -> None:
    for seed in range(40):
        torch.manual_seed(seed)
        views_from_interleaved(interleaved(*towers_apart(32)))


@pytest.mark.parametrize("function", [views_from_stacked, views_from_interleaved])
def test_rows_that_cannot_be_cut_into_views_are_refused(function: Callable[..., object]) -> None:
    features = torch.randn(9, 4)
    refuses(ShapeError, lambda: function(features), "features (9, 4)", "views=2")
    for views in (0, 1, -3, 2.0, True, "3", None, 10):
        refuses(ShapeError, lambda views=views: function(features, views), f"views={views!r}")
    refuses(ShapeError, lambda: function(features[:0]), "empty")
    refuses(ShapeError, lambda: function(features[None]), "2 dimensions")
    refuses(DTypeError, lambda: function(features.long()), "features")
    refuses(DTypeError, lambda: function(features.tolist()), "features")


# ---- not finite


SOFTENED = {"NCE": "an infinite score of the noise is a certain answer"}


@each_loss
@each_engine
@pytest.mark.parametrize("value", [NAN, INF, -INF], ids=str)
def test_a_number_that_is_not_finite_is_never_hidden_and_never_an_exception(
    name: str, engine: Engine, value: float
) -> None:
    if name in SOFTENED and value == value:  # noqa: PLR0124 - not NaN
        pytest.skip(SOFTENED[name])
    subject = EVERY[name]
    settings = {} if name == "NCE" else {"engine": engine}
    face = subject.face(**settings, **subject.own)
    for place, tensor in enumerate(subject.batch()):
        if tensor.is_floating_point():
            batch = subject.batch()
            batch[place] = tensor.clone()
            batch[place].view(-1)[0] = value
            assert not torch.isfinite(run(face, batch)), place


@pytest.mark.parametrize(
    "name", ["NTXent", "DCL", "DCLW", "DebiasedInfoNCE", "HardNegativeInfoNCE", "HardNegativeInfoNCE top"]
)
@each_engine
def test_a_nan_among_the_negatives_reaches_every_query(name: str, engine: Engine) -> None:
    batch = pairs()
    batch[1][2, 1] = NAN
    assert call(name, batch, engine=engine, reduction="none").isnan().all()


@each_engine
@pytest.mark.parametrize("margin", [None, 0.1])
def test_an_infinite_similarity_is_no_false_negative(engine: Engine, margin: float | None) -> None:
    negatives = torch.randn(4, D)
    negatives[1] = INF * q[0].sign()
    loss = f.info_nce(q, k, negatives, similarity=DotProduct(), margin=margin, engine=engine, reduction="none")
    assert not torch.isfinite(loss[0])


def test_the_opt_in_check_names_the_first_number_that_is_not_finite() -> None:
    finite(query=q, key=k)
    bad = q.clone()
    bad[2, 3] = bad[4, 0] = NAN
    refuses(ArgumentError, lambda: finite(query=q, key=bad), "key holds 2", "key[2, 3] = nan")
    refuses(ArgumentError, lambda: finite(scalar=torch.tensor(INF)), "scalar")


# ---- extreme, but finite


def value_and_gradients(name: str, batch: Batch, engine: Engine, dtype: torch.dtype, **options: Any) -> list[Tensor]:
    """The loss and its gradients, in double for the comparison."""
    inputs = cast(batch, dtype, grad=True)
    loss = call(name, inputs, engine=engine, **options)
    found = torch.autograd.grad(loss, trained(name, inputs))
    return [loss.detach().double(), *(g.double() for g in found)]


def equals_double(name: str, batch: Batch, *, rtol: float = 1e-4, **options: Any) -> None:
    """Single precision agrees with dense double precision on every engine, relative to the largest number."""
    wide = cast(batch, torch.float64)
    options64 = {k: v.double() if isinstance(v, nn.Module) else v for k, v in options.items()}
    expected = value_and_gradients(name, wide, Dense(), torch.float64, **options64)
    for engine in ENGINES:
        for found, truth in zip(
            value_and_gradients(name, batch, engine, torch.float32, **options), expected, strict=True
        ):
            size = float(truth.abs().max().clamp(min=1e-30))
            assert_close(found / size, truth / size, rtol=0, atol=rtol)


COSINE = [name for name in SUBJECTS if name != "CPC"]
# the powers of RobustInfoNCE have a test of their own
SIMPLE = [name for name in COSINE if name not in ("RobustInfoNCE", "HardNegativeInfoNCE top")]


@pytest.mark.parametrize("name", COSINE)
@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_tiny_and_huge_vectors_have_the_cosine_of_their_directions(name: str, scale: float) -> None:
    batch = [x * scale if x.is_floating_point() else x for x in SUBJECTS[name].batch()]
    equals_double(name, batch)


@pytest.mark.parametrize("name", SIMPLE)
@pytest.mark.parametrize("temperature", [0.001, 0.0001])
def test_a_logit_scale_of_ten_thousand_is_exact(name: str, temperature: float) -> None:
    # float32 holds a logit of 10,000 to 1e-3, and so a probability
    equals_double(name, SUBJECTS[name].batch(), temperature=temperature, rtol=2e-3)


@each_engine
@pytest.mark.parametrize("power", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("lam", [0.01, 1.0])
@pytest.mark.parametrize("pairs_are", ["alike", "strangers", "opposite"])
def test_powers_beyond_float32_are_infinite_with_a_finite_gradient(
    engine: Engine, power: float, lam: float, pairs_are: str
) -> None:
    """Against float64 at temperatures from far above to far below q / 88: exact where float32 has a number for it."""
    other = {"alike": q + 0.1 * k, "strangers": k, "opposite": -q}[pairs_are]
    for temperature in (power / s for s in (1, 30, 60, 85, 88, 91, 120, 600)):
        losses, slopes = [], []
        for dtype in (torch.float32, torch.float64):
            both = [x.detach().clone().to(dtype).requires_grad_() for x in (q, other)]
            loss = f.robust_info_nce(*both, temperature, "none", q=power, lam=lam, engine=engine)
            losses.append(loss.detach())
            slopes.append(torch.stack(torch.autograd.grad(loss.sum(), both)))
        bound = torch.finfo(torch.float32).max
        expected = torch.where(losses[1].abs() > bound, losses[1].sign() * INF, losses[1]).float()
        assert_close(losses[0], expected, rtol=1e-3, atol=1e-6)
        assert slopes[0].isfinite().all()
        size = slopes[1].abs().max().item()
        if losses[1].abs().max() < bound**0.5 / 100:  # from there on the gradient grows no more
            assert_close(slopes[0].double(), slopes[1], rtol=1e-3, atol=1e-3 * max(size, 1e-30))
        else:
            assert slopes[0].abs().max() > 1e18


@pytest.mark.parametrize("name", [name for name in SIMPLE if name not in ("DebiasedInfoNCE", "HardNegativeInfoNCE")])
@pytest.mark.parametrize("similarity", [DotProduct(), NegativeSquaredDistance()], ids=repr)
def test_inner_products_in_the_ten_thousands_are_exact(name: str, similarity: Similarity) -> None:
    batch = [x * 100 if x.is_floating_point() else x for x in SUBJECTS[name].batch()]
    equals_double(name, batch, temperature=1.0, similarity=similarity, rtol=1e-2)


@pytest.mark.parametrize("name", COSINE)
@each_engine
def test_half_precision_at_saturation_is_the_cosine_of_single_precision(name: str, engine: Engine) -> None:
    def saturated(tensor: Tensor) -> Tensor:
        return tensor / tensor.abs().amax(-1, keepdim=True) * 65504

    batch = [saturated(x).half() if x.is_floating_point() else x for x in SUBJECTS[name].batch()]
    half, truth = [cast(batch, dtype, grad=True) for dtype in (torch.float16, torch.float64)]
    loss, expected = call(name, half, engine=engine), call(name, truth, engine=Dense())
    assert_close(loss.double(), expected, rtol=1e-4, atol=1e-4)
    loss.backward()
    assert all(leaf.grad is None or torch.isfinite(leaf.grad).all() for leaf in leaves(half))


@pytest.mark.parametrize("name", COSINE)
@each_engine
def test_a_zero_vector_is_similar_to_nothing_and_has_a_finite_gradient(name: str, engine: Engine) -> None:
    batch = SUBJECTS[name].batch()
    for place in [i for i, x in enumerate(batch) if x.is_floating_point()]:
        zero = list(batch)
        zero[place] = batch[place].clone()
        zero[place][0] = 0
        inputs = cast(zero, torch.float32, grad=True)
        loss = call(name, inputs, engine=engine)
        loss.backward()
        assert torch.isfinite(loss)
        for leaf in trained(name, inputs):
            assert leaf.grad is not None
            assert torch.isfinite(leaf.grad).all()


def test_a_zero_vector_has_similarity_zero() -> None:
    zero = torch.zeros(2, D)
    assert not Cosine()(zero, k).any()
    assert not Cosine()(k, zero).any()
    loss = f.info_nce(zero, k[:2], reduction="none")
    assert_close(loss, torch.full((2,), 2.0).log())


MASKED: dict[str, Callable[[Tensor, Tensor, Engine], Any]] = {
    "InfoNCE": lambda a, b, e: f.info_nce(a, b, ids=_IDS, engine=e),
    "smoothed": lambda a, b, e: f.info_nce(a, b, ids=_IDS, label_smoothing=0.3, engine=e),
    "explicit": lambda a, b, e: f.info_nce(a, b, k, ids=_IDS, negative_ids=_IDS, engine=e),
    "explicit kept": lambda a, b, e: f.info_nce(a, b, k, ids=_IDS, negative_ids=_IDS, keep_in_batch=True, engine=e),
    "symmetric": lambda a, b, e: f.symmetric_info_nce(a, b, ids=_IDS, engine=e),
    "NTXent": lambda a, b, e: f.nt_xent(a, b, ids=_IDS, engine=e),
    "DCL": lambda a, b, e: f.dcl(a, b, ids=_IDS, engine=e),
    "DCLW": lambda a, b, e: f.dclw(a, b, ids=_IDS, engine=e),
    "debiased": lambda a, b, e: f.debiased_info_nce(a, b, ids=_IDS, engine=e),
    "hard": lambda a, b, e: f.hard_negative_info_nce(a, b, ids=_IDS, engine=e),
    "top": lambda a, b, e: f.hard_negative_info_nce(a, b, ids=_IDS, top_k=3, engine=e),
    "retrieval": lambda a, b, e: f.retrieval_info_nce(a, b, ids=_IDS, engine=e),
    "by a margin": lambda a, b, e: f.info_nce(a, b, margin=-3.0, engine=e),
    "by a margin, both ways": lambda a, b, e: f.symmetric_info_nce(a, b, margin=-3.0, engine=e),
    "by a guide": lambda a, b, e: f.nt_xent(a, b, guide=(a.detach(), b.detach()), margin=-3.0, engine=e),
}


@pytest.mark.parametrize("case", MASKED)
@each_engine
def test_where_every_negative_is_left_out_loss_and_gradient_are_exactly_zero(case: str, engine: Engine) -> None:
    one, two = (x.requires_grad_() for x in pairs())
    loss = MASKED[case](one, two, engine)
    loss.backward()
    assert loss == 0
    for leaf in (one, two):
        assert leaf.grad is not None
        assert not leaf.grad.any()


@each_engine
@pytest.mark.parametrize("gap", [10.0, 150.0, 1000.0])
def test_a_key_far_below_every_row_maximum_is_exact_in_both_directions(engine: Engine, gap: float) -> None:
    """Its column's log-sum-exp must come from the column's own maximum, not from that of the rows."""
    logits = torch.randn(N, N, dtype=torch.float64)
    logits[:, 2] -= gap
    eye = torch.eye(N, dtype=torch.float64)
    target = torch.arange(N)
    both = [nn.functional.cross_entropy(x, target, reduction="none") for x in (logits, logits.T)]
    expected = (both[0] + both[1]) / 2
    found = f.symmetric_info_nce(
        logits.float(), eye.float(), temperature=1.0, similarity=DotProduct(), engine=engine, reduction="none"
    )
    assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)


@each_engine
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("by", ["similarity", "guide"])
def test_a_duplicate_of_the_positive_is_as_similar_and_not_more(engine: Engine, dtype: torch.dtype, by: str) -> None:
    """A tie is above no limit, whatever the rounding of two ways to compute the same number."""
    for seed in range(5):
        torch.manual_seed(seed)
        key = torch.randn(16, 32, dtype=dtype).repeat_interleave(2, 0)
        query = torch.randn(32, 32, dtype=dtype)
        options: dict[str, Any] = {"margin": 0.0} if by == "similarity" else {"guide": (query, key)}
        found = f.info_nce(query, key, engine=engine, reduction="none", **options)
        cosine = nn.functional.normalize(query.double()) @ nn.functional.normalize(key.double()).T
        own = cosine.diagonal()[:, None]
        logits = (cosine / 0.1).masked_fill(cosine > own + 1e-5, -INF)
        expected = nn.functional.cross_entropy(logits, torch.arange(32), reduction="none")
        assert_close(found.double(), expected, rtol=1e-4, atol=1e-4)


# ---- how tensors lie in memory


@each_loss
@each_engine
def test_the_layout_of_the_inputs_in_memory_does_not_matter(name: str, engine: Engine) -> None:
    subject = EVERY[name]
    face = subject.face(**({} if name == "NCE" else {"engine": engine}), **subject.own)
    batch = cast(subject.batch(), torch.float32, grad=True)
    expected = run(face, batch)
    slopes = torch.autograd.grad(expected, trained(name, batch))

    def spread(tensor: Tensor) -> Tensor:
        # every other number in memory belongs to another tensor
        return torch.stack([tensor.detach(), torch.ones_like(tensor)], -1)[..., 0]

    odd = [spread(x).requires_grad_(x.requires_grad) for x in batch]
    assert not all(x.is_contiguous() for x in odd)
    found = run(face, odd)
    assert_close(found, expected, rtol=1e-6, atol=1e-6)
    for one, other in zip(torch.autograd.grad(found, trained(name, odd)), slopes, strict=True):
        assert_close(one, other, rtol=1e-4, atol=1e-6)


@each_engine
@pytest.mark.parametrize("similarity", [Cosine(), DotProduct(), NegativeSquaredDistance()], ids=repr)
def test_an_expanded_input_has_the_gradient_of_its_copies(engine: Engine, similarity: Similarity) -> None:
    row = torch.randn(1, D, requires_grad=True)
    for place in (0, 1):
        batch = [q, k]
        batch[place] = row.expand(N, D)
        found = torch.autograd.grad(f.info_nce(*batch, similarity=similarity, engine=engine), row)[0]
        batch[place] = row.repeat(N, 1)
        expected = torch.autograd.grad(f.info_nce(*batch, similarity=similarity, engine=Dense()), row)[0]
        # of equal keys the gradients cancel, but for the rounding of each
        assert_close(found, expected, rtol=1e-4, atol=2e-4)


@each_loss
@each_engine
def test_a_gradient_on_one_side_alone_is_that_side_of_both(name: str, engine: Engine) -> None:
    subject = EVERY[name]
    face = subject.face(**({} if name == "NCE" else {"engine": engine}), **subject.own)
    batch = cast(subject.batch(), torch.float32, grad=True)
    both = torch.autograd.grad(run(face, batch), trained(name, batch))
    for place, expected in enumerate(both):
        one = [x.detach().requires_grad_(i == place and x.is_floating_point()) for i, x in enumerate(batch)]
        assert_close(torch.autograd.grad(run(face, one), one[place])[0], expected, rtol=1e-5, atol=1e-6)


@each_engine
@pytest.mark.parametrize("name", ["InfoNCE", "SymmetricInfoNCE", "NTXent", "DCL", "SigLIP", "RetrievalInfoNCE"])
@pytest.mark.parametrize("similarity", [Cosine(), DotProduct()], ids=repr)
def test_one_tensor_as_query_and_key_has_the_gradients_of_both(
    name: str, engine: Engine, similarity: Similarity
) -> None:
    both = q.clone().requires_grad_()
    sides = [q.clone().requires_grad_() for _ in range(2)]
    options: dict[str, Any] = {"temperature": 0.7, "similarity": similarity, "engine": engine}
    function = SUBJECTS[name].function
    found = torch.autograd.grad(function(both, both, **options), both)[0]
    expected = torch.autograd.grad(function(*sides, **options), sides)
    assert_close(found, expected[0] + expected[1], rtol=1e-4, atol=1e-5)


@each_engine
@pytest.mark.parametrize("name", ["InfoNCE unpaired", "RetrievalInfoNCE", "NTXent", "HardNegativeInfoNCE top", "MoCo"])
@pytest.mark.parametrize("similarity", [Cosine(), DotProduct(), None], ids=repr)
def test_a_gradient_that_can_be_differentiated_again_is_the_same_gradient(
    name: str, engine: Engine, similarity: Similarity | None
) -> None:
    """Also where one tensor plays several parts, of which each must get its own share and not the whole."""

    class Own(Similarity):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.linspace(0.5, 1.5, D))

        def forward(self, query: Tensor, key: Tensor) -> Tensor:
            return (query * self.weight) @ key.mT

    measure = Own() if similarity is None else similarity
    batch = cast(SUBJECTS[name].batch(), torch.float32, grad=True)
    loss = call(name, batch, engine=engine, temperature=0.9, similarity=measure)
    wanted = [*trained(name, batch), *measure.parameters()]
    plain = torch.autograd.grad(loss, wanted, retain_graph=True)
    again = torch.autograd.grad(loss, wanted, create_graph=True)
    for one, other in zip(again, plain, strict=True):
        assert_close(one.detach(), other, rtol=1e-4, atol=1e-5)


@each_loss
@each_engine
def test_inputs_are_not_modified(name: str, engine: Engine) -> None:
    subject = EVERY[name]
    face = subject.face(**({} if name == "NCE" else {"engine": engine}), **subject.own)
    batch = cast(subject.batch(), torch.float32, grad=True)
    before = [x.detach().clone() for x in batch]
    versions = [x._version for x in batch]
    run(face, batch).backward()
    assert [x._version for x in batch] == versions
    for one, other in zip(batch, before, strict=True):
        assert_close(one.detach(), other, rtol=0, atol=0)


@each_engine
def test_two_backward_passes_through_one_loss_agree(engine: Engine) -> None:
    query = q.clone().requires_grad_()
    loss = f.info_nce(query, k, engine=engine)
    once = torch.autograd.grad(loss, query, retain_graph=True)[0]
    assert_close(torch.autograd.grad(loss, query)[0], once, rtol=0, atol=0)


def test_a_tile_is_computed_again_in_single_precision_inside_of_autocast() -> None:
    """Although torch advises against it, `backward` is often called there."""
    found = []
    for enabled in (False, True):
        query = q.clone().requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            f.info_nce(query, k, temperature=0.02, engine=Tiled(4, 3)).backward()
        assert query.grad is not None
        found.append(query.grad)
    assert_close(found[1], found[0], rtol=1e-6, atol=1e-6)
