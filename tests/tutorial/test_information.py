"""Information, the two questions, and the bound: against sums over everything that can happen, goldens and hands."""

import json
import math
import re
from collections import defaultdict
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from tests.tutorial.conftest import Open, value
from tutorial.build import words_of
from tutorial.engine import Engine

Joint = list[list[float]]

UMBRELLA: Joint = [[0.2, 0.5], [0.3, 0.0]]
BOUNDS = {2: 0.13718, 3: 0.18765, 4: 0.21234, 8: 0.24595, 16: 0.26062, 32: 0.26758, 64: 0.27099, 256: 0.27352}
POWERS = {0: 0.0, 0.25: 0.22617, 0.5: 0.24564, 1: 0.26062, 2: 0.21106, 4: -0.06452}
SYMBOLS = {2: 0.6823, 8: 2.0051, 32: 3.1599, 64: 3.5916, 256: 4.0278, 1024: 4.1278, 4096: 4.1512}


def random_joint(draw: np.random.Generator) -> Joint:
    """Four probabilities, often with a zero among them, and sometimes with an empty row or column."""
    weights = [float(draw.random() * (draw.random() > 0.15)) for _ in range(4)]
    weights[draw.integers(4)] += 0.1
    return [[w / sum(weights) for w in weights[:2]], [w / sum(weights) for w in weights[2:]]]


def xlog(x: float, ratio: float) -> float:
    return x * math.log(ratio) if x > 0 else 0.0


class Everything:
    """Every x, place and crowd of candidates that can be, by its probability; nothing is counted by kinds."""

    def __init__(self, joint: Joint, n: int, power: float) -> None:
        px = [sum(row) for row in joint]
        py = [joint[0][y] + joint[1][y] for y in (0, 1)]
        weight = [
            [(p / (px[x] * py[y])) ** power if p else 0.0**power for y, p in enumerate(row)]
            for x, row in enumerate(joint)
        ]
        self.mutual = sum(xlog(p, p / (px[x] * py[y])) for x, row in enumerate(joint) for y, p in enumerate(row) if p)
        self.loss = self.without_positive = 0.0
        at: dict[tuple[int, tuple[int, ...]], list[float]] = defaultdict(lambda: [0.0] * n)
        for x, crowd, place in product((0, 1), product((0, 1), repeat=n), range(n)):
            p = joint[x][crowd[place]] * math.prod(py[y] for j, y in enumerate(crowd) if j != place) / n
            if p == 0:
                continue
            at[x, crowd][place] = p
            scores = [weight[x][y] for y in crowd]
            self.loss += p * math.log(sum(scores) / scores[place])
            others = sum(scores) - scores[place]
            self.without_positive += p * (math.log(others / scores[place]) if others > 0 else -math.inf)
        # Bayes' rule, and the marginals of what has just been added up.
        self.critic = self.finite = 0.0
        crowds: dict[tuple[int, ...], float] = defaultdict(float)
        for (_, crowd), places in at.items():
            crowds[crowd] += sum(places)
        for (x, crowd), places in at.items():
            scores = [weight[x][y] for y in crowd]
            seen = sum(places)
            self.critic += sum(xlog(p, p / seen / (s / sum(scores))) for p, s in zip(places, scores, strict=True) if p)
            self.finite += xlog(seen, seen / (px[x] * crowds[crowd]))


def bound_of(engine: Engine, joint: Joint, n: int, power: float = 1) -> dict[str, float]:
    return dict(engine.evaluate(f"mutualBound(viewsOf({joint}), {n}, {power})"))


@pytest.mark.parametrize("seed", range(30))
def test_the_bound_is_the_sum_over_everything_that_can_happen(engine: Engine, seed: int) -> None:
    draw = np.random.default_rng(seed)
    joint, n, power = random_joint(draw), int(draw.integers(2, 7)), float(draw.choice([0, 0.3, 1, 1.7, 4]))
    found, wanted = bound_of(engine, joint, n, power), Everything(joint, n, power)
    for name in ("mutual", "loss", "critic", "finite"):
        assert found[name] == pytest.approx(getattr(wanted, name), abs=1e-11), name
    assert found["bound"] == pytest.approx(math.log(n) - wanted.loss, abs=1e-11)


def test_without_the_positive_in_the_denominator_it_would_be_no_bound(engine: Engine) -> None:
    found, everything = bound_of(engine, [[0.4, 0.1], [0.1, 0.4]], 3), Everything([[0.4, 0.1], [0.1, 0.4]], 3, 1)
    assert found["bound"] < found["mutual"] < math.log(2) - everything.without_positive
    assert found["loss"] != pytest.approx(everything.without_positive, abs=0.1)


def test_the_bound_never_passes_the_information_nor_log_n_and_the_rest_has_two_names(engine: Engine) -> None:
    draw = np.random.default_rng(1)
    cases: list[tuple[Joint, int, float]] = [
        (random_joint(draw), int(draw.integers(2, 513)), float(4 * draw.random())) for _ in range(200)
    ]
    bounds = engine.evaluate(
        f"{list(map(list, cases))}.map(([joint, n, power]) => mutualBound(viewsOf(joint), n, power))"
    )
    for n, found in zip([n for _, n, _ in cases], bounds, strict=True):
        assert found["bound"] <= min(found["mutual"], math.log(n)) + 1e-9
        assert found["mutual"] - found["bound"] == pytest.approx(found["critic"] + found["finite"], abs=1e-9)
        assert min(found["critic"], found["finite"]) >= -1e-12


def test_goldens_of_the_bound(engine: Engine) -> None:
    for n, wanted in BOUNDS.items():
        assert bound_of(engine, UMBRELLA, n)["bound"] == pytest.approx(wanted, abs=1e-5)
    for power, wanted in POWERS.items():
        assert bound_of(engine, UMBRELLA, 16, power)["bound"] == pytest.approx(wanted, abs=1e-5)
    assert bound_of(engine, UMBRELLA, 2)["finite"] == pytest.approx(0.13718, abs=1e-5)
    for n, wanted in SYMBOLS.items():
        found = engine.evaluate(f"mutualBound(noiseless(64), {n})")
        assert found["bound"] == pytest.approx(wanted, abs=6e-5)
        assert found["mutual"] == pytest.approx(math.log(64), abs=1e-12)
        assert found["mutual"] - found["bound"] == pytest.approx(found["finite"], abs=1e-9)
    # Two published goldens of the label model with two classes: log K - E log(1 + n).
    assert engine.evaluate("mutualBound(noiseless(2), 64).bound") == pytest.approx(0.6852723181, abs=1e-9)
    assert engine.evaluate("mutualBound(noiseless(10), 128).bound") == pytest.approx(2.2668829707, abs=1e-9)


def test_chances_of_hits_are_binomial(engine: Engine) -> None:
    for n, q in [(1, 0.0), (5, 1.0), (9, 0.3), (4095, 1 / 64), (511, 0.999)]:
        found = dict(engine.evaluate(f"binomial({n}, {q})"))
        wanted = [0.0] * (n + 1)
        for m in range(n + 1) if 0 < q < 1 else [int(n * q)]:
            ways = math.lgamma(n + 1) - math.lgamma(m + 1) - math.lgamma(n - m + 1)
            wanted[m] = math.exp(ways + m * math.log(q) + (n - m) * math.log(1 - q)) if 0 < q < 1 else 1.0
        assert [found.get(m, 0) for m in range(n + 1)] == pytest.approx(wanted, abs=1e-11)


def test_jensen_goes_the_other_way(engine: Engine) -> None:
    mean_of_log = bound_of(engine, UMBRELLA, 2)["loss"] + bound_of(engine, UMBRELLA, 2)["mutual"]
    ratios = engine.evaluate(f"information({UMBRELLA}).ratios")
    log_of_mean = math.log(
        1 + sum(p * r for row, rs in zip(UMBRELLA, ratios, strict=True) for p, r in zip(row, rs, strict=True))
    )
    assert mean_of_log < log_of_mean - 0.05


@pytest.mark.parametrize("seed", range(20))
def test_the_three_forms_of_the_information_agree(engine: Engine, seed: int) -> None:
    joint = random_joint(np.random.default_rng(seed))
    found = engine.evaluate(f"information({joint})")
    p = torch.tensor(joint, dtype=torch.float64)
    independent = p.sum(1, keepdim=True) * p.sum(0, keepdim=True)
    wanted = torch.nn.functional.kl_div(independent.clamp_min(1e-300).log(), p, reduction="sum").item()
    for form in ("difference", "overlap", "divergence"):
        assert found[form] == pytest.approx(wanted, abs=1e-12)
    assert found["hxy"] == pytest.approx(-torch.special.xlogy(p, p).sum().item(), abs=1e-12)


def test_the_umbrella_in_both_units_and_the_presets(engine: Engine) -> None:
    assert engine.evaluate("shared.derive(shared.state)".replace("shared", "FIGURES.shared"))["bits"] == pytest.approx(
        0.39582, abs=1e-5
    )
    for preset, bits in {"umbrella": 0.39582, "independent": 0, "dependent": 1}.items():
        state = f"FIGURES.shared.actions.preset({{}}, '{preset}')"
        assert engine.evaluate(f"FIGURES.shared.derive({state})")["bits"] == pytest.approx(bits, abs=1e-5)
    assert engine.evaluate(f"information({UMBRELLA})")["overlap"] == pytest.approx(0.27436, abs=1e-5)


def test_a_bet_costs_the_cross_entropy(engine: Engine) -> None:
    for coin, bet in [(70, 30), (0, 10), (90, 90), (100, 15)]:
        found = engine.evaluate(f"FIGURES.coin.derive({{ coin: {coin}, bet: {bet} }})")
        p, q = (torch.tensor([share, 100 - share], dtype=torch.float64) / 100 for share in (coin, bet))
        cost = torch.nn.functional.cross_entropy(q.log()[None], p[None]).item()
        assert found["cost"] == pytest.approx(cost, abs=1e-12)
        assert found["cost"] == pytest.approx(found["entropy"] + found["excess"], abs=1e-12)


def test_nce_claims_one_genuine_candidate_and_more_if_k_is_forgotten(engine: Engine) -> None:
    for weather, k in product((0, 1), (1, 2, 5)):
        own, noise = [p / sum(UMBRELLA[weather]) for p in UMBRELLA[weather]], [0.5, 0.5]
        logits = [math.log(a) - math.log(k * b) if a else -math.inf for a, b in zip(own, noise, strict=True)]
        answers = torch.tensor(logits, dtype=torch.float64).sigmoid().tolist()
        rounds = product((0, 1), repeat=k + 1)
        claims = sum(own[r[0]] * 0.5**k * sum(answers[y] for y in r) for r in rounds)
        found = engine.evaluate(f"nce({own}, {noise}, {k})")
        assert found["answers"] == pytest.approx(answers, abs=1e-12)
        assert found["claims"] == pytest.approx(claims, abs=1e-12)
        assert found["claims"] == pytest.approx(1, abs=1e-12)
        forgotten = engine.evaluate(f"nce({own}, {noise}, {k}, 1)")["claims"]
        assert (forgotten == pytest.approx(1)) if k == 1 else (forgotten > 1.2)


def test_the_n_way_shares_are_a_softmax(engine: Engine) -> None:
    found = engine.evaluate("FIGURES.nce.derive(FIGURES.nce.state)")
    assert found["many"] == pytest.approx([0.5, 0, 0.5, 0, 0])
    assert found["losses"] == pytest.approx([-math.log(1 / 3) - math.log(2 / 3), math.log(2)])


def test_no_state_draws_nonsense(engine: Engine) -> None:
    states: list[tuple[str, dict[str, Any]]] = [
        ("coin", {"coin": c, "bet": b}) for c in (-5, 0, 100) for b in (0, 50, 99)
    ]
    joints = [
        [100, 0, 0, 0],
        [0, 0, 0, 7],
        [0, 50, 0, 50],
        [50, 50, 0, 0],
        [0, 0, 0, 0],
        [1, 2, 3],
        [0.01, 99, 99, 0.01],
    ]
    for joint in joints:
        states += [("shared", {"joint": joint, "form": form}) for form in ("given", "divergence", "no such form")]
        states += [
            ("bound", {"joint": joint, "n": n, "power": a, "source": "joint"}) for n in (-1, 7.4, 512) for a in (0, 4)
        ]
    states += [("bound", {"joint": joints[0], "n": 9999, "power": a, "source": "symbols"}) for a in (0, 1, 4)]
    states += [
        ("nce", {"weather": w, "noises": k, "kinds": [1] * k, "forgotten": True}) for w in (0, 1) for k in (0, 9)
    ]
    words = {**words_of("en"), "predict": {}}
    for figure, state in states:
        of = f"((figure, state) => String(frame(figure, state, figure.derive(state), {json.dumps(words)})))"
        drawn = engine.evaluate(f"{of}(FIGURES.{figure}, FIGURES.{figure}.fits({json.dumps(state)}))")
        assert not re.search(r"NaN|undefined|Infinity|∞", drawn), (figure, state)


def fill(page: Any, figure: str, key: str, to: float) -> None:
    page.fill(f'#fig-{figure} input[type=number][data-set="{key}"]', str(to))


def ticked(page: Any, figure: str, task: str) -> bool:
    return "done" in (page.get_attribute(f'#fig-{figure} [data-task="{task}"]', "class") or "")


PLACE = """([handle, x, y]) => {
    const there = new DOMPoint(x, y).matrixTransform(document.querySelector(handle).ownerSVGElement.getScreenCTM());
    return [there.x, there.y];
}"""


def drag(page: Any, handle: str, x: float, y: float) -> None:
    """Drag a handle to a place in the coordinates of its picture."""
    page.locator(f"{handle} .hit").scroll_into_view_if_needed()
    box = page.locator(f"{handle} .hit").bounding_box()
    to = page.evaluate(PLACE, [handle, x, y])
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(*to, steps=4)
    page.mouse.up()


def test_the_widget_shows_the_goldens(open_page: Open) -> None:
    page = open_page()
    assert value(page, "bound.mutual") == pytest.approx(0.27436, abs=1e-5)
    for n, wanted in BOUNDS.items():
        fill(page, "bound", "n", n)
        assert value(page, "bound.bound") == pytest.approx(wanted, abs=1e-5)
        gap = value(page, "bound.mutual") - value(page, "bound.bound")
        assert gap == pytest.approx(value(page, "bound.critic") + value(page, "bound.finite"), abs=1e-9)
    fill(page, "bound", "n", 16)
    for power, wanted in POWERS.items():
        fill(page, "bound", "power", power)
        assert value(page, "bound.bound") == pytest.approx(wanted, abs=1e-5)
    assert ticked(page, "bound", "near")
    assert ticked(page, "bound", "negative")
    fill(page, "bound", "power", 1)
    page.click('#fig-bound [data-do="set:source=symbols"]')
    for n, wanted in SYMBOLS.items():
        fill(page, "bound", "n", n)
        assert value(page, "bound.bound") == pytest.approx(wanted, abs=6e-5)
    assert ticked(page, "bound", "many")
    assert value(page, "bound.ceiling") == pytest.approx(math.log(4096), abs=1e-12)


def test_candidates_are_chosen_by_slider_keys_dragging_and_typing_alike(open_page: Open) -> None:
    page = open_page()
    reached = []
    slider = page.locator('#fig-bound input[type=range][data-set="n"]')
    for key in ["Home", *["ArrowRight"] * 6, *["ArrowLeft"] * 6]:
        slider.press(key)
        reached.append(int(page.input_value('#fig-bound input[type=number][data-set="n"]')))
    assert reached == [2, 3, 4, 6, 8, 11, 16, 11, 8, 6, 4, 3, 2]
    handle = '#fig-bound [data-drag="n"]'
    page.locator(handle).press("ArrowRight")
    assert value(page, "bound.bound") == pytest.approx(BOUNDS[3], abs=1e-5)
    drag(page, handle, 40 + 360 * 5 / 8, 100)
    assert value(page, "bound.bound") == pytest.approx(BOUNDS[64], abs=1e-5)


def test_the_areas_follow_the_joint_and_tasks_tick_by_hand(open_page: Open) -> None:
    page = open_page()

    def widths() -> list[float]:
        return [float(page.get_attribute(f"#fig-shared .area.{kind} rect", "width")) for kind in ("x", "y", "both")]

    scale = 388 / (2 * math.log(2))
    assert widths() == pytest.approx([scale * nats for nats in (0.336506, 0.418789, 0.274358)], abs=0.02)
    # Both columns filled to one half: independent.
    drag(page, '#fig-shared [data-drag="1"]', 60, 22 + 115)
    drag(page, '#fig-shared [data-drag="2"]', 200, 22 + 115)
    assert ticked(page, "shared", "apart")
    assert widths()[2] < 0.2
    # Half the days are sunny, without an umbrella; half are rainy, with one.
    drag(page, '#fig-shared [data-drag="0"]', 6 + 115, 270)
    page.locator('#fig-shared [data-drag="1"]').press("Home")
    page.locator('#fig-shared [data-drag="2"]').press("End")
    assert ticked(page, "shared", "bit")
    for form in ("difference", "overlap", "divergence"):
        page.click(f'#fig-shared [data-do="set:form={form}"]')
        assert value(page, f"shared.{form}") == pytest.approx(math.log(2), abs=1e-6)
    assert page.input_value('#fig-shared input[data-set="joint.2"]') == "50"
    for i, weight in enumerate([20, 50, 30, 0]):
        fill(page, "shared", f"joint.{i}", weight)
    assert value(page, "shared.divergence") == pytest.approx(0.27436, abs=1e-5)


def test_a_bet_that_is_right_touches_the_curve(open_page: Open) -> None:
    page = open_page()
    drag(page, '#fig-coin [data-drag="coin"]', 34 + 350, 30)
    assert value(page, "coin.cost") == pytest.approx(-math.log(0.3), abs=1e-12)
    assert ticked(page, "coin", "dear")
    fill(page, "coin", "coin", 80)
    handle = page.locator('#fig-coin [data-drag="bet"]')
    for _ in range(5):
        handle.press("Shift+ArrowRight")
    assert value(page, "coin.excess") == pytest.approx(0, abs=1e-12)
    assert ticked(page, "coin", "touch")


def test_candidates_turn_and_forgetting_k_claims_too_many(open_page: Open) -> None:
    page = open_page()
    assert page.locator('#fig-nce [data-do="turn:0"]').is_disabled()
    page.click('#fig-nce [data-do="turn:2"]')
    assert ticked(page, "nce", "alone")
    fill(page, "nce", "noises", 7)
    page.check('#fig-nce input[data-set="forgotten"]')
    assert value(page, "nce.claims") == pytest.approx(3, abs=1e-9)
    assert ticked(page, "nce", "forget")
    assert value(page, "nce.totals.1") == pytest.approx(1, abs=1e-12)


def test_the_ceiling_is_predicted_before_it_is_shown(open_page: Open) -> None:
    page = open_page()
    form = page.locator("#predict-ceiling")
    assert "2.0794" not in form.aria_snapshot()
    form.get_by_label("2.08").check()
    form.get_by_role("button", name="That is my answer").click()
    assert "2.0794" in form.aria_snapshot()
    assert "2.0051" in form.inner_text()
    assert page.evaluate("document.activeElement.className") == "verdict"
    assert page.locator("#predict-umbrella details").get_attribute("open") is None
    page.click("#predict-umbrella summary")
    assert "0.6730" in page.locator("#predict-umbrella").inner_text()


def test_a_link_keeps_what_was_set(open_page: Open) -> None:
    page = open_page(state="#bound.joint=40,10,10,40&bound.n=5&bound.power=2&shared.form=overlap&nce.weather=0")
    wanted = Everything([[0.4, 0.1], [0.1, 0.4]], 5, 2)
    assert value(page, "bound.bound") == pytest.approx(math.log(5) - wanted.loss, abs=1e-9)
    assert value(page, "bound.critic") == pytest.approx(wanted.critic, abs=1e-9)
    assert page.get_attribute('#fig-shared [data-do="set:form=overlap"]', "aria-pressed") == "true"
    assert value(page, "nce.ratio.0") == pytest.approx(4 / 7, abs=1e-12)


SCROLLS = """[...document.querySelectorAll("#mathematics *")].filter((e) => e.scrollWidth > e.clientWidth + 1
    && /auto|scroll/.test(getComputedStyle(e).overflowX) && !e.matches(".scroll, .formula")).length"""
SMALL = """[...document.querySelectorAll(
        "#mathematics :is(button, summary, .hit, input:not([type=radio], [type=checkbox]))")]
    .map((e) => e.getBoundingClientRect()).filter((box) => box.width && Math.min(box.width, box.height) < 24).length"""


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (320, True)])
def test_the_section_fits(open_page: Open, width: int, dark: bool) -> None:
    page = open_page(width=width, dark=dark)
    page.evaluate("for (const note of document.querySelectorAll('#mathematics details')) note.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(SCROLLS) == 0
    assert page.evaluate(SMALL) == 0


def test_without_scripts_there_are_pictures_numbers_and_answers(open_page: Open) -> None:
    page = open_page(java_script_enabled=False)
    assert page.locator(":is(#fig-coin, #fig-shared, #fig-nce, #fig-bound) svg > title").count() == 4
    assert page.locator("#mathematics math").count() > 15
    assert value(page, "bound.bound") == pytest.approx(BOUNDS[8], abs=1e-5)
    assert page.locator("#fig-shared .sums button").first.is_visible()
    assert page.locator("#fig-nce tbody button").first.inner_text() == "umbrella"
    page.click("#predict-ceiling summary")
    assert "2.0794" in page.locator("#predict-ceiling").inner_text()
