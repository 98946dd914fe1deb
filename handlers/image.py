"""Image in, label out: encoded image bytes, raw or base64 in JSON."""

from __future__ import annotations

import base64
import binascii
import io
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from .base import Handler
from .errors import BodyTooLarge, InvalidRow, UndecodableBody

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"BM", b"GIF8")


class ImageClassifier(Handler):
    """Rows are images; each becomes float32 (channels, height, width), (pixel - mean) / scale."""

    raw_types = ("image/png", "image/jpeg", "image/webp", "image/bmp", "image/gif")
    row_keys = ("image", "b64", "data")

    def raw(self, content: bytes) -> bool:
        """Known by its first bytes, so that `curl -T picture.png` works."""
        return content.startswith(MAGIC)

    def check(self, instance: Any, where: str) -> npt.NDArray[np.float32]:
        """Decode, bound and scale one image."""
        return self._pixels(self._decode(self._content(instance, where), where))

    def _content(self, instance: Any, where: str) -> bytes:
        if isinstance(instance, bytes):
            return instance
        if isinstance(instance, dict) and len(instance) == 1 and set(instance) <= {"b64", "image"}:
            instance = next(iter(instance.values()))
        if not isinstance(instance, str):
            raise InvalidRow(
                f"expected base64 text, got {type(instance).__name__}", where=where, fix='send {"image": "<base64>"}'
            )
        try:
            return base64.b64decode(instance, validate=True)
        except (binascii.Error, ValueError) as error:
            raise UndecodableBody("not valid base64", where=where, fix="encode the file with base64") from error

    def _decode(self, content: bytes, where: str) -> Image.Image:
        try:
            with warnings.catch_warnings():
                # We have a bound of our own, checked before any pixel is decoded.
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                image = Image.open(io.BytesIO(content), formats=FORMATS)
                self._bound(image, where)
                image.load()
        except (BodyTooLarge, InvalidRow):
            raise
        except Image.DecompressionBombError as error:
            raise BodyTooLarge("the image has too many pixels", where=where, fix="scale it down") from error
        except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError, TypeError, IndexError) as error:
            # Pillow's decoders report damage in all these ways.
            raise UndecodableBody(
                f"not a readable image of {', '.join(FORMATS)}", where=where, fix="check the file"
            ) from error
        return image

    def _bound(self, image: Image.Image, where: str) -> None:
        pixels, limit = image.width * image.height, self.signature.input.max_pixels
        if pixels > limit:
            raise BodyTooLarge(f"{pixels} pixels, at most {limit} are accepted", where=where, fix="scale it down")
        if pixels == 0:
            raise InvalidRow("the image has no pixels", where=where)

    def _pixels(self, image: Image.Image) -> npt.NDArray[np.float32]:
        spec = self.signature.input
        converted = image.convert("RGB" if spec.channels == 3 else "L")
        resized = converted.resize((spec.width, spec.height), Image.Resampling.BILINEAR)
        array = np.asarray(resized, dtype=np.float32).reshape(spec.height, spec.width, spec.channels)
        return np.ascontiguousarray(((array - spec.mean) / spec.scale).transpose(2, 0, 1), dtype=np.float32)

    def tensors(self, rows: Sequence[npt.NDArray[np.float32]]) -> dict[str, npt.NDArray[np.float32]]:
        """`image`, float32, shape (batch, channels, height, width)."""
        return {"image": np.stack(rows)}
