"""What every test starts from: one thread, one seed."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _repeatable() -> None:
    torch.manual_seed(0)


def pytest_configure() -> None:
    # the tests are many and small: threads of one process would only get into those of the others' way
    torch.set_num_threads(1)
