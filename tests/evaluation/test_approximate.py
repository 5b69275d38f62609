"""A search through some cells finds nearly what a search through all finds, and says what it did not find."""

import sys
from pathlib import Path

import pytest
import torch

from info_nce.errors import SettingError
from info_nce.evaluation.approximate import approximate_nearest
from info_nce.evaluation.index import Index, Origin, load_index, save_index
from info_nce.neighbours import nearest

ORIGIN = Origin(run="runs/one", recipe="simclr", kind="image", weights="ab" * 32)


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, Index]:
    pytest.importorskip("faiss", reason="faiss is not installed: pip install faiss-cpu")
    centres = torch.randn(40, 16)
    vectors = centres[torch.randint(0, 40, (3000,))] + 0.3 * torch.randn(3000, 16)
    ids = [f"{i}" for i in range(3000)]
    path = save_index(Index(vectors, ids, [""] * 3000, ORIGIN), tmp_path / "made.safetensors")
    return path, load_index(path)


def test_nearly_all_of_the_nearest_are_found(saved: tuple[Path, Index]) -> None:
    path, index = saved
    query = index.vectors[:100] + 0.1 * torch.randn(100, 16)
    exact, rows = nearest(query, index.vectors, 10)
    similarity, found = approximate_nearest(path, index, query, 10)
    hits = [len(set(a) & set(b)) for a, b in zip(rows.tolist(), found.tolist(), strict=True)]
    assert sum(hits) / 1000 > 0.9
    assert (similarity <= exact + 1e-5).all()
    agree = rows[:, 0] == found[:, 0]
    torch.testing.assert_close(similarity[agree, 0], exact[agree, 0])


def test_the_second_search_finds_the_same_in_the_kept_cells(saved: tuple[Path, Index]) -> None:
    path, index = saved
    first = approximate_nearest(path, index, index.vectors[:5], 3)
    (kept,) = path.parent.glob("*.faiss")
    written = kept.stat().st_mtime_ns
    torch.testing.assert_close(approximate_nearest(path, index, index.vectors[:5], 3), first)
    assert kept.stat().st_mtime_ns == written
    kept.write_bytes(kept.read_bytes()[:1000])
    torch.testing.assert_close(approximate_nearest(path, index, index.vectors[:5], 3), first)


def test_what_the_cells_do_not_hold_is_said_to_be_missing(saved: tuple[Path, Index]) -> None:
    path, index = saved
    similarity, found = approximate_nearest(path, index, index.vectors[:1], 3000)
    missing = found < 0
    assert missing.any()
    assert (similarity[missing] == -torch.inf).all()
    assert len(set(found[~missing].tolist())) == int((~missing).sum())


def test_another_index_of_the_same_name_has_cells_of_its_own(saved: tuple[Path, Index]) -> None:
    path, index = saved
    approximate_nearest(path, index, index.vectors[:1], 3)
    other = Index(-index.vectors, index.ids, index.shown, ORIGIN)
    save_index(other, path)
    similarity, _ = approximate_nearest(path, load_index(path), -index.vectors[:1], 3)
    assert float(similarity[0, 0]) == pytest.approx(1, abs=1e-5)


def test_without_faiss_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    index = Index(torch.ones(1, 1), ["a"], [""], ORIGIN)
    with pytest.raises(SettingError, match="pip install faiss-cpu"):
        approximate_nearest(tmp_path / "made.npy", index, torch.ones(1, 1), 1)
