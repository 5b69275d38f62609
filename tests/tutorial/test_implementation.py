"""The code on the page is the code that is tested; the lens shows what its lines make; the bugs are real."""

# N pairs, V views, D features

import ast
import inspect
import math
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

import info_nce
from info_nce import from_scratch
from tests.tutorial.conftest import Open, address_of, check_accessible, value
from tutorial.bundle import recorded
from tutorial.engine import Engine
from tutorial.listing import listing, source, transcript
from tutorial.record import bugs

FUNCTIONS = ("info_nce", "symmetric_info_nce", "nt_xent")
M4 = [[0.82, 0.31, 0.64, 0.05], [0.12, 0.58, 0.55, 0.10], [0.40, 0.22, 0.71, 0.18], [0.02, 0.47, 0.33, 0.66]]
BLOCKS = ("info_nce", "symmetric_info_nce", "nt_xent", "moco", "enqueue", "LearnedTemperature", "train_epoch")
Made = list[tuple[str, Any]]


def steps(engine: Engine, of: str, temperature: float) -> Made:
    """What the lens says that each line makes."""
    found = engine.evaluate(f'FIGURES.lens.derive({{ of: "{of}", line: 1, temperature: {temperature} }}).steps')
    return [(name, value) for name, value in found]


def executed(of: str, given: dict[str, Any], spoilt: tuple[str, str] = ("", "")) -> Made:
    """What each statement of the function makes, one after the other, in torch."""
    names = vars(from_scratch) | given
    tree = ast.parse(inspect.getsource(getattr(from_scratch, of)).replace(*spoilt)).body[0]
    assert isinstance(tree, ast.FunctionDef)
    made: Made = []
    for node in tree.body[1:]:
        if isinstance(node, ast.Return):
            assert node.value is not None
            made.append(("return", eval(ast.unparse(node.value), names)))  # noqa: S307 - our own function
        elif isinstance(node, ast.Assign):
            exec(ast.unparse(node), names)  # noqa: S102 - our own function
            made.append((ast.unparse(node.targets[0]), names[ast.unparse(node.targets[0])]))
    return made


def as_tensor(shown: Any, like: Tensor) -> Tensor:
    """What the lens shows as a tensor; JSON knows no infinity."""

    def numbers(inner: Any) -> Any:
        return [numbers(one) for one in inner] if isinstance(inner, list) else -math.inf if inner is None else inner

    return torch.tensor(numbers(shown), dtype=like.dtype)


def inputs(made: Made) -> dict[str, Tensor]:
    return {name: torch.tensor(value, dtype=torch.float64) for name, value in made if name in {"query", "key", "views"}}


@pytest.mark.parametrize("temperature", [0.01, 0.07, 0.5])
@pytest.mark.parametrize("of", FUNCTIONS)
def test_the_lens_shows_what_each_line_makes(engine: Engine, of: str, temperature: float) -> None:
    shown = steps(engine, of, temperature)
    made = executed(of, {**inputs(shown), "temperature": temperature})
    assert len(shown) == len(made) == max(line["statement"] or 0 for line in listing(of))
    for (_, numbers), (name, tensor) in zip(shown, made, strict=True):
        assert_close(as_tensor(numbers, tensor), tensor, rtol=1e-9, atol=1e-9, msg=name)


WRONG = {
    "info_nce": (" / temperature", ""),
    "symmetric_info_nce": ("cross_entropy(logits.T, own)", "cross_entropy(logits, own)"),
    "nt_xent": ("^ 1", ".roll(4)"),
}


@pytest.mark.parametrize("of", FUNCTIONS)
def test_the_lens_would_notice_another_line(engine: Engine, of: str) -> None:
    shown = steps(engine, of, 0.07)
    made = executed(of, {**inputs(shown), "temperature": 0.07}, WRONG[of])
    pairs = [
        (as_tensor(numbers, one.double()), one.double()) for (_, numbers), (_, one) in zip(shown, made, strict=True)
    ]
    with pytest.raises(AssertionError):
        assert_close([one for one, _ in pairs], [other for _, other in pairs])


def test_the_vectors_of_the_lens_have_the_cosines_of_the_running_example(engine: Engine) -> None:
    given = inputs(steps(engine, "info_nce", 0.07))
    assert_close(given["query"] @ given["key"].T, torch.tensor(M4, dtype=torch.float64), rtol=0, atol=1e-12)
    for side in given.values():
        assert_close(side.norm(dim=1), torch.ones(4, dtype=torch.float64))
    found = engine.evaluate("FIGURES.lens.derive(FIGURES.lens.state)")
    assert found["rowLoss"] == pytest.approx(0.165831, abs=1e-6)
    assert found["columnLoss"] == pytest.approx(0.150721, abs=1e-6)
    assert found["loss"] == pytest.approx(0.158276, abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_nt_xent_of_similarities_is_torchs(engine: Engine, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    views = nn.functional.normalize(torch.randn(2 * (seed + 2), 5, generator=generator, dtype=torch.float64), dim=1)
    cosines = views @ views.T
    for temperature in (0.01, 0.3, 2.0):
        found = engine.evaluate(f"ntXentInterleaved({cosines.tolist()}, {temperature})")
        assert found == pytest.approx(from_scratch.nt_xent(views, temperature).item(), abs=1e-9)
        own = torch.arange(len(views)) ^ 1
        with_itself = nn.functional.cross_entropy(cosines / temperature, own).item()
        assert found != pytest.approx(with_itself, abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_vectors_with_given_products_are_choleskys(engine: Engine, seed: int) -> None:
    root = torch.randn(5, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    products = root @ root.T + torch.eye(5)
    found = torch.tensor(engine.evaluate(f"withProducts({products.tolist()})"), dtype=torch.float64)
    assert_close(found, torch.linalg.cholesky(products))
    with pytest.raises(AssertionError):
        assert_close(found, torch.linalg.cholesky(products).T)


def said(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+\.?\d*(?:e-?\d+)?", text)]


FAST = [name for name in bugs.BUGS if name != "layout"]
RECORDED = {bug["name"]: bug for bug in recorded("bugs")["bugs"]}


@pytest.mark.parametrize("name", FAST)
def test_what_was_recorded_is_printed_again(name: str) -> None:
    for now, then in zip(bugs.typed(bugs.BUGS[name].session), RECORDED[name]["session"], strict=True):
        assert now[0] == then[0]
        assert len(now) == len(then)
        for one, other in zip(now[1:], then[1:], strict=True):
            assert re.sub(r"[\d.e-]+", "#", one) == re.sub(r"[\d.e-]+", "#", other)
            assert said(one) == pytest.approx(said(other), abs=2e-4)


def test_the_first_steps_of_both_runs_are_those_that_were_recorded() -> None:
    runs = recorded("bugs")["runs"]
    layout = bugs.BUGS["layout"]
    for kind, step in (("wrong", layout.function), ("right", bugs.mended(layout))):
        run = bugs.Run(step)
        run.to(7)
        assert run.losses[::3] == pytest.approx(runs[kind]["losses"][:3], abs=2e-3)
    assert {kind: len(runs[kind]["frames"]) for kind in ("wrong", "right")} == {"wrong": 6, "right": 6}
    assert runs["moments"][-1] == 3 * (len(runs["wrong"]["losses"]) - 1) == 147
    assert runs["wrong"]["losses"][-1] == pytest.approx(math.log(511), abs=0.01)
    assert runs["right"]["losses"][-1] < 4.5
    spread = {kind: torch.tensor(runs[kind]["frames"][-1]).std(0).sum() for kind in ("wrong", "right")}
    assert spread["wrong"] < 0.2
    assert spread["right"] > 1


def test_check_loss_says_what_was_recorded() -> None:
    assert bugs.check_session() == recorded("bugs")["check"]
    assert "not normalised" in transcript(recorded("bugs")["check"])


def perfect(rows: int = 4) -> Tensor:
    return torch.eye(rows).repeat_interleave(2, dim=0)


def loss_after(steps: int, step: Callable[..., float]) -> float:
    run = bugs.Run(step)
    run.to(steps)
    return run.losses[-1]


RIGHT: dict[str, Callable[[Callable[..., Any]], bool]] = {
    "inverse": lambda made: abs(made(0.07)().item() - 0.07) < 1e-6,
    "undivided": lambda made: made(perfect().double(), 0.07).allclose(from_scratch.nt_xent(perfect().double(), 0.07)),
    "layout": lambda step: loss_after(25, step) < 5,
    "guessing": lambda check: check(torch.ones(512, 8)),
    "rounding": lambda cosines: (
        cosines(perfect(), bugs.strangers(8, 4)).shape == (8, 8)
        and cosines(bugs.strangers(512, 128), bugs.strangers(512, 128)).shape == (512, 512)
    ),
}


@pytest.mark.parametrize("name", bugs.BUGS)
def test_the_line_that_the_page_calls_right_puts_it_right(name: str) -> None:
    bug = bugs.BUGS[name]
    assert RECORDED[name]["right"] == bug.right
    line = source(f"bugs.{bug.function.__name__}").splitlines()[RECORDED[name]["line"]]
    assert line.strip() == bug.wrong
    assert RIGHT[name](bugs.mended(bug))
    try:
        still_wrong = not RIGHT[name](bug.function)
    except ValueError:
        still_wrong = True
    assert still_wrong


def test_the_numbers_of_the_answers_are_those_that_torch_printed(engine: Engine) -> None:
    numbers = engine.evaluate("FIGURES.bugs.derive(FIGURES.bugs.state)")
    session = {name: [said(line) for typed in bug["session"] for line in typed[1:]] for name, bug in RECORDED.items()}
    assert [numbers["inverse"]] == pytest.approx(session["inverse"][0], abs=1e-4)
    assert [numbers["undivided"]] == pytest.approx(session["undivided"][0], abs=1e-4)
    assert [numbers["perfect"]] == pytest.approx(session["undivided"][1], abs=1e-8)
    assert [numbers["chance"], numbers["guess"]] == pytest.approx(session["guessing"][0], abs=1e-4)
    (alike, _), (measured, _), (low, high) = (line for line in session["guessing"] if len(line) == 2)
    assert alike == pytest.approx(numbers["chance"], abs=1e-4)
    assert low < numbers["random"] < high
    assert low <= round(measured, 2) <= high
    assert numbers["rounding"] == torch.finfo(torch.float32).eps


def test_code_blocks_are_the_sources_and_run(open_page: Open) -> None:
    page = open_page()
    shown = page.locator("section#implementation .code").all_text_contents()
    expected = [inspect.getsource(getattr(from_scratch, name)) for name in BLOCKS]
    expected.append(inspect.getsource(bugs.unnormalised))
    assert [block + "\n" for block in shown] == expected
    names = vars(from_scratch).copy()
    for block in shown:
        exec(block, names)  # noqa: S102 - our own page
    for name in BLOCKS:
        assert f"The code of {name}" in [
            box.get_attribute("aria-label") for box in page.locator("section#implementation .code").all()
        ]
    for puzzle, bug in enumerate(bugs.BUGS.values()):
        page.click(f'#fig-bugs [data-do="set:puzzle={puzzle}"]')
        lines = [line.rstrip() for line in page.locator("#fig-bugs .listing code").all_text_contents()]
        assert "\n".join(lines) + "\n" == inspect.getsource(bug.function)


def test_the_librarys_lines_compute_the_same(open_page: Open) -> None:
    page = open_page()
    lines = [box.locator("code").first.text_content() for box in page.locator(".library").all()]
    torch.manual_seed(0)
    query, key, queue = (torch.randn(6, 4, dtype=torch.float64) for _ in range(3))
    views = torch.stack([query, key], 1).flatten(0, 1)
    names = vars(info_nce) | {"query": query, "key": key, "views": views, "queue": queue}
    names |= {"encoder": nn.Identity(), "view1": query, "view2": key}
    found = [eval(line, names) for line in lines]  # noqa: S307 - our own page
    expected = [
        from_scratch.info_nce(query, key),
        from_scratch.symmetric_info_nce(query, key),
        from_scratch.nt_xent(views),
        from_scratch.moco(query, key, queue),
        from_scratch.symmetric_info_nce(query, key, from_scratch.LearnedTemperature()()),
        from_scratch.nt_xent(views),
    ]
    assert_close([loss.detach() for loss in found], [loss.detach() for loss in expected])


def symmetric_of(logits: Tensor) -> Tensor:
    own = torch.arange(len(logits))
    return (nn.functional.cross_entropy(logits, own) + nn.functional.cross_entropy(logits.T, own)) / 2


def of_rows(logits: Tensor) -> Tensor:
    return nn.functional.cross_entropy(logits, torch.arange(len(logits)))


def overflowing(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    cells = (nn.functional.normalize(query) @ nn.functional.normalize(key).T / temperature).exp()
    return (cells.sum(1) / cells.diagonal()).log().mean()


def undivided(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    cosines = nn.functional.normalize(query) @ nn.functional.normalize(key).T
    itself = torch.eye(len(query), dtype=torch.bool)
    return of_rows(torch.where(itself, cosines, cosines / temperature))


def first_is_right(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    cosines = nn.functional.normalize(query) @ nn.functional.normalize(key).T
    return nn.functional.cross_entropy(cosines / temperature, torch.zeros(len(query), dtype=torch.long))


def of_wrong_rows(logits: Tensor) -> Tensor:
    return of_rows(logits) + logits.diagonal().mean()


def test_the_checklist_holds_for_a_right_loss_and_for_no_wrong_one(open_page: Open) -> None:
    page = open_page()
    checks = [item.locator("code").last.text_content() for item in page.locator(".checklist li").all()]
    torch.manual_seed(0)
    query, key = torch.randn(2, 8, 16, dtype=torch.float64)
    names = {
        "torch": torch,
        "query": query,
        "key": query + 0.1 * key,
        "same": query[:1].expand(8, 16),
        "order": torch.randperm(8),
        "logits": query @ key.T,
    }
    right = {"mine": from_scratch.symmetric_info_nce, "loss_of": of_rows}
    wrong = [overflowing, undivided, first_is_right, of_wrong_rows, from_scratch.info_nce]
    assert len(checks) == len(wrong)
    for check, spoilt in zip(checks, wrong, strict=True):
        assert eval(check, names | right)  # noqa: S307 - our own page
        assert not eval(check, names | {"mine": spoilt, "loss_of": spoilt})  # noqa: S307 - our own page


def test_tabs_open_by_click_keys_and_address_and_are_plain_parts_without_scripts(open_page: Open) -> None:
    page = open_page(state="#code-moco")
    panels = page.locator(".tabs > div[id]")
    tabs = page.locator(".tabs [role=tab]")

    def opened() -> list[str]:
        return [panel.get_attribute("id") for panel in panels.all() if panel.is_visible()]

    assert opened() == ["code-moco"]
    tabs.nth(0).click()
    assert opened() == ["code-info_nce"]
    page.keyboard.press("ArrowLeft")
    assert opened() == ["code-train"]
    assert tabs.nth(5).get_attribute("aria-selected") == "true"
    assert page.evaluate("document.activeElement.id") == "code-train-tab"
    page.keyboard.press("Home")
    assert opened() == ["code-info_nce"]
    plain = open_page(java_script_enabled=False)
    assert all(panel.is_visible() for panel in plain.locator(".tabs > div[id]").all())
    assert plain.locator("#fig-lens svg title").count() == 1
    assert plain.locator("#fig-lens .listing code").first.is_visible()
    assert plain.locator("#fig-bugs .listing button").first.is_visible()


def is_done(page: Any, figure: str, task: str) -> bool:
    return "done" in (page.get_attribute(f'#fig-{figure} [data-task="{task}"]', "class") or "")


def test_the_lens_follows_its_line_and_its_temperature(open_page: Open) -> None:
    page = open_page()
    page.click('#fig-lens [data-do="set:of=nt_xent"]')
    assert not is_done(page, "lens", "partner")
    line = page.locator('#fig-lens [data-do="set:line=5"]')
    line.focus()
    page.keyboard.press("Enter")
    assert is_done(page, "lens", "partner")
    assert page.locator("#fig-lens .tensor text").all_text_contents() == list("10325476")
    page.click('#fig-lens [data-do="set:of=info_nce"]')
    page.fill("#fig-lens input[type=number]", "0.2")
    assert value(page, "lens.rowLoss") == pytest.approx(0.481111, abs=1e-6)
    assert not is_done(page, "lens", "small")
    page.fill("#fig-lens input[type=number]", "0.03")
    assert is_done(page, "lens", "small")
    logits = torch.tensor(M4, dtype=torch.float64) / 0.03
    assert value(page, "lens.result") == pytest.approx(of_rows(logits).item(), abs=1e-9)
    again = open_page(state=address_of(page))
    assert value(again, "lens.result") == value(page, "lens.result")


def test_a_puzzle_is_run_missed_and_solved_by_hand(open_page: Open) -> None:
    page = open_page()
    for puzzle, (name, bug) in enumerate(bugs.BUGS.items()):
        page.click(f'#fig-bugs [data-do="set:puzzle={puzzle}"]')
        assert page.locator("#fig-bugs .console pre").count() == 0
        page.click('#fig-bugs [data-do="run"]')
        assert page.locator("#fig-bugs .console").text_content().strip() == "\n".join(
            "\n".join([f">>> {line}", *printed]) for line, *printed in RECORDED[name]["session"]
        )
        lines = page.locator("#fig-bugs .listing li")
        lines.nth(0).locator("button").click()
        assert not is_done(page, "bugs", name)
        assert page.locator("#fig-bugs .mended").count() == 0
        lines.nth(bug.line()).locator("button").click()
        assert is_done(page, "bugs", name)
        assert page.locator("#fig-bugs .mended").text_content() == bug.right
    page.click('#fig-bugs [data-do="set:puzzle=2"]')
    page.fill("#fig-bugs input[type=number]", "30")
    assert page.locator("#fig-bugs .ball circle.spot").count() == 2 * bugs.SHOWN
    page.click('#fig-bugs [data-do="reset"]')
    page.click('#fig-bugs [data-do="show"]')
    assert page.locator("#fig-bugs .mended").text_content() == bugs.BUGS["inverse"].right


def test_the_puzzles_are_accessible(open_page: Open) -> None:
    page = open_page(state="#bugs.puzzle=2&bugs.ran=1,1,1,1,1&bugs.found=0,0,1,0,0", width=390)
    check_accessible(page, "#fig-bugs")
    page.click('#fig-bugs [data-do="set:puzzle=3"]')
    page.click('#fig-lens [data-do="set:of=nt_xent"]')
    for figure in ("#fig-bugs", "#fig-lens"):
        check_accessible(page, figure)


def test_the_section_fits_a_small_screen_with_targets_for_thumbs(open_page: Open) -> None:
    page = open_page(state="#bugs.puzzle=2&bugs.ran=1,1,1,1,1&bugs.found=0,0,1,0,0", width=320)
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    small = page.evaluate(
        "[...document.querySelectorAll('#implementation :is(button, input:not([type=radio]), .check, summary)')]"
        ".filter((e) => {"
        "const b = e.getBoundingClientRect(); return b.width && (b.height < 23.9 || b.width < 17); })"
        ".map((e) => e.outerHTML.slice(0, 80))"
    )
    assert small == []
