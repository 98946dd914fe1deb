"""Sounds that are cut off, damaged or more than their headers say are refused; whole ones have all their samples."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onnxserve_handlers.errors import InvalidRow, RequestError, UndecodableBody
from onnxserve_handlers.inputs.audio_container import CHECKSUM, LAST, PATTERN, checksum_of
from onnxserve_handlers.inputs.audio_decoding import decode
from onnxserve_handlers.inputs.audio_mpeg import frame_bytes
from tests.helpers.sounds import saved

RATE, SECONDS = 8000, 4
NOISE = np.random.default_rng(5).normal(0, 0.1, RATE * SECONDS)
FORMS = [
    *(("WAV", subtype) for subtype in ("PCM_16", "PCM_U8", "FLOAT", "DOUBLE", "ULAW", "ALAW", "GSM610")),
    *(("WAVEX", "PCM_24"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")),
]
FILES = {kind if kind in ("WAVEX", "FLAC") else subtype: saved(NOISE, RATE, kind, subtype) for kind, subtype in FORMS}
WAV, FLAC, OGG, MP3 = (FILES[name] for name in ("PCM_16", "FLAC", "VORBIS", "MPEG_LAYER_III"))
BIG_ENDIAN = saved(NOISE, RATE, endian="BIG")
TAG = b"ID3\4\0\0\0\0\0\x05title"
FOOTED = b"ID3\4\0\x10\0\0\0\x05title3DI\4\0\x10\0\0\0\x05"


def stating_more(flac: bytes, count: int) -> bytes:
    """Return a FLAC whose header (RFC 9639, section 8.2) has `count` samples more than the file."""
    content = bytearray(flac)
    struct.pack_into(">I", content, 22, struct.unpack_from(">I", content, 22)[0] + count)
    return bytes(content)


def with_size(wav: bytes, change: int) -> bytes:
    """Return a WAV whose header has another number of bytes of samples."""
    place = wav.index(b"data") + 4
    size = struct.unpack_from("<I", wav, place)[0] + change
    return wav[:place] + struct.pack("<I", size) + wav[place + 4 :]


def leave_in_memory(level: float) -> None:
    """Leave the samples of another client's sound in memory that is free again."""
    sounds = [np.full(len(NOISE), level, np.float32) for _ in range(20)]
    del sounds


def refusal(content: bytes) -> str:
    with pytest.raises(UndecodableBody) as caught:
        decode(content, 60, "x")
    assert (caught.value.where, bool(caught.value.fix)) == ("x", True)
    return caught.value.reason


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("missing", [1, 2, 100, 400, 3000, 0.5, 0.9])
def test_a_file_that_lacks_its_end_is_refused(name, missing):
    content = FILES[name]
    cut = missing if isinstance(missing, int) else int(len(content) * missing)
    assert "cut short" in refusal(content[:-cut])


@pytest.mark.parametrize("name", FILES)
def test_a_whole_file_has_all_its_samples(name):
    for content in (FILES[name], bytearray(FILES[name])):
        decoded = decode(content, 60, "x")
        assert (decoded.rate, len(decoded.samples), decoded.is_open_ended) == (RATE, len(NOISE), False)


@pytest.mark.parametrize("content", [WAV, FLAC, OGG, MP3], ids=["WAV", "FLAC", "OGG", "MP3"])
def test_tags_before_a_sound_hide_no_missing_end(content):
    assert len(decode(TAG + content, 60, "x")[0]) == len(NOISE)
    assert len(decode(TAG * 3 + content, 60, "x")[0]) == len(NOISE)
    assert "cut short" in refusal(TAG + content[:-400])
    assert len(decode(FOOTED + content, 60, "x")[0]) == len(NOISE)


def test_a_wav_in_the_other_order_of_bytes_is_read_and_refused_alike():
    assert BIG_ENDIAN.startswith(b"RIFX")
    np.testing.assert_array_equal(decode(BIG_ENDIAN, 60, "x")[0], decode(WAV, 60, "x")[0])
    assert "cut short" in refusal(BIG_ENDIAN[:-2])


@pytest.mark.parametrize("fewer", [2, 1000, 2 * RATE])
def test_a_wav_with_more_samples_than_its_header_says_is_refused(fewer):
    assert "more samples than its header says" in refusal(with_size(WAV, -fewer))


@pytest.mark.parametrize("behind", [b"", b"LIST\4\0\0\0INFO", b"id3 \0\0\0\0"], ids=["nothing", "LIST", "id3"])
@pytest.mark.parametrize("odd", [False, True])
def test_chunks_may_follow_the_samples(behind, odd):
    samples = bytes(range(1, 100 if odd else 101))
    body = b"fmt \x10\0\0\0\1\0\1\0" + struct.pack("<IIHH", RATE, RATE, 1, 8) + b"data"
    body += struct.pack("<I", len(samples)) + samples + (b"\0" if odd else b"") + behind
    content = b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body
    assert len(decode(content, 60, "x")[0]) == len(samples)
    if odd:  # some encoders leave out the byte that makes the next chunk begin at an even place
        bare = content.replace(samples + b"\0", samples)
        assert len(decode(bare, 60, "x")[0]) == len(samples)


@pytest.mark.parametrize("chunk", [b"note\4\0\0\0hell", b"note\5\0\0\0hello\0", b"note\5\0\0\0hello "])
def test_chunks_may_stand_before_the_samples(chunk):
    place = WAV.index(b"data")
    content = WAV[:place] + chunk + WAV[place:]
    assert len(decode(content, 60, "x")[0]) == len(NOISE)
    assert "cut short" in refusal(content[:-2])
    assert "cut short" in refusal(content[: place + len(chunk) + 4])


def test_what_follows_the_container_is_no_sound():
    assert len(decode(WAV + bytes(512), 60, "x")[0]) == len(NOISE)
    assert len(decode(MP3 + b"TAG" + bytes(125), 60, "x")[0]) == len(NOISE)


def test_the_length_of_a_pipe_reads_as_far_as_there_is():
    piped = with_size(WAV, 0xFFFFFFFF - 2 * len(NOISE))
    assert len(decode(piped, 60, "x")[0]) == len(NOISE)
    assert len(decode(piped[:-100], 60, "x")[0]) == len(NOISE) - 50
    assert decode(piped, 60, "x").is_open_ended


def pages(ogg: bytes) -> list[bytes]:
    return [PATTERN + page for page in ogg.split(PATTERN)[1:]]


def test_an_ogg_without_any_page_but_its_last_is_refused():
    for number in range(len(whole := pages(OGG)) - 1):
        refusal(b"".join(whole[:number] + whole[number + 1 :]))
    assert len(whole) > 4


def with_flags(page: bytes, cleared: int, *, continued: bool = False) -> bytes:
    """Return a page of an OGG without some of its flags, or whose last packet goes on, with its checksum."""
    changed = bytearray(page)
    changed[5] &= ~cleared
    if continued:
        changed[26 + changed[26]] = 255
        changed += bytes(255 - page[26 + page[26]])
    changed[CHECKSUM] = bytes(4)
    changed[CHECKSUM] = checksum_of(changed).to_bytes(4, "little")
    return bytes(changed)


@pytest.mark.parametrize("kind", ["VORBIS", "OPUS"])
def test_an_ogg_of_a_recorder_that_was_stopped_is_read_as_far_as_it_goes_and_marked(kind):
    whole = pages(FILES[kind])
    assert not decode(FILES[kind], 60, "x").is_open_ended
    stopped = decode(b"".join(whole[:-1]), 60, "x")
    assert stopped.is_open_ended
    assert 0.5 * len(NOISE) < len(stopped.samples) < len(NOISE)
    np.testing.assert_array_equal(stopped.samples, decode(FILES[kind], 60, "x").samples[: len(stopped.samples)])


def test_an_ogg_whose_encoder_forgot_the_mark_has_all_its_samples():
    *others, last = pages(OGG)
    forgotten = b"".join([*others, with_flags(last, LAST)])
    assert (len(decode(forgotten, 60, "x").samples), decode(forgotten, 60, "x").is_open_ended) == (len(NOISE), True)
    for missing in (1, 100, len(last) - 1):
        assert refusal(forgotten[:-missing]) == "the OGG file is cut short"


def test_an_ogg_that_ends_within_a_packet_is_cut_short():
    *others, last = pages(OGG)
    assert refusal(b"".join([*others, with_flags(last, LAST, continued=True)])) == "the OGG file is cut short"


def test_an_ogg_with_a_changed_bit_in_any_page_is_refused():
    place = 0
    for page in pages(OGG):
        content = bytearray(OGG)
        content[place + len(page) // 2] ^= 1
        refusal(bytes(content))
        place += len(page)


def test_an_ogg_of_two_sounds_is_refused():
    assert refusal(OGG + OGG) == "the OGG file has more than one sound"


@pytest.mark.parametrize("count", [1, 40_000])
def test_a_flac_that_states_more_samples_is_refused(count):
    leave_in_memory(7)
    assert "cut short" in refusal(stating_more(FLAC, count))


BARE = MP3[frame_bytes(MP3) :]  # without the first frame, which has nothing but the length


@pytest.mark.parametrize("tag", [b"", b"TAG" + bytes(125)], ids=["no tag", "a tag behind it"])
def test_an_mp3_from_a_pipe_doesnt_state_its_length_and_is_read(tag):
    assert abs(len(decode(BARE + tag, 60, "x")[0]) - len(decode(MP3, 60, "x")[0])) <= 2 * 1152
    assert decode(BARE + tag, 60, "x").is_open_ended


@pytest.mark.parametrize("damage", ["a byte less", "bytes behind it", "a damaged frame"])
def test_an_mp3_from_a_pipe_must_have_whole_frames(damage):
    damaged = bytearray(BARE)
    damaged[frame_bytes(BARE) : frame_bytes(BARE) + 4] = bytes(4)
    content = {"a byte less": BARE[:-1], "bytes behind it": BARE + b"\1" * 99, "a damaged frame": bytes(damaged)}[
        damage
    ]
    assert ("cut short" if damage == "a byte less" else "damaged at byte") in refusal(content)


def test_an_mp3_of_two_sounds_is_refused():
    assert refusal(MP3 + MP3) == "the MP3 file has more frames than its first one says"


def test_an_mp3_whose_encoder_didnt_count_the_first_frame_is_whole():
    place = (MP3.index(b"Info") if b"Info" in MP3 else MP3.index(b"Xing")) + 12
    stated = int.from_bytes(MP3[place : place + 4], "big")
    assert stated == len(MP3)
    fewer = (stated - frame_bytes(MP3)).to_bytes(4, "big")
    assert len(decode(MP3[:place] + fewer + MP3[place + 4 :], 60, "x")[0]) == len(NOISE)


@pytest.mark.parametrize("noise", [1, 100, 1200])
def test_an_mp3_with_a_damaged_frame_is_refused(noise):
    frame = MP3.rindex(b"\xff\xe3", 0, len(MP3) // 2)
    assert "damaged at byte" in refusal(MP3[:frame] + bytes(noise) + MP3[frame + noise :])


def test_an_mp3_inside_a_wav_is_refused():
    tagged = bytearray(WAV)
    tagged[20:22] = b"\x55\0"
    assert refusal(bytes(tagged)) == "the WAV file has frames of MPEG"


def test_an_mp3_has_the_samples_that_its_encoder_got():
    tone = 0.5 * np.sin(np.arange(RATE) * 2 * np.pi * 440 / RATE)
    samples = decode(saved(tone, RATE, "MP3"), 60, "x").samples
    assert np.corrcoef(samples, tone)[0, 1] > 0.99


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.sampled_from([WAV, FLAC, stating_more(FLAC, -len(NOISE)), OGG, MP3]),
    changes=st.lists(st.tuples(st.floats(0, 0.999), st.binary(max_size=400)), min_size=1, max_size=9),
)
def test_damage_is_silent_and_never_what_lies_in_memory(content, changes, capfd):
    damaged = bytearray(content)
    for place, noise in changes:
        start = int(place * len(damaged))
        damaged[start : start + len(noise)] = noise
    answers = []
    for level in (7, 9):
        leave_in_memory(level)
        try:
            answers.append(decode(bytes(damaged), 60, "x")[0].tobytes())
        except (UndecodableBody, InvalidRow) as error:
            answers.append(error.reason.encode())
        except RequestError as error:  # a header of a longer sound
            answers.append(error.kind.encode())
    assert answers[0] == answers[1]
    assert capfd.readouterr() == ("", "")
