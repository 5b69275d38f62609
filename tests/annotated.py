"""Every loss with the shapes of its annotations checked while it runs. `tests/test_annotations.py` starts this afresh.

Prints the calls that went wrong: right ones that were refused, and wrong ones that were not.
"""

# N items or queries, D features

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product

import torch
from beartype import BeartypeConf, beartype
from jaxtyping import TypeCheckError, install_import_hook

# an int is as good where a float is announced
checked = beartype(conf=BeartypeConf(is_pep484_tower=True))

REDUCTIONS = ("mean", "sum", "none")
Calls = Iterator[tuple[str, Callable[[], object]]]


def right() -> Calls:
    """Every row of the conformance tests, and every face, with every reduction."""
    import info_nce
    from info_nce import views
    from info_nce.similarity import Bilinear
    from tests.conformance.cases import CASES
    from tests.test_faces import EVERY, N, f, labelled, pairs, run

    for case, reduction in product(CASES, REDUCTIONS):
        yield f"{case} {reduction}", partial(case.loss, case.leaves(), None, reduction=reduction)
    for (name, subject), reduction in product(EVERY.items(), REDUCTIONS):
        for settings in ({}, dict(subject.own)):
            face = subject.face(reduction=reduction, **settings)
            yield f"{name} {face}", partial(run, face, subject.batch())
        if hasattr(face, "learnable"):
            yield f"{name} learned", partial(run, subject.face(learnable=True), subject.batch())
    queue = info_nce.KeyQueue(8, 5)
    yield "a queue", lambda: (queue.enqueue(torch.randn(N, 8), torch.arange(N)), queue.keys(), queue.ids())
    yield "moco with a queue", lambda: info_nce.MoCo()(*pairs(), queue, ids=torch.arange(N))
    two_widths = [torch.randn(N, 3), torch.randn(N, 5)]
    for loss in (f.info_nce, f.symmetric_info_nce, f.sigmoid_loss, f.robust_info_nce):
        yield f"{loss} of two widths", partial(loss, *two_widths, similarity=Bilinear(3, 5))
    yield "negatives of another width", lambda: f.info_nce(*two_widths, torch.randn(4, 5), similarity=Bilinear(3, 5))
    yield "three views", lambda: f.nt_xent(*pairs(), torch.randn(N, 8), reduction="none")
    yield "cut views", lambda: views.views_from_stacked(torch.randn(6, 2), 3)
    yield "cut views", lambda: views.views_from_interleaved(torch.randn(6, 2), 3)
    yield "how many have no positive", lambda: f.without_positive(labelled()[1])
    yield "distractors", lambda: f.draw_distractors(torch.ones(2, 4, dtype=torch.bool), 3)
    yield from right_diagnostics(torch.randn(N, 8), torch.arange(N) // 2)


def right_diagnostics(x: torch.Tensor, labels: torch.Tensor) -> Calls:
    """Every measure and estimate."""
    from info_nce import InfoNCE
    from info_nce import diagnostics as d

    for measure in (d.uniformity, d.singular_spectrum, d.effective_rank, d.norms, d.hubness):
        yield str(measure), partial(measure, x, *([2] if measure is d.hubness else []))
    yield "alignment", lambda: d.alignment(x, x)
    yield "tolerance", lambda: d.tolerance(x, labels)
    yield "hubness of queries", lambda: d.hubness(x, 2, query=x[:2])
    yield "a gap between so many and so many", lambda: d.modality_gap(x, x[:2])
    for estimator in (d.donsker_varadhan, d.nwj, d.jensen_shannon, d.smile):
        yield str(estimator), partial(d.estimate, estimator, [[x, x], [x @ x.T]])
    yield "a bound", lambda: d.mutual_information_bound(InfoNCE(reduction="none"), x, x)
    yield "a bound of rows", lambda: (d.info_nce_bound(x[:, 0].abs(), 6), d.info_nce_bound(0.5, 6))
    gaussian, classes = d.CorrelatedGaussian(3, 1.0), d.Labels(3)
    yield "Gaussians", lambda: gaussian.critic(*gaussian.sample(4))
    yield "classes", lambda: classes.critic(*classes.sample(4))


def wrong() -> Calls:
    """Shapes and types that an annotation excludes."""
    import info_nce
    from info_nce import diagnostics as d
    from info_nce import functional as f

    q, z = torch.randn(6, 8), torch.randn(2, 5, 8)
    ids, mask = torch.arange(6), torch.ones(2, 5, dtype=torch.bool)
    yield "fewer keys than queries", lambda: f.info_nce(q, q[1:])
    yield "negatives of 4 dimensions", lambda: f.info_nce(q, q, torch.randn(2, 2, 2, 8))
    yield "negatives of another width", lambda: f.info_nce(q, q, q[:, 1:])
    yield "integers", lambda: f.symmetric_info_nce(q, q.long())
    yield "views of different width", lambda: f.nt_xent(q, q[:, 1:])
    yield "labels that are numbers", lambda: f.sup_con(q, ids.float())
    yield "a label too few", lambda: f.sup_con(q, ids[1:])
    yield "one dimension", lambda: f.sigmoid_loss(q[0], q[0])
    yield "one tag for a queue", lambda: f.moco(q, q, q, queue_ids=ids[:1])
    yield "negatives of fewer queries", lambda: f.retrieval_info_nce(q, q, torch.randn(5, 2, 8))
    yield "noise of fewer data", lambda: f.nce(q[:, 0], q[1:], q[:, 0], q)
    yield "a mask of integers", lambda: f.wav2vec2_contrastive(z, z, mask.long())
    yield "maps of another width", lambda: f.cpc(z, z, torch.randn(2, 7, 8), 2)
    yield "a list", lambda: info_nce.InfoNCE()(q.tolist(), q)
    yield "a temperature of words", lambda: f.dcl(q, q, "cold")  # type: ignore[arg-type]  # wrong on purpose
    yield "views of 3 dimensions", lambda: info_nce.views_from_stacked(z)
    yield "partners of another width", lambda: d.alignment(q, q[:, 1:])
    yield "a label too many", lambda: d.tolerance(q[1:], ids)
    yield "a gap between widths", lambda: d.modality_gap(q, q[:, 1:])
    yield "one row of a critic", lambda: d.nwj(q[0])
    yield "keys of 3 dimensions", lambda: info_nce.KeyQueue(8, 5).enqueue(z)


def outcome(call: Callable[[], object]) -> str:
    try:
        call()
    except TypeCheckError as error:
        return f"refused: {error}"
    except Exception as error:  # noqa: BLE001 - whatever it is, the annotations let it pass
        return f"not refused, but failed: {error}"
    return "fine"


def main() -> None:
    install_import_hook("info_nce", "tests.annotated.checked")
    for name, call in right():
        if (found := outcome(call)) != "fine":
            print(f"right: {name}: {found}")  # noqa: T201 - read by the test
    for name, call in wrong():
        if not (found := outcome(call)).startswith("refused"):
            print(f"wrong: {name}: {found}")  # noqa: T201 - read by the test
