"""What a search found, as a table for people and as JSON for scripts."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from info_nce.errors import needs_extra

with needs_extra("train"):
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

PLURAL = {"image": "pictures", "text": "texts", "sound": "recordings", "video": "videos"}


@dataclass(frozen=True, slots=True)
class Match:
    """An item that was found.

    Args:
        rank: from 1, the most similar.
        similarity: cosine of the embeddings; 1 = the same direction, 0 = unrelated.
        label: its class, its caption or its text, or "" where nobody said.
        part: of the run's data: "train", "validation" or "test"; "" for an item of an index.
        place: its file, its row, or its number within the part.
        same: whether it is the query itself, or an exact copy.
    """

    rank: int
    similarity: float
    label: str
    part: str
    place: str
    same: bool


@dataclass(frozen=True, slots=True)
class Matches:
    """What a search found; printing it with rich gives a table.

    Args:
        query: what was looked for: a file, an item of the run, or a text.
        kind: of the items that were searched.
        found: most similar first.
        searched: how many items there were.
        picture: the PNG file that shows query and matches side by side; None where there is nothing to see.
    """

    query: str
    kind: str
    found: tuple[Match, ...]
    searched: int
    picture: Path | None = None

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON can hold it."""
        return {**asdict(self), "picture": str(self.picture) if self.picture else None}

    def __rich__(self) -> Group:
        """Show rank, similarity, label, split and place of each match, leaving out columns in which nothing is."""
        title = f"most like {self.query}, of {self.searched:,} {PLURAL[self.kind]}"
        table = Table(title=Text(title, style="bold"), box=box.SIMPLE_HEAD, pad_edge=False)
        for name in ("rank", "similarity"):
            table.add_column(name, justify="right", no_wrap=True)
        said = {
            ("text" if self.kind == "text" else "label"): [match.label for match in self.found],
            "split": [match.part for match in self.found],
            "item": [f"{m.place} (the same)" if m.same else m.place for m in self.found],
        }
        said = {name: cells for name, cells in said.items() if any(cells)}
        for name in said:
            table.add_column(name, overflow="fold")
        for match, *cells in zip(self.found, *said.values(), strict=True):
            shown = (str(match.rank), f"{match.similarity:.3f}", *(cell or "–" for cell in cells))
            table.add_row(*(Text(cell) for cell in shown), style="bold" if match.same else "")
        same = [Text("What you looked for is itself in the set.")] if any(match.same for match in self.found) else []
        drawn = [Text(f"side by side: {self.picture}", overflow="fold")] if self.picture else []
        return Group(table, *same, *drawn)
