"""Build the tutorial's pages: python -m tutorial.build [FOLDER].

Needs jinja2, markdown-it-py and quickjs-ng; with fonttools, brotli and ziamath, it makes the font of the formulas, too.
No torch.
"""

import argparse
import json
import re
import shutil
import tempfile
from html import unescape
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from tutorial.bundle import Bundle, recorded, recorded_module
from tutorial.engine import Engine
from tutorial.font import math_font
from tutorial.formulas import FORMULAS
from tutorial.listing import listing, transcript

HERE = Path(__file__).parent
SITE = HERE.parent / "src" / "info_nce" / "tutorial" / "site"
LANGUAGES = {"en": ("en", "English"), "id": ("id", "Bahasa Indonesia"), "zh": ("zh-Hans", "中文")}
"""By folder: the language's code, and its own name."""

Words = dict[str, Any]


def words_of(language: str) -> Words:
    """Every word that figures and the page need, of all files of a language; a name stands in one file only."""
    words: Words = {}
    for file in sorted((HERE / "content" / language).glob("*.json")):
        found = json.loads(file.read_text(encoding="utf-8"), object_hook=_brought)
        questions = {**words.get("predict", {}), **found.pop("predict", {})}
        if twice := words.keys() & found.keys():
            raise ValueError(f"{file}: {', '.join(sorted(twice))}: already in another file")
        words |= found | {"predict": questions}
    return words


def _brought(found: Words) -> Any:
    """{"$data": "bugs"} is what data/bugs.json holds, {"$code": "info_nce"} the lines of a function."""
    match found:
        case {"$data": name, **rest} if not rest:
            return recorded(name)
        case {"$code": name, **rest} if not rest:
            return listing(name)
    return found


class Page:
    """What the text of one language can ask for, by name: figures, numbers, formulas, questions, code.

    Args:
        language: of the text.
        engine: draws and computes.
    """

    def __init__(self, language: str, engine: Engine) -> None:
        self.words = words_of(language)
        self._engine = engine
        self._folder = HERE / "content" / language
        self._markdown = MarkdownIt("commonmark", {"html": True}).enable("table")
        self._templates = Environment(
            loader=FileSystemLoader([self._folder, HERE]), undefined=StrictUndefined, autoescape=True
        )
        self._templates.globals |= {
            "figure": self.figure,
            "calc": self.calc,
            "n": self.number,
            "formula": self.formula,
            "predict": self.predict,
            "code": self.code,
            "data": recorded,
            "session": self.session,
            "transcript": lambda session: Markup(transcript(session)),
            "words": self.words,
        }

    def sections(self) -> list[dict[str, str]]:
        """Every section of the page, in order: its id, its title, its markup."""
        made = []
        for file in sorted(self._folder.glob("*.md")):
            # Jinja first, so that what it brings is in place when paragraphs are made around it.
            text = self._templates.get_template(file.name).render()
            head, _, body = text.strip().partition("\n")
            title = head.removeprefix("# ").strip()
            made.append(
                {"id": file.stem.partition("-")[2], "title": title, "body": Markup(self._markdown.render(body))}
            )
        return made

    def figure(self, name: str) -> Markup:
        """A figure, drawn as it begins."""
        drawn = self._engine.draw(name, self.words)
        status = '<p class="status" role="status"></p>'
        inside = f'<div data-figure="{name}">{drawn}</div>{status}'
        return _block(
            f'<div class="figure" id="fig-{name}" role="group" aria-labelledby="fig-{name}-title">{inside}</div>'
        )

    def calc(self, expression: str, digits: int = 4) -> Markup:
        """A number that math.js computes while building."""
        return Markup(f'<span class="number">{self._engine.number(expression, digits)}</span>')

    def number(self, name: str, digits: int = 4) -> Markup:
        """A number of a figure, which goes on to follow it."""
        return Markup(self._engine.live(name, digits, "span"))

    def formula(self, name: str) -> Markup:
        """A formula."""
        made = FORMULAS[name](self._engine.live)
        for key, text in self.words["formulas"].items():  # few formulas have words in them
            made = made.replace(f"{{{key}}}", text)
        return _block(made)

    def predict(self, name: str) -> Markup:
        """A question to commit to before its answer is shown."""
        template = self._templates.get_template("predict.html")
        asked = self.words["predict"][name]
        text = {key: self._filled(value) for key, value in asked.items() if isinstance(value, str)}
        return _block(template.render(name=name, asked=asked, text=text, common=self.words["common"]))

    def _filled(self, text: str) -> Markup:
        return Markup(self._templates.from_string(text).render())

    def code(self, name: str) -> Markup:
        """A function of the package, as it is written there."""
        # Markdown would take an empty line for the end of the markup
        lines = "\n".join(str(line["html"] or "<span></span>") for line in listing(name))
        label = self.words["listing"]["code"].format(name=name.partition(".")[2] or name)
        region = f'<div class="scroll code" role="group" tabindex="0" aria-label="{label}">'
        return Markup(f"{region}<pre><code>{lines}</code></pre></div>")

    def session(self, name: str, key: str) -> Markup:
        """Something typed at a prompt and recorded with what was said."""
        lines = transcript(recorded(name)[key])
        return Markup(f'<div class="console"><pre>{lines}</pre></div>')


def _block(markup: str) -> Markup:
    """Markup that Markdown leaves alone: it ends at an empty line, so there is none within."""
    return Markup(re.sub(r"\n\s*\n", "\n", markup))


def build(site: Path) -> None:
    """Build the whole site beside where it shall be, then put it there."""
    site.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=site.parent, prefix=".site-") as made:
        fresh = Path(made) / "site"
        _write(fresh)
        if site.exists():
            shutil.rmtree(site)
        fresh.rename(site)


def _write(site: Path) -> None:
    (site / "app" / "recorded").mkdir(parents=True)
    (site / "app" / "recorded" / "runs.js").write_text(recorded_module("runs"), encoding="utf-8")
    script = Bundle(HERE / "app", ("page.js",), apart=("recorded/runs.js",))
    (site / "app" / "page.js").write_text(f"{script}export {{ modules }};\n", encoding="utf-8")
    for name in ("before.js", "choose.js"):
        shutil.copy(HERE / "app" / name, site / "app" / name)
    styles = [HERE / "app" / "styles" / name for name in ("base.css", *_of_sections(), "last.css")]
    (site / "app" / "style.css").write_text(
        "\n".join(style.read_text(encoding="utf-8") for style in styles), encoding="utf-8"
    )
    engine = Engine(HERE / "app")
    template = Environment(loader=FileSystemLoader(HERE), undefined=StrictUndefined, autoescape=True)
    for name in LANGUAGES:
        page = Page(name, engine)
        sections = page.sections()
        context = {"language": name, "languages": LANGUAGES, "words": page.words, "sections": sections}
        text = template.get_template("page.html").render(**context, as_json=_as_json(page.words))
        (site / name).mkdir()
        (site / name / "index.html").write_text(text, encoding="utf-8")
    if font := math_font(_in_formulas(site)):
        (site / "app" / "formulas.woff2").write_bytes(font)
    (site / "index.html").write_text(template.get_template("door.html").render(languages=LANGUAGES), encoding="utf-8")
    shutil.copy(HERE / "favicon.svg", site / "favicon.svg")


def _in_formulas(site: Path) -> str:
    pages = (page.read_text(encoding="utf-8") for page in site.glob("*/index.html"))
    found = (formula for page in pages for formula in re.findall(r"<math.*?</math>", page, re.DOTALL))
    return unescape("".join(re.sub(r"<[^>]*>", "", formula) for formula in found))


def _of_sections() -> list[str]:
    return sorted(style.name for style in (HERE / "app" / "styles").glob("[0-9]*.css"))


def _as_json(words: Words) -> Markup:
    """What figures say, for the page's script; nothing in it can end the element."""
    kept = {name: inner for name, inner in words.items() if name not in {"predict", "page", "formulas"}}
    return Markup(json.dumps(kept, ensure_ascii=False).replace("<", "\\u003c"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=build.__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=SITE)
    build(parser.parse_args().folder)
