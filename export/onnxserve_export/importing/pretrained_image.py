"""The image side of a transformers folder: what its image processor does before the model.

Source: `BaseImageProcessor` and the processors of transformers; levels of PIL's `Resampling` name the filters.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .outline import Outline

PROCESSOR = "preprocessor_config.json"
FILTERS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
RESCALE = 1 / 255
SMALL = 384  # ConvNext's processor crops below this size, and stretches from it on
BY_SHORTER_SIDE = ("CLIP", "ChineseCLIP", "ConvNext", "MobileViT", "MobileNetV", "Levit", "PoolFormer", "Bit")
IMAGE_TYPES = ("image_processor_type", "feature_extractor_type")
# Detectors whose last score means no object; others score each label by itself.
NO_OBJECT = ("detr", "yolos", "table-transformer")
BY_LABEL = ("conditional_detr", "deformable_detr", "rt_detr", "rt_detr_v2", "d_fine")


def read_image(outline: Outline, config: dict[str, Any], processor: dict[str, Any]) -> None:
    """Read size, cut, filter and normalisation; what the processor doesn't state is asked for."""
    if not processor:
        for field in ("height", "width", "mean", "std"):
            outline.ask(f"input.{field}", f"the folder has no {PROCESSOR}")
        return
    if isinstance(channels := config.get("num_channels"), int):
        outline.add("input.channels", channels, "config.json: num_channels")
    name = str(next((processor[field] for field in IMAGE_TYPES if processor.get(field)), ""))
    _read_size(outline, processor, name)
    if (level := processor.get("resample")) is not None:
        if level in FILTERS:
            outline.add("input.interpolation", FILTERS[level], f"{PROCESSOR}: resample")
        outline.ask("input.interpolation", f"{PROCESSOR}: resample = {level} is a filter that isn't taken")
    if processor.get("do_flip_channel_order", "MobileViT" in name):
        outline.add("input.channel_order", "BGR", f"{PROCESSOR}: do_flip_channel_order")
    _read_levels(outline, processor, name)


def _read_size(outline: Outline, processor: dict[str, Any], name: str) -> None:
    size, crop = processor.get("size"), processor.get("crop_size")
    origin, shortest, whole = f"{PROCESSOR}: size", shortest_of(size, name), pair_of(size)
    why = f"images keep their proportions by {origin}, and a graph has one size"
    if not processor.get("do_resize", True):
        why = f"{PROCESSOR}: do_resize is off, and a graph has one size"
    elif "ConvNext" in name and shortest:
        if shortest >= SMALL:
            _add_size(outline, (shortest, shortest), origin)
        else:
            part = float(processor.get("crop_pct") or 224 / 256)
            _add_cut(outline, (shortest, shortest), int(shortest / part), f"{PROCESSOR}: size and crop_pct")
    elif processor.get("do_center_crop") and (cut := pair_of(crop)):
        if shortest:
            _add_cut(outline, cut, scaled_side(shortest, processor, name), f"{PROCESSOR}: size and crop_size")
        elif whole == cut:
            _add_size(outline, cut, f"{PROCESSOR}: crop_size")
        elif whole and whole[0] == whole[1] >= max(cut):
            _add_cut(outline, cut, whole[0], f"{PROCESSOR}: size and crop_size", resize="stretch")
        why = f"{PROCESSOR} cuts the middle of {cut[1]} x {cut[0]} out of no larger square, which [input] doesn't do"
    elif whole and not shortest and not processor.get("keep_aspect_ratio"):
        _add_size(outline, whole, origin)
    for field in ("height", "width"):
        outline.ask(f"input.{field}", why)


def shortest_of(size: Any, name: str) -> int | None:
    """Return the length that the shorter side gets; None where a size states both sides.

    A number alone is the shorter side for some processors, and both sides for others.
    """
    if isinstance(size, int):
        return size if name.startswith(BY_SHORTER_SIDE) else None
    if not isinstance(size, dict) or size.get("longest_edge"):
        return None
    side = size.get("shortest_edge")
    return side if isinstance(side, int) else None


def scaled_side(shortest: int, processor: dict[str, Any], name: str) -> int:
    """Return the shorter side before the cut, which two processors make longer than they state."""
    if "PoolFormer" in name and (part := processor.get("crop_pct", 0.9)):
        return int(shortest / part)
    return int((256 / 224) * shortest) if "Levit" in name else shortest


def pair_of(size: Any) -> tuple[int, int] | None:
    """Return height and width of a size: a number, a pair, or fields; None where it states no fixed size."""
    if isinstance(size, int):
        return size, size
    if isinstance(size, list) and len(size) == 2 and size[0] == size[1]:  # which is first differs among versions
        return pair_of(size[0])
    if isinstance(size, dict) and isinstance(size.get("height"), int) and isinstance(size.get("width"), int):
        return size["height"], size["width"]
    return None


def _add_size(outline: Outline, size: tuple[int, int], origin: str) -> None:
    outline.add("input.height", size[0], origin)
    outline.add("input.width", size[1], origin)
    outline.add("input.resize", "stretch", origin)


def _add_cut(outline: Outline, size: tuple[int, int], shorter_side: int, origin: str, *, resize: str = "crop") -> None:
    outline.add("input.height", size[0], origin)
    outline.add("input.width", size[1], origin)
    outline.add("input.resize", resize, origin)
    outline.add("input.shorter_side", shorter_side, origin)
    outline.add("input.odd_cut", "first", "center_crop of transformers' image processors")


def _read_levels(outline: Outline, processor: dict[str, Any], name: str) -> None:
    """Read what pixels become: multiplied or not, then shifted and divided by channel or not."""
    factor = processor.get("rescale_factor", RESCALE) if processor.get("do_rescale", True) else 1
    if not isinstance(factor, int | float) or factor <= 0:
        _ask_levels(outline, f"{PROCESSOR}: rescale_factor = {factor!r} isn't a positive number")
        return
    mean: Any = 0.0
    std: Any = 1.0
    origin = f"{PROCESSOR}: do_normalize"
    if processor.get("do_normalize", "MobileViT" not in name):
        mean, std = processor.get("image_mean"), processor.get("image_std")
        origin = f"{PROCESSOR}: image_mean, image_std"
    if mean is None or std is None:
        _ask_levels(outline, f"{PROCESSOR} has no image_mean and image_std, and do_normalize isn't off")
        return
    if "EfficientNet" in name and processor.get("include_top", True):
        std, origin = times(std, processor.get("image_std", 1)), f"{origin}; include_top divides once more"
    offset = 1 if processor.get("rescale_offset") else 0
    if abs(factor - RESCALE) <= RESCALE / 1000 and not offset:
        outline.add("input.pixel_max", 1, f"{PROCESSOR}: rescale_factor")
    else:
        outline.add("input.pixel_max", 255, f"{PROCESSOR}: do_rescale, rescale_factor")
        origin += f"; for pixels to 255, which are multiplied by {factor:g}" + f" and shifted by -{offset}" * offset
        mean, std = times(np.add(mean, offset), 1 / factor), times(std, 1 / factor)
    outline.add("input.mean", mean, origin)
    outline.add("input.std", std, origin)


def _ask_levels(outline: Outline, why: str) -> None:
    outline.ask("input.mean", why)
    outline.ask("input.std", why)


def times(numbers: Any, factor: Any) -> Any:
    """Return the product of a number, or of each in a list, with a number, or with the one at its place."""
    return np.multiply(numbers, factor).tolist()


def read_masks(outline: Outline) -> None:
    """Read how logits become masks: interpolated to the picture's size, as transformers' pipeline has it."""
    origin = "post_process_semantic_segmentation of transformers' image processors"
    outline.add("output.interpolation", "bilinear", origin)


def read_boxes(outline: Outline, config: dict[str, Any]) -> None:
    """Read what the outputs of a detector of transformers are: boxes by their centres, and scores of each label."""
    model, origin = config.get("model_type"), "the outputs of transformers' detectors"
    outline.add("output.layout", "separate", origin)
    outline.add("output.box", "cxcywh", origin)
    outline.add("output.relative", True, origin)
    outline.add("output.first_label", 0, "config.json: id2label numbers the scores from 0")
    outline.add("output.max_overlap", 1, "the model is trained to give each object once")
    if model in NO_OBJECT or model in BY_LABEL:
        activation = "softmax" if model in NO_OBJECT else "sigmoid"
        outline.add("output.activation", activation, f"config.json: model_type = {model}")
    outline.ask("output.activation", "softmax if the last score means no object, sigmoid if each label has its own")
