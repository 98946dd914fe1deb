"""Segmentation heads of transformers, whose logits are scaled up to the size of the model's pictures.

Heads such as SegFormer's give logits for one pixel in four of each axis. `post_process_semantic_segmentation` of
transformers scales them up before it takes the largest, which gives finer borders than a mask that is scaled up.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

SEGMENTATION = "ForSemanticSegmentation"


class LogitsOfPixels(torch.nn.Module):
    """A head of segmentation with logits for each pixel of its input."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model, self.config, self.main_input_name = model, model.config, model.main_input_name

    def forward(self, pixel_values: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return what the model returns, `logits` of shape (rows, labels, height, width) as `pixel_values` have."""
        outputs = dict(self.model(pixel_values=pixel_values))
        size = pixel_values.shape[-2:]
        if outputs["logits"].shape[-2:] != size:
            outputs["logits"] = functional.interpolate(
                outputs["logits"], size=size, mode="bilinear", align_corners=False
            )
        return outputs
