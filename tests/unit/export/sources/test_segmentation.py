"""Segmentation heads of transformers: masks in the size of the model's pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch

from onnxserve_export.sources import open_source
from onnxserve_handlers.outputs import Outputs
from onnxserve_handlers.tasks.segmentation import Segmentation, SegmentationOptions
from tests.helpers.fakes import signature
from tests.helpers.pretrained import save_segformer


def test_masks_are_those_of_transformers_in_the_size_of_the_models_pictures(tmp_path):
    transformers = pytest.importorskip("transformers")
    module = save_segformer(transformers, tmp_path)
    pixels = np.random.default_rng(5).normal(size=(2, 3, 32, 48)).astype(np.float32)
    with torch.inference_mode():
        outputs = module(pixel_values=torch.from_numpy(pixels))
    assert outputs.logits.shape == (2, 3, 8, 12)
    processor = transformers.SegformerImageProcessorPil()
    expected = np.stack(processor.post_process_semantic_segmentation(outputs, [(32, 48)] * 2))
    assert len(np.unique(expected)) > 1
    model = open_source(str(tmp_path), tmp_path, {}, ["logits"])
    graph, _ = model.graph({"image": pixels}, {})
    [scaled] = onnxruntime.InferenceSession(graph.SerializeToString()).run(["logits"], {"image": pixels})
    task = Segmentation()
    options = SegmentationOptions(labels=("road", "wall", "sky"))
    task.signature = replace(signature(), output=options)
    for logits in (model.run({"image": pixels})["logits"], scaled):
        np.testing.assert_array_equal(task.masks(Outputs({"logits": logits})), expected)
