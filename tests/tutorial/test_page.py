"""The page as a whole: in every language and theme, for mouse, keys and ears, without scripts, and in print."""

import gzip
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from tests.tutorial.conftest import Open, address_of, check_accessible, value
from tutorial.build import HERE, LANGUAGES, words_of
from tutorial.engine import Engine

EACH_LANGUAGE = pytest.mark.parametrize("language", list(LANGUAGES))
EACH_THEME = pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
OPEN_ALL = "for (const note of document.querySelectorAll('details')) note.open = true"


CHANGED = (
    "#circle.angles=170,5,63,78,-93,-107&shared.form=divergence&steps.step=5&overflow.temperature=0.07&meter.loss=9"
    "&forces.dimensions=3&batch.rows=stacked&strangers.pairs=256&temperature.temperature=0.5&runs.step=200"
    "&matrix.look=gradient&bugs.puzzle=2&bugs.ran=1,1,1,1,1&bugs.found=0,0,1,0,0&methods.method=wav2vec2"
    "&sandbox.loss=ntXent"
)
"""Figures as readers may leave them."""


@EACH_LANGUAGE
@EACH_THEME
def test_no_accessibility_violation_even_with_every_note_open(open_page: Open, language: str, dark: bool) -> None:
    page = open_page(language, CHANGED if dark else "", dark=dark)
    page.evaluate(OPEN_ALL)
    check_accessible(page)


def test_a_button_without_a_name_would_be_a_violation(open_page: Open) -> None:
    page = open_page()
    page.evaluate("document.querySelector('main').append(document.createElement('button'))")
    with pytest.raises(AssertionError, match="button-name"):
        check_accessible(page, "main > button")


# Whatever axe leaves open: text in drawings and formulas. The ground is that of the nearest element that has one; a
# drawing whose text lies on a shape says so with data-ground.
READABLE = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (text) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].map((v, i) => (i < 3 ? v : v / 255));
  };
  const light = (colour) => colour.slice(0, 3).map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    const over = [];
    for (let e = element; e; e = e.parentElement) {
      const style = getComputedStyle(e);
      const c = rgba(e.dataset?.ground ? style.getPropertyValue(e.dataset.ground) : style.backgroundColor);
      if (c[3] > 0) over.push(c);
      if (c[3] >= 1) break;
    }
    const on = (below, c) => c.slice(0, 3).map((v, i) => v * c[3] + below[i] * (1 - c[3]));
    return over.reverse().reduce(on, [255, 255, 255]);
  };
  const bad = [];
  const texts = "svg text, math mi, math mn, math mo, .number, button, label, td, th, figcaption, p, li, summary";
  for (const element of document.querySelectorAll(texts)) {
    if (!element.textContent.trim() || !element.checkVisibility() || element.closest("[disabled]")) continue;
    const style = getComputedStyle(element);
    const c = rgba(element.ownerSVGElement ? style.fill : style.color);
    let alpha = c[3];
    for (let e = element; e; e = e.parentElement) alpha *= Number(getComputedStyle(e).opacity);
    const below = ground(element);
    const seen = c.slice(0, 3).map((v, i) => v * alpha + below[i] * (1 - alpha));
    const [low, high] = [light(seen), light(below)].sort((a, b) => a - b);
    const ratio = (high + 0.05) / (low + 0.05);
    const where = `${element.textContent.trim().slice(0, 40)} in ${element.closest("[id]")?.id}`;
    if (ratio < 4.5) bad.push(`${ratio.toFixed(2)} ${element.tagName} ${where}`);
  }
  return bad;
}"""


@EACH_THEME
def test_all_text_is_readable_in_drawings_and_formulas_too(open_page: Open, dark: bool) -> None:
    page = open_page(dark=dark)
    page.evaluate(OPEN_ALL)
    assert page.evaluate(READABLE) == []


@EACH_LANGUAGE
def test_it_fits_a_narrow_screen_with_everything_open(open_page: Open, language: str) -> None:
    page = open_page(language, width=320)
    page.evaluate(OPEN_ALL)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    # Twice the size of text: nothing is cut off, the page still does not scroll sideways.
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    page.set_viewport_size({"width": 640, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 640


@pytest.mark.parametrize("width", [390, 1280])
def test_targets_are_large_enough(open_page: Open, width: int) -> None:
    page = open_page(width=width)
    page.evaluate(OPEN_ALL)
    small = page.evaluate("""() => [...document.querySelectorAll(
      "button, input, select, textarea, summary, [role=slider], [role=gridcell], [role=tab]")]
      .filter((e) => e.checkVisibility() && !e.closest(".unseen"))
      .map((e) => [(e.closest("label.check") ?? e).getBoundingClientRect(), e])
      .filter(([box]) => box.width < 23.9 || box.height < 23.9)
      .map(([box, e]) => [box.width.toFixed(0), box.height.toFixed(0), e.tagName,
        e.dataset.set ?? e.dataset.do ?? e.className, e.closest("[id]")?.id].join(" "))""")
    assert small == []


def test_every_control_is_reached_by_the_keyboard_in_the_order_of_the_page(open_page: Open) -> None:
    page = open_page()
    seen: list[list[int]] = []
    steps = (
        page.evaluate("document.querySelectorAll('a, button, input, select, textarea, summary, [tabindex]').length")
        + 20
    )
    for _ in range(steps):
        page.keyboard.press("Tab")
        found = page.evaluate("""() => {
          const e = document.activeElement;
          if (e === document.body) return null;
          const all = [...document.querySelectorAll("*")];
          const style = getComputedStyle(e);
          const drawn = [...(e.querySelectorAll?.(".hit, .asking") ?? [])].map((part) => getComputedStyle(part));
          const thick = (part) => part.stroke !== "none" && parseFloat(part.strokeWidth) >= 3;
          const marked = style.outlineStyle !== "none" || drawn.some(thick);
          return [all.indexOf(e), marked ? 1 : 0];
        }""")
        if found is None:
            break
        seen.append(found)
    else:
        pytest.fail("the Tab key does not come to an end")
    assert [pair for pair in pairwise(seen) if pair[0][0] >= pair[1][0]] == []
    assert all(marked for _, marked in seen)
    free = page.evaluate("""() => [...document.querySelectorAll(
      "button, input, select, textarea, summary, [role=slider]")]
      .filter((e) => !e.disabled && e.checkVisibility() && e.tabIndex >= 0).length""")
    radios = page.evaluate("""() => {
      const names = [...document.querySelectorAll("input[type=radio]")].map((radio) => radio.name);
      return names.length - new Set(names).size;
    }""")
    assert len(seen) >= free - radios


def test_a_prediction_is_answered_before_its_answer_is_shown(open_page: Open) -> None:
    page = open_page()
    form = page.locator("#predict-sureAndWrong")
    answer = form.locator("details p")
    assert answer.text_content()
    assert not answer.is_visible()
    assert "2.5 %" not in page.locator("#hook").aria_snapshot()
    assert form.locator("button").is_disabled()
    form.locator("input[value=one]").check()
    form.locator("button").click()
    assert answer.is_visible()
    assert page.evaluate("document.activeElement.getAttribute('role')") == "status"
    assert form.locator(".verdict").text_content() == words_of("en")["common"]["wrong"]
    page.reload()
    page.wait_for_selector("html[data-ready]", state="attached")
    assert form.locator("input[value=one]").is_checked()
    assert answer.is_visible()
    other = page.locator("#predict-easiest")
    other.locator("summary").click()  # whoever does not want to guess
    assert other.locator("details p").is_visible()
    assert other.locator(".verdict").text_content() == ""


@EACH_LANGUAGE
def test_every_prediction_has_an_answer_among_its_options(language: str) -> None:
    for name, asked in words_of(language)["predict"].items():
        assert asked["right"] in asked["options"], name
        assert asked["answer"], name


def test_a_link_shows_the_same_numbers_in_another_window_and_language(open_page: Open) -> None:
    page = open_page()
    page.fill('#fig-circle input[data-set="angles.0"]', "12.5")
    page.fill('#fig-circle input[data-set="angles.3"]', "-33")
    page.fill('#fig-bet input[type=number][data-set="weights.2"]', "61")
    page.click('#fig-bet [data-do="reveal"]')
    state = address_of(page)
    names = ["circle.loss", "circle.p.0", "circle.cosines.3", "bet.penalty"]
    found = [value(page, name) for name in names]
    again = open_page(state=state)
    assert [value(again, name) for name in names] == found
    for link in page.query_selector_all("[data-language]"):
        assert (link.get_attribute("href") or "").partition("#")[2] == page.url.partition("#")[2]
    page.evaluate("navigator.clipboard && (navigator.clipboard.writeText = (text) => { window.copied = text; })")
    page.click('#fig-circle [data-do="copy"]')
    if page.evaluate("window.copied"):
        assert page.evaluate("window.copied").partition("#")[2] == page.url.partition("#")[2]


@pytest.mark.parametrize(
    "state",
    [
        "#circle.angles=1,2",
        "#circle.angles=a,b,c,d,e,f",
        "#circle.angles=NaN,NaN,NaN,NaN,NaN,NaN",
        "#circle.__proto__=1",
        "#__proto__.x=1",
        "#circle.angles=%E0%A4%A",
        "#nothing.at=all",
        "#circle.angles=&&&==;bet.weights=<script>",
        "#bet.weights=-1,-2,-3,-4,-5",
    ],
)
def test_a_broken_link_shows_the_page_as_it_begins(open_page: Open, engine: Engine, state: str) -> None:
    page = open_page(state=state)
    begun = engine.evaluate(
        "[FIGURES.circle.derive(FIGURES.circle.state).loss, FIGURES.bet.derive(FIGURES.bet.state).guessing]"
    )
    assert value(page, "circle.loss") == pytest.approx(begun[0], abs=1e-12)


def test_every_figure_survives_absurd_numbers_in_a_link(open_page: Open, engine: Engine) -> None:
    """Whatever number a link puts into a figure, the page draws, and says nothing to the console."""
    for absurd in ("0", "-1", "1e9", "-1e9", "1e-9"):
        parts = []
        for name, state in engine.figures().items():
            for key, inner in state.items():
                if isinstance(inner, bool) or not isinstance(inner, int | float):
                    continue
                parts.append(f"{name}.{key}={absurd}")
        page = open_page(state=f"#{'&'.join(parts)}")
        assert page.locator("[data-value=NaN]:not([data-bind='overflow.naive'])").count() == 0  # that one is to break


def test_every_figure_begins_within_its_own_range(engine: Engine) -> None:
    figures = "Object.values(FIGURES).map((f) => [f.name, f.state, f.fits ? f.fits(f.state) : f.state])"
    for name, begun, held in engine.evaluate(figures):
        assert held == begun, name


def test_without_motion_nothing_moves_and_play_is_a_step(open_page: Open) -> None:
    page = open_page(reduced_motion="reduce")
    moving = page.evaluate("""() => [...document.querySelectorAll("*")].filter((e) => {
      const style = getComputedStyle(e);
      return [style.transitionDuration, style.animationDuration].join().split(",").some((time) => parseFloat(time) > 0);
    }).length""")
    assert moving == 0
    page.click('#fig-forces [data-do="play"]')
    hash_ = unquote(address_of(page))
    assert "forces.steps=1&" in f"{hash_}&"
    assert page.locator('[data-do="play"][aria-pressed="true"]').count() == 0


def test_nothing_plays_by_itself(open_page: Open) -> None:
    page = open_page()
    read = "[...document.querySelectorAll('[data-value]')].map((e) => e.dataset.value).join()"
    before = page.evaluate(read)
    page.wait_for_timeout(400)
    assert page.evaluate(read) == before
    assert page.locator('[data-do="play"][aria-pressed="true"]').count() == 0


@EACH_LANGUAGE
def test_without_scripts_all_is_there_to_read(open_page: Open, language: str) -> None:
    page = open_page(language, java_script_enabled=False)
    assert page.locator("noscript").inner_text()
    for section in page.query_selector_all("main > section"):
        name = section.get_attribute("id")
        assert len(section.inner_text()) > 300, name
        for figure in section.query_selector_all(".figure"):
            assert figure.query_selector(".number, table, output, code"), name
    drawn = page.query_selector_all("main > section:not(#hook) svg:has(title)")
    assert drawn
    assert all(svg.query_selector("title").text_content() for svg in drawn)
    assert page.locator("#fig-circle [data-bind='circle.loss']").first.text_content() == "0.2820"
    assert not page.locator("[data-do]").first.is_visible()
    sections = {section.get_attribute("id") for section in page.query_selector_all("main > section:has(svg title)")}
    assert sections >= {s.get_attribute("id") for s in page.query_selector_all("main > section")} - {"hook"}


@EACH_LANGUAGE
def test_a_page_says_its_language_and_knows_the_others(open_page: Open, language: str) -> None:
    page = open_page(language)
    assert page.get_attribute("html", "lang") == LANGUAGES[language][0]
    links = {a.get_attribute("hreflang"): a.get_attribute("lang") for a in page.query_selector_all(".languages a")}
    assert links == {LANGUAGES[name][0]: LANGUAGES[name][0] for name in LANGUAGES}
    assert page.evaluate("""() => { const mn = document.querySelector("math mn, math mi");
      return getComputedStyle(mn).fontFamily; }""").startswith('"InfoNCE Math"')
    assert page.evaluate("document.fonts.ready.then(() => document.fonts.check('16px \"InfoNCE Math\"'))")


def shape(words: Any, path: str = "") -> dict[str, str]:
    """Every key of the words, and which places in a text numbers go to."""
    if isinstance(words, dict):
        return {name: found for key, inner in words.items() for name, found in shape(inner, f"{path}.{key}").items()}
    if isinstance(words, list):
        return {name: found for i, inner in enumerate(words) for name, found in shape(inner, f"{path}[{i}]").items()}
    return {path: ",".join(sorted(re.findall(r"\{(?!\{)\w+\}|\{\{.*?\}\}", str(words))))}


@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "en"])
def test_every_language_says_everything(site: Path, language: str) -> None:
    assert shape(words_of(language)) == shape(words_of("en"))
    texts = [(site / name / "index.html").read_text(encoding="utf-8") for name in ("en", language)]
    for pattern in (
        r'data-figure="(\w+)"',
        r'id="([\w-]+)"',
        r'data-bind="([\w.]+)"',
        r"<(math|table|details|form|svg)\b",
    ):
        one, other = (re.findall(pattern, text) for text in texts)
        assert one == other


def leaves(words: Any) -> list[str]:
    """Every text of some words, without what is brought from elsewhere: code, and what was recorded."""
    if isinstance(words, dict):
        return [text for key, inner in words.items() if not key.startswith("$") for text in leaves(inner)]
    return [text for inner in words for text in leaves(inner)] if isinstance(words, list) else [str(words)]


def told(language: str) -> set[str]:
    """Every text of a language's figures and every paragraph, but for code, numbers, markup and papers' titles."""
    folder = HERE / "content" / language
    texts = [text for file in folder.glob("*.json") for text in leaves(json.loads(file.read_text(encoding="utf-8")))]
    for file in folder.glob("*.md"):
        text = file.read_text(encoding="utf-8")
        texts += re.split(r"\n\s*\n", re.sub(r"<li>[^<]*\b(?:19|20)\d\d\. .*?</li>", "", text))
    return {re.sub(r"\{\{.*?\}\}|\{%.*?%\}|`.*?`|<code>.*?</code>|<[^>]*>|\{\w*\}", " ", text) for text in texts}


ENGLISH = re.compile(r"\b(the|and|of|with|which|that|than|from|are|is|it|your|how|what|by|for|not)\b")


@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "en"])
def test_no_english_is_left(language: str) -> None:
    assert [text for text in told(language) if ENGLISH.search(text)] == []
    # What reads the same in both has no words of its own: names, units, formulas.
    same = {text.strip() for text in told(language) & told("en")}
    assert [text for text in same if len(re.findall(r"\b[a-z]{4,}\b", text)) > 1] == []
    assert sum(bool(ENGLISH.search(text)) for text in told("en")) > 300


GLYPHS = """() => {
  const canvas = new OffscreenCanvas(32, 32).getContext("2d", { willReadFrequently: true });
  const drawn = (sign, font) => {
    canvas.clearRect(0, 0, 32, 32);
    canvas.font = `20px ${font}`;
    canvas.fillText(sign, 4, 24);
    return canvas.getImageData(0, 0, 32, 32).data.join();
  };
  const font = getComputedStyle(document.body).fontFamily;
  const missing = drawn("\\uFFFF", font);
  const signs = new Set(document.querySelector("main").textContent.replace(/\\s/g, ""));
  return { signs: signs.size, without: [...signs].filter((sign) => drawn(sign, font) === missing) };
}"""


def test_every_sign_has_a_glyph(open_page: Open) -> None:
    page = open_page("zh")
    found = page.evaluate(GLYPHS)
    assert found["signs"] > 500
    if "的" in found["without"]:
        pytest.skip("no Chinese font on this machine: apt-get install fonts-noto-cjk")
    assert found["without"] == []


def test_every_theme_follows_the_system_and_the_reader(open_page: Open) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    light, dark = (open_page(dark=dark) for dark in (False, True))
    colours = [page.evaluate(ground) for page in (light, dark)]
    assert colours[0] != colours[1]
    light.click("#theme")
    assert light.evaluate(ground) == colours[1]
    light.reload()
    assert light.evaluate(ground) == colours[1]
    assert light.get_attribute("#theme", "aria-pressed") == "true"
    # Set before the first paint: the script that does it is in the head, and not deferred.
    assert light.evaluate("!document.querySelector('head script[src$=\"before.js\"]').defer")


@EACH_LANGUAGE
def test_formulas_are_whole(open_page: Open, language: str) -> None:
    page = open_page(language)
    page.evaluate(OPEN_ALL)
    broken = page.evaluate("""() => [...document.querySelectorAll("math")].filter((m) => {
      const box = m.getBoundingClientRect();
      const odd = /[&\\$]|undefined|NaN/.test(m.textContent) || m.querySelector("merror");
      return !m.textContent.trim() || odd || (m.checkVisibility() && (box.height < 8 || box.width < 4));
    }).map((m) => m.textContent)""")
    assert broken == []
    # A fraction in the main formula is as high as the mathematical font makes it; without one it would not be.
    height = page.locator(".formula math").first.bounding_box()["height"]
    assert 35 <= height <= 80


def test_every_heading_has_its_place_and_every_id_is_there_once(site: Path) -> None:
    for language in LANGUAGES:
        text = (site / language / "index.html").read_text(encoding="utf-8")
        ids = re.findall(r'\bid="([^"]+)"', text)
        assert len(ids) == len(set(ids))
        targets = set(re.findall(r'href="#([^"]+)"', text))
        assert targets <= set(ids)
        assert re.findall(r"\{\{|\{%|>undefined<|>None<", text) == []


def sent(file: Path) -> int:
    return len(gzip.compress(file.read_bytes()))


def test_the_page_is_small(site: Path) -> None:
    app = site / "app"
    recorded = (app / "recorded" / "runs.js").stat().st_size
    assert recorded <= 300_000
    # As every web server for static pages sends them: compressed.
    scripts = sum(sent(file) for file in app.rglob("*.js") if "recorded" not in file.parts)
    whole = scripts + sent(app / "style.css") + max(sent(site / name / "index.html") for name in LANGUAGES)
    whole += (app / "formulas.woff2").stat().st_size
    assert scripts <= 60_000
    assert whole <= 250_000


def test_signs_stay_apart_without_colours_and_on_paper(open_page: Open) -> None:
    page = open_page()
    shapes = {
        kind: page.evaluate(f"document.querySelector('#fig-circle .handle .mark.{kind}').tagName")
        for kind in ("positive", "negative")
    }
    assert shapes == {"positive": "circle", "negative": "rect"}
    page.emulate_media(forced_colors="active")
    fills = [
        page.evaluate(f"getComputedStyle(document.querySelector('#fig-circle .handle .mark.{kind}')).fill")
        for kind in shapes
    ]
    assert fills[0] != fills[1]
    page.emulate_media(media="print", forced_colors="none")
    assert not page.locator(".top").is_visible()
    assert page.locator("#fig-circle svg").first.is_visible()
    assert not page.locator("#fig-circle [data-do=reset]").is_visible()


@pytest.mark.parametrize(("asked", "given"), [("id-ID", "id"), ("zh-CN", "zh"), ("fr-FR", "en"), ("en-GB", "en")])
def test_the_door_leads_to_the_readers_language(open_page: Open, asked: str, given: str) -> None:
    page = open_page("en", locale=asked)
    page.goto(page.url.replace("/en/", "/"))
    page.wait_for_url(f"**/{given}/*", timeout=5000)
    others = [name for name in LANGUAGES if name != given]
    for other in others[:1]:
        page.click(f'[data-language="{other}"]')
        page.wait_for_url(f"**/{other}/*")
        page.goto(page.url.replace(f"/{other}/", "/").partition("#")[0])
        page.wait_for_url(f"**/{other}/*")
