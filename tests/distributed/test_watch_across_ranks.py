"""Ranks that watch get the loss of one process, and see together what one process sees."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from info_nce.engines import Engine, Gathered, Ring, Tiled, TwoSided
from tests.distributed.spawn import RankError, run
from tests.distributed.test_engines_across_ranks import assert_equal
from tests.distributed.watch_work import WATCHED, Lines, Sight, one_alone, watched

# what is reduced by hand in this test looks for a reducer, which a watch has none of: the gradients are added up
ENGINES: list[Engine] = [Gathered(reducer="sum"), TwoSided(reducer="sum"), Ring(Tiled(3, 2), reducer="sum")]


def in_order(lines: Lines) -> Tensor:
    """One order for lines that ranks have in another: by all they say, in the digits that surely agree."""
    numbers = torch.tensor(lines, dtype=torch.float64)
    keys = numbers.nan_to_num(-1.0).mul(1e6).round().tolist()
    return numbers[sorted(range(len(lines)), key=keys.__getitem__)]


def differences(of_ranks: list[dict[str, Sight]]) -> Iterator[str]:
    for name, sight in of_ranks[0].items():
        lines = [line for of in of_ranks for line in of[name].mine]
        try:
            assert_close(in_order(lines), in_order(sight.whole), rtol=1e-9, atol=1e-9, equal_nan=True)
        except AssertionError as error:
            yield f"{name}: {error}"


def test_ranks_get_the_loss_of_one_process_and_see_together_what_it_sees() -> None:
    of_ranks = run(3, watched, ENGINES, [4, 0, 3])
    assert_equal([findings for findings, _ in of_ranks])
    seen = [of for _, of in of_ranks]
    assert {name.partition(",")[0] for name in seen[0]} == WATCHED
    assert all(not sight.mine for sight in seen[1].values())
    assert list(differences(seen)) == []
    assert len(list(differences(seen[:2]))) == len(seen[0])  # a rank that is forgotten
    for sight in (sight for of in seen for sight in of.values()):
        assert sight.together == pytest.approx(sight.alone, rel=1e-9, abs=1e-9, nan_ok=True)


def test_one_rank_alone_cannot_watch() -> None:
    with pytest.raises(RankError, match="The ranks do not compute the same loss"):
        run(2, one_alone, [5, 3])
