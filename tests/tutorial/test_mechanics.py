"""How vectors move: forces against torch, layouts against the library's own masks, false negatives; and by hand."""

import json
import math
import re
from typing import Any
from urllib.parse import unquote

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from info_nce.functional import nt_xent
from info_nce.pairing import labelled, views
from info_nce.views import views_from_interleaved, views_from_stacked
from tests.tutorial.conftest import Open, address_of, check_accessible, value
from tutorial.engine import Engine


def tensor(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def random_points(pairs: int, dimensions: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(2 * pairs, dimensions, generator=generator, dtype=torch.float64), dim=1)


def torch_step(points: Tensor, temperature: float, rate: float, mode: str = "both", *, columns: bool = True) -> Tensor:
    """One gradient step of torch's own cross-entropies; a mode keeps only some cells of the matrix's gradient."""
    raw = points.clone().requires_grad_()
    left, right = normalize(raw, dim=1).chunk(2)  # the gradient through it lies along the sphere
    matrix = left @ right.T
    own = torch.arange(len(left))
    loss = cross_entropy(matrix / temperature, own)
    if columns:
        loss = (loss + cross_entropy(matrix.T / temperature, own)) / 2
    (cells,) = torch.autograd.grad(loss, matrix, retain_graph=True)
    pulls = torch.eye(len(left), dtype=torch.bool)
    kept = {"both": torch.ones_like(pulls), "pull": pulls, "push": ~pulls}[mode]
    (gradient,) = torch.autograd.grad(matrix, raw, cells * kept)
    return normalize(points - rate * gradient, dim=1)


def state_of(engine: Engine, points: Tensor, **changes: Any) -> str:
    pairs, dimensions = len(points) // 2, points.shape[1]
    inside = {"points": points.flatten().tolist(), "pairs": pairs, "dimensions": dimensions, **changes}
    inside["drawn"] = [pairs, dimensions, engine.evaluate("FIGURES.forces.state.seed")]
    return f"FIGURES.forces.fits({{ ...FIGURES.forces.state, ...{json.dumps(inside)} }})"


@pytest.mark.parametrize("mode", ["both", "pull", "push"])
@pytest.mark.parametrize(("pairs", "dimensions", "temperature"), [(2, 2, 0.5), (3, 2, 0.07), (5, 3, 0.2), (8, 3, 1.0)])
def test_a_step_is_torchs_gradient_step(
    engine: Engine, pairs: int, dimensions: int, temperature: float, mode: str
) -> None:
    points = random_points(pairs, dimensions, pairs)
    state = state_of(engine, points, temperature=temperature, mode=mode)
    found = tensor(engine.evaluate(f"FIGURES.forces.step({state}).points")).view_as(points)
    rate = engine.evaluate(f"FIGURES.forces.derive({state}).rate")
    expected = torch_step(points, temperature, rate, mode)
    assert found == pytest.approx(expected.numpy(), abs=1e-9)
    assert (expected - points).abs().max() > 1e-3
    rows_alone = torch_step(points, temperature, rate, mode, columns=False)
    assert (found - rows_alone).abs().max() > 1e-5, "a step of the rows' loss alone would look the same"


def test_pull_and_push_are_equal_and_are_what_the_positive_lacks(engine: Engine) -> None:
    points = random_points(6, 3, 1)
    found = engine.evaluate(f"FIGURES.forces.derive({state_of(engine, points, temperature=0.2)})")
    left, right = points.chunk(2)
    positives = torch.cat([(m / 0.2).softmax(1).diagonal() for m in (left @ right.T, right @ left.T)])
    assert found["pull"] == pytest.approx(((1 - positives) / 0.2).mean().item(), abs=1e-10)
    assert found["push"] == pytest.approx(found["pull"], abs=1e-10)


@pytest.mark.parametrize(
    ("pairs", "dimensions", "loss", "cosines"),
    [
        (2, 2, 0.01815, {-1.0}),
        (3, 2, 0.09492, {-0.5}),
        (4, 3, 0.18934, {-1 / 3}),
        (4, 2, 0.25386, {-1.0, 0.0}),
        (8, 2, 0.90346, {-1.0, -math.sqrt(0.5), 0.0, math.sqrt(0.5)}),
    ],
)
def test_where_pairs_come_to_rest(
    engine: Engine, pairs: int, dimensions: int, loss: float, cosines: set[float]
) -> None:
    state = f"FIGURES.forces.fits({{ ...FIGURES.forces.state, pairs: {pairs}, dimensions: {dimensions} }})"
    end = engine.evaluate(f"FIGURES.forces.derive(FIGURES.forces.actions.end({state}))")
    assert end["loss"] == pytest.approx(loss, abs=1e-4)
    assert end["strangers"] == pytest.approx(-1 / (pairs - 1), abs=1e-3)
    assert end["partners"] == pytest.approx(1, abs=1e-3)
    for i, row in enumerate(end["cosines"]):
        assert all(min(abs(c - near) for near in cosines) < 2e-3 for j, c in enumerate(row) if j != i)
    if dimensions >= pairs - 1:
        assert end["lowest"] == pytest.approx(loss, abs=5e-6)
    else:
        assert engine.evaluate(f"evenly({pairs}, 0.5).loss") == pytest.approx(loss, abs=5e-6)


@pytest.mark.parametrize("pairs", [2, 5, 8])
def test_the_lowest_loss_is_that_of_a_simplex(engine: Engine, pairs: int) -> None:
    corners = torch.eye(pairs, dtype=torch.float64)
    corners = normalize(corners - corners.mean(0), dim=1)
    loss = cross_entropy(corners @ corners.T / 0.3, torch.arange(pairs))
    assert engine.evaluate(f"lowestLoss({pairs}, 0.3)") == pytest.approx(loss.item(), abs=1e-12)
    right_angles = cross_entropy(torch.eye(pairs).double() / 0.3, torch.arange(pairs)).item()
    assert engine.evaluate(f"lowestLoss({pairs}, 0.3)") < right_angles - 1e-3, "negatives do not stop at a cosine of 0"


def test_all_points_together_cost_guessing_and_feel_nothing(engine: Engine) -> None:
    for pairs, dimensions in [(3, 2), (8, 3)]:
        points = random_points(pairs, dimensions, 4)
        together = f"((s) => ({{ ...s, ...FIGURES.forces.actions.together(s) }}))({state_of(engine, points)})"
        found = engine.evaluate(f"FIGURES.forces.derive({together})")
        assert found["loss"] == pytest.approx(math.log(pairs), abs=1e-9)
        assert found["slope"] < 1e-12
        assert engine.evaluate(f"FIGURES.forces.step({together})") is None
        jostled = f"((s) => ({{ ...s, ...FIGURES.forces.actions.jostle(s) }}))({together})"
        left = engine.evaluate(f"FIGURES.forces.derive(FIGURES.forces.actions.end({jostled})).loss")
        assert left < math.log(pairs) - 0.3


def test_pulling_alone_merges_partners_and_leaves_pairs_where_they_are(engine: Engine) -> None:
    points = random_points(4, 2, 3)
    state = state_of(engine, points, mode="pull")
    end = tensor(engine.evaluate(f"FIGURES.forces.actions.end({state}).points")).view(8, 2)
    middle = normalize(points[:4] + points[4:], dim=1)
    assert end[:4] == pytest.approx(middle.numpy(), abs=2e-3)
    assert end[4:] == pytest.approx(middle.numpy(), abs=2e-3)


def test_points_that_do_not_fit_are_drawn_anew(engine: Engine) -> None:
    for broken in ("points: [1, 0]", "points: [...Array(12)].map(() => 2)", "pairs: 5", "dimensions: 3", "seed: 9"):
        state = engine.evaluate(f"FIGURES.forces.fits({{ ...FIGURES.forces.state, steps: 7, {broken} }})")
        assert len(state["points"]) == 2 * state["pairs"] * state["dimensions"]
        assert state["drawn"] == [state["pairs"], state["dimensions"], state["seed"]]
        assert state["steps"] == 0
    assert engine.evaluate("scattered(4, 3, 1)") != engine.evaluate("scattered(4, 3, 2)")


@pytest.mark.parametrize("pairs", [2, 3, 4, 7])
def test_layouts_are_the_librarys(engine: Engine, pairs: int) -> None:
    rows = torch.arange(2.0 * pairs)[:, None]
    cut = {"interleaved": views_from_interleaved, "stacked": views_from_stacked}
    for layout, read in cut.items():
        first, second = (view[:, 0].long().tolist() for view in read(rows, check=False))
        expected = dict(zip(first + second, second + first, strict=True))
        found = engine.evaluate(f"[...Array({2 * pairs}).keys()].map((i) => partnerOf(i, {pairs}, '{layout}'))")
        assert found == [expected[i] for i in range(2 * pairs)]
        other = "stacked" if layout == "interleaved" else "interleaved"
        mixed = engine.evaluate(f"[...Array({2 * pairs}).keys()].map((i) => partnerOf(i, {pairs}, '{other}'))")
        assert not any(a == b for a, b in zip(found, mixed, strict=True))


@pytest.mark.parametrize("pairs", [4, 256])
def test_counts_are_those_of_the_librarys_masks(engine: Engine, pairs: int) -> None:
    every = slice(0, 2 * pairs)
    items = torch.arange(2 * pairs) // 2
    for layout, (positives, left_out) in {
        "stacked": views(2, pairs, None, "out", items.device),
        "interleaved": labelled(items),
    }.items():
        positive, out = positives.mask(every, every), left_out.mask(every, every)
        assert positive is not None
        assert out is not None
        state = f"{{ ...FIGURES.batch.state, pairs: {pairs}, rows: '{layout}', reads: '{layout}' }}"
        found = engine.evaluate(f"FIGURES.batch.derive({state})")
        negative = ~positive & ~out
        assert found["size"] == found["right"] == positive.sum().item()
        assert found["all"] == negative.sum().item()
        assert {found["negatives"]} == set(negative.sum(1).tolist())
        assert found["guessing"] == pytest.approx(math.log(2 * pairs - 1), abs=1e-12)
        assert found["partner"] == positive[2].nonzero().item()
    clip = engine.evaluate(f"FIGURES.batch.derive({{ ...FIGURES.batch.state, kind: 'clip', pairs: {pairs} }})")
    assert (clip["negatives"], clip["all"], clip["size"]) == (pairs - 1, pairs * (pairs - 1), pairs)


def test_perfect_embeddings_in_the_wrong_layout_cost_what_the_library_says(engine: Engine) -> None:
    stacked = torch.eye(4, dtype=torch.float64).repeat(2, 1)
    for reads, read in {"stacked": views_from_stacked, "interleaved": views_from_interleaved}.items():
        loss = nt_xent(*read(stacked, check=False), temperature=0.07).item()
        state = f"{{ ...FIGURES.batch.state, rows: 'stacked', reads: '{reads}' }}"
        assert engine.evaluate(f"FIGURES.batch.derive({state}).perfect") == pytest.approx(loss, abs=1e-9)


def test_false_negatives_keep_their_share_and_grow_in_number(engine: Engine) -> None:
    numbers = []
    for pairs in (16, 64, 256):
        per_batch = f"FIGURES.strangers.derive({{ pairs: {pairs}, classes: 10, seed }}).found"
        found = engine.evaluate(f"[...Array(200).keys()].map((seed) => {per_batch})")
        expected = engine.evaluate(f"falseNegatives({pairs}, 10)")
        numbers.append(expected["expected"])
        assert expected["share"] == 0.1
        # Both views of a picture count, so that numbers come in twos.
        spread = math.sqrt(4 * (pairs - 1) * 0.09 / 200)
        assert abs(sum(found) / 200 - expected["expected"]) < 4 * spread
        diluted = (2 * pairs - 2) * 0.1 * 16 / pairs  # what a share would give that falls as the batch grows
        assert pairs == 16 or abs(sum(found) / 200 - diluted) > 4 * spread
    assert numbers == pytest.approx([3, 12.6, 51], abs=1e-12)


def done(page: Any, figure: str, task: str) -> bool:
    return "done" in (page.get_attribute(f'#fig-{figure} [data-task="{task}"]', "class") or "")


def points_of(page: Any) -> Tensor:
    found = re.search(r"forces\.points=([^&]*)", unquote(address_of(page)))
    assert found
    return tensor([float(x) for x in found[1].split(",")])


def test_the_forces_by_hand(open_page: Open) -> None:
    page = open_page()
    start = page.evaluate("import('/app/page.js').then(({ modules }) => modules['math.js'].scattered(6, 2, 74).flat())")
    before = tensor(start).view(6, 2)
    page.click('#fig-forces [data-do="step"]')
    expected = torch_step(before, 0.5, value(page, "forces.rate"))
    assert points_of(page) == pytest.approx(expected.flatten().numpy(), abs=1e-6)
    assert page.inner_text('#fig-forces [data-bind="forces.pull"]') == page.inner_text('[data-bind="forces.push"]')
    assert not done(page, "forces", "floor")
    page.click('#fig-forces [data-do="end"]')
    assert value(page, "forces.strangers") == pytest.approx(-0.5, abs=1e-3)
    assert value(page, "forces.loss") == pytest.approx(0.09492, abs=1e-4)
    assert done(page, "forces", "floor")
    page.click('#fig-forces [data-do="together"]')
    assert value(page, "forces.loss") == pytest.approx(math.log(3), abs=1e-9)
    assert value(page, "forces.slope") < 1e-9
    assert done(page, "forces", "together")
    page.click('#fig-forces [data-do="again"]')
    page.click('#fig-forces [data-do="set:mode=pull"]')
    page.click('#fig-forces [data-do="play"]')
    page.wait_for_function("document.querySelector('[data-bind=\"forces.partners\"]').dataset.value > 0.2")
    page.click('#fig-forces [data-do="play"]')
    assert page.locator('#fig-forces [data-do="step"]').is_enabled()
    page.click('#fig-forces [data-do="end"]')
    assert done(page, "forces", "merge")
    assert value(page, "forces.slope") < 1e-4
    page.click('#fig-forces [data-do="set:mode=both"]')
    page.fill('#fig-forces input[type=number][data-set="pairs"]', "4")
    page.click('#fig-forces [data-do="set:dimensions=3"]')
    page.click('#fig-forces [data-do="end"]')
    assert done(page, "forces", "room")
    points_of(page)
    again = open_page("en", address_of(page))
    for name in ("loss", "slope", "partners", "push"):
        assert value(again, f"forces.{name}") == pytest.approx(value(page, f"forces.{name}"), abs=1e-9)


def test_the_batch_and_its_strangers_by_hand(open_page: Open) -> None:
    page = open_page()
    row = page.locator("#fig-batch .handle")
    row.focus()
    page.keyboard.press("ArrowDown")
    assert page.input_value('#fig-batch input[data-set="anchor"]') == "3"
    assert value(page, "batch.partner") == 2
    page.keyboard.press("End")
    assert value(page, "batch.partner") == 6
    box = page.locator("#fig-batch .handle .hit").bounding_box()
    row.scroll_into_view_if_needed()
    box = page.locator("#fig-batch .handle .hit").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.95 / 8)
    page.mouse.move(box["x"] + 30, box["y"] + box["height"] * 0.5 / 8)
    page.mouse.down()
    page.mouse.move(box["x"] + 40, box["y"] + box["height"] * 0.5 / 8)
    page.mouse.up()
    assert value(page, "batch.partner") == 1
    page.click('#fig-batch [data-do="set:rows=stacked"]')
    assert done(page, "batch", "mixed")
    assert value(page, "batch.right") == 0
    page.click('#fig-batch [data-do="set:reads=stacked"]')
    assert value(page, "batch.partner") == 4
    for pairs, negatives in ((4, 6), (256, 510)):
        page.fill('#fig-batch input[type=number][data-set="pairs"]', str(pairs))
        assert value(page, "batch.negatives") == negatives
    assert done(page, "batch", "many")
    page.click('#fig-batch [data-do="set:kind=clip"]')
    assert value(page, "batch.negatives") == 255
    tops = "[...document.querySelectorAll('#fig-strangers use')].map((cat) => cat.getBoundingClientRect().top | 0)"
    assert len(page.evaluate(tops)) == value(page, "strangers.found")
    assert len(set(page.evaluate(tops))) > 3, "cats lie in several rows of squares"
    page.fill('#fig-strangers input[type=number][data-set="classes"]', "10")
    page.fill('#fig-strangers input[type=number][data-set="pairs"]', "256")
    assert value(page, "strangers.expected") == pytest.approx(51, abs=1e-12)
    assert done(page, "strangers", "many")
    page.fill('#fig-strangers input[type=number][data-set="classes"]', "600")
    assert done(page, "strangers", "few")


def test_the_answer_is_not_there_before_it_is_asked_for(open_page: Open) -> None:
    page = open_page()
    form = page.locator("#predict-threePairs")
    assert not form.locator("details p").is_visible()
    form.locator("label").nth(1).click()
    form.locator("button").click()
    assert form.locator("details p").is_visible()
    assert page.evaluate("document.activeElement.getAttribute('role')") == "status"
    assert "right" in form.get_attribute("class")


def test_the_section_is_accessible_and_fits_a_phone(open_page: Open) -> None:
    page = open_page("en", "#forces.dimensions=3&batch.rows=stacked&strangers.pairs=256", width=320)
    page.evaluate("document.querySelectorAll('details').forEach((note) => (note.open = true))")
    for figure in ("forces", "batch", "strangers"):
        check_accessible(page, f"#fig-{figure}")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    too_small = """[...document.querySelectorAll("#mechanics :is(button, input:not([type=radio], [type=checkbox]))")]
        .filter((e) => { const b = e.getBoundingClientRect(); return b.width && (b.width < 24 || b.height < 24); })
        .map((e) => e.outerHTML)"""
    assert page.evaluate(too_small) == []


def test_without_scripts_everything_is_there(open_page: Open) -> None:
    page = open_page(java_script_enabled=False)
    for figure in ("forces", "batch", "strangers"):
        assert page.locator(f"#fig-{figure} svg > title").first.text_content()
        assert page.locator(f"#fig-{figure} table td").count() > 3
    assert value(page, "forces.lowest") == pytest.approx(0.0949230, abs=1e-7)
