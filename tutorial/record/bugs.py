"""Five functions with a bug each, and what torch prints when they are run: python -m tutorial.record.bugs.

The page shows their source and data/bugs.json, which this writes; a test runs the fast ones again.
"""

# N items, D features

import inspect
import io
import json
import math
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor, nn
from torch.optim import Optimizer

from info_nce.checks import WrongLossError
from info_nce.from_scratch import info_nce, nt_xent  # noqa: F401 - typed at the prompt
from info_nce.testing import check_loss

DATA = Path(__file__).parents[1] / "data" / "bugs.json"
FRAMES, SHOWN = (0, 3, 9, 21, 42, 147), 36

Pair = tuple[Tensor, Tensor]
"""Two views of the same items."""


class LearnedTemperature(nn.Module):
    """A temperature that is kept as a logarithm."""

    def __init__(self, start: float = 0.07) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / start)))

    def forward(self) -> Tensor:
        """Return the temperature."""
        return self.log_scale.exp()


def nt_xent_by_hand(views: Tensor, temperature: float) -> Tensor:
    """NT-Xent of views a1 a2 b1 b2 ..."""
    views = F.normalize(views, dim=1)
    similarity = views @ views.T
    itself = torch.eye(len(views), dtype=torch.bool)
    partner = torch.arange(len(views)) ^ 1
    positive = similarity.gather(1, partner[:, None])
    taken = itself | F.one_hot(partner).bool()
    negatives = (similarity / temperature).masked_fill(taken, -torch.inf)
    logits = torch.cat([positive, negatives], dim=1)
    own = torch.zeros(len(views), dtype=torch.long)
    return F.cross_entropy(logits, own)


def train_step(encoder: nn.Module, pair: Pair, optimizer: Optimizer) -> float:
    """One step with nt_xent, which expects a1 a2 b1 b2 ..."""
    embedded = [encoder(view) for view in pair]
    views = torch.cat(embedded)
    loss = nt_xent(views, temperature=0.2)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def check_start(views: Tensor, temperature: float = 0.07) -> bool:
    """Whoever knows nothing guesses: does the loss start there?"""
    pairs = len(views) // 2
    loss = nt_xent(views, temperature).item()
    guessing = math.log(pairs - 1)
    print(f"loss {loss:.4f}, guessing {guessing:.4f}")
    return abs(loss - guessing) < 0.01


def cosines(query: Tensor, key: Tensor) -> Tensor:
    """All cosines, with a check."""
    query = F.normalize(query, dim=1)
    key = F.normalize(key, dim=1)
    cosine = query @ key.T
    if cosine.max() > 1.0:
        raise ValueError(f"no cosine: {cosine.max().item():.7f}")
    return cosine


def unnormalised(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    """Somebody's first InfoNCE, for check_loss."""
    logits = query @ key.T / temperature
    return F.cross_entropy(logits, torch.arange(len(query)))


@dataclass(frozen=True)
class Bug:
    """A function, its line that is wrong, what stands there when it is right, and what to type to see it."""

    function: Callable[..., Any]
    wrong: str
    right: str
    session: tuple[str, ...]

    def line(self) -> int:
        """Which line of the function is wrong, from 0."""
        lines = [line.strip() for line in inspect.getsource(self.function).splitlines()]
        return lines.index(self.wrong)


BUGS = {
    "inverse": Bug(
        LearnedTemperature,
        "return self.log_scale.exp()",
        "return torch.exp(-self.log_scale)",
        (
            "temperature = LearnedTemperature(0.07)",
            "round(temperature().item(), 4)",
            "query = key = torch.eye(4)  # perfect",
            "round(info_nce(query, key, temperature()).item(), 4)",
            "round(info_nce(query, key, 0.07).item(), 4)",
        ),
    ),
    "undivided": Bug(
        nt_xent_by_hand,
        "positive = similarity.gather(1, partner[:, None])",
        "positive = similarity.gather(1, partner[:, None]) / temperature",
        (
            "views = torch.eye(4).double().repeat_interleave(2, dim=0)  # perfect",
            "round(nt_xent_by_hand(views, 0.07).item(), 4)",
            "round(nt_xent(views, 0.07).item(), 8)  # of from_scratch",
        ),
    ),
    "layout": Bug(
        train_step,
        "views = torch.cat(embedded)",
        "views = torch.stack(embedded, dim=1).flatten(0, 1)",
        ("run = Run(train_step)", "run.to(150)", "round(math.log(2 * 256 - 1), 4)"),
    ),
    "guessing": Bug(
        check_start,
        "guessing = math.log(pairs - 1)",
        "guessing = math.log(2 * pairs - 1)",
        (
            "check_start(torch.ones(512, 128))  # all the same",
            "check_start(strangers(512, 128))  # independent",
            "starts = [nt_xent(strangers(512, 128, seed), 0.07).item() for seed in range(10)]",
            "print(f'{min(starts):.2f} to {max(starts):.2f}')",
            "round(math.log(2 * 256 - 1), 4)",
        ),
    ),
    "rounding": Bug(
        cosines,
        "if cosine.max() > 1.0:",
        "if cosine.max() > 1.0 + 1e-5:",
        ("features = strangers(512, 128)", "cosines(features, features)"),
    ),
}


def strangers(rows: int, features: int, seed: int = 0) -> Tensor:
    """Random directions, the same ones each time."""
    return torch.randn(rows, features, generator=torch.Generator().manual_seed(seed))


class Run:
    """A small encoder that is trained to find the other view of a point: two copies of it with noise.

    Args:
        step: trains once.
    """

    def __init__(self, step: Callable[..., float]) -> None:
        self.step = step
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.encoder = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 3))
        self.optimizer = torch.optim.Adam(self.encoder.parameters(), lr=1e-2)
        self.generator = torch.Generator().manual_seed(1)
        self.seen = self.batch()
        self.losses: list[float] = []

    def batch(self) -> Pair:
        """Two views of 256 points."""
        point = torch.randn(256, 8, generator=self.generator)
        noise = 0.2 * torch.randn(2, 256, 8, generator=self.generator)
        return point + noise[0], point + noise[1]

    def to(self, steps: int) -> None:
        """Train up to a number of steps, and say now and then what the loss is."""
        while len(self.losses) < steps:
            self.losses.append(self.step(self.encoder, self.batch(), self.optimizer))
            if len(self.losses) in {1, 50, 100, 150}:
                print(f"step {len(self.losses):3d}  loss {self.losses[-1]:.4f}")

    @torch.no_grad()
    def points(self) -> list[list[float]]:
        """Where some points lie on the sphere."""
        found = F.normalize(self.encoder(self.seen[0][:SHOWN]), dim=1)
        return [[round(x, 2) for x in point] for point in found.tolist()]


def curves(step: Callable[..., float]) -> dict[str, Any]:
    """The loss at every third step, and points at some moments."""
    run = Run(step)
    frames = []
    for moment in FRAMES:
        run.to(moment)
        frames.append(run.points())
    run.to(FRAMES[-1] + 1)
    return {"losses": [round(loss, 4) for loss in run.losses[::3]], "frames": frames}


def mended(bug: Bug) -> Callable[..., Any]:
    """The function with its line put right."""
    source = inspect.getsource(bug.function)
    names = dict(globals())
    exec(source.replace(bug.wrong, bug.right), names)  # noqa: S102 - our own function
    return names[bug.function.__name__]  # type: ignore[no-any-return]  # what exec makes has no type


def typed(session: tuple[str, ...]) -> list[list[str]]:
    """Type lines at a prompt: each line, and what is printed."""
    names = dict(globals())
    done = []
    for line in session:
        said = io.StringIO()
        with redirect_stdout(said):
            try:
                exec(compile(line, "<stdin>", "single"), names)  # noqa: S102 - our own lines
            except ValueError as error:
                print(f"ValueError: {error}")
        done.append([line, *said.getvalue().splitlines()])
    return done


def check_session() -> list[list[str]]:
    """What check_loss says about somebody's first InfoNCE, and about a right one."""
    try:
        said = check_loss(unnormalised)
    except WrongLossError as error:
        said = f"WrongLossError: {error}"
    return [["check_loss(unnormalised)", *said.splitlines()], *typed(("check_loss(info_nce)",))]


def record() -> dict[str, Any]:
    """Everything that the page shows of them."""
    torch.set_num_threads(1)
    bugs = [
        {"name": name, "line": bug.line(), "right": bug.right, "session": typed(bug.session)}
        for name, bug in BUGS.items()
    ]
    layout = BUGS["layout"]
    runs = {"moments": FRAMES, "wrong": curves(layout.function), "right": curves(mended(layout))}
    return {"torch": torch.__version__, "bugs": bugs, "runs": runs, "check": check_session()}


if __name__ == "__main__":
    DATA.write_text(json.dumps(record(), ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
