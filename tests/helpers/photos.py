"""Photos in the forms that clients send, and the reference transform of ImageNet's classifiers, by Pillow and numpy."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image, ImageOps

ORIENTATION = 0x0112
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
IMAGENET: dict[str, Any] = {"resize": "crop", "pixel_max": 1, "mean": MEAN, "std": STD}


def scene(width: int, height: int, seed: int = 0) -> Image.Image:
    """Return a smooth picture in colour, with a little noise."""
    draws = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    waves = [np.sin(columns / draws.uniform(3, 30) + rows / draws.uniform(3, 30)) for _ in range(3)]
    levels = np.stack(waves, axis=-1) * 110 + 128 + draws.normal(0, 6, (height, width, 3))
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8))


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """Return an image as a file."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def photos() -> dict[str, bytes]:
    """Return files of odd sizes: turned, transparent, deep, in inks, and moving."""
    turned = Image.Exif()
    turned[ORIENTATION] = 6
    palette = scene(90, 61, 3).convert("RGBA")
    palette.putalpha(Image.fromarray(np.tile(np.array([0, 255], np.uint8), (61, 45))))
    deep = np.asarray(scene(70, 75, 4).convert("L")).astype(np.uint16) * 257
    frames = [scene(64, 48, seed) for seed in (5, 6)]
    return {
        "landscape.jpg": saved(scene(131, 67, 1), "JPEG", quality=95),
        "portrait.jpg": saved(scene(121, 83, 2), "JPEG", quality=95, exif=turned),
        "palette.png": saved(palette.quantize(64)),
        "deep.png": saved(Image.fromarray(deep)),
        "inks.jpg": saved(scene(77, 66, 7).convert("CMYK"), "JPEG", quality=95),
        "moving.gif": saved(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "scan.tiff": saved(scene(58, 99, 8), "TIFF", compression="tiff_lzw"),
        "small.webp": saved(scene(19, 23, 9), "WEBP", lossless=True),
    }


def viewed(content: bytes) -> Image.Image:
    """Return a file's picture as a viewer shows it on white, in RGB."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    if image.mode == "I;16":
        return Image.fromarray(np.round(np.asarray(image) / 257).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def imagenet(image: Image.Image, shorter: int = 256, size: int = 224) -> np.ndarray:
    """Return Resize(shorter), CenterCrop(size), ToTensor and Normalize of torchvision 0.21 for an image in RGB."""
    width, height = image.size
    if width <= height:
        scaled = image.resize((shorter, int(shorter * height / width)), Image.Resampling.BILINEAR)
    else:
        scaled = image.resize((int(shorter * width / height), shorter), Image.Resampling.BILINEAR)
    top, left = round((scaled.height - size) / 2.0), round((scaled.width - size) / 2.0)
    pixels = np.asarray(scaled.crop((left, top, left + size, top + size)), np.float32).transpose(2, 0, 1) / 255
    mean, std = (np.array(values, np.float32)[:, None, None] for values in (MEAN, STD))
    normalised: np.ndarray = (pixels - mean) / std
    return normalised
