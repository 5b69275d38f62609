"""From two vectors to a loss: the seven steps, the exponential in three formats, and what a loss says."""

import math
import re
import struct
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest
import torch

from tests.tutorial.conftest import Open, address_of, check_accessible, value
from tutorial.engine import Engine

S6 = [0.80, 0.72, 0.45, 0.20, -0.05, -0.30]
Round = Callable[[float], float]


# The steps.


def torch_steps(vectors: list[list[float]]) -> dict[str, torch.Tensor]:
    anchor, *candidates = torch.tensor(vectors, dtype=torch.float64)
    cosines = torch.nn.functional.cosine_similarity(anchor[None], torch.stack(candidates))
    logits = cosines / 0.07
    loss = torch.nn.functional.cross_entropy(logits[None], torch.tensor([0]))
    return {"cosines": cosines, "logits": logits, "powers": logits.exp(), "p": logits.softmax(0), "loss": loss}


@pytest.mark.parametrize("seed", range(5))
def test_every_step_is_torchs(engine: Engine, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    vectors = (torch.randn(7, 2, generator=generator, dtype=torch.float64)).tolist()
    found = engine.evaluate(f"FIGURES.steps.derive({{ step: 0, vectors: {vectors} }})")
    for name, wanted in torch_steps(vectors).items():
        assert found[name] == pytest.approx(wanted.tolist(), rel=1e-11, abs=1e-11), name
    assert found["one"] == pytest.approx(1, abs=1e-12)


def test_the_steps_begin_with_the_six_similarities(engine: Engine) -> None:
    found = engine.evaluate("FIGURES.steps.derive(FIGURES.steps.state)")
    assert found["cosines"] == pytest.approx(S6, abs=1e-12)
    assert found["logits"] == pytest.approx([11.43, 10.29, 6.43, 2.86, -0.71, -4.29], abs=5e-3)
    assert found["p"] == pytest.approx([0.7542, 0.2405, 0.0051, 0.0001, 0, 0], abs=5e-5)
    assert found["loss"] == pytest.approx(0.282046, abs=1e-6)
    # As the text says: plain products in place of cosines would let a negative lead,
    # and a positive that is not divided by the temperature is another loss.
    products = torch.tensor(found["dots"], dtype=torch.float64)
    assert products.argmax() == 1
    for wrong in (products / 0.07, torch.tensor([found["cosines"][0], *found["logits"][1:]])):
        assert float(wrong.logsumexp(0) - wrong[0]) > 1


def test_no_vector_is_without_a_direction(engine: Engine) -> None:
    for bad in ("[[0, 0], [0.01, 0], [9, -9], [1, 1], [1, 1], [1, 1], [1, 1]]", "[[1, 1]]", "[[1], [1], [1]]"):
        state = engine.evaluate(f"FIGURES.steps.fits({{ step: 12.3, vectors: {bad} }})")
        assert state["step"] == 6
        lengths = [math.hypot(*vector) for vector in state["vectors"]]
        assert len(lengths) == 7
        assert all(0.1 - 1e-9 <= length <= 3 for length in lengths)


# The formats.


def half(number: float) -> float:
    """Python's own half precision, which raises where it should say infinity."""
    try:
        return float(struct.unpack("e", struct.pack("e", number))[0])
    except (OverflowError, struct.error):
        return math.copysign(math.inf, number)


def single(number: float) -> float:
    return float(torch.tensor(number, dtype=torch.float64).float())


ROUNDED: dict[str, Round] = {"float16": half, "float32": single, "float64": lambda number: number}
TYPES = {"float16": torch.float16, "float32": torch.float32, "float64": torch.float64}


def test_half_precision_is_rounded_as_the_standard_wants(engine: Engine) -> None:
    generator = torch.Generator().manual_seed(0)
    spread = (torch.randn(2000, generator=generator, dtype=torch.float64) * 12).exp2()
    numbers = [0, 1, 65503, 65504, 65519.999, 65520, 65536, 1e30, 2**-24, 2**-25, 1.5 * 2**-24, 6.1e-5, -2.5, -70000]
    ties = [(i + 0.5) * 2**e for i in (1024, 1025, 2046, 2047) for e in (-24, -10, 0, 4)]
    tried = [*numbers, *ties, *spread.tolist(), *(-spread).tolist()]
    found = engine.evaluate(f"{[float(number) for number in tried]}.map(toHalf).map(String)")
    assert [float(number) for number in found] == [half(number) for number in tried]
    # Rounding ties up, or cutting off, is not the same.
    up = engine.evaluate(
        f"{ties}.map((v) => [v, 2 ** (Math.floor(Math.log2(v)) - 10)]).map(([v, s]) => s * Math.round(v / s))"
    )
    assert up != [half(number) for number in ties]


def written_out(similarities: list[float], temperature: float, rounded: Round) -> tuple[float, float]:
    """The loss by log(exp / sum) and by log-sum-exp, rounded after every operation."""

    def exp(number: float) -> float:
        return rounded(math.exp(number)) if number < math.log(sys.float_info.max) else math.inf

    logits = [rounded(rounded(s) / rounded(temperature)) for s in similarities]
    total = lowered_total = 0.0
    for logit in logits:
        total = rounded(total + exp(logit))
        lowered_total = rounded(lowered_total + exp(rounded(logit - max(logits))))
    share = rounded(exp(logits[0]) / total) if math.isfinite(total) else exp(logits[0]) / total
    naive = math.nan if math.isnan(share) else math.inf if share == 0 else -rounded(math.log(share))
    return naive, rounded(rounded(math.log(lowered_total)) - rounded(logits[0] - max(logits)))


@pytest.mark.parametrize("format_", ["float16", "float32", "float64"])
@pytest.mark.parametrize("temperature", [1, 0.2, 0.1, 0.075, 0.07, 0.02, 0.01, 0.0085, 0.005, 0.001])
def test_a_format_overflows_where_torchs_does(engine: Engine, format_: str, temperature: float) -> None:
    generator = torch.Generator().manual_seed(1)
    others = (2 * torch.rand(3, 6, generator=generator, dtype=torch.float64) - 1).tolist()
    for similarities in [S6, *others]:
        call = f"infoNceIn('{format_}', {similarities}, {temperature})"
        found = f"(({{ naive, stable, powers, logits }}) => [[naive, stable, ...powers].map(String), logits])({call})"
        (naive, stable, *powers), logits = engine.evaluate(found)
        wanted_naive, wanted_stable = written_out(similarities, temperature, ROUNDED[format_])
        assert float(naive) == pytest.approx(wanted_naive, rel=1e-12, nan_ok=True)
        assert float(stable) == pytest.approx(wanted_stable, rel=1e-12)
        torchs = torch.tensor(logits, dtype=torch.float64).to(TYPES[format_]).exp()
        assert [math.isinf(float(power)) for power in powers] == torchs.isinf().tolist()
        exact = torch.nn.functional.cross_entropy(
            torch.tensor([similarities], dtype=torch.float64) / temperature, torch.tensor([0])
        )
        near = {"float16": 2e-2, "float32": 1e-5, "float64": 1e-12}[format_]
        assert float(stable) == pytest.approx(float(exact), rel=near, abs=near)


def test_the_facts_of_the_text(engine: Engine) -> None:
    assert engine.evaluate("['float16', 'float32'].map((f) => Math.log(LARGEST[f]))") == pytest.approx(
        [11.0899, 88.7228], abs=5e-5
    )
    assert engine.evaluate("Object.keys(LARGEST).map((f) => LARGEST[f])") == [
        torch.finfo(t).max for t in TYPES.values()
    ]
    infinite = "infoNceIn('{}', {}, {}).powers.map((power) => power === Infinity)"
    assert engine.evaluate(infinite.format("float16", S6, 0.07)) == [True, False, False, False, False, False]
    assert engine.evaluate(infinite.format("float32", [1, 0], 0.01)) == [True, False]
    views = engine.evaluate(
        "[Math.log(candidatesOf.views(256)), Math.log(candidatesOf.pairs(256)), candidatesOf.queue(65536)]"
    )
    assert views == pytest.approx([6.2364, 5.5452, 65537], abs=5e-5)
    assert engine.evaluate("logSumExp([1, 0, 0, 0, 0, 0, 0]) - 1") == pytest.approx(1.16542, abs=5e-6)
    assert engine.evaluate("infoNce([1, 0, 0, 0, 0, 0, 0], 0.07).loss") == pytest.approx(3.75e-6, abs=5e-9)


def test_a_fresh_network_starts_where_the_text_says(engine: Engine) -> None:
    generator = torch.Generator().manual_seed(0)
    z = torch.nn.functional.normalize(torch.randn(512, 128, generator=generator), dim=1)
    for temperature, shown in ((0.07, 7.03), (0.5, 6.25)):
        logits = z @ z.T / temperature
        others = logits[~torch.eye(512, dtype=torch.bool)].view(512, 511)
        loss = (others.logsumexp(1) - others.mean(1)).mean()  # over all that could be the positive
        said = engine.evaluate(f"Math.log(candidatesOf.views(256)) + 1 / (2 * 128 * {temperature} ** 2)")
        assert said == pytest.approx(shown, abs=5e-3)
        assert said == pytest.approx(float(loss), abs=0.03)


# The page.


def at_step(page: Any) -> int:
    return int(page.inner_text("#fig-steps [aria-current=step] .count"))


def ticked(page: Any, figure: str, task: str) -> bool:
    return "done" in (page.get_attribute(f'#fig-{figure} [data-task="{task}"]', "class") or "")


def test_the_readers_vectors_stay_from_step_to_step(open_page: Open) -> None:
    page = open_page()
    page.fill('#fig-steps input[data-set="vectors.2.0"]', "0.9")
    page.fill('#fig-steps input[data-set="vectors.2.1"]', "0.4")
    page.fill('#fig-steps input[data-set="vectors.1.0"]', "-0.5")
    state = address_of(page)
    coordinates = re.search(r"steps\.vectors=([^&]*)", unquote(state))
    assert coordinates
    vectors = [[float(x) for x in pair.split(",")] for pair in coordinates[1].split(";")]
    assert vectors[2] == [0.9, 0.4]
    wanted = torch_steps(vectors)
    assert ticked(page, "steps", "favourite")
    shown = {3: "cosines.0", 4: "logits.0", 5: "powers.0", 6: "p.0", 7: "loss"}
    for step in range(1, 8):
        assert at_step(page) == step
        lit = page.locator("#fig-steps .symbols .now")
        assert lit.count() == (2 if step < 6 else 1)  # the positive's term, and the same in the sum
        assert {lit.nth(i).get_attribute("data-link") for i in range(lit.count())} == {f"steps:{step - 1}"}
        if step in shown:
            name, _, index = shown[step].partition(".")
            exact = wanted[name].item() if not index else wanted[name][int(index)].item()
            term = float(page.get_attribute(f'#fig-steps math mn[data-bind="steps.{shown[step]}"]', "data-value"))
            assert term == pytest.approx(exact, abs=1e-9)
            row = page.locator(f'#fig-steps .two [data-bind="steps.{shown[step]}"]').first
            assert float(row.get_attribute("data-value")) == term
        page.click("#fig-steps .walk .first") if step < 7 else None
    assert ticked(page, "steps", "end")
    page.click("#fig-steps .chain li:first-child button")
    assert page.input_value('#fig-steps input[data-set="vectors.2.0"]') == "0.9"
    again = open_page(state=state)
    assert value(again, "steps.loss") == value(page, "steps.loss")


def test_vectors_are_dragged_and_turned(open_page: Open) -> None:
    page = open_page(state="#steps.step=2")
    handle = page.locator('#fig-steps [data-drag="2"]')
    handle.scroll_into_view_if_needed()
    box = page.locator("#fig-steps .two > svg").bounding_box()
    scale = box["width"] / 380
    hit = handle.locator(".hit").bounding_box()
    page.mouse.move(hit["x"] + hit["width"] / 2, hit["y"] + hit["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + (190 - 1.0 * 82) * scale, box["y"] + (185 + 1.5 * 82) * scale, steps=4)
    page.mouse.up()
    cosine = (-1.0 * 1.2 - 1.5 * 0.5) / (math.hypot(1.0, 1.5) * 1.3)
    assert value(page, "steps.cosines.1") == pytest.approx(cosine, abs=0.01)
    length = value(page, "steps.lengths.1")
    page.locator('#fig-steps [data-drag="1"]').focus()
    for _ in range(4):
        page.keyboard.press("Shift+ArrowLeft")  # ten degrees each, towards the anchor and a little past it
    turned = math.acos(0.8) - math.radians(40)
    assert value(page, "steps.cosines.0") == pytest.approx(math.cos(turned), abs=1e-9)
    assert value(page, "steps.lengths.1") == pytest.approx(length, abs=1e-9)
    assert ticked(page, "steps", "sure")


def test_the_exponential_breaks_by_hand(open_page: Open) -> None:
    page = open_page()
    temperature = '#fig-overflow input[type=number][data-set="temperature"]'
    assert value(page, "overflow.naive") == pytest.approx(value(page, "overflow.stable"), abs=1e-3)
    for format_, broken in (("float16", 0.07), ("float32", 0.009), ("float64", 0.001)):
        page.click(f'#fig-overflow [data-do="set:format={format_}"]')
        page.fill(temperature, "0.5")
        assert not ticked(page, "overflow", format_)
        assert math.isfinite(value(page, "overflow.naive"))
        page.fill(temperature, str(broken))
        assert ticked(page, "overflow", format_)
        assert page.inner_text('#fig-overflow [data-bind="overflow.naive"]') == "NaN"
        exact = torch.nn.functional.cross_entropy(torch.tensor([S6], dtype=torch.float64) / broken, torch.tensor([0]))
        assert value(page, "overflow.stable") == pytest.approx(float(exact), abs=3e-3)
    assert page.get_attribute('math [data-bind="overflow.largest"]', "data-value") == str(round(0.8 / 0.001))


def test_the_meter_by_mouse_keys_and_typing(open_page: Open) -> None:
    page = open_page()
    page.click('#fig-meter [data-do="guess"]')
    assert value(page, "meter.left") == pytest.approx(256, abs=1e-9)
    assert value(page, "meter.gained") == 0
    assert ticked(page, "meter", "guessing")
    page.click('#fig-meter [data-do="set:kind=views"]')
    assert ticked(page, "meter", "views")
    assert value(page, "meter.chance") == pytest.approx(math.log(511), abs=1e-12)
    page.fill('#fig-meter input[data-set="loss"]', "3")
    handle = page.locator("#fig-meter .handle")
    handle.focus()
    for _ in range(7):
        page.keyboard.press("ArrowLeft")
    assert value(page, "meter.left") == pytest.approx(math.exp(2.3), abs=1e-9)
    assert ticked(page, "meter", "ten")
    box = page.locator("#fig-meter .two > svg").bounding_box()
    hit = handle.locator(".hit").bounding_box()
    page.mouse.move(hit["x"] + hit["width"] / 2, hit["y"] + hit["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, hit["y"], steps=3)
    page.mouse.up()
    assert value(page, "meter.loss") == pytest.approx(7, abs=0.03)


def test_nobody_is_kept_out(open_page: Open) -> None:
    page = open_page(state="#overflow.temperature=0.07&meter.loss=9")
    for figure in ("overflow", "meter"):
        check_accessible(page, f"#fig-{figure}")
    for step in range(7):
        page.click(f'#fig-steps .chain [data-do="set:step={step}"]')
        check_accessible(page, "#fig-steps")


def test_it_fits_a_narrow_page_and_reads_without_scripts(open_page: Open) -> None:
    page = open_page(width=320)
    page.evaluate("for (const note of document.querySelectorAll('details')) note.open = true")
    for step in range(7):
        page.click(f'#fig-steps .chain [data-do="set:step={step}"]')
        assert page.evaluate("document.documentElement.scrollWidth") == 320
    for button in page.locator("#mathematics button:visible").all():
        box = button.bounding_box()
        assert min(box["width"], box["height"]) >= 24
    plain = open_page(java_script_enabled=False)
    for figure in ("steps", "overflow", "meter"):
        assert plain.locator(f"#fig-{figure} svg > title").count() == 1
        assert plain.locator(f"#fig-{figure} table").count() == 1
    assert plain.locator("#mathematics math").count() >= 4
    assert plain.locator('#mathematics details [data-bind="steps.p.5"]').count() == 1
