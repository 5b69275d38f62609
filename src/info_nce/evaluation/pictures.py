"""Is the trained encoder better than raw pixels and than no training at all? Measured on pictures it never saw."""

import math
from dataclasses import replace

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from info_nce.data import ImageSet, Splits
from info_nce.evaluation.features import Features, feature_kinds
from info_nce.evaluation.geometry import geometry
from info_nce.evaluation.near_duplicates import far_from_training
from info_nce.evaluation.neighbours import nearest_neighbour_classes
from info_nce.evaluation.notes import has_labels, notes_for
from info_nce.evaluation.probes import linear_probe
from info_nce.evaluation.results import FAR, LINEAR, Accuracy, Evaluation
from info_nce.evaluation.scorecard import TRAINED
from info_nce.evaluation.scoring import Answers, accuracy, confusions, differences, score
from info_nce.recipes.runs import Run

NEIGHBOURS = (5, 20)


def evaluate_pictures(run: Run[ImageSet]) -> Evaluation:
    """How well do simple classifiers do on the trained encoder, beside raw pixels and an untrained encoder?

    Every row uses the same pictures, the same classifiers, and pooled features; every choice is made on the validation
    part. Accuracy is reported on all test pictures, and on those without a look-alike in training (FAR).

    Args:
        run: with a trained encoder, finished or not. Without labels, only the geometry of its embeddings is measured.

    Returns:
        The numbers, which are also written to pictures.json in the run's folder.

    Raises:
        RunError: the data is not what the run was trained on, or the folder cannot be written to.
    """
    splits, model = run.splits(), run.model()
    held_out = splits.test if len(splits.test) else splits.validation
    far = far_from_training(splits.train.images, splits.test.images)
    h = run.recipe.embedders(model)["image"](held_out.images)
    with torch.inference_mode():
        z = model.projector(h)  # type: ignore[operator]  # every model of such a recipe has one
    evaluation = Evaluation(
        run=run.path.resolve().name,
        recipe=run.recipe.name,
        weights=run.fingerprint(),
        counts={
            "train": len(splits.train),
            "validation": len(splits.validation),
            "test": len(splits.test),
            FAR: int(far.sum()),
        },
        classes=tuple(splits.train.class_names),
        chance=math.nan,
        majority=Accuracy(0, 0),
        scores=(),
        differences=(),
        confusions=(),
        geometry=geometry(h, z, run.metrics()),
        notes=notes_for(run.note, splits, far, NEIGHBOURS),
    )
    if has_labels(splits):
        evaluation = _with_accuracies(evaluation, run, splits, far)
    evaluation.save(run.path)
    return evaluation


def _with_accuracies(
    evaluation: Evaluation, run: Run[ImageSet], splits: Splits[ImageSet], far: Bool[Tensor, " n"]
) -> Evaluation:
    labels, names = _labels(splits.test), splits.train.class_names
    answers = [a for features in feature_kinds(run).items() for a in _ask(*features, splits)]
    on_trained = next(a for a in answers if (a.features, a.probe) == (TRAINED, LINEAR))
    return replace(
        evaluation,
        chance=1 / len(names),
        majority=accuracy(labels == _labels(splits.train).bincount().argmax()),
        scores=tuple(score(a, labels, far, len(names)) for a in answers),
        differences=differences(answers, labels, far),
        confusions=confusions(on_trained, labels, names),
    )


def _ask(features: str, features_of: Features, splits: Splits[ImageSet]) -> list[Answers]:
    train, validation, test = (features_of(part.images) for part in (splits.train, splits.validation, splits.test))
    labels, classes = _labels(splits.train), len(splits.train.class_names)
    probe = linear_probe(train, labels, validation, _labels(splits.validation), test)
    said = {f"{k} neighbours": nearest_neighbour_classes(train, labels, test, k, classes=classes) for k in NEIGHBOURS}
    return [
        Answers(features, LINEAR, f"C = {probe.strength:g}", probe.classes),
        *(Answers(features, name, "", answers) for name, answers in said.items()),
    ]


def _labels(part: ImageSet) -> Int64[Tensor, " n"]:
    return torch.empty(0, dtype=torch.int64) if part.labels is None else part.labels
