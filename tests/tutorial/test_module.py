"""The module that computes every number of the page, in the browser itself, beside torch."""

import pytest
import torch
from torch.testing import assert_close

from tests.tutorial.conftest import Open

COMPUTE = """async (cases) => {
  const { modules } = await import(new URL("../app/page.js", location).href);  // the page's own, which runs already
  const { infoNce, symmetric } = modules["math.js"];
  return cases.map(([similarities, temperature, positive]) => {
    const { loss, p, gradient } = infoNce(similarities, temperature, positive);
    const n = similarities.length;
    const turned = similarities.map((_, i) => similarities.map((_, j) => similarities[(i + j) % n]));
    const both = symmetric(turned, temperature);
    return [loss, p, gradient, both.loss];
  });
}"""


def cases(count: int) -> list[tuple[list[float], float, int]]:
    generator = torch.Generator().manual_seed(0)

    def below(high: int) -> int:
        return int(torch.randint(high, (), generator=generator))

    def between(low: float, high: float, *size: int) -> torch.Tensor:
        return low + (high - low) * torch.rand(size, generator=generator, dtype=torch.float64)

    made = []
    for _ in range(count):
        n = 2 + below(63)
        temperature = 10 ** float(between(-2, 0.3))
        made.append((between(-1, 1, n).tolist(), temperature, below(n)))
    return [*made, ([1.0, -1.0], 0.01, 1), ([-1.0] * 64, 0.01, 0)]


def test_the_module_agrees_with_torch_on_a_thousand_cases(open_page: Open) -> None:
    asked = cases(1000)
    found = open_page().evaluate(COMPUTE, [list(case) for case in asked])
    for (similarities, temperature, positive), (loss, p, gradient, both) in zip(asked, found, strict=True):
        s = torch.tensor(similarities, dtype=torch.float64, requires_grad=True)
        expected = torch.nn.functional.cross_entropy(s[None] / temperature, torch.tensor([positive]))
        (slope,) = torch.autograd.grad(expected, s)
        assert loss == pytest.approx(expected.item(), abs=1e-9)
        assert_close(torch.tensor(p, dtype=torch.float64), (s.detach() / temperature).softmax(0), rtol=0, atol=1e-9)
        assert_close(torch.tensor(gradient, dtype=torch.float64), slope, rtol=0, atol=1e-9 / temperature)
        n = len(similarities)
        matrix = s.detach()[(torch.arange(n)[:, None] + torch.arange(n)) % n] / temperature
        own = torch.arange(n)
        two = torch.nn.functional.cross_entropy(matrix, own) + torch.nn.functional.cross_entropy(matrix.T, own)
        assert both == pytest.approx(two.item() / 2, abs=1e-9)


def test_a_positive_that_is_not_divided_by_the_temperature_would_be_noticed(open_page: Open) -> None:
    (similarities, temperature, positive), *_ = cases(1)
    ((loss, *_),) = open_page().evaluate(COMPUTE, [[similarities, temperature, positive]])
    s = torch.tensor(similarities, dtype=torch.float64)
    wrong = (s / temperature).logsumexp(0) - s[positive]
    assert abs(loss - wrong.item()) > 1e-3
