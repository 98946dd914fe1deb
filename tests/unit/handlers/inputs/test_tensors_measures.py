"""Drift of arrays of integers, ids of tokens and pixels, simulated: alarms at the stated rate, and shifts noticed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import numpy as np
import pytest

from onnxserve_export.profile import profile
from onnxserve_handlers.handler import Handler
from onnxserve_handlers.inputs.tensors import TensorOptions, TensorsInput
from onnxserve_handlers.inputs.tensors_measures import fixed_random, tensor_measures
from onnxserve_handlers.outputs import Outputs
from onnxserve_handlers.tasks.classification import Classification
from onnxserve_handlers.telemetry.drift import FALSE_ALARM, WINDOW_ROWS, Drift, Profile
from tests.helpers.fakes import with_fake_session

WORDS, LONGEST, SIDE = 5000, 48, 28
IDS = TensorOptions("ids", "int64", (LONGEST,))
FREE = TensorOptions("ids", "int64", ("time",))
PIXELS = TensorOptions("pixels", "uint8", (SIDE, SIDE))
FREQUENT = 1 / np.arange(1, WORDS + 1)  # as words of a language are: G. Zipf, 1935
Draw = Callable[[np.random.Generator], Any]


class Arrays(TensorsInput, Classification, Handler):
    """Arrays to labels."""


def opened(tensor: TensorOptions) -> Arrays:
    handler = with_fake_session(Arrays(), tensors=(tensor,), limits={"time": LONGEST} if tensor is FREE else {})
    handler.prepare()
    assert isinstance(handler, Arrays)
    return handler


def sentence(draw: np.random.Generator, most: int = LONGEST, swap: int = 0) -> Any:
    """Ids of words, the frequent ones first; `swap` of 1 gives each word the id of its neighbour."""
    words = draw.choice(WORDS, draw.integers(5, most), p=FREQUENT / FREQUENT.sum())
    return (words ^ swap) + 2


def padded(draw: np.random.Generator, **changes: int) -> Any:
    ids = sentence(draw, **changes)
    return np.pad(ids, (0, LONGEST - len(ids)))


def strokes(draw: np.random.Generator, ink: float = 0.2) -> Any:
    """Bright pixels on black."""
    inked = draw.random((SIDE, SIDE)) < ink * draw.uniform(0.5, 1.5)
    return np.where(inked, draw.integers(60, 256, (SIDE, SIDE)), 0)


def alarms(tensor: TensorOptions, proven: Draw, live: Draw, windows: int, rows: int = WINDOW_ROWS) -> int:
    """How many windows of live rows raise an alarm, each beside a profile of its own; rows come in requests of one."""
    handler, raised = opened(tensor), 0
    for number in range(windows):
        draw = np.random.default_rng(number)
        known = [handler.check(proven(draw), "row") for _ in range(400)]
        scores = draw.normal(0, 1, (len(known), 2))
        document = profile(handler.measures(known), Outputs(first=scores), handler)
        p_values: list[float] = []
        drift = Drift(msgspec.convert(document, Profile), lambda *_: None, p_values.append)
        drift.add([[handler.check(live(draw), "row")] for _ in range(rows)], [], handler)
        raised += (p_values[0] if p_values else drift.close_window()) < FALSE_ALARM
    return raised


@pytest.mark.parametrize(
    ("tensor", "draw"), [(IDS, padded), (FREE, sentence), (PIXELS, strokes)], ids=["padded", "free", "pixels"]
)
def test_windows_of_the_proofs_population_raise_alarms_no_more_often_than_stated(tensor, draw):
    assert alarms(tensor, draw, draw, 40, rows=500) <= 1  # 0.04 are expected at most; two would come in a thousand runs


@pytest.mark.parametrize(
    ("tensor", "proven", "live"),
    [
        (IDS, padded, partial(padded, most=36)),
        (IDS, padded, partial(padded, swap=1)),
        (FREE, sentence, partial(sentence, most=36)),
        (FREE, sentence, partial(sentence, swap=1)),
        (PIXELS, strokes, partial(strokes, ink=0.25)),
    ],
    ids=["shorter", "other words", "shorter, free", "other words, free", "more ink"],
)
def test_a_shift_is_noticed_in_every_window(tensor, proven, live):
    assert alarms(tensor, proven, live, 3) == 3


def test_mean_and_spread_alone_would_not_tell_other_words_from_the_proofs():
    """Else the mixture would be for nothing."""
    draw = np.random.default_rng(1)
    own, other = ([padded(draw, swap=swap) for _ in range(2000)] for swap in (0, 1))
    each = [tensor_measures("ids", rows, np.dtype(np.int64)) for rows in (own, other)]
    gaps = {name: abs(each[0][name].mean() - each[1][name].mean()) / each[0][name].std() for name in each[0]}
    assert max(gaps["ids"], gaps["ids.spread"], gaps["ids.zeros"]) < 0.1
    assert gaps["ids.mixture"] > 0.3


def test_measures_of_integers_are_what_they_say():
    rows = [np.array([0, 0, 5, 7]), np.array([0, 0, 0, 0])]
    codes = tensor_measures("a", rows, np.dtype(np.int64))
    assert codes["a.zeros"].tolist() == [0.5, 1.0]
    np.testing.assert_array_equal(codes["a.mixture"], [fixed_random(np.array([5, 7])).mean(), np.nan])
    assert tensor_measures("a", rows, np.dtype(np.uint8)).keys() == {"a", "a.spread", "a.zeros"}, "levels are no codes"
    assert tensor_measures("a", rows, np.dtype(np.float32)).keys() == {"a", "a.spread"}
    assert tensor_measures("a", [np.array(3)], np.dtype(np.int64)).keys() == {"a"}
    empty = tensor_measures("a", [np.array([], np.int64), rows[0]], np.dtype(np.int64))
    assert all(np.isnan(values[0]) and not np.isnan(values[1]) for values in empty.values())


def test_fixed_numbers_are_splitmix64s_and_spread_evenly():
    assert int(fixed_random(np.array([0]))[0] * 2**64) == pytest.approx(0xE220A8397B1DCDAF, rel=1e-15)
    numbers = fixed_random(np.arange(-5000, 5000))
    assert (len(set(numbers.tolist())), numbers.min() >= 0, numbers.max() < 1) == (10000, True, True)
    assert numbers.mean() == pytest.approx(0.5, abs=0.01)
    assert np.corrcoef(numbers[:-1], numbers[1:])[0, 1] == pytest.approx(0, abs=0.04)
