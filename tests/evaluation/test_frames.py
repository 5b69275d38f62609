"""Phones by a linear probe: asked where they sound, with errors that know which moments belong together."""

import math

import pytest
import torch

from info_nce.data.audio import SAMPLE_RATE, Phones, SoundSet
from info_nce.data.speech import facts
from info_nce.data.splits import Splits
from info_nce.evaluation.frames import (
    MARGIN,
    PHONES,
    VOICES,
    context,
    log_mel,
    middles,
    phone_scores,
    share,
    voice_scores,
)
from tests.recordings import SENTENCES, listener, spoken
from tests.recordings import VOICES as SPEAKERS


@pytest.fixture(scope="module")
def speech() -> Splits[SoundSet]:
    """Six sentences of each voice to learn from, two to choose on, two to answer."""
    said = spoken()
    names = sorted({phone for utterance in said.values() for phone in utterance.phones})
    utterances = [said[voice, i] for i in range(len(SENTENCES)) for voice in SPEAKERS]
    whole = SoundSet(
        "speech",
        tuple(torch.from_numpy(u.samples) for u in utterances),
        tuple(f"{voice}: {text}" for text in SENTENCES for voice in SPEAKERS),
        torch.tensor([0, 1] * len(SENTENCES)),
        SPEAKERS,
        Phones(
            tuple(torch.tensor(u.starts) for u in utterances),
            tuple(torch.tensor([names.index(phone) for phone in u.phones]) for u in utterances),
            tuple(names),
        ),
    )
    train, validation, test = (whole.take(torch.arange(*ends)) for ends in ((0, 12), (12, 16), (16, 20)))
    return Splits(train, validation, test, facts(), "speech")


def test_a_phone_is_asked_for_in_its_middle_and_a_pause_never(speech: Splits[SoundSet]) -> None:
    part, found = speech.test, middles(speech.test)
    assert part.phones is not None
    place = 0
    for i, asked in enumerate(found.frames):
        starts = part.phones.starts[i].tolist()
        ends = [*starts[1:], len(part.waves[i])]
        expected = []
        for start, end, label in zip(starts, ends, part.phones.labels[i].tolist(), strict=True):
            frame = round(((start + end) // 2 - 200) / 160)
            if not part.phones.names[label].startswith("_") and frame >= MARGIN and end > start:
                expected.append((frame, label))
        labels = found.phones[place : place + len(asked)].tolist()
        assert list(zip(asked.tolist(), labels, strict=True)) == expected[: len(asked)]
        assert len(expected) - len(asked) <= 2  # those at the very end
        place += len(asked)


def test_the_surroundings_hold_the_frames_around_a_moment() -> None:
    wave, chosen = torch.randn(1, SAMPLE_RATE), torch.tensor([10, 20])
    one, seven = log_mel(0)(wave, chosen), log_mel(3)(wave, chosen)
    assert (one.shape, seven.shape) == ((2, 40), (2, 280))
    torch.testing.assert_close(seven[:, 120:160], one)
    torch.testing.assert_close(seven[:, 240:], log_mel(0)(wave, chosen + 3))


def test_a_context_is_taken_where_the_moment_is_and_later() -> None:
    model = listener(8, 6)
    wave, chosen = torch.randn(1, SAMPLE_RATE), torch.tensor([10, 21])
    every = model.context(wave)[0]
    found = context(model, (0, 3))(wave, chosen)
    torch.testing.assert_close(found, torch.cat([every[[5, 10]], every[[8, 13]]], dim=1))


def test_moments_of_one_recording_are_not_independent() -> None:
    right = (torch.arange(40) % 3 == 0).double()
    alone = share(right, torch.arange(40))
    assert alone[0] == pytest.approx(14 / 40)
    assert alone[1] == pytest.approx(float(right.std() / math.sqrt(40)))
    # ten copies of each say no more than one
    again = share(right.repeat_interleave(10), torch.arange(40).repeat_interleave(10))
    assert again == pytest.approx(alone)
    assert math.isnan(share(right, torch.zeros(40, dtype=torch.int64))[1])


def test_log_mel_tells_phones_better_than_guessing_and_voices_too(speech: Splits[SoundSet]) -> None:
    models = listener(16, 16), listener(16, 16)
    scores, verdict = phone_scores(speech, *models, (0, 3))
    found = {score.system: score.value for score in scores}
    assert list(found) == [
        "chance",
        "log-mel, 1 frame",
        "log-mel, 7 frames",
        "untrained, one moment",
        "untrained",
        "trained, one moment",
        "trained",
    ]
    assert {score.measure for score in scores} == {PHONES}
    assert found["chance"] + 0.2 < found["log-mel, 1 frame"] <= found["log-mel, 7 frames"] + 0.1
    assert all(0 < score.standard_error < 0.1 for score in scores[1:])
    assert f"{100 * found['trained']:.1f}" in verdict
    voices = {score.system: score.value for score in voice_scores(speech, *models)}
    assert voices["log-mel, mean and deviation"] == 1.0
    assert voices["chance"] == 0.5
    assert {score.measure for score in voice_scores(speech, *models)} == {VOICES}
