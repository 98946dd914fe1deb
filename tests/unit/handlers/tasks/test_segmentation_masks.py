"""Masks: places in pictures, run lengths as COCO counts them, PNG files, and overlaps worked out by hand."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from onnxserve_handlers.inputs.image_placement import Frame
from onnxserve_handlers.tasks import segmentation_masks
from onnxserve_handlers.tasks.segmentation_masks import (
    decode_runs,
    encode_png,
    in_picture,
    largest_between,
    mean_overlap,
    nearest,
    resize,
    run_lengths,
)

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


def centres(size: int, target: int) -> np.ndarray:
    return (np.arange(target) + 0.5) * size / target


@pytest.mark.parametrize("target", [(128, 192), (37, 100), (32, 48), (5, 7), (1, 1), (300, 20)])
@pytest.mark.parametrize("grid", [4, 32], ids=["smooth", "noise"])
@pytest.mark.parametrize("block", [2**16, 40])
def test_the_largest_between_pixels_is_that_of_torchs_interpolation(target, grid, block, monkeypatch):
    monkeypatch.setattr(segmentation_masks, "BLOCK", block)
    numbers = torch.from_numpy(np.random.default_rng(7).normal(size=(1, 9, grid, grid)).astype(np.float32))
    planes = torch.nn.functional.interpolate(numbers, (32, 48), mode="bicubic")
    scaled = torch.nn.functional.interpolate(planes, target, mode="bilinear", align_corners=False)
    mask = largest_between(planes[0].numpy(), centres(32, target[0]), centres(48, target[1]))
    np.testing.assert_array_equal(mask, scaled[0].argmax(dim=0).numpy())


def test_one_pixel_is_the_largest_everywhere_and_none_give_none():
    planes = np.array([0.0, 2.0, 1.0], np.float32).reshape(3, 1, 1)
    assert largest_between(planes, centres(1, 2), centres(1, 3)).tolist() == [[1] * 3] * 2
    assert largest_between(planes, np.zeros(0), centres(1, 3)).shape == (0, 3)


def test_a_mask_smaller_than_the_graphs_picture_covers_the_whole_picture():
    mask = np.array([[0, 1], [2, 3]], np.uint8)
    stretched = in_picture(lambda rows, columns: nearest(mask, rows, columns), (2, 2), Frame(8, 6, 4, 4, 2.0, 1.5))
    np.testing.assert_array_equal(stretched, np.kron(mask, np.ones((3, 4), np.uint8)))


def test_pixels_that_the_graph_did_not_see_are_marked():
    cut = Frame(40, 20, 20, 20, 1.0, 1.0, 10.0, 0.0)  # the middle of the picture
    mask = in_picture(lambda rows, columns: np.ones((len(rows), len(columns)), np.uint8), (10, 10), cut)
    assert (mask[:, :10] == 255).all()
    assert (mask[:, 10:30] == 1).all()
    assert (mask[:, 30:] == 255).all()
