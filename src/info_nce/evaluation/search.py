"""Which pictures of a run's data look most like a given one, to its encoder?"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from info_nce.data import ImageSet, Splits
from info_nce.errors import DataError, SettingError, needs_extra
from info_nce.neighbours import nearest
from info_nce.recipes.runs import Run

with needs_extra("train"):
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

# Integer weights of ITU-R BT.601, as Pillow has them: a grey picture in three channels comes out as it was.
_LUMA = (19595, 38470, 7471)


@dataclass(frozen=True, slots=True)
class Match:
    """A picture of the run's data that was found.

    Args:
        rank: from 1, the most similar.
        similarity: cosine of h; 1 = the same direction, 0 = unrelated.
        label: its class, or "" where nobody said.
        part: "train", "validation" or "test".
        place: its file, or its number within the part where it has none.
        same: whether it has the very pixels of the query.
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
        query: the file that was looked for.
        found: most similar first.
        searched: how many pictures were compared.
        picture: the PNG file that shows query and matches side by side.
    """

    query: Path
    found: tuple[Match, ...]
    searched: int
    picture: Path

    def __rich__(self) -> Group:
        """Show rank, similarity, label, split and place of each match."""
        title = f"most like {self.query.name}, of {self.searched:,} pictures"
        table = Table(title=Text(title, style="bold"), box=box.SIMPLE_HEAD, pad_edge=False)
        for name in ("rank", "similarity"):
            table.add_column(name, justify="right", no_wrap=True)
        for name in ("label", "split", "picture"):
            table.add_column(name, overflow="fold")
        for match in self.found:
            place = f"{match.place} (the same picture)" if match.same else match.place
            cells = (str(match.rank), f"{match.similarity:.3f}", match.label or "–", match.part, place)
            table.add_row(*(Text(cell) for cell in cells), style="bold" if match.same else "")
        same = [Text("Your picture is itself in the set.")] if any(match.same for match in self.found) else []
        return Group(table, *same, Text(f"side by side: {self.picture}", overflow="fold"))


def search(run: Run[ImageSet], image_path: str | Path, top: int = 10) -> Matches:
    """Which pictures look most like this one, to the run's encoder?

    Args:
        run: whose encoder and whose pictures, of all three parts.
        image_path: a picture file; it is brought to the run's size, and to grey if the run is grey. Or a picture of
            the run's own data: "test:7" is number 7 of its test part.
        top: how many to find; all of them where there are fewer.

    Returns:
        The matches. They are also drawn, beside the query, into search-NAME.png in the run's folder.

    Raises:
        DataError: the file is missing, or cannot be read as a picture.
        SettingError: top is less than 1.
        RunError: the data is not what the run was trained on, or the folder cannot be written to.
    """
    from info_nce.evaluation.search_picture import draw_matches  # noqa: PLC0415 (evaluation alone needs no plots)

    if top < 1:
        raise SettingError("--top is out of range.", got=f"--top {top}", expected="1 or more", advice="--top 10")
    splits, path = run.splits(), Path(image_path).expanduser()
    query = _own_picture(splits, str(image_path))
    if query is None:
        query = read_picture(path, channels=splits.train.images.shape[1], size=splits.train.images.shape[-1])
    parts = [part for part in (splits.train, splits.validation, splits.test) if len(part)]
    encode = run.embedders()["image"]
    similarity, index = nearest(encode(query), torch.cat([encode(part.images) for part in parts]), top)
    images = torch.cat([part.images for part in parts])[index[0]]
    same = (images == query).flatten(1).all(1)
    # Rounding can put a near-copy before the picture itself, whose similarity is 1 too.
    order = same.logical_not().to(torch.uint8).argsort(stable=True)
    found = tuple(
        _match(rank, float(similarity[0, i]), int(index[0, i]), same=bool(same[i]), splits=splits)
        for rank, i in enumerate(order.tolist(), start=1)
    )
    name = re.sub(r"[^\w.-]+", "-", path.stem)[:60]
    picture = draw_matches(run.path / f"search-{name}.png", path.name, query[0], images[order], found)
    return Matches(path, found, sum(len(part) for part in parts), picture)


def _own_picture(splits: Splits[ImageSet], name: str) -> UInt8[Tensor, "1 c h w"] | None:
    """The picture that "test:7" and the like stand for; None for the name of a file."""
    matched = re.fullmatch(r"(train|validation|test):(\d+)", name)
    if matched is None or Path(name).exists():
        return None
    part, number = (
        {"train": splits.train, "validation": splits.validation, "test": splits.test}[matched[1]],
        int(matched[2]),
    )
    if number >= len(part):
        raise DataError(
            f"there is no picture {name}.",
            got=f"number {number} of {len(part)} in the {matched[1]} part",
            expected=f"{matched[1]}:0 to {matched[1]}:{len(part) - 1}" if len(part) else "a part with pictures in it",
            advice="or give the path of a picture file",
        )
    return part.images[number : number + 1]


def read_picture(path: Path, *, channels: int, size: int) -> UInt8[Tensor, "1 c h w"]:
    """Read one picture the way a run's own pictures were read.

    Args:
        path: the file.
        channels: 1 for grey, 3 for colour.
        size: side in pixels.

    Raises:
        DataError: it is missing, or cannot be read as a picture.
    """
    from info_nce.data.folder import decode_all  # noqa: PLC0415 (needs Pillow)

    if not path.is_file():
        raise DataError(
            f"there is no picture {path}.",
            got="a folder" if path.is_dir() else "no such file",
            expected="a png, jpg, webp, bmp or gif file",
            advice="check the path; relative paths start at the current folder",
        )
    pixels, bad = decode_all([path], size)
    if bad:
        raise DataError(
            f"{path} cannot be read as a picture.",
            got=bad[path],
            expected="a whole png, jpg, webp, bmp or gif file",
            advice="open it in a picture viewer, and save it as png",
        )
    if channels == 1:
        grey = np.tensordot(np.array(_LUMA, dtype=np.uint32), pixels.astype(np.uint32), axes=(0, 1))
        pixels = ((grey + 0x8000) >> 16).astype(np.uint8)[:, None]
    return torch.from_numpy(pixels)


def _match(rank: int, similarity: float, index: int, *, same: bool, splits: Splits[ImageSet]) -> Match:
    part, row = _locate(index, splits)
    label = part.class_names[int(part.labels[row])] if part.labels is not None else ""
    place = part.paths[row] if part.paths is not None else f"number {row}"
    return Match(rank, similarity, label, part.name.rsplit("/", 1)[-1], place, same)


def _locate(index: int, splits: Splits[ImageSet]) -> tuple[ImageSet, int]:
    for part in (splits.train, splits.validation):
        if index < len(part):
            return part, index
        index -= len(part)
    return splits.test, index
