"""The bet and the circle: numbers, forces and hands."""

import math
from typing import Any

import pytest
import torch

from tests.tutorial.conftest import Open, value
from tutorial.engine import Engine

S6 = [0.80, 0.72, 0.45, 0.20, -0.05, -0.30]


def torch_circle(angles: list[float]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Loss, probabilities, and by how much each angle would turn, of torch's own cross-entropy."""
    turned = torch.tensor(angles, dtype=torch.float64).deg2rad().requires_grad_()
    logits = turned.cos() / 0.07
    loss = torch.nn.functional.cross_entropy(logits[None], torch.tensor([0]))
    (gradient,) = torch.autograd.grad(loss, turned)
    return loss.detach(), logits.detach().softmax(0), -gradient


@pytest.mark.parametrize("seed", range(5))
def test_the_circle_is_torchs_loss_with_its_forces(engine: Engine, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    angles = ((torch.rand(6, generator=generator, dtype=torch.float64) - 0.5) * 360).tolist()
    found = engine.evaluate(f"FIGURES.circle.derive({{ angles: {angles} }})")
    loss, p, turns = torch_circle(angles)
    assert found["loss"] == pytest.approx(loss.item(), abs=1e-12)
    assert found["p"] == pytest.approx(p.tolist(), abs=1e-12)
    assert found["turns"] == pytest.approx(turns.tolist(), abs=1e-10)
    assert found["pull"] == pytest.approx(found["push"], abs=1e-10)


def test_the_circle_begins_with_the_six_similarities(engine: Engine) -> None:
    assert engine.evaluate("FIGURES.circle.derive(FIGURES.circle.state).cosines") == pytest.approx(S6, abs=1e-12)
    assert engine.evaluate("FIGURES.circle.derive(FIGURES.circle.state).loss") == pytest.approx(0.282046, abs=1e-6)


def angle(page: Any, i: int) -> float:
    return float(page.input_value(f'#fig-circle input[data-set="angles.{i}"]'))


def test_a_candidate_is_moved_by_mouse_keys_and_typing_alike(open_page: Open) -> None:
    page = open_page()
    start = [round(s, 1) for s in [36.9, -43.9, 63.3, 78.5, -92.9, -107.5]]
    assert [angle(page, i) for i in range(6)] == pytest.approx(start, abs=0.05)
    handle = page.locator('#fig-circle [data-drag="0"]')
    handle.scroll_into_view_if_needed()
    svg = page.locator("#fig-circle .circle > svg").bounding_box()
    scale = svg["width"] / 380
    box = handle.locator(".mark").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(svg["x"] + (190 + 100) * scale, svg["y"] + 170 * scale, steps=5)
    page.mouse.up()
    assert value(page, "circle.cosines.0") == pytest.approx(1, abs=1e-12)
    page.keyboard.press("Shift+ArrowRight")
    assert angle(page, 0) == 10
    page.keyboard.press("ArrowLeft")
    assert angle(page, 0) == 9
    page.fill('#fig-circle input[data-set="angles.0"]', "30")
    cosines = [value(page, f"circle.cosines.{i}") for i in range(6)]
    assert cosines[0] == pytest.approx(math.cos(math.pi / 6), abs=1e-12)
    p = (torch.tensor(cosines, dtype=torch.float64) / 0.07).softmax(0)
    for i in range(6):
        assert value(page, f"circle.p.{i}") == pytest.approx(p[i].item(), abs=1e-9)
    assert value(page, "circle.loss") == pytest.approx(-p[0].log().item(), abs=1e-9)


def test_the_bet_is_the_negative_logarithm_of_the_right_share(open_page: Open) -> None:
    page = open_page()
    assert page.locator('[data-bind="bet.penalty"]').count() == 0
    for i, weight in enumerate([10, 20, 50, 10, 10]):
        page.fill(f'#fig-bet input[type=number][data-set="weights.{i}"]', str(weight))
    page.click('#fig-bet [data-do="reveal"]')
    assert value(page, "bet.penalty") == pytest.approx(math.log(2), abs=1e-12)
    page.click('#fig-bet [data-do="sure"]')
    assert value(page, "bet.penalty") == pytest.approx(-math.log(0.025), abs=1e-12)
    page.click('#fig-bet [data-do="guess"]')
    assert value(page, "bet.penalty") == pytest.approx(math.log(5), abs=1e-12)


def test_tasks_tick_themselves_and_stay_ticked(open_page: Open) -> None:
    page = open_page()
    task = page.locator('#fig-circle [data-task="worse"]')
    assert "done" not in (task.get_attribute("class") or "")
    page.fill('#fig-circle input[data-set="angles.1"]', "1")
    assert "done" in task.get_attribute("class")
    page.click('#fig-circle [data-do="reset"]')
    assert "done" in task.get_attribute("class")
    page.reload()
    page.wait_for_selector("html[data-ready]", state="attached")
    assert "done" in page.locator('#fig-circle [data-task="worse"]').get_attribute("class")
