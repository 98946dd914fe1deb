"""Sound rows."""

from __future__ import annotations

import base64
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxserve_handlers.handler import Handler
from onnxserve_handlers.inputs.audio import OPEN_ENDED, AudioInput, AudioOptions
from onnxserve_handlers.signature import Tensor
from onnxserve_handlers.tasks.classification import Classification
from tests.helpers.fakes import ask, ask_json, with_fake_session
from tests.helpers.inference import send
from tests.helpers.protocol_requests import json_request
from tests.helpers.sounds import saved, sounds, tone
from tests.helpers.task_models import MODELS

RATE = 8000
LOW = tone(300, RATE)


class AudioClassifier(AudioInput, Classification, Handler):
    """Sounds to labels."""


def prepared(**options) -> AudioClassifier:
    handler = AudioClassifier()
    with_fake_session(handler, **{"sample_rate": RATE, "max_seconds": 1.0, "max_bytes": 200_000, **options})
    handler.prepare()
    return handler


@pytest.fixture
def handler() -> AudioClassifier:
    return prepared()


@pytest.mark.parametrize("kind", ["audio/wav", "audio/x-wav", "audio/wave", "", "application/octet-stream"])
def test_a_sound_is_read_as_a_body_of_any_of_its_types(handler, kind):
    assert ask(handler, (saved(LOW, RATE), kind))[0][0] == 200


def test_raw_bytes_base64_and_samples_give_the_same_answer(handler):
    content = saved(LOW, RATE, subtype="FLOAT")
    encoded, samples = base64.b64encode(content).decode(), LOW.astype(np.float32).tolist()
    answers = ask(handler, (content, "audio/wav"))
    answers += ask_json(handler, {"audio": encoded}, encoded, {"instances": [{"b64": encoded}]})
    answers += ask_json(handler, {"audio": samples}, {"audio": {"array": samples, "sampling_rate": RATE}})
    answers += ask_json(handler, {"instances": [samples, {"audio": samples}]})[:1]
    assert [status for status, _ in answers] == [200] * len(answers)
    assert len({answer["predictions"][0]["score"] for _, answer in answers}) == 1


@pytest.mark.parametrize(("name", "sound"), sounds(RATE).items(), ids=sounds(RATE))
def test_a_file_becomes_the_mean_of_its_channels(handler, name, sound):
    content, samples = sound
    np.testing.assert_array_equal(handler.check(content, name), samples)


@pytest.mark.parametrize("kind", ["FLAC", "OGG", "MP3"])
def test_compressed_sounds_are_read(handler, kind):
    content = saved(LOW, RATE, kind)
    assert handler.raw(content)
    row = handler.check(content, "x")
    inner = slice(RATE // 20, -RATE // 20)  # MP3 rings at a sound's sudden begin and end
    np.testing.assert_allclose(row[: len(LOW)][inner], LOW[inner], atol=0.05)
    assert len(row) == len(LOW)


def test_a_wav_in_the_other_order_of_bytes_is_read_without_a_type(handler):
    answers = ask(handler, (saved(LOW, RATE, endian="BIG"), ""), (saved(LOW, RATE), ""))
    assert answers[0] == answers[1]
    assert answers[0][0] == 200


def test_an_mp3_may_state_its_length_and_have_tags_before_it(handler):
    long = saved(tone(300, RATE, 2), RATE, "MP3")
    assert ask(handler, (long, "audio/mpeg"))[0][0] == 413
    content = saved(LOW, RATE, "MP3")
    tagged = b"ID3\x03\x00\x00\x00\x00\x20\x00" + bytes(4096) + content
    assert handler.raw(tagged)
    assert ask(handler, (tagged, "audio/mp3"), (content, ""))[0] == ask(handler, (content, "audio/mpeg"))[0]
    second = content.index(content[:2], 4)  # the first frame has nothing but the length
    assert [status for status, _ in ask(handler, (content[second:], "audio/mpeg"))] == [200]


@pytest.mark.parametrize("rate", [44_100, 48_000, 11_025, 16_000])
def test_a_sound_of_another_rate_keeps_its_waveform(handler, rate):
    resampled = handler.check(saved(tone(300, rate), rate, subtype="FLOAT"), "x")
    assert len(resampled) == len(LOW)
    np.testing.assert_allclose(resampled, LOW, atol=1e-3)


def test_a_pitch_that_the_models_rate_cant_hold_is_gone(handler):
    beyond = saved(tone(6000, 48_000), 48_000, subtype="FLOAT")
    assert np.abs(handler.check(beyond, "x")).max() < 1e-3


def test_a_window_cuts_long_sounds_and_puts_silence_behind_short_ones():
    handler = prepared(window_seconds=0.25)
    rows = [handler.check(saved(samples, RATE, subtype="FLOAT"), "x") for samples in (LOW, LOW[:500])]
    sound = handler.tensors(rows)["audio"]
    assert (sound.dtype.name, sound.shape, len(handler.dynamic_axes)) == ("float32", (2, 2000), 0)
    np.testing.assert_allclose(sound[0], LOW[:2000], atol=1e-7)
    np.testing.assert_allclose(sound[1], np.pad(LOW[:500], (0, 1500)), atol=1e-7)


def test_without_a_window_only_sounds_of_one_length_run_together(handler):
    rows = [handler.check(saved(tone(300, RATE, seconds), RATE), "x") for seconds in (0.5, 0.3, 0.5, 0.3)]
    assert [list(part) for part in handler.parts(rows)] == [[0, 2], [1, 3]]
    assert handler.sizes(rows) == {"samples": [4000, 2400, 4000, 2400]}
    assert (handler.free_axes(), handler.least_sizes()) == ({"samples": RATE}, {"samples": 1})
    assert prepared(min_seconds=0.1).least_sizes() == {"samples": 800}
    assert prepared(min_seconds=1001 / RATE).least_sizes() == {"samples": 1001}  # 1000.9999999999999 in float64
    assert prepared(window_seconds=0.5, min_seconds=0.1).least_sizes() == {}


def test_a_mask_lets_sounds_of_different_lengths_run_together():
    handler = prepared(mask=True)
    rows = [np.ones(3, np.float32), np.ones(5, np.float32)]
    arrays = handler.tensors(rows)
    assert [list(part) for part in handler.parts(rows)] == [[0, 1]]
    assert arrays["attention_mask"].tolist() == [[1, 1, 1, 0, 0], [1] * 5]
    assert arrays["audio"].tolist() == [[1, 1, 1, 0, 0], [1] * 5]
    assert handler.tensor_masks(arrays)["samples"].sum(axis=1).tolist() == [3, 5]


def test_a_normalised_sound_has_mean_0_and_variance_1_before_silence_follows():
    handler = prepared(normalise=True, window_seconds=1)
    row = handler.check(saved(LOW + 0.1, RATE, subtype="FLOAT"), "x")
    [sound] = handler.tensors([row])["audio"]
    assert sound[: len(LOW)].mean() == pytest.approx(0, abs=1e-5)
    assert sound[: len(LOW)].var() == pytest.approx(1, abs=1e-4)
    assert not sound[len(LOW) :].any()
    silence = handler.tensors([np.zeros(100, np.float32)])["audio"]
    assert not silence.any()


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (saved(np.zeros(RATE + 1), RATE), 413),
        (saved(np.zeros(2 * RATE), RATE, "FLAC"), 413),
        (saved(np.zeros(0), RATE), 422),
        (saved(np.zeros((10, 9)), RATE), 422),
        (saved(np.zeros(10), 900), 422),
        (saved(np.full(10, np.nan), RATE, subtype="FLOAT"), 422),
        (saved(np.full(10, 20000.0), RATE, subtype="FLOAT"), 422),
        (saved(LOW, RATE, "AIFF"), 400),
        (saved(LOW, RATE)[:30], 400),
        (b"RIFF....WAVE", 400),
        (b"fLaC", 400),
        (b"OggS" + bytes(50), 400),
    ],
)
def test_a_sound_that_is_too_long_damaged_or_strange_is_refused(handler, content, status):
    assert ask(handler, (content, "audio/wav"))[0][0] == status


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ("not base64!", 400),
        (3, 422),
        ({"url": "http://x"}, 422),
        ([], 422),
        ([[0.1], [0.2]], 422),
        (["a"], 422),
        ([1e300], 422),
        ([12000, -9000], 422),
        ([0.1] * (RATE + 1), 422),
        ({"audio": {"array": [0.1], "sampling_rate": 10}}, 422),
        ({"audio": {"array": [0.1], "sampling_rate": "8000"}}, 422),
        ({"audio": {"array": [0.1]}}, 422),
        ({"audio": {"array": [0.1], "sampling_rate": 384_000}}, 422),
    ],
)
def test_what_is_no_sound_is_refused(handler, document, status):
    assert ask_json(handler, document)[0][0] == status


def test_a_sound_is_as_long_as_it_must_be():
    handler = prepared(min_seconds=0.1)
    [(status, answer)] = ask(handler, (saved(LOW[:400], RATE), ""))
    assert (status, answer["error"]["reason"]) == (422, "the sound is 0.05 s long, at least 0.1 s is expected")


def test_a_tensor_of_samples_has_the_lengths_of_sounds():
    handler = prepared(min_seconds=0.1)
    shape = ("batch", "samples")
    handler.signature = replace(handler.signature, inputs=(Tensor("audio", "float32", shape),))
    for count, status in ((799, 422), (800, 200), (RATE, 200), (RATE + 1, 422)):
        tensor = {"name": "audio", "shape": [1, count], "datatype": "FP32", "data": [0.5] * count}
        assert ask_json(handler, {"inputs": [tensor]})[0][0] == status, count


def test_the_measures_are_length_and_level(handler):
    rows = [np.full(RATE, 0.1, np.float32), np.zeros(400, np.float32)]
    measures = handler.measures(rows)
    assert measures["duration"].tolist() == [1.0, 0.05]
    assert measures["level"].tolist() == pytest.approx([-20, -120], abs=1e-4)


@pytest.mark.parametrize("options", [{}, {"window_seconds": 0.25}, {"min_seconds": 0.9}, {"sample_rate": 44_100}])
def test_a_random_sound_is_within_the_signature(options):
    handler, draws = prepared(**options), np.random.default_rng(5)
    lengths = {len(handler.check(handler.sample(draws), "x")) for _ in range(20)}
    assert min(lengths) >= 1
    assert max(lengths) <= handler.options.sample_rate


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"window_seconds": 40}, "window_seconds = 40 is more than max_seconds = 30"),
        ({"min_seconds": 31}, "min_seconds = 31 is more than max_seconds = 30"),
        ({"window_seconds": 1e-5}, "window_seconds = 1e-05 is less than one sample"),
    ],
)
def test_options_that_contradict_each_other_are_named(options, fault):
    with pytest.raises(ValueError, match=re.escape(fault)):
        AudioOptions(**options)


def test_a_worker_without_the_library_says_which_extra_has_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    monkeypatch.delitem(sys.modules, "onnxserve_handlers.inputs.audio_decoding", raising=False)
    monkeypatch.delattr("onnxserve_handlers.inputs.audio_decoding", raising=False)
    with pytest.raises(ModuleNotFoundError, match=re.escape("pip install 'onnxserve[audio]'")):
        prepared()


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_a_sound_of_damaged_bytes_is_answered_or_refused(data):
    handler = prepared(max_seconds=2.0)
    kind = data.draw(st.sampled_from(["WAV", "FLAC", "OGG"]))
    content = bytearray(saved(LOW[:800], RATE, kind))
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(4, len(content) - 1))] = data.draw(st.integers(0, 255))
    [(status, _)] = ask(handler, (bytes(content), "audio/wav"))
    assert status in (200, 400, 413, 422)


def test_an_answer_has_the_number_of_its_sounds_that_do_not_say_where_they_end(tmp_path):
    handler = MODELS["multilabel"].handler(tmp_path / "model")
    whole, piped = saved(tone(90, 1000), 1000, "FLAC"), bytearray(saved(tone(70, 1000), 1000, "FLAC"))
    piped[21:26] = bytes([piped[21] & 0xF0, 0, 0, 0, 0])
    texts = [base64.b64encode(content).decode() for content in (whole, piped)]
    rows = [texts[:1], texts, [*texts, *texts[1:]]]
    answers = send(handler, *(json_request({"instances": row}) for row in rows))
    assert [(status, headers.get(OPEN_ENDED)) for status, headers, _ in answers] == [
        (200, None),
        (200, "1"),
        (200, "2"),
    ]
