"""The matrix that is read by rows and by columns: losses, shares, gradients, keys and the reading itself."""

from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from info_nce.functional import symmetric_info_nce
from info_nce.similarity import DotProduct
from tests.tutorial.conftest import Open, address_of, check_accessible, value
from tutorial.engine import Engine

M4 = [[0.82, 0.31, 0.64, 0.05], [0.12, 0.58, 0.55, 0.10], [0.40, 0.22, 0.71, 0.18], [0.02, 0.47, 0.33, 0.66]]
GOLDENS = {
    0.07: (0.165831, 0.150721, 0.158276),
    0.2: (0.481111, 0.466896, 0.474004),
    1.0: (1.108285, 1.104221, 1.106253),
}
"""By temperature: row loss, column loss, and their mean."""
FIGURE = "#fig-matrix"


def torch_losses(matrix: Any, temperature: float) -> tuple[float, float, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Row loss, column loss, shares of rows, shares of columns and the gradient of the mean, by torch alone."""
    similarities = torch.as_tensor(matrix, dtype=torch.float64).clone().requires_grad_()
    logits, own = similarities / temperature, torch.arange(len(similarities))
    rows, columns = cross_entropy(logits, own), cross_entropy(logits.T, own)
    (gradient,) = torch.autograd.grad((rows + columns) / 2, similarities)
    logits = logits.detach()
    return rows.item(), columns.item(), logits.softmax(1), logits.softmax(0), gradient


def random_case(seed: int) -> tuple[torch.Tensor, float]:
    generator = torch.Generator().manual_seed(seed)
    size = 2 + seed % 7
    matrix = torch.rand(size, size, generator=generator, dtype=torch.float64) * 2 - 1
    return matrix, 0.01 * 100 ** torch.rand((), generator=generator).item()


@pytest.mark.parametrize("seed", range(20))
def test_both_directions_are_torchs_cross_entropy_of_the_matrix_and_of_its_transpose(engine: Engine, seed: int) -> None:
    matrix, temperature = random_case(seed)
    found = engine.evaluate(f"symmetric({matrix.tolist()}, {temperature})")
    rows, columns, by_row, by_column, gradient = torch_losses(matrix, temperature)
    assert found["rowLoss"] == pytest.approx(rows, abs=1e-10)
    assert found["columnLoss"] == pytest.approx(columns, abs=1e-10)
    assert found["loss"] == pytest.approx((rows + columns) / 2, abs=1e-10)
    assert torch.tensor([line["p"] for line in found["rows"]]).sub(by_row).abs().max() < 1e-7
    for line, wanted in zip(found["columns"], by_column.T.tolist(), strict=True):
        assert line["p"] == pytest.approx(wanted, abs=1e-12)
    for line, wanted in zip(found["gradient"], gradient.tolist(), strict=True):
        assert line == pytest.approx(wanted, abs=1e-10)
    # What others write by mistake: rows twice, and a gradient that forgets one of the two directions.
    assert found["columnLoss"] != pytest.approx(rows, abs=1e-4)
    forgetful = (by_row - torch.eye(len(matrix))) / (len(matrix) * temperature)
    assert torch.tensor(found["gradient"]).sub(forgetful).abs().max() > 1e-4


@pytest.mark.parametrize("temperature", GOLDENS)
def test_the_numbers_of_the_running_example(engine: Engine, temperature: float) -> None:
    found = engine.evaluate(f"symmetric(M4, {temperature})")
    assert (found["rowLoss"], found["columnLoss"], found["loss"]) == pytest.approx(GOLDENS[temperature], abs=1e-6)
    query, key = torch.tensor(M4, dtype=torch.float64), torch.eye(4, dtype=torch.float64)
    library = symmetric_info_nce(query, key, temperature, similarity=DotProduct())
    assert found["loss"] == pytest.approx(library.item(), abs=1e-12)


def test_the_lines_of_the_running_example(engine: Engine) -> None:
    found = engine.evaluate("symmetric(M4, 0.07)")
    assert [line["loss"] for line in found["rows"]] == pytest.approx([0.0743, 0.5031, 0.0133, 0.0726], abs=5e-5)
    assert [line["loss"] for line in found["columns"]] == pytest.approx([0.0025, 0.2108, 0.3880, 0.0016], abs=5e-5)
    assert found["rows"][1]["p"] == pytest.approx([0.0008, 0.6046, 0.3939, 0.0006], abs=5e-5)
    assert found["columns"][2]["p"] == pytest.approx([0.2496, 0.0690, 0.6784, 0.0030], abs=5e-5)
    assert found["gradient"][1] == pytest.approx([0.0016, -1.0455, 0.8266, 0.0017], abs=5e-5)


def test_a_favourite_is_right_only_if_it_is_alone(engine: Engine) -> None:
    assert engine.evaluate("hits(M4)") == 4
    assert engine.evaluate("hits([[1, 1], [0, 1]])") == 1
    assert engine.evaluate("hits([[0, 1], [1, 0]])") == 0


def test_what_is_added_to_a_whole_row_is_seen_by_columns_only(engine: Engine) -> None:
    start, lifted = (
        engine.evaluate(f"FIGURES.matrix.derive({{ ...FIGURES.matrix.state, {changes} }})")
        for changes in ("", "cell: [0, 0], ...FIGURES.matrix.actions.lift({ matrix: M4, cell: [0, 0] })")
    )
    assert lifted["rowLoss"] == pytest.approx(start["rowLoss"], abs=1e-9)
    assert lifted["columnLoss"] > 2 * start["columnLoss"]
    assert lifted["right"] == {"rows": 4, "columns": 3}


def held_by(page: Any) -> list[list[float]]:
    """The matrix as the page holds it."""
    page.click(f'{FIGURE} [data-do="look:similarity"]')
    return [[value(page, f"matrix.matrix.{i}.{j}") for j in range(4)] for i in range(4)]


def assert_as_torch(page: Any, matrix: list[list[float]], temperature: float = 0.07) -> None:
    rows, columns, by_row, by_column, gradient = torch_losses(matrix, temperature)
    assert value(page, "matrix.means.rows") == pytest.approx(rows, abs=1e-9)
    assert value(page, "matrix.means.columns") == pytest.approx(columns, abs=1e-9)
    assert value(page, "matrix.loss") == pytest.approx((rows + columns) / 2, abs=1e-9)
    shown = {"rows": ("rows.{i}.p.{j}", by_row), "columns": ("columns.{j}.p.{i}", by_column)}
    for what, (name, wanted) in {**shown, "gradient": ("gradient.{i}.{j}", gradient)}.items():
        page.click(f'{FIGURE} [data-do="look:{what}"]')
        found = [[value(page, "matrix." + name.format(i=i, j=j)) for j in range(4)] for i in range(4)]
        assert torch.tensor(found, dtype=torch.float64).sub(wanted).abs().max() < 1e-9
        cells = torch.tensor([[float(text.replace("−", "-")) for text in line] for line in written(page)])
        assert cells.sub(wanted).abs().max() < 6e-4
        if what != "gradient":
            sums = torch.tensor(found, dtype=torch.float64).sum(1 if what == "rows" else 0)
            assert sums.tolist() == pytest.approx([1] * 4, abs=1e-9)


def written(page: Any) -> list[list[str]]:
    """The numbers in the cells, as they are read."""
    cells = page.locator(f"{FIGURE} [role=gridcell]").all_inner_texts()
    return [[text.strip() for text in cells[4 * i : 4 * i + 4]] for i in range(4)]


def test_every_number_follows_the_hand(open_page: Open) -> None:
    page = open_page()
    assert held_by(page) == M4
    assert_as_torch(page, M4)
    page.click(f"{FIGURE} [role=gridcell] >> nth=2")
    page.fill(f'{FIGURE} input[type=number][data-set="matrix.0.2"]', "0.9")
    page.fill(f'{FIGURE} input[type=number][data-set="temperature"]', "0.2")
    changed = [[0.82, 0.31, 0.9, 0.05], *M4[1:]]
    assert held_by(page) == changed
    assert_as_torch(page, changed, 0.2)
    gradient = torch_losses(changed, 0.2)[-1]
    assert value(page, "matrix.chosen.gradient") == pytest.approx(gradient[0, 2].item(), abs=1e-9)
    assert value(page, "matrix.chosen.logit") == pytest.approx(4.5, abs=1e-12)
    # The prose goes along, and so does a link.
    assert page.locator('p [data-bind="matrix.rowLoss"]').first.inner_text() == f"{torch_losses(changed, 0.2)[0]:.4f}"
    again = open_page("en", address_of(page))
    assert value(again, "matrix.loss") == value(page, "matrix.loss")


def test_the_grid_is_one_stop_of_the_tab_key_and_all_keys_within(open_page: Open) -> None:
    page = open_page()
    focused = f"[...document.querySelectorAll('{FIGURE} [role=gridcell]')].indexOf(document.activeElement)"
    assert page.locator(f'{FIGURE} [role=gridcell][tabindex="0"]').count() == 1
    page.focus(f'{FIGURE} [data-do="look:gradient"]')
    page.keyboard.press("Tab")
    if page.evaluate(focused) < 0:
        page.keyboard.press("Tab")  # a box that scrolls may be a stop of its own
    assert page.evaluate(focused) == 1 * 4 + 2
    for key, place in {"ArrowUp": 2, "ArrowLeft": 1, "ArrowDown": 5, "End": 7, "ArrowRight": 7, "Home": 4}.items():
        page.keyboard.press(key)
        assert page.evaluate(focused) == place, key
        assert page.locator(f'{FIGURE} [role=gridcell][tabindex="0"][aria-selected="true"]').count() == 1
    for key, wanted in {"+": 0.13, "-": 0.12, "PageUp": 0.22, "PageDown": 0.12}.items():
        page.keyboard.press(key)
        assert value(page, "matrix.matrix.1.0") == pytest.approx(wanted, abs=1e-12)
        assert page.evaluate(focused) == 4
    page.keyboard.press("Tab")
    assert page.evaluate(focused) < 0
    assert_as_torch(page, M4)


def test_reading_shares_out_line_by_line_and_ends_with_the_loss(open_page: Open) -> None:
    page = open_page("en", "#matrix.way=both", reduced_motion="reduce")
    by_row = torch_losses(M4, 0.07)[2]
    page.click(f'{FIGURE} [data-do="read:both"]')
    page.click(f'{FIGURE} [data-do="play"]')  # who wants no motion gets a step
    assert value(page, "matrix.exponentials.0.2") == pytest.approx(torch.tensor(0.64 / 0.07).double().exp().item())
    total = torch.tensor(M4[0], dtype=torch.float64).div(0.07).exp().sum().item()
    assert value(page, "matrix.totals.rows.0") == pytest.approx(total)
    page.click(f'{FIGURE} [data-do="step"]')
    assert [value(page, f"matrix.rows.0.p.{j}") for j in range(4)] == pytest.approx(by_row[0].tolist(), abs=1e-9)
    assert value(page, "matrix.sums.rows.0") == pytest.approx(1, abs=1e-12)
    assert page.locator('[data-bind="matrix.rows.1.loss"]').count() == 0
    assert "done" not in (page.get_attribute(f'{FIGURE} [data-task="read"]', "class") or "")
    for _ in range(21):
        page.click(f'{FIGURE} [data-do="step"]')
    assert page.is_disabled(f'{FIGURE} [data-do="step"]')
    assert value(page, "matrix.means.columns") == pytest.approx(0.150721, abs=1e-6)
    assert [value(page, f"matrix.sums.columns.{k}") for k in range(4)] == pytest.approx([1] * 4, abs=1e-12)
    assert "done" in page.get_attribute(f'{FIGURE} [data-task="read"]', "class")


def test_play_reads_by_itself_and_can_be_paused(open_page: Open) -> None:
    page = open_page("en", "#matrix.at=10")
    page.click(f'{FIGURE} [data-do="play"]')
    page.wait_for_selector('[data-bind="matrix.sums.rows.3"]')
    page.wait_for_selector(f'{FIGURE} [data-do="play"][aria-pressed="false"]')
    page.click(f'{FIGURE} [data-do="read:columns"]')
    page.click(f'{FIGURE} [data-do="play"]')
    page.click(f'{FIGURE} [data-do="play"]')
    now = page.input_value(f'{FIGURE} input[data-set="at"]')
    page.wait_for_timeout(900)
    assert page.input_value(f'{FIGURE} input[data-set="at"]') == now


def test_tasks_tick_when_one_direction_alone_is_misled(open_page: Open) -> None:
    page = open_page()

    def done(task: str) -> bool:
        return "done" in (page.get_attribute(f'{FIGURE} [data-task="{task}"]', "class") or "")

    page.click(f"{FIGURE} [role=gridcell] >> nth=2")
    page.keyboard.press("PageDown")
    assert not done("split")
    page.keyboard.press("PageUp")
    page.keyboard.press("PageUp")
    assert done("split")
    assert not done("blind")
    page.click(f'{FIGURE} [data-do="reset"]')
    page.click(f"{FIGURE} [role=gridcell] >> nth=0")
    page.click(f'{FIGURE} [data-do="lift"]')
    assert done("blind")


def test_nothing_stands_in_anyones_way(open_page: Open) -> None:
    page = open_page(reduced_motion="reduce")
    for state in ("look:gradient", "read:both"):
        page.click(f'{FIGURE} [data-do="{state}"]')
        if state == "read:both":
            for _ in range(4):
                page.click(f'{FIGURE} [data-do="step"]')
        check_accessible(page, "#fig-matrix")


CONTRASTS = """() => {
  const paint = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const light = (colour) => {
    paint.fillStyle = colour;
    paint.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...paint.getImageData(0, 0, 1, 1).data].slice(0, 3)
      .map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return [...document.querySelectorAll("#fig-matrix [role=gridcell]")].slice(0, 2).flatMap((cell) =>
    [...Array(101).keys()].map((ink) => {
      cell.style.transition = "none";
      cell.style.setProperty("--shade", ink / 100);
      const { color, backgroundColor } = getComputedStyle(cell);
      const [a, b] = [light(color), light(backgroundColor)].sort((x, y) => y - x);
      return (a + 0.05) / (b + 0.05);
    }));
}"""


@pytest.mark.parametrize("dark", [False, True])
def test_a_number_can_be_read_on_any_ink(open_page: Open, dark: bool) -> None:
    page = open_page(dark=dark)
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) == 2 * 101  # of a pair and of another cell
    assert min(contrasts) >= 4.5


def test_it_fits_a_small_phone_and_works_without_scripts(open_page: Open) -> None:
    page = open_page(width=320)
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    sides = page.evaluate(
        f"[...document.querySelectorAll('{FIGURE} :is(button, input, [role=gridcell])')]"
        ".map((e) => e.getBoundingClientRect()).flatMap((box) => [box.width, box.height])"
    )
    assert min(sides) >= 24
    plain = open_page(java_script_enabled=False)
    assert plain.locator("#symmetric svg.icon > title").all_text_contents()[1] == "Picture of the cat"
    assert written(plain) == [[f"{s:.2f}" for s in row] for row in M4]
    assert "0.1658" in plain.inner_text(f"{FIGURE} .losses")
