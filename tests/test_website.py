"""The site: a page for each loss, tables and pictures made from the library, formulas that are really made."""

import doctest
import re
from pathlib import Path

import pytest
import torch
from markdown import Markdown

import info_nce
import website.formulas
from info_nce import functional
from tests.test_public_api import public_objects
from website import losses, matrices
from website.check import faults, main
from website.formulas import FormulaError, mathml
from website.matrices import NEGATIVE, OUT, POSITIVE, Recorder, Sketch, drawn, roles

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
NAV = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
every_loss = pytest.mark.parametrize("name", losses.FACES)


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


# ---- pages


@every_loss
def test_every_loss_has_a_page_with_all_its_parts(name: str) -> None:
    text = page(f"docs/losses/{name}.md")
    assert text.startswith(f"# {name}\n")
    for part in ("<!-- head -->", "<!-- matrix -->", "<!-- defaults -->", "<!-- cost -->"):
        assert part in text
    headings = ["Who is who", "Settings", "Example", "Often got wrong", "Cost", "Relations"]
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == headings
    assert f"losses/{name}.md" in NAV


def test_every_page_is_listed_once() -> None:
    pages = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")}
    assert {name: NAV.count(f" {name}\n") for name in pages} == dict.fromkeys(pages, 1)


@every_loss
def test_the_head_of_a_page_says_what_the_class_says(name: str) -> None:
    head, face = losses.head(name), losses.FACES[name]
    first, *_ = re.split(r"[,;(]", face.source)
    assert first.split()[0] in head  # the author
    paper = re.search(r"arXiv:[\d.]+", face.source)
    assert paper is None or paper[0] in head
    assert head.count("$$") == (4 if name in {"HardNegativeInfoNCE", "RetrievalInfoNCE"} else 2)


@every_loss
def test_the_head_of_a_page_says_when_to_take_another_loss(name: str) -> None:
    when = losses.not_when(name)
    assert f"**Not, when** {when} (" in losses.head(name)
    assert len(when) > 20
    assert "](losses/" not in when


def test_what_is_said_of_the_symbols_follows_the_formula_and_greek_letters_are_shown() -> None:
    assert "where m = 0" in losses.head("RetrievalInfoNCE")
    assert "τ⁺ 0.1" in losses.head("DebiasedInfoNCE")
    assert losses._greek(r"tau and `tau`, $$ \tau $$") == r"τ and `tau`, $$ \tau $$"


@every_loss
def test_the_table_of_all_losses_has_each_with_its_source(name: str) -> None:
    (row,) = [line for line in losses.table().splitlines() if line.startswith(f"| [`{name}`]")]
    assert losses.FACES[name].source in row


@every_loss
def test_the_readme_names_every_loss_beside_its_source(name: str) -> None:
    table = page("README.md").partition("## The losses")[2].partition("\n## ")[0]
    (row,) = [line for line in table.splitlines() if re.search(rf"`{name}[`(]", line)]
    author, year = re.match(r"(?:van den )?(\w+).*?(\d{4})", losses.FACES[name].source).groups()  # type: ignore[union-attr]  # each source has both
    assert author in row
    assert year in row


@every_loss
def test_the_defaults_are_those_of_the_signature(name: str) -> None:
    rows = [line for line in losses.defaults(name).splitlines()[2:] if line.startswith("|")]
    assert all(re.fullmatch(r"\| `\w+` \| `.+?` \| .+ \|", line) for line in rows), "a setting of which nothing is said"
    if name == "RetrievalInfoNCE":
        assert any(line.startswith("| `margin` | `0.1` |") for line in rows), "an option with a default of its own"
    if name == "DebiasedInfoNCE":
        assert any(line.startswith("| `positive_prior` | `0.1` | probability") for line in rows)


def test_the_cost_is_that_of_the_matrices_that_are_built() -> None:
    assert "takes 2 matrix products" in losses.cost("NTXent")
    assert "takes 3 matrix products" in losses.cost("InfoNCE")
    assert "takes 4 matrix products" in losses.cost("SymmetricInfoNCE")
    assert "for each matrix of shared keys" in losses.cost("RetrievalInfoNCE")
    assert "its own list" in losses.cost("Wav2Vec2Contrastive")


@pytest.mark.parametrize("path", [path for path, _ in public_objects()])
def test_everything_public_is_in_the_reference(path: str) -> None:
    named = {
        line.removeprefix("::: ").rpartition(".")[2]
        for file in (DOCS / "reference").glob("*.md")
        for line in file.read_text(encoding="utf-8").splitlines()
        if line.startswith("::: ")
    }
    hidden = {"from_scratch"}  # for reading, as a file
    assert path.rpartition(".")[2] in named or hidden & set(path.split("."))


# ---- pictures


def test_views_are_drawn_as_the_paper_says() -> None:
    recorder = Recorder()
    losses.SKETCHES["NTXent"].call(recorder)
    (matrix,) = recorder.seen[0].matrices
    expected = [
        [OUT if i == j else POSITIVE if i % 4 == j % 4 else NEGATIVE for j in range(8)] for i in range(8)
    ]  # row i shows item i % 4
    assert roles(matrix) == expected
    losses.SKETCHES["InfoNCE ids"].call(recorder)
    (with_ids,) = recorder.seen[1].matrices
    assert roles(with_ids)[0] == [POSITIVE, NEGATIVE, OUT, NEGATIVE]
    assert roles(with_ids) != [row[:4] for row in expected[:4]]


@pytest.mark.parametrize("name", losses.SKETCHES)
def test_every_picture_is_drawn_with_a_mark_for_each_cell(name: str) -> None:
    sketch = losses.SKETCHES[name]
    shown = drawn(sketch).partition("<figcaption>")[0]
    cells = len(sketch.rows) * sum(map(len, sketch.columns))
    assert shown.count("<rect") == cells
    assert shown.count("<circle") == shown.count('class="positive"') >= 1
    assert 'role="img" aria-label="' in shown


def test_roles_are_told_apart_without_colour() -> None:
    marks = {
        role: re.sub(r"class=.*?>|<rect.*?>", "", matrices._cell(role, 0, 0)) for role in (POSITIVE, NEGATIVE, OUT)
    }
    assert len(set(marks.values())) == 3


def test_labels_that_do_not_fit_are_refused() -> None:
    right = losses.SKETCHES["InfoNCE"]
    for wrong in (
        Sketch(right.call, right.rows[:3], right.columns, right.titles),
        Sketch(right.call, right.rows, [right.columns[0][:3]], right.titles),
    ):
        with pytest.raises(ValueError, match="labels for"):
            drawn(wrong)


# ---- formulas


def formulas(text: str) -> list[str]:
    return re.findall(r"(?s)\$\$(.+?)\$\$", text)


def test_every_formula_of_a_docstring_can_be_shown() -> None:
    found = [f for _, thing in public_objects() for f in formulas(thing.__doc__ or "")]
    assert len(found) >= len(functional.__all__)
    for one in found:
        assert mathml(one, block=True).startswith("<math")


def test_the_example_of_the_formulas_is_true() -> None:
    assert doctest.testmod(website.formulas).attempted == 1
    assert doctest.testmod(website.formulas).failed == 0


def test_a_formula_that_cannot_be_shown_is_an_error() -> None:
    with pytest.raises(FormulaError, match="nosuch"):
        mathml(r"\nosuch{x}", block=False)
    assert "<mo" in mathml(r"\Big\{ \frac12 \Big\}", block=True)


def test_a_prime_is_as_large_as_its_letter() -> None:
    shown = mathml("s_{i i'}", block=False)
    assert "&#x02032;</mo>" in shown
    assert "<msup>" not in shown


def test_formulas_are_made_in_text_and_left_alone_in_code() -> None:
    made = Markdown(extensions=["website.formulas", "fenced_code"]).convert(
        "Where $x_i > 0$, it costs 5 $ and 6 $, `$HOME` is code.\n\n$$ \\frac{1}{N} $$\n\n```\n$$ raw $$\n```\n"
    )
    assert made.count("<math") == 2
    assert "5 $ and 6 $" in made
    assert "<code>$HOME</code>" in made
    assert "$$ raw $$" in made
    assert "\\frac" not in made


# ---- the built site


def test_lines_break_between_the_parts_of_a_name_and_not_within_a_number() -> None:
    hooks = pytest.importorskip("website.hooks", reason="make docs installs mkdocs")
    shown = hooks._breakable(
        "<code>Gathered()</code><td>8 x 1,024 x 512, 1.2 ms (2 of 3 x)</td>"
        "<td><code>DistributedLossWrapper(NTXentLoss(), efficient=True)</code></td><td><code>InfoNCE(0.05)</code></td>"
    )
    assert '<code class="short">Gathered()</code>' in shown
    assert "8\u00a0x\u00a01,024\u00a0x\u00a0512, 1.2\u00a0ms (2\u00a0of\u00a03\u00a0x)" in shown
    assert "DistributedLossWrapper(<wbr>NTXentLoss(), efficient=<wbr>True)" in shown
    assert shown.count("<wbr>") == 2


def test_the_reference_links_the_names_it_describes_and_says_of_each_argument_what_is_said_of_several() -> None:
    reference = pytest.importorskip("website.reference", reason="make docs installs griffe")

    class Described:
        name = "nt_xent"
        docstring = type(
            "",
            (),
            {"value": "See `dcl`, not `dcl`; `Options`, `nt_xent`.\n\nArgs:\n    a, b: both\n        of them.\n"},
        )

    reference.Docstrings().on_instance(obj=Described())
    assert Described.docstring.value == (  # type: ignore[attr-defined]  # made above
        "See [`dcl`][info_nce.functional.dcl], not `dcl`; [`Options`][info_nce.losses.Options], `nt_xent`.\n\n"
        "Args:\n    a: both\n        of them.\n    b: both\n        of them.\n"
    )


def test_faults_of_a_site_are_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 1
    (tmp_path / "index.html").write_text(
        '<link rel="canonical" href="https://here.org"><a href="https://arxiv.org">a paper</a><code>$$ \\raw $$</code>',
        encoding="utf-8",
    )
    assert faults(tmp_path) == []
    assert main([str(tmp_path)]) == 0
    (tmp_path / "bad.html").write_text(
        '<script src="https://cdn.org/x.js"></script><img src="//cdn.org/y.png"><p>$$ x $$ and \\frac12</p>',
        encoding="utf-8",
    )
    (tmp_path / "bad.css").write_text('@import "https://fonts.org/a.css"; b { background: url(//c.org/d) }')
    found = faults(tmp_path)
    assert len(found) == 5
    assert sum("asks another site" in line for line in found) == 4
    assert main([str(tmp_path)]) == 1
    assert "formula is left over" in capsys.readouterr().out


def test_losses_are_those_of_the_package() -> None:
    assert set(losses.FACES) == {n for n in info_nce.__all__ if hasattr(getattr(info_nce, n), "source")}
    assert torch.nn.Module not in losses.FACES.values()
