"""The image side of a transformers folder: what its image processor does before the model.

Source: `BaseImageProcessor` and the processors of transformers; levels of PIL's `Resampling` name the filters.
"""

from __future__ import annotations

from typing import Any

from .outline import Outline

PROCESSOR = "preprocessor_config.json"
FILTERS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
RESCALE = 1 / 255
SMALL = 384  # ConvNext's processor crops below this size, and stretches from it on
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
    _read_size(outline, processor)
    if processor.get("resample") in FILTERS:
        outline.add("input.interpolation", FILTERS[processor["resample"]], f"{PROCESSOR}: resample")
    _read_levels(outline, processor)


def _read_size(outline: Outline, processor: dict[str, Any]) -> None:
    size, crop = processor.get("size"), processor.get("crop_size")
    shortest = size.get("shortest_edge") if isinstance(size, dict) else None
    origin = f"{PROCESSOR}: size"
    if "ConvNext" in str(next((processor[name] for name in IMAGE_TYPES if name in processor), "")) and shortest:
        if shortest < SMALL:
            part = float(processor.get("crop_pct") or 224 / 256)
            _add_cut(outline, (shortest, shortest), int(shortest / part), f"{PROCESSOR}: size and crop_pct")
        else:
            _add_size(outline, (shortest, shortest), origin)
        return
    if processor.get("do_center_crop") and crop is not None:
        cut = pair_of(crop)
        if cut and shortest:
            _add_cut(outline, cut, shortest, f"{PROCESSOR}: size and crop_size")
            return
        if cut and pair_of(size) == cut:
            _add_size(outline, cut, f"{PROCESSOR}: crop_size")
            return
    if processor.get("do_resize", True) and (whole := pair_of(size)):
        _add_size(outline, whole, origin)
        return
    for field in ("height", "width"):
        outline.ask(f"input.{field}", f"images keep their proportions by {origin}, and a graph has one size")


def pair_of(size: Any) -> tuple[int, int] | None:
    """Return height and width of a size: a number, a pair, or fields; None where it states no fixed size."""
    if isinstance(size, int):
        return size, size
    if isinstance(size, dict) and isinstance(size.get("height"), int) and isinstance(size.get("width"), int):
        return size["height"], size["width"]
    return None


def _add_size(outline: Outline, size: tuple[int, int], origin: str) -> None:
    outline.add("input.height", size[0], origin)
    outline.add("input.width", size[1], origin)
    outline.add("input.resize", "stretch", origin)


def _add_cut(outline: Outline, size: tuple[int, int], shorter_side: int, origin: str) -> None:
    outline.add("input.height", size[0], origin)
    outline.add("input.width", size[1], origin)
    outline.add("input.resize", "crop", origin)
    outline.add("input.shorter_side", shorter_side, origin)


def _read_levels(outline: Outline, processor: dict[str, Any]) -> None:
    """Read what pixels become: rescaled to 0 to 1 or not, then shifted and divided by channel or not."""
    factor = processor.get("rescale_factor", RESCALE)
    rescaled = bool(processor.get("do_rescale", True))
    if rescaled and abs(factor - RESCALE) > RESCALE / 1000:
        why = f"{PROCESSOR}: rescale_factor = {factor} is no 1/255, and mean and std must include it"
        outline.ask("input.mean", why)
        outline.ask("input.std", why)
    outline.add("input.pixel_max", 1 if rescaled else 255, f"{PROCESSOR}: do_rescale")
    normalised = bool(processor.get("do_normalize", True)) and "image_mean" in processor
    origin = f"{PROCESSOR}: image_mean, image_std" if normalised else f"{PROCESSOR}: do_normalize"
    outline.add("input.mean", processor["image_mean"] if normalised else 0.0, origin)
    outline.add("input.std", processor["image_std"] if normalised else 1.0, origin)


def read_boxes(outline: Outline, config: dict[str, Any]) -> None:
    """Read what the outputs of a detector of transformers are: boxes by their centres, and scores of each label."""
    model, origin = config.get("model_type"), "the outputs of transformers' detectors"
    outline.add("output.layout", "separate", origin)
    outline.add("output.box", "cxcywh", origin)
    outline.add("output.relative", True, origin)
    outline.add("output.max_overlap", 1, "the model is trained to give each object once")
    if model in NO_OBJECT or model in BY_LABEL:
        activation = "softmax" if model in NO_OBJECT else "sigmoid"
        outline.add("output.activation", activation, f"config.json: model_type = {model}")
    outline.ask("output.activation", "softmax if the last score means no object, sigmoid if each label has its own")
