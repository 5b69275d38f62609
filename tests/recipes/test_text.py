"""The recipe for pairs of texts, as a user runs it: trained, stopped, resumed, mined, evaluated."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import Tensor

from info_nce import InfoNCE, RetrievalInfoNCE
from info_nce.data.pairs import load_pairs
from info_nce.errors import SettingError
from info_nce.recipes import batches as batches_module
from info_nce.recipes import loop
from info_nce.recipes.checkpoints import load_tensors
from info_nce.recipes.hard_negatives import KEPT
from info_nce.recipes.runs import load_run, recipe_of
from info_nce.recipes.text import PairEncoder, PairLoss, TextPairs
from info_nce.recipes.train import train
from info_nce.samplers import WithoutDuplicates
from tests.recipes.test_train import StopAfter, same_bits, weights
from tests.texts import pairs, write_csv

QUIET = Console(quiet=True)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_csv(tmp_path_factory.mktemp("text") / "pairs.csv", ("query", "document"), pairs(60))


@pytest.fixture
def tiny(file: Path) -> TextPairs:
    return TextPairs(data=str(file), steps=12, batch_size=8, features=8, buckets=64, threads=1, dropout=0.2)


@pytest.mark.parametrize(
    "change", [{}, {"mine": 2, "loss": "info_nce", "chunk_size": 3}, {"mine": 3, "loss": "retrieval"}]
)
def test_a_stopped_run_ends_in_the_same_bits_mined_negatives_too(
    tmp_path: Path, tiny: TextPairs, monkeypatch: pytest.MonkeyPatch, change: dict[str, object]
) -> None:
    recipe = replace(tiny, **change)  # type: ignore[arg-type]  # the settings of a case
    assert train(recipe, tmp_path / "whole", QUIET)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "Interruption", StopAfter)
        assert not train(recipe, tmp_path / "stopped", QUIET)
    assert train(recipe_of(tmp_path / "stopped"), tmp_path / "stopped", QUIET, resume=True)
    same_bits(weights(tmp_path / "whole"), weights(tmp_path / "stopped"))
    whole, stopped = (load_tensors(max((tmp_path / n / "checkpoints").iterdir()))[0] for n in ("whole", "stopped"))
    same_bits(whole, stopped)
    if recipe.mine:
        part = recipe.splits().train
        mined = whole["loss.mined"]
        assert mined.shape == (len(part), KEPT)
        assert bool((mined >= 0).any())
        rows = torch.arange(len(part))[:, None].expand_as(mined)[mined >= 0]
        assert all(part.groups[i] != part.groups[j] for i, j in zip(rows, mined[mined >= 0], strict=True))


def test_training_brings_queries_to_their_documents(tmp_path: Path, tiny: TextPairs) -> None:
    recipe = replace(tiny, steps=60, features=32, buckets=2048, batch_size=24, learning_rate=1e-2)
    assert train(recipe, tmp_path / "run", QUIET)
    run = load_run(tmp_path / "run")
    part = run.splits().train
    found = []
    for trained in (False, True):
        embed = run.embedders(trained=trained)["text"]
        similarity = embed(part.queries) @ embed(part.documents).T
        found.append(float((similarity.argmax(1) == torch.arange(len(part))).float().mean()))
    assert found[1] > found[0] + 0.2
    torch.testing.assert_close(run.embed("text", ["a dog"]), run.embed("text", ["a dog", "x"])[:1])


def test_the_texts_of_a_batch_come_with_their_negatives(tmp_path: Path, tiny: TextPairs) -> None:
    rows = [[q, d, f"hard {i}" if i % 2 else "", ""] for i, (q, d) in enumerate(pairs(40))]
    rows[1][3] = "harder 1"
    data = write_csv(tmp_path / "n.csv", ("query", "document", "negative_1", "negative_2"), rows)
    recipe = replace(tiny, data=str(data), hard_negatives=2)
    part = recipe.splits().train
    inputs = recipe.inputs(part, CPU)
    groups, ids = inputs(torch.arange(len(part)))
    assert groups.tolist() == list(part.groups)
    texts = [list(ids[i]) for i in range(len(part))]
    prepare = recipe.tower().prepare

    def same(row: Tensor, text: str) -> bool:
        wanted = prepare([text])[0][0]
        return row[: len(wanted)].tolist() == wanted.tolist() and not row[len(wanted) :].any()

    for i, (query, document, *negatives) in enumerate(texts):
        assert same(query, part.queries[i])
        assert same(document, part.documents[i])
        for own, row in zip(part.negatives[i], sorted(negatives, key=lambda n: n.tolist()), strict=False):
            assert any(same(n, own) for n in negatives), row
        others = [n for n in negatives if not any(same(n, own) for own in part.negatives[i])]
        assert len(others) == 2 - len(part.negatives[i])  # drawn from the other documents
        assert all(any(same(n, d) for d in part.documents) and not same(n, part.documents[i]) for n in others)
    validation = recipe.inputs(load_pairs(tiny.data).validation, CPU)
    assert validation(torch.arange(2))[1].shape[1] == 2  # none came with these data


def test_pieces_of_a_large_batch_are_padded_to_one_width(tiny: TextPairs, monkeypatch: pytest.MonkeyPatch) -> None:
    part = tiny.splits().train
    inputs, order = tiny.inputs(part, CPU), tiny.order(part)
    whole = batches_module.Batches(order, inputs, 8)(0)
    monkeypatch.setattr(batches_module, "AT_ONCE", 3)
    same_bits(dict(enumerate(whole)), dict(enumerate(batches_module.Batches(order, inputs, 8)(0))))  # type: ignore[arg-type]  # by place


@pytest.mark.parametrize("loss", ["retrieval", "info_nce"])
def test_hard_negatives_join_those_of_the_batch(loss: str) -> None:
    torch.manual_seed(0)
    query, document, negatives = torch.randn(5, 4), torch.randn(5, 4), torch.randn(5, 2, 4)
    groups = torch.tensor([0, 1, 2, 3, 0])
    pair = PairLoss(loss, 0.5)  # type: ignore[arg-type]  # a literal
    for hard in (None, negatives, None):
        if loss == "retrieval":
            expected = RetrievalInfoNCE(0.5)(query, document, hard, ids=groups)
        else:
            cosines = torch.nn.functional.cosine_similarity(query[:, None], document[None], dim=2)
            same = (groups[:, None] == groups) & ~torch.eye(5, dtype=torch.bool)
            logits = (cosines / 0.5).masked_fill(same, -torch.inf)
            if hard is not None:
                more = torch.nn.functional.cosine_similarity(query[:, None], hard, dim=2) / 0.5
                logits = torch.cat([logits, more], 1)
            expected = torch.nn.functional.cross_entropy(logits, torch.arange(5))
        torch.testing.assert_close(pair(query, document, groups, hard), expected)
    assert pair.temperature == 0.5
    with pytest.raises(AssertionError):
        torch.testing.assert_close(InfoNCE(0.5)(query, document), pair(query, document, groups))


def test_no_two_of_an_id_meet_unless_they_may(tmp_path: Path, tiny: TextPairs) -> None:
    rows = [[*pair, str(i // 3)] for i, pair in enumerate(pairs(60))]
    recipe = replace(tiny, data=str(write_csv(tmp_path / "p.csv", ("query", "document", "id"), rows)), batch_size=12)
    part = recipe.splits().train

    def together(recipe: TextPairs) -> bool:
        batches = recipe.order(part).epoch(0)
        return any(len({part.groups[i] for i in batch.tolist()}) < len(batch) for batch in batches)

    assert not together(recipe)
    assert together(replace(recipe, duplicates=True))


def test_what_a_large_group_leaves_out_of_an_epoch_is_told(tmp_path: Path, tiny: TextPairs) -> None:
    rows = [[*pair, "one" if i < 40 else ""] for i, pair in enumerate(pairs(60))]
    data = write_csv(tmp_path / "p.csv", ("query", "document", "id"), rows)
    assert train(replace(tiny, data=str(data), steps=2), tmp_path / "run", QUIET)
    order = replace(tiny, data=str(data)).order(load_pairs(data).train)
    assert isinstance(order, WithoutDuplicates)
    said = (tmp_path / "run" / "log.txt").read_text(encoding="utf-8")
    assert f"Left out of each epoch, others every time: {order.left_out} of {len(load_pairs(data).train)} items" in said
    assert train(tiny, tmp_path / "none", QUIET)
    assert "Left out of each epoch" not in (tmp_path / "none" / "log.txt").read_text(encoding="utf-8")


def test_an_encoder_of_the_users_own_gets_a_head(
    tiny: TextPairs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "my_text_encoder.py").write_text(
        "import torch\nfrom torch import nn\n"
        "class Lengths(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.linear = nn.Linear(1, 5)\n"
        "    def prepare(self, texts):\n        return torch.tensor([[float(len(t))] for t in texts])\n"
        "    def forward(self, lengths):\n        return self.linear(lengths)\n"
    )
    monkeypatch.chdir(tmp_path)
    recipe = replace(tiny, encoder="my_text_encoder:Lengths", freeze_encoder=True, steps=3)
    assert train(recipe, tmp_path / "run", QUIET)
    model = load_run(tmp_path / "run").model()
    assert isinstance(model, PairEncoder)
    untrained = load_run(tmp_path / "run").untrained()
    assert isinstance(untrained, PairEncoder)
    same_bits(dict(model.tower.state_dict()), dict(untrained.tower.state_dict()))
    with pytest.raises(AssertionError):
        same_bits(dict(model.head.state_dict()), dict(untrained.head.state_dict()))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mine": 1, "loss": "symmetric"}, "mined and then not used"),
        ({"mine": 1, "hard_negatives": 0}, "mined and then not used"),
        ({"freeze_encoder": True}, "needs an encoder"),
        ({"temperature": float("nan")}, "--temperature is out of range"),
        ({"dropout": 1.0}, "--dropout is out of range"),
        ({"hard_negatives": KEPT + 1}, "--hard-negatives is out of range"),
        ({"mine_margin": -0.1}, "--mine-margin is out of range"),
    ],
)
def test_settings_that_mean_nothing_are_refused(tiny: TextPairs, change: dict[str, object], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        replace(tiny, **change).check()  # type: ignore[arg-type]  # the settings of a case


def test_the_symmetric_loss_says_that_it_has_no_place_for_hard_negatives(tmp_path: Path, tiny: TextPairs) -> None:
    rows = [[*pair, "hard"] for pair in pairs(40)]
    data = write_csv(tmp_path / "n.csv", ("query", "document", "negative"), rows)
    recipe = replace(tiny, data=str(data), loss="symmetric")
    part = recipe.splits().train
    with pytest.raises(SettingError, match="no place for hard negatives"):
        recipe.inputs(part, CPU)
    without = replace(recipe, hard_negatives=0).inputs(part, CPU)(torch.arange(3))
    assert without[1].shape[1] == 2
    outputs = PairEncoder(recipe.tower(), 8)(*without)
    assert len(outputs) == 3
