"""Section 7: whose matrix is this, the sandbox, the quiz, and what is printed of the papers."""

import contextlib
import io
import json
import math
import re
from typing import Any

import pytest
import torch

import info_nce
from info_nce.losses import draw_distractors, moco
from info_nce.recipes import recipe_class
from info_nce.similarity import Cosine
from tests.tutorial.conftest import Open, address_of, check_accessible, value
from tutorial.build import HERE
from tutorial.engine import Engine

METHODS = ["clip", "simclr", "moco", "cpc", "wav2vec2", "videomoco"]
SMALL = """[...document.querySelectorAll("#applications :is(button, input, textarea, summary)")]
  .filter((e) => e.offsetParent && !e.closest(".check")).map((e) => [e.outerHTML, e.getBoundingClientRect()])
  .filter(([, box]) => box.height < 24 || box.width < 24).map(([what]) => what)"""


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def plan(engine: Engine, method: str, n: int, **options: float) -> dict[str, Any]:
    return dict(engine.evaluate(f"comparisons({json.dumps(method)}, {n}, {json.dumps(options)})"))


def by_plan(found: dict[str, Any], logits: torch.Tensor) -> torch.Tensor:
    """The loss of each row, of the cells that the figure draws, by torch alone."""
    kinds = found["cells"]
    counts = torch.tensor([[kind in {"positive", "negative"} for kind in row] for row in kinds])
    own = torch.tensor([row.index("positive") for row in kinds])
    weighed = logits + torch.tensor(found["weights"], dtype=torch.float64).log()
    return torch.nn.functional.cross_entropy(weighed.masked_fill(~counts, -torch.inf), own, reduction="none")


@pytest.mark.parametrize("n", [3, 6])
def test_drawn_matrices_are_those_of_the_librarys_losses(engine: Engine, n: int) -> None:
    a, b, queue = draw(n, 5, seed=n), draw(n, 5, seed=n + 1), draw(6, 5, seed=n + 2)
    pairs = Cosine()(a, b) / 0.1
    found = plan(engine, "clip", n)
    both = (by_plan(found, pairs) + by_plan(found, pairs.T)) / 2
    assert both.mean() == pytest.approx(info_nce.SymmetricInfoNCE(0.1)(a, b).item(), abs=1e-12)

    every = torch.cat([a, b])
    found = plan(engine, "simclr", n)
    assert by_plan(found, Cosine()(every, every) / 0.1).mean() == pytest.approx(
        info_nce.NTXent(temperature=0.1)(a, b).item(), abs=1e-12
    )

    keys = Cosine()(a, torch.cat([b, queue])) / 0.07
    assert by_plan(plan(engine, "moco", n), keys).mean() == pytest.approx(
        info_nce.MoCo(0.07)(a, b, queue).item(), abs=1e-12
    )
    in_batch = info_nce.InfoNCE(0.07, keep_in_batch=True)(a, b, queue).item()
    assert abs(by_plan(plan(engine, "moco", n), keys).mean() - in_batch) > 1e-3
    fading = by_plan(plan(engine, "videomoco", n, decay=0.8), keys).mean()
    log_q = -math.log(0.8) * torch.arange(6, dtype=torch.float64)
    assert fading == pytest.approx(moco(a, b, queue, 0.07, log_q=log_q).item(), abs=1e-12)
    assert plan(engine, "videomoco", n, decay=1) == plan(engine, "moco", n)


@pytest.mark.parametrize("ahead", [1, 2])
def test_the_matrix_of_cpc_is_the_librarys(engine: Engine, ahead: int) -> None:
    context, latents, weight = draw(2, 4, 3), draw(2, 4, 5, seed=1), draw(1, 3, 5, seed=2)
    scores = (context[:, : 4 - ahead] @ weight[0]).flatten(0, 1) @ latents.flatten(0, 1).T
    expected = info_nce.losses.cpc(context, latents, weight, steps=(ahead,)).item()
    assert by_plan(plan(engine, "cpc", 4, ahead=ahead), scores).mean() == pytest.approx(expected, abs=1e-12)
    present = plan(engine, "cpc", 4, ahead=3 - ahead)["cells"]
    assert [row.index("positive") for row in present[: 4 - ahead]] != list(range(ahead, 4))


def test_the_matrix_of_wav2vec2_is_the_librarys(engine: Engine) -> None:
    context, targets = draw(2, 6, 5), draw(2, 6, 5, seed=1)
    mask = torch.zeros(2, 6, dtype=torch.bool)
    mask[:, 1:5] = True
    steps = mask.flatten().nonzero().squeeze(1)
    # each of the other three hidden ones once, as the figure draws it
    others = torch.stack([steps[(steps != step) & (steps // 6 == step // 6)] for step in steps])
    assert set(draw_distractors(mask, 50)[0].tolist()) == set(others[0].tolist())
    expected = info_nce.losses.wav2vec2_contrastive(context, targets, mask, 0.1, distractors=others).item()
    scores = Cosine()(context.flatten(0, 1)[steps], targets.flatten(0, 1)) / 0.1
    assert by_plan(plan(engine, "wav2vec2", 4), scores).mean() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_every_state_of_the_matrix_holds_together(engine: Engine, method: str) -> None:
    state = {"method": method, "n": 99, "ahead": 9, "decay": 7, "query": 999}
    fitted = engine.evaluate(f"FIGURES.methods.fits({json.dumps(state)})")
    found = engine.evaluate(f"FIGURES.methods.derive({json.dumps(fitted)})")
    assert (fitted["n"], fitted["ahead"], fitted["decay"]) == (6, 5, 1)
    assert fitted["query"] == found["queries"]
    assert found["positives"] == 1
    assert found["guessing"] == pytest.approx(math.log(1 + found["negatives"]))


# The sandbox's mathematics.


@pytest.mark.parametrize("seed", range(6))
def test_the_sandboxs_losses_are_torchs(engine: Engine, seed: int) -> None:
    n, d = 2 + seed, 1 + 2 * seed
    tau, margin = 0.01 + 0.3 * seed, 0.1 * seed
    a, b = draw(n, d, seed=seed), draw(n, d, seed=seed + 50)
    a[0] *= 1e200  # squares of these overflow
    b[-1] *= 1e-200
    found = sandbox(engine, csv(a), csv(b), temperature=tau, margin=margin)
    unit = torch.nn.functional.normalize
    a[0] /= 1e200
    b[-1] /= 1e-200
    pairs = unit(a) @ unit(b).T
    entropy = torch.nn.functional.cross_entropy
    rows, columns = entropy(pairs / tau, torch.arange(n)), entropy(pairs.T / tau, torch.arange(n))
    every = unit(torch.cat([a, b]))
    alone = (every @ every.T / tau).fill_diagonal_(-torch.inf)
    views = entropy(alone, (torch.arange(2 * n) + n) % (2 * n))
    hardest = (pairs - 9 * torch.eye(n)).amax(1)
    triplet = (margin + hardest - pairs.diagonal()).clamp(min=0).mean()
    expected = {"infoNce": rows, "symmetric": (rows + columns) / 2, "ntXent": views, "triplet": triplet}
    assert found["all"] == pytest.approx({name: loss.item() for name, loss in expected.items()}, abs=1e-10)
    wide = sandbox(engine, csv(a), csv(b), temperature=tau, loss="ntXent")
    for row, other in zip(wide["p"], alone.softmax(1).tolist(), strict=True):
        assert row == pytest.approx(other, abs=1e-12)


def test_a_view_that_is_its_own_candidate_would_be_seen(engine: Engine) -> None:
    a, b = draw(4, 3), draw(4, 3, seed=1)
    every = torch.nn.functional.normalize(torch.cat([a, b]))
    wrong = torch.nn.functional.cross_entropy(every @ every.T / 0.5, (torch.arange(8) + 4) % 8)
    found = sandbox(engine, csv(a), csv(b), temperature=0.5)["all"]
    assert abs(found["ntXent"] - wrong.item()) > 0.1
    assert abs(found["infoNce"] - found["symmetric"]) > 1e-3


def csv(vectors: torch.Tensor, between: str = ", ") -> str:
    return "\n".join(between.join(map(repr, row)) for row in vectors.tolist())


def sandbox(engine: Engine, queries: str, keys: str, **settings: Any) -> dict[str, Any]:
    state = json.dumps({"queries": queries, "keys": keys, **settings})
    return dict(
        engine.evaluate(f"FIGURES.sandbox.derive(FIGURES.sandbox.fits({{...FIGURES.sandbox.state, ...{state}}}))")
    )


FINE = "1, 2\n3, 4\n5, 7"
HOSTILE = {
    "": "empty",
    " \n\t\n": "empty",
    "1, 2\n3\n5, 6": "ragged",
    "1, 2, 3\n3, 4\n5, 6": "ragged",
    "x, y\n1, 2\n3, 4": "word",
    "1, 2\ncat, 4\n5, 6": "word",
    "1, 2\nNaN, 4\n5, 6": "word",
    "1, 2\nInfinity, 4\n5, 6": "word",
    "1, 2\n1e999, 4\n5, 6": "word",
    "0x10, 2\n3, 4\n5, 6": "word",
    "1_000, 2\n3, 4\n5, 6": "word",
    "1, 2 3\n3, 4\n5, 6": "word",
    "[1, 2]\n[3, 4]\n[5, 6]": "word",
    "1, 2,\n3, 4,\n5, 6,": "blank",
    "1,, 2\n3, 4\n5, 6": "blank",
    "0,5; 0,3\n1; 2\n3; 4": "comma",
    "0,5\t0,3\n1\t2\n3\t4": "comma",
    "1, 2\n\n3, 4\n5, 6": "gap",
    "\n1, 2\n3, 4\n5, 6": "gap",
    "1, 2\n0, 0\n5, 6": "zero",
    "1, 2\n1e-400, 0\n5, 6": "zero",
    "1, 2\n3, 4": "pairs",
    "1, 2, 3\n4, 5, 6\n7, 8, 9": "widths",
}


@pytest.mark.parametrize(("text", "problem"), HOSTILE.items())
@pytest.mark.parametrize("side", ["queries", "keys"])
def test_hostile_text_gets_a_sentence_and_never_a_number(engine: Engine, text: str, problem: str, side: str) -> None:
    texts = {"queries": FINE, "keys": FINE, side: text}
    found = sandbox(engine, **texts)
    assert found["problem"]["problem"] == problem
    assert found.keys() == {"problem"}
    words = json.loads((HERE / "content" / "en" / "07-applications.json").read_text(encoding="utf-8"))["sandbox"]
    state = json.dumps(texts)
    said = engine.evaluate(
        "(() => { const f = FIGURES.sandbox, s = {...f.state, ..." + state + "}; "
        f"return f.says(s, f.derive(s), {json.dumps(words)}); }})()"
    )
    assert said.endswith((".", ":"))
    assert "{" not in said
    if problem not in {"pairs", "widths"}:
        assert said.startswith("Queries" if side == "queries" else "Keys")


def test_one_pair_and_too_many_are_refused(engine: Engine) -> None:
    assert sandbox(engine, "1, 2", "3, 4")["problem"]["problem"] == "single"
    many = "1, 2\n" * 17
    assert sandbox(engine, many, many)["problem"]["problem"] == "many"


@pytest.mark.parametrize("between", [",", ", ", ";", "; ", "\t", " ", "   "])
def test_any_one_separator_is_read(engine: Engine, between: str) -> None:
    a, b = draw(3, 4), draw(3, 4, seed=1)
    text = "\ufeff" + csv(a, between).replace("\n", "\r\n").replace("-", "\u2212") + "\n"
    assert sandbox(engine, text, csv(b))["loss"] == sandbox(engine, csv(a), csv(b))["loss"]


def test_vectors_are_drawn_from_their_seed(engine: Engine) -> None:
    first = engine.evaluate("drawnPairs(16, 16, 3)")
    assert first == engine.evaluate("drawnPairs(16, 16, 3)")
    assert first != engine.evaluate("drawnPairs(16, 16, 4)")
    drawn = torch.tensor(first)
    assert drawn.shape == (2, 16, 16)
    assert abs(drawn[0].mean()) < 0.2
    assert abs(drawn[0].std() - 1) < 0.15


# The exported program.


def run(program: str) -> tuple[float, str]:
    printed = io.StringIO()
    names: dict[str, Any] = {}
    with contextlib.redirect_stdout(printed):
        exec(program, names)  # noqa: S102 (what the page hands out is what is tested)
    return names["loss"].item(), printed.getvalue().strip()


@pytest.mark.parametrize("loss", ["infoNce", "symmetric", "ntXent", "triplet"])
def test_the_exported_program_finds_the_number_on_the_page(open_page: Open, loss: str) -> None:
    page = open_page()
    page.click(f'#fig-sandbox [data-do="set:loss={loss}"]')
    checks = [
        ("0.5 1 -2e3\n7 1e-3 4\n-3 .25 +8", "1 2 3\n3 3 3\n-1 0 123456789012345678901"),
        (csv(draw(5, 7)), csv(draw(5, 7, seed=9))),
    ]
    for queries, keys in checks:
        page.fill('#fig-sandbox [data-set="queries"]', queries)
        page.fill('#fig-sandbox [data-set="keys"]', keys)
        for setting in ("0.05", "0.731"):
            page.fill(
                f'#fig-sandbox input[type=number][data-set="{"margin" if loss == "triplet" else "temperature"}"]',
                setting,
            )
            found, printed = run(page.inner_text("#fig-sandbox .snippet code"))
            assert found == pytest.approx(value(page, "sandbox.loss"), abs=1e-6)
            assert printed == page.inner_text('#fig-sandbox [data-bind="sandbox.loss"]')


# In the browser.


def test_typing_pasting_and_drawing_keep_the_boxes_and_the_numbers_together(open_page: Open) -> None:
    page = open_page()
    box = page.locator('#fig-sandbox [data-set="queries"]')
    before = value(page, "sandbox.loss")
    box.fill("\n1, 2\n3, 4")
    assert "line 1" in page.inner_text("#fig-sandbox .problem")
    assert page.locator("#fig-sandbox [data-bind]").count() == 0
    page.keyboard.press("Tab")
    assert box.input_value() == "\n1, 2\n3, 4"
    page.click('#fig-sandbox [data-do="draw"]')
    assert box.input_value().count("\n") == 3
    # As the page begins, the builder's exponential made the number, whose last bit may differ from the browser's.
    assert value(page, "sandbox.loss") == pytest.approx(before, abs=1e-12)
    page.fill('#fig-sandbox [data-set="n"]', "6")
    page.click('#fig-sandbox [data-do="draw"]')
    assert page.locator("#fig-sandbox .cells .line").count() == 6
    box.fill("<img src=x onerror=alert(1)>")
    assert page.locator("#fig-sandbox img").count() == 0
    assert "<img" in page.inner_text("#fig-sandbox .problem")
    page.click('#fig-sandbox [data-do="reset"]')
    assert value(page, "sandbox.loss") == pytest.approx(before, abs=1e-12)


def test_a_link_brings_the_vectors_along(open_page: Open) -> None:
    page = open_page()
    page.fill('#fig-sandbox [data-set="queries"]', "1; 2\n3; -4")
    page.fill('#fig-sandbox [data-set="keys"]', "1; 1\n2; -4")
    page.click('#fig-sandbox [data-do="set:loss=symmetric"]')
    page.click('#fig-sandbox [data-do="set:show=columns"]')
    page.fill('#fig-sandbox input[type=number][data-set="temperature"]', "0.5")
    other = open_page("en", address_of(page))
    assert other.input_value('#fig-sandbox [data-set="keys"]') == "1; 1\n2; -4"
    for name in ("sandbox.loss", "sandbox.losses.1"):
        assert value(other, name) == value(page, name)


def test_tasks_tick_when_done_by_hand(open_page: Open) -> None:
    page = open_page()

    def done(figure: str, task: str) -> bool:
        return "done" in (page.get_attribute(f'#fig-{figure} [data-task="{task}"]', "class") or "")

    page.click('#fig-methods [data-do="set:method=simclr"]')
    page.fill('#fig-methods input[type=number][data-set="n"]', "6")
    assert done("methods", "views")
    page.click('#fig-methods [data-do="set:method=cpc"]')
    assert not done("methods", "farther")
    page.focus('#fig-methods input[type=range][data-set="ahead"]')
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert done("methods", "farther")
    page.click('#fig-methods [data-do="set:method=videomoco"]')
    assert value(page, "methods.guessing") == pytest.approx(math.log(1 + sum(0.8**i for i in range(6))), abs=1e-12)
    page.fill('#fig-methods input[type=number][data-set="decay"]', "1")
    assert done("methods", "moco")

    page.click('#fig-sandbox [data-do="alike"]')
    assert done("sandbox", "own")
    assert done("sandbox", "guessing")
    page.fill('#fig-sandbox [data-set="queries"]', "1, 0\n0, 1")
    page.fill('#fig-sandbox [data-set="keys"]', "1, 0\n0, 1")
    assert not done("sandbox", "content")
    page.fill('#fig-sandbox input[type=number][data-set="temperature"]', "1")
    assert done("sandbox", "content")


def test_a_row_is_chosen_by_pressing_it_and_by_keys(open_page: Open) -> None:
    page = open_page()
    page.locator('#fig-methods [data-do="ask:2"]').click(position={"x": 30, "y": 10})
    assert page.input_value('#fig-methods input[type=number][data-set="query"]') == "3"
    page.focus('#fig-methods input[type=range][data-set="query"]')
    page.keyboard.press("ArrowRight")
    assert page.input_value('#fig-methods input[type=number][data-set="query"]') == "4"
    page.hover('#fig-sandbox tr[data-link="sandbox:1"]')
    assert "lit" in page.get_attribute('#fig-sandbox .line[data-link="sandbox:1"]', "class")


def test_the_quiz_hides_its_answers_until_one_commits(open_page: Open) -> None:
    page = open_page()
    questions = page.locator("#applications form.predict")
    assert questions.count() == 8
    form = page.locator("#predict-quizRoom")
    assert "other as five points can be" not in form.aria_snapshot()
    form.locator("input[value=quarter]").check()
    form.locator("button").click()
    assert "other as five points can be" in form.aria_snapshot()
    assert page.evaluate("document.activeElement.getAttribute('role')") == "status"


def test_nobody_is_shut_out(open_page: Open) -> None:
    page = open_page("en", "#methods.method=simclr&sandbox.loss=ntXent")
    page.evaluate("document.querySelectorAll('#applications details').forEach((note) => (note.open = true))")
    for figure in ("#fig-methods", "#fig-sandbox"):
        check_accessible(page, figure)
    page.fill('#fig-sandbox [data-set="queries"]', "cat")
    check_accessible(page, "#fig-sandbox")


def test_a_narrow_screen_scrolls_within_boxes_alone(open_page: Open) -> None:
    page = open_page("en", "#methods.method=wav2vec2&methods.n=6&sandbox.loss=ntXent", width=320)
    page.evaluate("document.querySelectorAll('#applications details').forEach((note) => (note.open = true))")
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    assert page.evaluate(SMALL) == []


def test_without_scripts_everything_can_be_read(open_page: Open) -> None:
    page = open_page(java_script_enabled=False)
    for figure in ("methods", "sandbox"):
        assert page.locator(f"#fig-{figure} svg.cells title").count() == 1
        assert page.locator(f"#fig-{figure} svg.cells .square").count() == 16
    assert run(page.text_content("#fig-sandbox .snippet code") or "")[0] == pytest.approx(
        float(page.get_attribute('[data-bind="sandbox.loss"]', "data-value")), abs=1e-6
    )


# What is printed.


def tokens(theme: str) -> dict[str, tuple[float, ...]]:
    css = (HERE / "app" / "styles" / "base.css").read_text(encoding="utf-8")
    block = re.search(r":root \{([^}]*)\}" if theme == "light" else r'data-theme="dark"\] \{([^}]*)\}', css)
    assert block
    found = re.findall(r"--([\w-]+): #(\w{6})", block[1])
    return {name: tuple(int(code[i : i + 2], 16) / 255 for i in (0, 2, 4)) for name, code in found}


def contrast(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    def luminance(colour: tuple[float, ...]) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted([luminance(a), luminance(b)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["positive", "negative"])
def test_numbers_in_cells_can_be_read_at_full_ink(theme: str, kind: str) -> None:
    colours = tokens(theme)
    full = 0.06 + 0.34
    blended = tuple(full * c + (1 - full) * under for c, under in zip(colours[kind], colours["card"], strict=True))
    assert contrast(colours["ink"], blended) >= 4.5
    assert contrast(colours[kind], colours["card"]) >= 3


SETTINGS = {  # as printed: negatives, temperature; from the papers and their authors' code
    "CLIP": ("32,768", "starts at 0.07"),  # arXiv:2103.00020, sections 2.3 to 2.5; openai/CLIP model.py
    "SimCLR": ("8,190", "0.1 for ImageNet, 0.5 for CIFAR-10"),  # arXiv:2002.05709; google-research/simclr README
    "MoCo": ("65,536", "0.07; 0.2"),  # arXiv:1911.05722; facebookresearch/moco README
    "CPC": ("12 steps", "none"),  # arXiv:1807.03748, sections 2.2 and 3.1
    "wav2vec 2.0": ("100", "0.1"),  # arXiv:2006.11477, section 4.2
    "VideoMoCo": ("65,536", "0.07"),  # arXiv:2103.05905, section 4.1
}


def test_the_papers_settings_are_printed_as_they_are(open_page: Open) -> None:
    page = open_page(java_script_enabled=False)
    rows = page.locator("#applications .settings tbody tr")
    assert rows.count() == len(SETTINGS)
    for i, (name, facts) in enumerate(SETTINGS.items()):
        text = rows.nth(i).inner_text()
        assert text.startswith(name)
        for fact in facts:
            assert fact in text
    whole = page.text_content("#applications") or ""
    assert not re.search(r"SimCLR[^.]{0,20}0\.07", whole)
    for found in re.finditer(r"CLIP[^\n]{0,120}0\.01", whole):
        assert "clamp" in whole[found.start() : found.end() + 40]


def test_every_machine_names_a_recipe_that_exists_and_its_paper() -> None:
    text = (HERE / "content" / "en" / "07-applications.md").read_text(encoding="utf-8")
    cards = text[text.index('<div class="cards') : text.index("Each command trains")]
    named = re.findall(r"info-nce train (\w+)</code> <a href=\"https://arxiv.org/abs/([\d.]+)\">", cards)
    assert [name for name, _ in named] == METHODS
    for name, paper in named:
        assert recipe_class(name).paper == f"arXiv:{paper}"


def test_takeaways_lead_to_the_figures_that_prove_them() -> None:
    text = (HERE / "content" / "en" / "07-applications.md").read_text(encoding="utf-8")
    claims = text[text.index('<ol class="claims">') : text.index("### Once more")]
    assert claims.count("<li>") == 5
    assert set(re.findall(r'href="#fig-(\w+)"', claims)) == {
        "bet",
        "circle",
        "bound",
        "temperature",
        "forces",
        "matrix",
    }
