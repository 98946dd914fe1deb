"""Masks: run lengths as COCO counts them, PNG files that others read, and overlaps worked out by hand."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from onnxserve_handlers.tasks.segmentation_masks import decode_runs, encode_png, mean_overlap, resize, run_lengths

MASKS = arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 3))


def test_runs_go_down_the_columns_and_begin_outside():
    assert run_lengths(np.array([[0, 1], [0, 1]])) == {0: [0, 2, 2], 1: [2, 2]}
    assert run_lengths(np.array([[1, 1], [0, 1]])) == {0: [1, 1, 2], 1: [0, 1, 1, 2]}
    assert run_lengths(np.zeros((2, 3))) == {0: [0, 6]}
    assert run_lengths(np.zeros((0, 3))) == {}


@given(MASKS)
def test_runs_give_the_mask_of_each_number_back(mask):
    every = run_lengths(mask)
    assert set(every) == set(mask.ravel().tolist())
    for number, lengths in every.items():
        assert (decode_runs(lengths, *mask.shape) == (mask == number)).all()
        assert all(lengths[1:])  # so there is one way to write it


@pytest.mark.parametrize("counts", [[3], [-1, 5], [2, 1]])
def test_runs_that_do_not_add_up_are_refused(counts):
    with pytest.raises(ValueError, match="2 x 2"):
        decode_runs(counts, 2, 2)


@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_a_png_file_is_read_back_by_pillow(mask):
    with Image.open(io.BytesIO(encode_png(mask))) as image:
        assert image.mode == "L"
        assert (np.asarray(image) == mask).all()


def test_the_overlap_is_a_mean_over_labels_that_are_there():
    truth = np.array([[0, 0, 1, 1]], np.uint8)
    assert mean_overlap(truth, truth, 3) == 1
    assert mean_overlap(np.array([[0, 1, 1, 1]], np.uint8), truth, 3) == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert mean_overlap(np.array([[2, 2, 2, 2]], np.uint8), truth, 3) == 0
    assert mean_overlap(np.array([[255, 0, 1, 1]], np.uint8), truth, 3) == pytest.approx((1 / 2 + 1) / 2)
    ignored = np.array([[255, 0, 1, 1]], np.uint8)
    assert mean_overlap(np.array([[1, 0, 1, 1]], np.uint8), ignored, 3) == 1
    assert mean_overlap(truth, np.full((1, 4), 255, np.uint8), 3) == 1


def test_a_mask_of_another_size_takes_the_nearest_pixels():
    mask = np.array([[0, 1], [2, 3]], np.uint8)
    assert resize(mask, 4, 4)[::2, ::2].tolist() == mask.tolist()
    assert resize(resize(mask, 6, 6), 2, 2).tolist() == mask.tolist()
