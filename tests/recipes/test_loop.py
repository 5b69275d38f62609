"""The loop: the learning rate, what is logged, and what stops it."""

import math
import os
import signal
from io import StringIO
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from info_nce import InfoNCE
from info_nce.errors import RunError, SettingError
from info_nce.recipes import loop as loop_module
from info_nce.recipes.checkpoints import load_tensors
from info_nce.recipes.interruption import Interruption
from info_nce.recipes.loop import Loop, Training, fit
from info_nce.recipes.progress import Metrics
from info_nce.recipes.signs import collapsed, signs
from info_nce.recipes.tracking import tracked_by
from info_nce.similarity import DotProduct

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
    names = "step epoch loss log_candidates alignment uniformity saturated temperature learning_rate seconds"
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
    assert line["uniformity"] == pytest.approx(signs(query[:4], key[:4])["uniformity"])
    assert line["uniformity"] != pytest.approx(signs(query, key)["uniformity"])


def test_the_weights_with_the_smallest_validation_loss_are_kept(tmp_path: Path) -> None:
    one = training(tmp_path, steps=40, log_every=2)
    one.validation = Pairs()
    fit(one, Pairs(), QUIET)
    found = {
        line["step"]: line["validation_loss"]
        for line in Metrics(tmp_path / "metrics.jsonl").read()
        if "validation_loss" in line
    }
    assert list(found) == list(range(4, 41, 4))
    best, header = load_tensors(tmp_path / loop_module.BEST)
    assert header["step"] == min(found, key=found.__getitem__)
    other = training(tmp_path / "other")
    other.model.load_state_dict(best)
    other.loss.load_state_dict(one.loss.state_dict())
    other.validation = Pairs()
    assert other.validate() == pytest.approx(min(found.values()), rel=0.02)  # the temperature is the last one


def test_a_validation_leaves_no_trace(tmp_path: Path) -> None:
    runs = []
    for name, validation in (("with", Pairs()), ("without", None)):
        torch.manual_seed(3)
        one = training(tmp_path / name, steps=12, log_every=1)
        one.model.query = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.3))
        one = Training(one.model, one.loss, one.loop, one.folder, "mine", validation=validation)
        torch.manual_seed(4)
        fit(one, Pairs(), QUIET)
        assert one.model.training
        runs.append({**one.model.state_dict(), **one.loss.state_dict()})
    torch.testing.assert_close(*runs, rtol=0, atol=0)


class Counted(nn.Module):
    """A loss with something to do after each step."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = torch.zeros(3)

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        return (query - key).square().mean()

    def after_step(self, query: Tensor, key: Tensor) -> None:
        assert not query.requires_grad
        self.seen += query.sum(0) + key.sum(0)


@pytest.mark.parametrize("chunk_size", [0, 3])
def test_what_is_to_be_done_after_a_step_gets_the_whole_batch(tmp_path: Path, chunk_size: int) -> None:
    one = Training(Towers(), Counted(), Loop(1, 0.0, 0.0, chunk_size=chunk_size), tmp_path, "mine")
    batch = Pairs()(0)
    one.update(batch)
    with torch.no_grad():
        query, key = one.model(*batch)
    torch.testing.assert_close(one.loss.seen, query.sum(0) + key.sum(0))


def test_a_collapse_is_said_once_with_what_to_try(tmp_path: Path) -> None:
    one = training(tmp_path, learning_rate=0.0)
    for parameter in one.model.parameters():
        parameter.data.mul_(0).add_(1 if parameter.dim() == 1 else 0)
    said = Console(record=True, quiet=False, file=StringIO())
    fit(one, Pairs(), said)
    text = said.export_text()
    assert text.count("collapse: at step 10 all embeddings lie in one point") == 1
    assert "--learning-rate" in text
    assert "collapse" not in collapsed({"uniformity": -0.5, "step": 3.0}, late=True)
    assert collapsed({"uniformity": -0.01, "step": 3.0}, late=False) == ""


def test_saturated_rows_are_counted() -> None:
    corners = torch.eye(4)
    assert signs(corners, corners, 0.1)["saturated"] == 1
    assert signs(corners, corners, 0.5)["saturated"] == 0
    assert signs(corners, corners[[0, 1, 3, 2]], 0.1)["saturated"] == 0.5
    assert "saturated" not in signs(corners, corners)


def test_of_inner_products_no_temperature_is_told(tmp_path: Path) -> None:
    fit(
        Training(Towers(), InfoNCE(0.1, similarity=DotProduct()), Loop(10, 0.01, 0.1), tmp_path, "mine"), Pairs(), QUIET
    )
    (line,) = Metrics(tmp_path / "metrics.jsonl").read()
    assert "temperature" not in line
    assert "saturated" not in line


def test_the_metrics_go_to_tensorboard_too(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    one = Training(Towers(), InfoNCE(0.1), Loop(10, 0.01, 0.1, track="tensorboard"), tmp_path, "mine")
    fit(one, Pairs(), QUIET)
    assert list(tmp_path.rglob("events.out.tfevents.*"))


def test_a_tracker_that_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="wandb is not installed"):
        tracked_by("wandb", tmp_path)


def test_bfloat16_trains_nearly_like_float32(tmp_path: Path) -> None:
    losses = []
    for precision in ("float32", "bfloat16"):
        torch.manual_seed(0)
        loop = Loop(20, 0.01, 0.1, precision=precision)
        fit(Training(Towers(), InfoNCE(0.1), loop, tmp_path / precision, "mine"), Pairs(), QUIET)
        losses.append(Metrics(tmp_path / precision / "metrics.jsonl").read()[-1]["loss"])
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


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


def test_signs_of_known_points() -> None:
    corners = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [2.0, 0.0]])
    assert signs(corners, corners) == {
        "alignment": 0.0,
        "uniformity": pytest.approx(math.log((1 + 2 * math.exp(-8)) / 3)),
    }
    assert signs(corners, -corners)["alignment"] == 4.0
