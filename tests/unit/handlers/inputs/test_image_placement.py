"""Where an image lies in the graph's image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxserve_handlers.inputs.image_placement import OddCut, Placement, place

CUTS: tuple[OddCut, ...] = ("even", "first")
sides = st.integers(1, 400)
sizes = st.tuples(sides, sides)


@pytest.mark.parametrize(
    ("source", "resize", "shorter", "expected"),
    [
        ((30, 20), "stretch", 0, (8, 6, 0, 0)),
        ((30, 20), "stretch", 12, (12, 12, -2, -3)),
        ((30, 20), "crop", 0, (9, 6, 0, 0)),
        ((32, 16), "crop", 0, (12, 6, -2, 0)),
        ((32, 16), "crop", 10, (20, 10, -6, -2)),
        ((16, 32), "letterbox", 0, (3, 6, 2, 0)),
        ((32, 16), "letterbox", 0, (8, 4, 0, 1)),
    ],
)
def test_an_image_is_stretched_cut_to_the_middle_or_set_between_bars(source, resize, shorter, expected):
    assert place(source, (8, 6), resize, shorter) == Placement(*expected)


@pytest.mark.parametrize(("side", "even", "first"), [(9, 0, 0), (10, 1, 1), (11, 2, 1), (13, 2, 2), (15, 4, 3)])
def test_an_odd_cut_begins_where_torchvision_or_transformers_begins_it(side, even, first):
    assert [-place((side, 8), (8, 8), "crop", 8, cut).left for cut in CUTS] == [even, first]
    assert [-place((8, 8), (8, 8), "stretch", side, cut).top for cut in CUTS] == [even, first]


@given(source=sizes, target=sizes, extra=st.integers(0, 50))
def test_a_cut_lies_within_the_image_and_a_letterbox_holds_all_of_it(source, target, extra):
    cut = place(source, target, "crop", max(target) + extra)
    assert cut.left <= 0
    assert cut.top <= 0
    assert cut.left + cut.width >= target[0]
    assert cut.top + cut.height >= target[1]
    boxed = place(source, target, "letterbox")
    assert 0 <= boxed.left <= target[0] - boxed.width
    assert 0 <= boxed.top <= target[1] - boxed.height


@given(source=sizes, target=sizes, resize=st.sampled_from(["stretch", "crop", "letterbox"]))
def test_the_corners_of_the_placed_image_are_those_of_the_source(source, target, resize):
    placed = place(source, target, resize)
    left, top = placed.left, placed.top
    box = np.array([[left, top, left + placed.width, top + placed.height]], np.float64)
    frame = placed.frame(source, target)
    np.testing.assert_allclose(frame.to_source_pixels(box), [(0, 0, *source)], atol=1e-9)
