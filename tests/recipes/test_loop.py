"""The loop: the learning rate, what is logged, and what stops it."""

import math
import os
import signal
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from info_nce import InfoNCE
from info_nce.errors import RunError
from info_nce.recipes import loop as loop_module
from info_nce.recipes.interruption import Interruption
from info_nce.recipes.loop import Loop, Training, fit, geometry
from info_nce.recipes.progress import Metrics

QUIET = Console(quiet=True)


class Towers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.query, self.key = nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, query: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
        return self.query(query), self.key(key)


class Pairs:
    candidates = 8

    def __init__(self, spoilt_at: int = -1) -> None:
        self.spoilt_at = spoilt_at

    def __len__(self) -> int:
        return 5

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        query = torch.rand(8, 4)
        return query * (math.nan if step == self.spoilt_at else 1), query + 0.1


def training(folder: Path, steps: int = 25, **settings: float) -> Training:
    loop = Loop(**{"steps": steps, "learning_rate": 0.01, "weight_decay": 0.1, **settings})  # type: ignore[arg-type]  # settings by name
    return Training(Towers(), InfoNCE(0.1, learnable=True), loop, folder, "mine")


def test_any_model_and_loss_can_be_trained_and_is_logged(tmp_path: Path) -> None:
    assert fit(training(tmp_path), Pairs(), QUIET) == 25
    lines = Metrics(tmp_path / "metrics.jsonl").read()
    assert [line["step"] for line in lines] == [10, 20, 25]
    names = "step epoch loss log_candidates alignment uniformity learning_rate seconds"
    assert all(list(line) == names.split() for line in lines)
    assert lines[-1]["epoch"] == 5
    assert lines[0]["log_candidates"] == pytest.approx(math.log(8))


def test_a_learned_temperature_is_trained_and_kept_in_its_range(tmp_path: Path) -> None:
    one = training(tmp_path, steps=3)
    with torch.no_grad():
        for parameter in one.loss.parameters():
            parameter.fill_(math.log(1 / 0.0101))
    for _ in range(3):
        for parameter in one.loss.parameters():
            parameter.data += 1
        one.update(Pairs()(0))
    assert all(parameter.item() <= math.log(100) + 1e-6 for parameter in one.loss.parameters())


class Normed(Towers):
    """With statistics of what is encoded at once."""

    def forward(self, query: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
        query, key = super().forward(query, key)
        return (query - query.mean(0)) / query.std(0), key


def trained(folder: Path, model: nn.Module, chunk_size: int) -> tuple[list[float], dict[str, Tensor]]:
    one = Training(model.double(), InfoNCE(0.1, learnable=True), Loop(6, 0.01, 0.1, chunk_size=chunk_size), folder, "m")
    torch.manual_seed(1)
    losses = [one.update(tuple(x.double() for x in Pairs()(step)))[0].item() for step in range(6)]
    return losses, {**one.model.state_dict(), **one.loss.state_dict()}


def test_a_batch_in_chunks_trains_like_a_whole_one(tmp_path: Path) -> None:
    whole, chunks = (trained(tmp_path, Towers(), size) for size in (0, 3))
    torch.testing.assert_close(chunks, whole, rtol=1e-9, atol=1e-11)


def test_chunks_that_are_encoded_otherwise_would_be_noticed(tmp_path: Path) -> None:
    whole, chunks = (trained(tmp_path, Normed(), size) for size in (0, 3))
    with pytest.raises(AssertionError):
        torch.testing.assert_close(chunks, whole, rtol=1e-3, atol=1e-3)


def test_a_chunked_run_is_logged_clipped_and_stopped_where_it_diverges(tmp_path: Path) -> None:
    assert fit(training(tmp_path / "one", chunk_size=3), Pairs(), QUIET) == 25
    assert [line["step"] for line in Metrics(tmp_path / "one" / "metrics.jsonl").read()] == [10, 20, 25]
    with pytest.raises(RunError, match="diverged at step 8"):
        fit(training(tmp_path / "two", chunk_size=3), Pairs(spoilt_at=7), QUIET)
    clipped = training(tmp_path / "three", chunk_size=3, clip=1e-3)
    clipped.update(Pairs()(0))
    gradients = [
        p.grad.norm() for part in (clipped.model, clipped.loss) for p in part.parameters() if p.grad is not None
    ]
    assert torch.stack(gradients).norm().item() == pytest.approx(1e-3, rel=1e-3)


def test_only_so_many_rows_are_looked_at_for_the_geometry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_module, "GEOMETRY_ROWS", 4)
    one = training(tmp_path, steps=1, learning_rate=0.0)
    torch.manual_seed(1)
    query, key = one.model(*Pairs()(0))
    torch.manual_seed(1)
    fit(one, Pairs(), QUIET)
    (line,) = Metrics(tmp_path / "metrics.jsonl").read()
    assert line["uniformity"] == pytest.approx(geometry(query[:4], key[:4])["uniformity"])
    assert line["uniformity"] != pytest.approx(geometry(query, key)["uniformity"])


def test_the_learning_rate_warms_up_and_falls_to_nothing() -> None:
    loop = Loop(steps=100, learning_rate=1.0, weight_decay=0.0, warmup=0.1)
    rates = [loop.learning_rate_at(step) for step in range(100)]
    assert rates[:3] == pytest.approx([0.1, 0.2, 0.3])
    assert rates.index(max(rates)) in {9, 10}
    assert rates[50] == pytest.approx(0.5)
    assert 0 < rates[99] < 0.001


def test_a_loss_that_is_no_number_ends_the_run_and_leaves_the_weights(tmp_path: Path) -> None:
    one = training(tmp_path, checkpoint_seconds=0.0)
    with pytest.raises(RunError, match="diverged at step 8") as caught:
        fit(one, Pairs(spoilt_at=7), QUIET)
    assert "step-00000007.safetensors" in caught.value.expected
    assert all(parameter.isfinite().all() for parameter in one.model.parameters())
    assert training(tmp_path).step == 7


def test_a_gradient_that_is_no_number_ends_the_run_too(tmp_path: Path) -> None:
    class Rooted(nn.Module):
        def forward(self, query: Tensor, key: Tensor) -> Tensor:
            return (query - query.detach()).abs().sum().sqrt() + 0 * key.sum()  # 0, with an infinite slope

    one = Training(Towers(), Rooted(), Loop(5, 0.01, 0.1), tmp_path, "mine")
    with pytest.raises(RunError, match="diverged at step 1"):
        fit(one, Pairs(), QUIET)


def test_what_a_killed_run_logged_beyond_its_checkpoint_is_logged_once(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path / "metrics.jsonl")
    for step in (10, 20, 30):
        metrics.append({"step": step})
    with metrics.path.open("a") as file:
        file.write('{"step": 40, "lo')
    assert [line["step"] for line in metrics.read()] == [10, 20, 30]
    metrics.rewind(20)
    metrics.append({"step": 30})
    assert [line["step"] for line in metrics.read()] == [10, 20, 30]


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    fit(training(tmp_path, steps=1), Pairs(), QUIET)
    with pytest.raises(RunError, match="does not fit this model"):
        Training(nn.Linear(2, 2), nn.Identity(), Loop(1, 0.01, 0.1), tmp_path, "mine")


def test_both_signals_are_listened_to_and_only_inside() -> None:
    before = [signal.getsignal(number) for number in Interruption.SIGNALS]
    with Interruption() as interruption:
        os.kill(os.getpid(), signal.SIGTERM)
        assert interruption.asked
    assert [signal.getsignal(number) for number in Interruption.SIGNALS] == before


def test_a_signal_is_remembered_once_and_then_acts_as_before() -> None:
    # of a job in the background, a shell has SIGINT ignored
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        _remembered_once(signal.default_int_handler)
    finally:
        signal.signal(signal.SIGINT, inherited)


def _remembered_once(before: object) -> None:
    with Interruption() as interruption:
        assert not interruption.asked
        os.kill(os.getpid(), signal.SIGINT)
        assert interruption.asked
        assert signal.getsignal(signal.SIGINT) is before
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_geometry_of_known_points() -> None:
    corners = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [2.0, 0.0]])
    assert geometry(corners, corners) == {
        "alignment": 0.0,
        "uniformity": pytest.approx(math.log((1 + 2 * math.exp(-8)) / 3)),
    }
    assert geometry(corners, -corners)["alignment"] == 4.0
