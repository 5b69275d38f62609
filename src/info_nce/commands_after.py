"""The commands for what comes after training: embed, search, doctor, export; and the tutorial."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from info_nce.errors import SettingError, needs_extra
from info_nce.tutorial import PORT, export, serve

with needs_extra("train"):
    from rich.console import Console
    from rich.text import Text
    from tyro.conf import Positional, arg

    from info_nce.recipes.files import write_safely
    from info_nce.recipes.runs import Weights, load_run

Kind = Literal["image", "text", "sound", "video"]
RunFolder = Annotated[Positional[Path], arg(metavar="RUN")]


@dataclass(frozen=True, slots=True)
class Embed:
    """Turn items into vectors, to search through them or to use them elsewhere.

    Args:
        run: whose encoder.
        input: your own: a file; a folder; a table (.csv, .tsv, .jsonl, .parquet) with a column of texts or of paths; a
            text file with one text per line. The run's own data, all three parts, if left out.
        out: the index to write: .safetensors, or .npy with the names in .ids.json beside it.
        kind: of the items, where the run has more than one encoder.
        column: of the table; the one that is called like the kind, or the only one, if left out.
        skip_bad: leave out and name what cannot be read, instead of stopping.
        weights: the last ones, or those with the best validation loss.
        debug: show where an error happened.
    """

    run: RunFolder
    input: Annotated[Positional[str], arg(metavar="[INPUT]")] = ""
    out: str = ""
    kind: Kind | None = None
    column: str = ""
    skip_bad: bool = False
    weights: Weights = "last"
    debug: bool = False

    def do(self, console: Console, words: Sequence[str]) -> int:  # noqa: ARG002 (one signature for all commands)
        """Embed, write, and say what is there now."""
        if not self.out:
            raise SettingError(
                "it has to be said where the vectors go.",
                got="no --out",
                expected="a name that ends in .safetensors or .npy",
                advice=f"info-nce embed {self.run} {self.input}".rstrip() + " --out vectors.safetensors",
            )
        run = load_run(self.run, self.weights)
        from info_nce.evaluation import embed, index_path, save_index  # noqa: PLC0415 (a command loads what it needs)

        index_path(self.out)  # a wrong name is refused before an hour's work
        with console.status("embedding"):
            index, notes = embed(run, self.input, kind=self.kind or "", column=self.column, skip_bad=self.skip_bad)
            file = save_index(index, self.out)
        console.print(*notes, f"{len(index):,} vectors of {index.vectors.shape[1]} numbers: {file}", sep="\n")
        console.print(f"\nNext:\n  info-nce search {file} QUERY", highlight=False, soft_wrap=True)
        return 0


@dataclass(frozen=True, slots=True)
class Search:
    """Find what is most like a picture, a text, a recording or a video.

    Args:
        run: a run, whose own data are searched; or an index that `info-nce embed` wrote.
        query: a file; an item of the run's own data, such as test:7; or a text, where the run has an encoder of texts.
        top: how many to show.
        kind: what is searched: where a run has pictures and texts, the other kind than the query's, if left out.
        query_kind: what the query is, where an item such as test:7 is more than one thing.
        maker: the run that made the index, if it has moved.
        approximate: look at a part of the index only, through faiss; faster from a million vectors on.
        json: print one JSON object, for scripts.
        debug: show where an error happened.
    """

    run: Annotated[Positional[Path], arg(metavar="RUN_OR_INDEX")]
    query: Annotated[Positional[str], arg(metavar="QUERY")]
    top: int = 10
    kind: Kind | None = None
    query_kind: Kind | None = None
    maker: str = ""
    approximate: bool = False
    json: bool = False
    debug: bool = False

    def do(self, console: Console, words: Sequence[str]) -> int:  # noqa: ARG002 (one signature for all commands)
        """Search, and show."""
        from info_nce.evaluation import INDEX_SUFFIXES, search, search_index  # noqa: PLC0415 (as above)

        if self.run.suffix in INDEX_SUFFIXES and not self.run.is_dir():
            if self.kind:
                raise self._refused("--kind", "an index holds one kind")
            matches = search_index(
                self.run,
                self.query,
                self.top,
                run=self.maker,
                query_kind=self.query_kind or "",
                approximate=self.approximate,
            )
        else:
            if self.approximate or self.maker:
                raise self._refused("--approximate" if self.approximate else "--maker", "an index")
            matches = search(
                load_run(self.run), self.query, self.top, kind=self.kind or "", query_kind=self.query_kind or ""
            )
        if self.json:
            console.out(json.dumps(matches.as_json()), highlight=False)
        else:
            console.print(matches)
        return 0

    def _refused(self, option: str, why: str) -> SettingError:
        return SettingError(
            f"{option} has no meaning here.",
            got=f"{option} and {self.run}",
            expected=why,
            advice="leave it out, or make an index: info-nce embed RUN --out vectors.safetensors",
        )


@dataclass(frozen=True, slots=True)
class Doctor:
    """Say what is wrong with a run, if anything is, and what to try.

    Its metrics are read, and a batch of held-out items is compared as in training. What is found is no error of this
    command: its exit code is 0 either way.

    Args:
        run: its folder.
        json: a file to write all of it to, for scripts.
        weights: the last ones, or those with the best validation loss.
        debug: show where an error happened.
    """

    run: RunFolder
    json: str = ""
    weights: Weights = "last"
    debug: bool = False

    def do(self, console: Console, words: Sequence[str]) -> int:  # noqa: ARG002 (one signature for all commands)
        """Examine, and say what was found."""
        from info_nce.recipes.doctor import check_up  # noqa: PLC0415 (a command loads only what it needs)

        file = self._report()  # refused before the work
        with console.status("examining the metrics and a batch"):
            found = check_up(load_run(self.run, self.weights))
        say = partial(console.print, highlight=False, soft_wrap=True)
        say(found.diagnosis.standing, *found.notes, sep="\n")
        for finding in found.findings:
            say(Text(f"\n{finding}", style=_STYLES[finding.severity]))
        if not found.findings:
            say("\nNothing is wrong that metrics and a batch can tell.")
        if self.json:
            write_safely(file, json.dumps(found.as_json(), indent=2).encode())
            say(f"\n{file}")
        return 0

    def _report(self) -> Path:
        """The file to write: a new one, or what a doctor wrote before."""
        file = Path(self.json).expanduser()
        if self.json and file.exists():
            former: object = None
            with suppress(OSError, ValueError):
                former = json.loads(file.read_text(encoding="utf-8"))
            if not (isinstance(former, dict) and {"findings", "batch"} <= former.keys()):
                raise SettingError(
                    f"{file} holds something else.",
                    got="a folder" if file.is_dir() else "a file that no doctor wrote",
                    expected="a new file, or a report that may be replaced",
                    advice=f"another name: --json {file.stem}-doctor.json",
                )
        return file


_STYLES = {"error": "red", "warning": "yellow", "note": "cyan"}


@dataclass(frozen=True, slots=True)
class Export:
    """Write a trained encoder for use elsewhere: weights, or a program by TorchScript or ONNX.

    Args:
        run: its folder.
        to: the folder to write into, new or empty.
        format: weights to be loaded by this package, or a program that needs nothing of it. A program is run beside
            the model before it is written, and refused if it computes something else.
        kind: which encoder becomes a program, where the run has more than one.
        weights: the last ones, or those with the best validation loss.
        debug: show where an error happened.
    """

    run: RunFolder
    to: str = ""
    format: Literal["safetensors", "torchscript", "onnx"] = "safetensors"
    kind: Kind | None = None
    weights: Weights = "last"
    debug: bool = False

    def do(self, console: Console, words: Sequence[str]) -> int:  # noqa: ARG002 (one signature for all commands)
        """Export, and say what is there now."""
        if not self.to:
            raise SettingError(
                "it has to be said where the encoder goes.",
                got="no --to",
                expected="a folder that is new or empty",
                advice=f"info-nce export {self.run} --to encoder",
            )
        from info_nce.recipes.export import export  # noqa: PLC0415 (as above)

        with console.status(f"exporting as {self.format}"):
            files = export(load_run(self.run, self.weights), self.to, self.format, kind=self.kind or "")
        console.print(*(str(file) for file in files), sep="\n", highlight=False, soft_wrap=True)
        return 0


@dataclass(frozen=True, slots=True)
class Tutorial:
    """Open the tutorial: an explorable explanation of InfoNCE in English, Bahasa Indonesia and 中文.

    Args:
        port: to listen on; 0 takes any that is free.
        host: 127.0.0.1 for this machine only; 0.0.0.0 for everybody who can reach it.
        lang: en, id or zh; the browser's if left out.
        no_browser: open none.
        export: write the pages into this folder, as plain files for any web server, instead of serving them.
        debug: show where an error happened.
    """

    port: int = PORT
    host: str = "127.0.0.1"
    lang: str = ""
    no_browser: bool = False
    export: str = ""
    debug: bool = False

    def do(self, console: Console, words: Sequence[str]) -> int:  # noqa: ARG002 (one signature for all commands)
        """Serve until Ctrl-C, or write."""
        say = partial(console.print, highlight=False, soft_wrap=True)
        if self.export:
            say(f"the tutorial: {export(Path(self.export))}")
        else:
            serve(port=self.port, host=self.host, language=self.lang, browser=not self.no_browser, say=say)
        return 0
