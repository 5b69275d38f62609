"""What the figures show is what the library and torch compute: read back from what is drawn, beside loops."""

import json
import math
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection, QuadMesh
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.quiver import Quiver
from numpy.typing import NDArray
from torch import Tensor

from info_nce import InfoNCE, checks, plots
from info_nce.errors import RunError, SettingError
from info_nce.plots.palette import NEGATIVE, POSITIVE, class_colour, class_marker
from tests.evaluation.fakes import logged, squares


def close(actual: object, expected: object, *, rtol: float = 1e-7, atol: float = 0.0) -> None:
    np.testing.assert_allclose(np.asarray(actual), np.asarray(expected), rtol=rtol, atol=atol)


def only(axes: Axes, kind: type) -> Any:
    (found,) = (artist for artist in axes.get_children() if type(artist) is kind)
    return found


def line(figure: Figure, axes: int, label: str) -> NDArray[np.float64]:
    (found,) = (line for line in figure.axes[axes].lines if line.get_label() == label)
    return np.asarray(found.get_xydata())


def title(figure: Figure) -> str:
    return " ".join(figure.get_suptitle().split())


def drawn(rows: int, width: int, seed: int = 0) -> Tensor:
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(seed))


# The loss surface.


def samples(alpha: float, beta: float) -> tuple[list[list[float]], ...]:
    """Draw what the figure draws, of 3 dimensions, 4 queries and 2 negatives, with seed 5."""
    chance = torch.Generator().manual_seed(5)
    query, positive, negative = torch.rand(3, 3, generator=chance).double().tolist()
    noise = [torch.randn(rows, 3, generator=chance).double().tolist() for rows in (4, 4, 2)]
    means = (
        query,
        [alpha * q + (1 - alpha) * p for q, p in zip(query, positive, strict=True)],
        [beta * q + (1 - beta) * n for q, n in zip(query, negative, strict=True)],
    )
    return tuple(
        [[m + math.sqrt(0.1) * e for m, e in zip(mean, row, strict=True)] for row in rows]
        for mean, rows in zip(means, noise, strict=True)
    )


def surface_in_loops(alpha: float, beta: float) -> float:
    """InfoNCE at temperature 0.1, negatives shared."""

    def cosine(a: list[float], b: list[float]) -> float:
        return sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)

    queries, positives, negatives = samples(alpha, beta)
    losses = []
    for query, positive in zip(queries, positives, strict=True):
        logits = [cosine(query, key) / 0.1 for key in (positive, *negatives)]
        losses.append(math.log(sum(math.exp(logit - logits[0]) for logit in logits)))
    return sum(losses) / len(losses)


@pytest.fixture(scope="module")
def surface() -> Figure:
    return plots.loss_surface(dimensions=3, queries=4, negatives=2, steps=4, seed=5)


def test_the_surface_is_the_loss_of_the_samples_that_it_describes(surface: Figure) -> None:
    mesh = only(surface.axes[0], QuadMesh)
    places = [0, 1 / 3, 2 / 3, 1]
    expected = [[surface_in_loops(alpha, beta) for alpha in places] for beta in places]
    close(mesh.get_array(), expected, rtol=1e-4)
    with pytest.raises(AssertionError):
        close(mesh.get_array(), np.transpose(expected), rtol=1e-4)
    assert f"{expected[3][0]:.2f} nats" in title(surface)
    assert f"{expected[0][3]:.2f}" in title(surface)


def test_the_arrows_point_down_the_gradient(surface: Figure) -> None:
    arrows = only(surface.axes[1], Quiver)
    step = 1e-5
    for (alpha, beta), u, v in zip(arrows.XY.tolist(), np.ravel(arrows.U), np.ravel(arrows.V), strict=True):
        across = surface_in_loops(alpha + step, beta) - surface_in_loops(alpha - step, beta)
        up = surface_in_loops(alpha, beta + step) - surface_in_loops(alpha, beta - step)
        slope = np.array([across, up]) / (2 * step)
        close([u, v], -slope, rtol=1e-5, atol=1e-5)
        with pytest.raises(AssertionError):
            close([u, v], slope, rtol=1e-5, atol=1e-5)


def test_the_surface_is_that_of_the_loss_that_is_given() -> None:
    cold, warm = (only(plots.loss_surface(InfoNCE(t), steps=2).axes[0], QuadMesh) for t in (0.1, 1.0))
    with pytest.raises(AssertionError):
        close(cold.get_array(), warm.get_array(), rtol=0.1)


def test_a_loss_that_is_no_number_has_a_surface_without_one() -> None:
    figure = plots.loss_surface(lambda query, positive, _: (query * positive).sum() * math.nan, steps=3)
    mesh = only(figure.axes[0], QuadMesh)
    assert np.ma.getmaskarray(np.ma.masked_invalid(mesh.get_array())).all()
    assert "nan" in title(figure)


@pytest.mark.parametrize("setting", ["dimensions", "queries", "negatives", "steps"])
def test_a_surface_of_nothing_is_refused(setting: str) -> None:
    with pytest.raises(SettingError, match=f"{setting} is out of range"):
        cast("Any", plots.loss_surface)(**{setting: 0})


@pytest.mark.parametrize("setting", ["dimensions", "queries", "negatives", "steps", "seed"])
def test_a_surface_of_half_a_thing_is_refused(setting: str) -> None:
    with pytest.raises(SettingError, match=f"{setting} is out of range"):
        cast("Any", plots.loss_surface)(**{setting: 2.5})


@pytest.mark.parametrize(
    "criterion",
    [
        lambda *_: 1.0,
        lambda *_: torch.tensor(math.nan),
        lambda *_: torch.tensor(1.0, requires_grad=True),
        lambda query, positive, _: (query * positive).sum(1),
        lambda query, positive, _: (query * positive).sum().detach(),
    ],
)
def test_a_criterion_without_a_number_or_its_slope_is_refused(criterion: Any) -> None:
    with pytest.raises(SettingError, match="criterion must give one number"):
        plots.loss_surface(criterion, steps=2)


def test_a_level_plane_is_drawn() -> None:
    figure = plots.loss_surface(lambda query, positive, _: 0 * (query * positive).sum() + 1, steps=3)
    close(only(figure.axes[0], QuadMesh).get_array(), np.ones((3, 3)))


def test_a_caller_without_gradients_gets_the_same_surface(surface: Figure) -> None:
    with torch.no_grad():
        again = plots.loss_surface(dimensions=3, queries=4, negatives=2, steps=4, seed=5)
    close(only(again.axes[1], Quiver).U, only(surface.axes[1], Quiver).U)


# The temperature.


def softmax_in_loops(similarities: list[float], temperature: float) -> list[float]:
    weights = [math.exp((s - max(similarities)) / temperature) for s in similarities]
    return [weight / sum(weights) for weight in weights]


def test_probabilities_and_forces_are_those_of_a_softmax() -> None:
    given = [0.3, 0.6, -0.2]
    figure = plots.temperature(given, low=0.02, high=2)
    top, bottom = ([np.asarray(line.get_xydata()) for line in axes.lines[:3]] for axes in figure.axes)
    close((top[0][0, 0], top[0][-1, 0]), (0.02, 2))
    for place in (0, 17, 60, 120):
        temperature = float(top[0][place, 0])
        expected = softmax_in_loops(given, temperature)
        forces = [((i == 0) - p) / temperature for i, p in enumerate(expected)]
        close([line[place, 1] for line in top], expected, rtol=1e-9)
        close([line[place, 1] for line in bottom], forces, rtol=1e-9, atol=1e-12)
        with pytest.raises(AssertionError):  # on logits instead of similarities
            close([line[place, 1] for line in bottom], [f * temperature for f in forces], rtol=1e-9)
    assert [to_hex(line.get_color()) for line in figure.axes[0].lines] == [POSITIVE, NEGATIVE, NEGATIVE]
    assert len({line.get_linewidth() for line in figure.axes[0].lines}) == 2
    assert "100 % of the push" in title(figure)


def test_no_dashes_of_the_six_are_alike() -> None:
    figure = plots.temperature()
    looks = {(line.get_color(), str(line._dash_pattern)) for line in figure.axes[0].lines}  # type: ignore[attr-defined]  # it has no getter
    assert len(looks) == 6


def test_no_number_stays_no_number() -> None:
    with torch.no_grad():  # of the caller, which is no reason to have no forces
        figure = plots.temperature([0.5, math.nan])
    assert all(np.isnan(np.asarray(line.get_ydata(), dtype=float)).all() for line in figure.axes[0].lines)


@pytest.mark.parametrize("given", [[], [0.5], [[0.5, 0.2]]])
def test_a_query_without_a_negative_is_refused(given: list[float]) -> None:
    with pytest.raises(SettingError, match="at least one negative"):
        plots.temperature(given)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (1, 1), (2, 1), (math.nan, 1), (0.1, math.inf)])
def test_temperatures_that_are_no_range_are_refused(low: float, high: float) -> None:
    with pytest.raises(SettingError, match="range of temperatures"):
        plots.temperature(low=low, high=high)


# The matrix.


def matrices(figure: Figure) -> list[NDArray[np.float64]]:
    return [np.ma.filled(cast("Any", axes.images[0].get_array()), math.nan) for axes in figure.axes[:3]]


def test_the_matrices_are_similarities_and_their_softmax_both_ways() -> None:
    query, key = drawn(5, 3), drawn(7, 3, seed=1)
    alike, rows, columns = matrices(plots.similarity_matrix(query, key, temperature=0.2))
    expected = [[float(torch.cosine_similarity(q, k, dim=0)) for k in key] for q in query]
    close(alike, expected, rtol=1e-5)
    by_row = [softmax_in_loops(row, 0.2) for row in expected]
    by_column = np.transpose([softmax_in_loops(list(column), 0.2) for column in zip(*expected, strict=True)])
    close(rows, by_row, rtol=1e-5)
    close(columns, by_column, rtol=1e-5)
    with pytest.raises(AssertionError):
        close(rows, by_column, rtol=1e-5)


def outlined(figure: Figure) -> set[tuple[int, int]]:
    lines = only(figure.axes[0], LineCollection)
    assert to_hex(lines.get_edgecolor()[0]) == POSITIVE
    middles = [segment[:4].mean(0) for segment in lines.get_segments()]
    return {(round(y), round(x)) for x, y in middles}


def test_positives_are_outlined_and_counted() -> None:
    key = torch.eye(4)
    query = key[[0, 1, 3, 2]]
    figure = plots.similarity_matrix(query, key)
    assert outlined(figure) == {(0, 0), (1, 1), (2, 2), (3, 3)}
    assert title(figure).startswith("2 of 4 queries find their own key, 2 of 4")
    own = torch.eye(4, dtype=torch.bool)[[0, 1, 3, 2]]
    figure = plots.similarity_matrix(query, key, positives=own)
    assert outlined(figure) == {(0, 0), (1, 1), (2, 3), (3, 2)}
    assert title(figure).startswith("4 of 4 queries")
    figure = plots.similarity_matrix(query, key[:2], positives=own[:, :2])  # two queries whose keys are not there
    assert outlined(figure) == {(0, 0), (1, 1)}
    assert title(figure).startswith("2 of 2 queries find their own key, 2 of 2")


def test_a_tie_is_no_find() -> None:
    assert title(plots.similarity_matrix(torch.ones(3, 2), torch.ones(3, 2))).startswith("0 of 3 queries")
    assert title(plots.similarity_matrix(torch.ones(1, 2), torch.ones(1, 2))).startswith("1 of 1 queries")


def test_a_row_that_is_no_number_stays_so_and_finds_nothing() -> None:
    query = torch.eye(3).index_fill(0, torch.tensor([1]), math.nan)
    figure = plots.similarity_matrix(query, torch.eye(3))
    alike, rows, _ = matrices(figure)
    assert np.isnan(alike[1]).all()
    assert np.isnan(rows[1]).all()
    assert np.isfinite(rows[[0, 2]]).all()
    assert title(figure).startswith("2 of 3 queries find their own key, 0 of 3")


def test_half_precision_other_strides_and_gradients_are_welcome() -> None:
    query, key = drawn(3, 4), drawn(3, 4, seed=1)
    plain = matrices(plots.similarity_matrix(query, key))
    strided = query.T.contiguous().T.requires_grad_()
    for near, exact in zip(matrices(plots.similarity_matrix(strided, key)), plain, strict=True):
        close(near, exact, rtol=1e-5)
    for near, exact in zip(matrices(plots.similarity_matrix(query.bfloat16(), key.bfloat16())), plain, strict=True):
        close(near, exact, atol=0.1)  # three digits of a cosine, divided by 0.1


@pytest.mark.parametrize(
    ("query", "key", "kind"),
    [
        (torch.ones(3, 2), torch.ones(2, 2), checks.ShapeError),
        (torch.ones(3, 2), torch.ones(3, 4), checks.ShapeError),
        (torch.ones(0, 2), torch.ones(0, 2), checks.ShapeError),
        (torch.ones(3, 2), torch.ones(3, 2).int(), checks.DTypeError),
        (None, None, checks.DTypeError),
        (torch.tensor(1.0), torch.ones(3, 2), checks.ShapeError),
    ],
)
def test_what_the_loss_refuses_has_no_matrix(query: Any, key: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="expected"):
        plots.similarity_matrix(query, key)


@pytest.mark.parametrize("own", [torch.eye(3), torch.eye(2, dtype=torch.bool), [[True] * 3] * 3])
def test_a_mask_of_another_shape_or_type_is_refused(own: Any) -> None:
    with pytest.raises(SettingError, match="positives"):
        plots.similarity_matrix(torch.eye(3), torch.eye(3), positives=own)
    with pytest.raises(checks.ArgumentError, match="temperature"):
        plots.similarity_matrix(torch.eye(3), torch.eye(3), temperature=0)


# Spectra.


def test_the_spectrum_is_that_of_the_covariance() -> None:
    embeddings = drawn(40, 6) * torch.tensor([9.0, 5, 3, 2, 1, 0.5]) + 7
    figure = plots.spectrum(embeddings)
    values = line(figure, 0, "embeddings")[:, 1]
    centred = (embeddings - embeddings.mean(0)).double().numpy()
    strengths = np.sqrt(np.linalg.eigvalsh(centred.T @ centred)[::-1])
    close(values, strengths / strengths[0], rtol=1e-6)
    off_centre = np.sqrt(np.linalg.eigvalsh(embeddings.double().numpy().T @ embeddings.double().numpy())[::-1])
    with pytest.raises(AssertionError):
        close(values, off_centre / off_centre[0], rtol=1e-6)
    shares = [s / sum(strengths) for s in strengths]
    rank = math.exp(-sum(share * math.log(share) for share in shares))
    assert title(figure) == f"Effective rank: {rank:.1f} of 6."
    assert figure.axes[0].get_yscale() == "log"


def test_a_direction_that_is_nothing_falls_out_of_the_spectrum() -> None:
    figure = plots.spectrum({"flat": drawn(30, 5) * torch.tensor([1.0, 1, 1, 0, 0]), "full": drawn(30, 5)})
    low, _ = figure.axes[0].get_ylim()
    values = line(figure, 0, "flat")[:, 1]
    assert (values[3:] < low).all()
    assert (values[:3] > low).all()
    assert (line(figure, 0, "full")[:, 1] > low).all()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (torch.ones(5, 3), "one point"),
        (torch.ones(1, 3), "2 items"),
        (torch.ones(5), "2 items"),
        (torch.arange(12).reshape(4, 3), "2 items"),
        (torch.ones(4, 3).numpy(), "2 items.*\n.*type ndarray"),
        ("mine", "2 items"),
        ({}, "one to four"),
        ({str(i): torch.eye(3) for i in range(5)}, "one to four"),
    ],
)
def test_what_has_no_spectrum_is_refused(given: Tensor | dict[str, Tensor], says: str) -> None:
    with pytest.raises(SettingError, match=says):
        plots.spectrum(given)


def test_a_spectrum_of_no_numbers_names_the_place() -> None:
    with pytest.raises(checks.ArgumentError, match=r"mine\[2, 1\] = nan"):
        plots.spectrum({"mine": torch.eye(3).index_put((torch.tensor(2), torch.tensor(1)), torch.tensor(math.nan))})


# The bound.


def test_the_bound_of_gaussians_is_what_10000_batches_say() -> None:
    # 6 nats in 20 dimensions, 128 candidates: 4.2090, and 7.372 for a loss without the positive among the candidates
    found = plots.gaussian_bound((128,), batches=64)
    assert abs(found.values[0] - 4.2090) < 4 * 0.110 / math.sqrt(64)
    assert 0.5 < found.errors[0] / (0.110 / math.sqrt(64)) < 2
    assert abs(7.372 - found.values[0]) > 4 * 0.110 / math.sqrt(64)


def test_the_bound_is_drawn_with_two_errors_below_log_k_and_the_truth() -> None:
    figure = plots.information_bound((4, 16, 64), (1.0, 2.0, 2.5), errors=(0.1, 0.2, 0.3), information=3.0)
    (bars,) = figure.axes[0].containers
    close(bars[0].get_xydata(), [(4, 1), (16, 2), (64, 2.5)])
    ends = [segment[:, 1] for segment in bars[2][0].get_segments()]
    close(ends, [(0.8, 1.2), (1.6, 2.4), (1.9, 3.1)])
    close(line(figure, 0, "log K"), [(4, math.log(4)), (64, math.log(64))])
    close(line(figure, 0, "the truth: 3.00 nats")[:, 1], 3)
    assert "With 64 candidates the loss vouches for 2.50 of 3.00 nats" in title(figure)
    assert figure.axes[0].get_xscale() == "log"


@pytest.mark.parametrize(
    ("candidates", "values", "errors"), [((), (), None), ((2,), (1, 2), None), ((2,), (1,), ()), ((2.5,), (1,), None)]
)
def test_a_bound_with_holes_is_refused(
    candidates: tuple[int, ...], values: tuple[float, ...], errors: tuple[float, ...] | None
) -> None:
    with pytest.raises(SettingError, match="every number of candidates"):
        plots.information_bound(candidates, values, errors=errors)


@pytest.mark.parametrize(
    "setting",
    [
        {"candidates": (0, 4)},
        {"candidates": (math.nan, 4)},
        {"values": (math.nan, 1.0)},
        {"values": (0.5, math.inf)},
        {"values": (0.5, None)},
        {"errors": (0.1, -1.0)},
        {"information": math.nan},
        {"information": math.inf},
        {"information": -1.0},
    ],
)
def test_a_bound_of_what_it_cannot_be_is_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=f"{next(iter(setting))} must be"):
        plots.information_bound(**{"candidates": (2, 4), "values": (0.5, 1.0), **setting})


@pytest.mark.parametrize(("value", "said"), [(1.386, "never for more than log K"), (1.6, "more than log K in places")])
def test_a_bound_above_log_k_is_not_said_to_be_below(value: float, said: str) -> None:
    assert said in title(plots.information_bound((2, 4), (0.5, value)))


def test_a_bound_takes_what_torch_computed() -> None:
    values: Any = [torch.tensor(0.5, requires_grad=True), torch.tensor(1.0)]
    figure = plots.information_bound((2, 4), values)
    close(figure.axes[0].containers[0][0].get_xydata(), [(2, 0.5), (4, 1)])
    assert title(figure).startswith("With 4 candidates the loss vouches for 1.00 nats")


@pytest.mark.parametrize(
    "setting",
    [
        {"candidates": (0, 2)},
        {"candidates": ()},
        {"candidates": (2.5,)},
        {"information": -1.0},
        {"information": math.nan},
        {"dimension": 0},
        {"batches": 1},
        {"seed": 0.5},
    ],
)
def test_gaussians_that_are_none_are_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(setting))} (is out of range|must be)"):
        plots.gaussian_bound(**setting)


# Maps.


def test_the_plane_of_pca_is_that_of_the_largest_eigenvalues() -> None:
    embeddings = drawn(50, 4) * torch.tensor([5.0, 3, 1, 1])
    found = plots.pca(embeddings)
    units = torch.nn.functional.normalize(embeddings, dim=1).double().numpy()
    centred = units - units.mean(0)
    strengths, directions = np.linalg.eigh(centred.T @ centred)
    flat = centred @ directions[:, :-3:-1]
    for i in (0, 1):
        assert abs(np.corrcoef(flat[:, i], found.at[:, i])[0, 1]) == pytest.approx(1)
        assert abs(np.corrcoef(embeddings[:, i], found.at[:, i])[0, 1]) < 0.999
    assert found.shares == pytest.approx(tuple(strengths[:-3:-1] / strengths.sum()))


@pytest.mark.parametrize("scale", [1e-30, 1e30])
@pytest.mark.parametrize("layout", [plots.pca, plots.tsne])
def test_embeddings_of_any_length_lie_where_their_directions_do(layout: Any, scale: float) -> None:
    embeddings = drawn(20, 8).double()
    close(layout((embeddings * scale).float()).at, layout((embeddings * scale).float().double() / scale).at, atol=1e-6)
    assert len(np.unique(layout((embeddings * scale).float()).at[:, 0])) == 20


@pytest.mark.parametrize(
    ("embeddings", "places"),
    [
        (torch.ones(20, 8), 1),
        (torch.zeros(1000, 8), 1),
        (torch.ones(1, 3), 1),
        (torch.linspace(1, 2, 40, dtype=torch.float64)[:, None] * torch.tensor([1.0, 2.0, 3.0]), 1),
        (torch.ones(40, 8).double() + 1e-15 * drawn(40, 8), 1),
        (torch.ones(40, 1).index_fill(0, torch.arange(9), -1), 2),
        (torch.eye(8)[torch.arange(200) % 2], 2),
        (torch.eye(8)[torch.arange(200) % 3], 3),
    ],
)
@pytest.mark.parametrize("layout", [plots.pca, plots.tsne])
def test_equal_items_lie_on_one_place(layout: Any, embeddings: Tensor, places: int) -> None:
    assert len(np.unique(layout(embeddings).at.round(3), axis=0)) == places


@pytest.mark.parametrize(
    "given", [drawn(40, 3).int(), drawn(40, 3) * 1j, drawn(40, 3).numpy(), drawn(40, 1)[:, 0], drawn(0, 3), [[1.0]]]
)
@pytest.mark.parametrize("layout", [plots.pca, plots.tsne, plots.projection])
def test_only_embeddings_have_a_place(layout: Any, given: Any) -> None:
    with pytest.raises(SettingError, match="embeddings must be embeddings of at least 1 item"):
        layout(given)


def test_every_item_is_a_point_of_its_class() -> None:
    embeddings, labels = drawn(40, 5), torch.arange(40) % 9
    figure = plots.projection(embeddings, labels=labels, layout=plots.pca)
    at = plots.pca(embeddings).at
    points = figure.axes[0].lines
    assert len(points) == 9
    for kind, found in enumerate(points):
        close(found.get_xydata(), at[labels.numpy() == kind])
        assert (found.get_color(), found.get_marker()) == (class_colour(kind), class_marker(kind))
    assert len({(found.get_color(), found.get_marker()) for found in points}) == 9
    assert len({found.get_color() for found in points}) == 7
    assert "PCA map of 40 embeddings" in title(figure)


def test_names_are_written_at_their_classes_and_apart() -> None:
    embeddings, labels = torch.eye(3).repeat(20, 1) + 0.1 * drawn(60, 3), torch.arange(60) % 3
    figure = plots.projection(embeddings, labels=labels, names=("a", "b", "c"))
    at = figure.axes[0].lines
    for kind, text in enumerate(figure.axes[0].texts):
        distances = [np.linalg.norm(np.asarray(of.get_xydata()).mean(0) - text.get_position()) for of in at]
        assert text.get_text() == "abc"[kind]
        assert int(np.argmin(distances)) == kind
    assert not plots.projection(embeddings, labels=labels, names=[str(i) for i in range(15)]).axes[0].texts


def test_pictures_lie_at_their_places() -> None:
    images, labels = squares([20, 20])
    figure = plots.projection(drawn(40, 5), labels=labels, images=images, layout=plots.pca)
    (shown,) = figure.axes[0].images
    pixels = np.asarray(shown.get_array())
    first = figure.axes[0].lines[0].get_xydata()
    assert isinstance(first, np.ndarray)
    x, y = first[0]
    height, width = pixels.shape[:2]
    assert pixels[int((1 - y) * height), int(x * width), 3] == 255
    assert 0 < (pixels[..., 3] > 0).mean() < 0.5


def test_points_need_no_labels_and_one_or_equal_items_have_a_map() -> None:
    for embeddings in (drawn(1, 3), torch.ones(5, 3), drawn(4, 1), drawn(3, 2).half(), drawn(3, 2).requires_grad_()):
        figure = plots.projection(embeddings, names=("nobody",))
        (points,) = figure.axes[0].lines
        assert not figure.axes[0].texts
        assert len(points.get_xdata()) == len(embeddings)  # type: ignore[arg-type]  # an array
        assert np.isfinite(points.get_xydata()).all()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"labels": torch.zeros(3, dtype=torch.int64)}, "one of labels for each"),
        ({"labels": torch.zeros(4)}, "one of labels for each"),
        ({"labels": torch.zeros(4, 1, dtype=torch.int64)}, "one of labels for each"),
        ({"labels": torch.zeros(4, dtype=torch.int64).numpy()}, "one of labels for each.*\n.*type ndarray"),
        ({"labels": [0, 1, 0, 1]}, "one of labels for each.*\n.*type list"),
        ({"labels": torch.tensor([0, 1, -1, 1])}, "from 0 on"),
        ({"images": torch.zeros(4, 8, 8, 3, dtype=torch.uint8)}, "channels before height"),
        ({"images": [None] * 4}, "must be bytes"),
        ({"layout": "pca"}, "layout must be a function"),
        ({"layout": lambda _: None}, "a place from 0 to 1"),
        ({"layout": lambda given: plots.pca(given[1:])}, "a place from 0 to 1"),
        ({"layout": lambda _: plots.Places(np.full((4, 2), 2.0), "mine")}, "a place from 0 to 1"),
        ({"layout": lambda _: plots.Places(np.full((4, 2), math.nan), "mine")}, "a place from 0 to 1"),
        ({"images": torch.zeros(3, 1, 8, 8, dtype=torch.uint8)}, "one of images for each"),
        ({"images": torch.zeros(4, 1, 8, 8)}, "must be bytes"),
        ({"labels": torch.full((4,), 2), "names": ("a", "b")}, "must have a name"),
        ({"embeddings": torch.zeros(0, 3)}, "must be embeddings"),
        ({"embeddings": torch.zeros(4, dtype=torch.int64)}, "must be embeddings"),
    ],
)
def test_what_fits_no_map_is_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingError, match=says):
        plots.projection(**{"embeddings": torch.eye(4), **settings})


@pytest.mark.parametrize("layout", [plots.pca, plots.tsne, plots.projection])
def test_a_place_that_is_no_number_is_named(layout: Any) -> None:
    with pytest.raises(checks.ArgumentError, match=r"embeddings\[1, 0\] = nan"):
        layout(torch.tensor([[1.0], [math.nan]]))


# Training.


def metrics() -> list[dict[str, float]]:
    found = [line | {"temperature": 0.5 - line["step"] / 1000} for line in logged(6)]
    found[3]["validation_loss"] = 2.5
    return found


def test_the_curves_are_the_metrics() -> None:
    lines = metrics()
    figure = plots.training_curves(lines)
    steps = [line["step"] for line in lines]
    close(line(figure, 0, "in training"), [(line["step"], line["loss"]) for line in lines])
    close(line(figure, 0, "on held-out items"), [(40, 2.5)])
    guessing = np.asarray(figure.axes[0].lines[0].get_xydata())
    close(guessing, [(step, math.log(31)) for step in steps])
    for axes, name in ((1, "temperature"), (2, "learning_rate")):
        assert figure.axes[axes].get_ylabel() == name.replace("_", " ")
        (curve,) = figure.axes[axes].lines
        close(curve.get_xydata(), [(line["step"], line[name]) for line in lines])
        with pytest.raises(AssertionError):
            close(curve.get_xydata(), [(line["step"], line["loss"]) for line in lines])
    assert title(figure) == "The loss went from 4.00 to 0.67 nats; guessing is 3.43."


def test_curves_of_your_own_need_but_steps_and_losses() -> None:
    figure = plots.training_curves([{"step": 1, "loss": 2.0}, {"step": 2, "loss": math.nan}, {"step": 3, "loss": 1.0}])
    assert len(figure.axes) == 1
    close(line(figure, 0, "in training"), [(1, 2), (2, math.nan), (3, 1)])
    assert title(figure) == "The loss went from 2.00 to 1.00 nats."
    half = [{"step": 1, "loss": 2.0, "log_candidates": math.log(9)}, {"step": 2, "loss": 1.0}]
    assert [text.get_text() for text in plots.training_curves(half).axes[0].texts] == ["guessing: log 9 = 2.20", "1.00"]


def test_lines_in_any_order_are_drawn_in_the_order_of_their_steps() -> None:
    for draw in (plots.training_curves, plots.alignment_uniformity):
        there, back = draw(metrics()), draw(metrics()[::-1])
        assert title(there) == title(back)
        close(there.axes[0].lines[0].get_xydata(), back.axes[0].lines[0].get_xydata())
    points = [{"alignment": 2.0, "uniformity": 0.0}, {"alignment": 1.0, "uniformity": -1.0}]
    assert title(plots.alignment_uniformity(points)).startswith("Alignment went from 2.00 to 1.00")


def test_a_number_that_stands_alone_is_marked() -> None:
    values = [3.0, math.nan, 2.0, math.nan, 1.0, 0.5]
    lines = [{"step": float(i), "loss": 1.0, "temperature": value} for i, value in enumerate(values)]
    (curve,) = plots.training_curves(lines).axes[1].lines
    assert curve.get_marker() == "o"
    assert cast("Any", curve.get_markevery()).tolist() == [True, False, True, False, False, False]


def test_a_loss_with_its_gradient_is_drawn() -> None:
    lines: Any = [{"step": i, "loss": torch.tensor(4.0 - i, requires_grad=True)} for i in range(2)]
    assert title(plots.training_curves(lines)) == "The loss went from 4.00 to 3.00 nats."


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([{"step": 1, "loss": None}], "loss must be a number"),
        ([{"step": 1, "loss": "a"}], "loss must be a number"),
        ([{"step": 1, "loss": torch.ones(2)}], "loss must be a number"),
        ([{"step": math.nan, "loss": 1.0}], "a step must be a finite number"),
        ({"step": [1, 2], "loss": [2.0, 1.0]}, "line of metrics must be a mapping"),
        ([4.0, 3.0], "line of metrics must be a mapping"),
        (None, "line of metrics must be a mapping"),
    ],
)
def test_lines_that_are_no_numbers_by_name_are_refused(lines: Any, says: str) -> None:
    with pytest.raises(SettingError, match=says):
        plots.training_curves(lines)


def test_one_step_is_a_point_in_every_panel() -> None:
    figure = plots.training_curves(metrics()[:1])
    assert title(figure) == "The loss is 4.00 nats; guessing is 3.43."
    assert [axes.lines[-1].get_marker() for axes in figure.axes] == ["o", "o", "o"]
    assert [line.get_marker() for line in plots.training_curves(metrics()).axes[1].lines] == ["None"]


def test_the_way_through_the_plane_begins_hollow_and_ends_full() -> None:
    lines = metrics()
    figure = plots.alignment_uniformity(lines)
    path = only(figure.axes[0], PathCollection)
    expected = [(line["uniformity"], line["alignment"]) for line in lines]
    close(path.get_offsets(), expected)
    with pytest.raises(AssertionError):
        close(path.get_offsets(), [(y, x) for x, y in expected])
    close(line(figure, 0, "first (step 10)"), expected[:1])
    close(line(figure, 0, "last (step 60)"), expected[-1:])
    faces = {str(of.get_label())[:4]: to_hex(of.get_markerfacecolor()) for of in figure.axes[0].lines[1:]}
    assert faces["firs"] == "#ffffff"
    assert faces["last"] != "#ffffff"


def run_folder(folder: Path, lines: list[dict[str, float]]) -> Path:
    (folder / "config.json").write_text(json.dumps({"id": "x", "recipe": "simclr", "config": {}, "data": {}}))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_a_run_folder_is_read_where_metrics_are_taken(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, metrics())
    for draw in (plots.training_curves, plots.alignment_uniformity):
        read, given = draw(str(folder)), draw(metrics())
        assert title(read) == title(given)
        close(read.axes[0].lines[0].get_xydata(), given.axes[0].lines[0].get_xydata())


def test_metrics_that_are_no_metrics_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not a run folder"):
        plots.training_curves(tmp_path)
    with pytest.raises(SettingError, match="nothing was logged"):
        plots.training_curves(run_folder(tmp_path, []))
    with pytest.raises(SettingError, match="nothing was logged"):
        plots.alignment_uniformity([])
    with pytest.raises(SettingError, match="loss has to be known"):
        plots.training_curves([{"step": 1}])
    with pytest.raises(SettingError, match="uniformity has to be known"):
        plots.alignment_uniformity([{"alignment": 1}])
