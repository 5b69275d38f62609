"""An index comes back as it was written, by whatever way, and anything else is refused by name."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from info_nce.errors import DataError, SettingError
from info_nce.evaluation.index import SUFFIXES, Index, Origin, Strings, load_index, save_index
from info_nce.recipes.checkpoints import save_tensors

ORIGIN = Origin(run="runs/one", recipe="clip", kind="image", weights="ab" * 32)
each_kind = pytest.mark.parametrize("suffix", SUFFIXES)


def made(count: int = 5, width: int = 3) -> Index:
    ids = tuple(f"my pictures/ü {i}.png" for i in range(count))
    return Index(torch.randn(count, width), ids, ("",) * count, ORIGIN)


@each_kind
def test_an_index_comes_back_as_it_was_written(tmp_path: Path, suffix: str) -> None:
    index = replace(made(), shown=("a cat", "", "日本", "b\nc", ""))
    found = load_index(save_index(index, tmp_path / f"made.here{suffix}"))
    torch.testing.assert_close(found.vectors, index.vectors, rtol=0, atol=0)
    assert (list(found.ids), list(found.shown), found.origin) == (list(index.ids), list(index.shown), ORIGIN)
    assert len(found) == 5
    assert found.digest


@settings(max_examples=30)
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_packed_texts_are_the_texts(texts: list[str]) -> None:
    packed = Strings.of(texts)
    assert list(packed) == texts
    assert packed[1:] == texts[1:]
    assert len(packed) == len(texts)


def test_a_name_that_is_not_utf_8_comes_back(tmp_path: Path) -> None:
    index = replace(made(1), ids=(b"caf\xe9.png".decode("utf-8", "surrogateescape"),))
    for suffix in SUFFIXES:
        assert list(load_index(save_index(index, tmp_path / f"made{suffix}")).ids) == list(index.ids)


def test_numpy_reads_the_vectors_alone(tmp_path: Path) -> None:
    index = made()
    np.testing.assert_array_equal(np.load(save_index(index, tmp_path / "made.npy")), index.vectors.numpy())


def test_an_index_without_items_is_an_index(tmp_path: Path) -> None:
    for suffix in SUFFIXES:
        assert len(load_index(save_index(made(0), tmp_path / f"none{suffix}"))) == 0


@each_kind
def test_vectors_that_are_not_finite_are_not_written(tmp_path: Path, suffix: str) -> None:
    index = made()
    index.vectors[3, 1] = torch.nan
    index.vectors[4, 0] = torch.inf
    with pytest.raises(DataError, match=r"2 vectors that are not finite: my pictures/ü 3\.png, my pictures/ü 4\.png"):
        save_index(index, tmp_path / f"made{suffix}")
    assert not list(tmp_path.iterdir())


def test_large_vectors_are_finite(tmp_path: Path) -> None:
    index = made(1, 3)
    index.vectors.fill_(3e38)  # their sum is not
    assert len(load_index(save_index(index, tmp_path / "made.npy"))) == 1


@each_kind
def test_half_a_file_is_refused(tmp_path: Path, suffix: str) -> None:
    file = save_index(made(), tmp_path / f"made{suffix}")
    file.write_bytes(file.read_bytes()[:-7])
    with pytest.raises(DataError, match="cannot be used as an index") as caught:
        load_index(file)
    assert str(file) in str(caught.value)


@each_kind
def test_a_changed_number_is_refused(tmp_path: Path, suffix: str) -> None:
    file = save_index(made(), tmp_path / f"made{suffix}")
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)
    with pytest.raises(DataError, match="digest"):
        load_index(file)


@each_kind
def test_a_file_that_is_not_there_is_refused(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(DataError, match="nowhere"):
        load_index(tmp_path / f"nowhere{suffix}")


def test_a_name_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"\.safetensors or \.npy"):
        save_index(made(), tmp_path / "made.pt")


def test_vectors_without_names_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "alone.npy", np.zeros((3, 2), dtype=np.float32))
    with pytest.raises(DataError, match=r"no alone\.ids\.json beside it"):
        load_index(tmp_path / "alone.npy")
    with pytest.raises(DataError, match="3 vectors, 2 ids"):
        save_index(replace(made(3), ids=("a", "b")), tmp_path / "few.npy")


@pytest.mark.parametrize("name", ["ids", "vectors", "shown_ends"])
def test_a_file_with_other_tensors_is_refused(tmp_path: Path, name: str) -> None:
    strings = Strings.of(["a", "b"])
    tensors = {"vectors": torch.ones(2, 2), "ids": strings.content, "id_ends": strings.ends}
    tensors |= {"shown": strings.content.clone(), "shown_ends": strings.ends.clone()}
    del tensors[name]
    save_tensors(tmp_path / "made.safetensors", tensors, {"origin": {}})
    with pytest.raises(DataError, match=f"without {name}"):
        load_index(tmp_path / "made.safetensors")


@pytest.mark.parametrize(
    ("vectors", "words"),
    [
        (torch.ones(2, 2, dtype=torch.int64), "int64"),
        (torch.ones(2), r"shape \(2,\)"),
        (torch.ones(2, 0), r"shape \(2, 0\)"),
        (torch.tensor([[1.0], [torch.nan]]), "not finite: b"),
    ],
)
def test_a_file_with_something_else_than_vectors_is_refused(tmp_path: Path, vectors: torch.Tensor, words: str) -> None:
    strings = Strings.of(["a", "b"])
    tensors = {"vectors": vectors, "ids": strings.content, "id_ends": strings.ends}
    tensors |= {"shown": strings.content.clone(), "shown_ends": strings.ends.clone()}
    origin = {"run": "", "recipe": "", "kind": "", "weights": ""}
    save_tensors(tmp_path / "made.safetensors", tensors, {"origin": origin})
    with pytest.raises(DataError, match=words):
        load_index(tmp_path / "made.safetensors")


def test_numbers_that_are_no_floats_are_refused(tmp_path: Path) -> None:
    file = save_index(made(), tmp_path / "made.npy")
    np.save(file, np.zeros((5, 3), dtype=np.uint16))
    with pytest.raises(DataError, match="uint16"):
        load_index(file)


def test_python_objects_are_never_unpickled(tmp_path: Path) -> None:
    file = save_index(made(), tmp_path / "made.npy")
    np.save(file, np.array([{"a": 1}]), allow_pickle=True)
    with pytest.raises(DataError, match="Python objects"):
        load_index(file)


def test_who_made_it_must_be_said(tmp_path: Path) -> None:
    file = save_index(made(), tmp_path / "made.npy")
    names = tmp_path / "made.ids.json"
    beside = json.loads(names.read_text())
    del beside["origin"]["weights"]
    names.write_text(json.dumps(beside))
    with pytest.raises(DataError, match="weights"):
        load_index(file)
