"""The page of what the studies found, in Markdown, with its pictures."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.papers.kept import Kept, of_today
from benchmarks.papers.pictures import svg
from benchmarks.papers.study import Claim, Study
from benchmarks.text import aligned

__all__ = ["PAGE", "page_of", "picture_name", "render"]

PAGE = Path("docs/papers.md")

_HEAD = """\
# Published results, reproduced

What papers say about contrastive losses, computed again with the losses of this library: `make papers`, {minutes:.0f}
minutes on one core ({machines}). A claim is split into parts, each a condition in code. It
is *reproduced* if all parts hold and *reproduced in part* if some do. What did not reproduce is here, too.

Where something is trained, it is an encoder of three layers on scikit-learn's 1,797 digits of 8 x 8 pixels. The papers'
results may need the papers' pictures, nets and weeks: *did not reproduce at this size* means what it says. Every
setting of these runs is shown; none was chosen by how it did on the test digits. Raw pixels already name nearly all of
these digits, and most of the encoders do worse: accuracies say whether one loss differs from another, and no more.

Numbers are means over the seeds ± a standard error. Each seed has its own 500 test digits, initial weights, batches and
views, and what is compared shares them. *Clearly better*: Student's 95 % interval of the differences, seed by seed,
lies above 0; of one interval in forty this is chance, and few seeds make it wide. Settings, seeds, versions and commits
stand in `benchmarks/papers.json`. Numbers that a paper published are quoted only where it says so."""


def page_of(found: Kept, studies: Sequence[Study[Any]]) -> str:
    """All of it; every number comes from the file. Studies whose settings have changed since are left out."""
    studies = [study for study in studies if of_today(study, found)]
    seconds = sum(run.seconds for study in studies for run in found[study.name]["runs"])
    machines = ", ".join(dict.fromkeys(found[study.name]["machine"] for study in studies))
    summary = [
        (f"[{study.name}](#{_anchor(study.title)})", claim.says, claim.source, f"**{claim.verdict}**")
        for study in studies
        for claim in study.claims(study.settings, found[study.name]["runs"])
    ]
    parts = [
        _HEAD.format(minutes=max(seconds / 60, 1), machines=machines),
        aligned(("study", "claim", "source", "here"), summary, left=4),
    ]
    for study in studies:
        parts += _section(study, found[study.name])
    return "\n\n".join(parts) + "\n"


def _section(study: Study[Any], found: dict[str, Any]) -> Iterator[str]:
    runs = found["runs"]
    seconds = sum(run.seconds for run in runs)
    seeds = ", ".join(str(run.seed) for run in runs)
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    yield f"## {study.title}"
    yield study.about
    yield f"`{found['command']}`: seeds {seeds}; {seconds:.0f} s; {versions}; {found['date']}."
    yield from study.tables(study.settings, runs)
    yield f"![{study.shown}](images/{picture_name(study)})"
    yield from (_told(claim) for claim in study.claims(study.settings, runs))


def _told(claim: Claim) -> str:
    lines = [
        f"**{claim.says}** {claim.source}.",
        f"Here: {claim.found}. *{claim.verdict.capitalize()}*:",
        "\n".join(f"* {'holds' if part.holds else 'does **not** hold'}: {part.says}" for part in claim.parts),
    ]
    return "\n\n".join(lines)


def picture_name(study: Study[Any]) -> str:
    """Of the file of a study's picture."""
    return f"papers-{study.name}.svg"


def render(found: Kept, studies: Sequence[Study[Any]], page: Path = PAGE) -> list[Path]:
    """Write the page and its pictures, and say which files these are."""
    folder = page.parent / "images"
    folder.mkdir(parents=True, exist_ok=True)
    written = [page]
    page.write_text(page_of(found, studies), encoding="utf-8")
    for study in studies:
        if of_today(study, found):
            written.append(folder / picture_name(study))
            drawn = study.picture(study.settings, found[study.name]["runs"])
            written[-1].write_text(svg(drawn), encoding="utf-8")
    return written


def _anchor(title: str) -> str:
    return "".join(c for c in title.lower().replace(" ", "-") if c.isalnum() or c == "-")
