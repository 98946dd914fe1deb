"""Image rows."""

import base64
import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from tests.helpers.fakes import ask, ask_json, with_fake_session
from tests.helpers.kinds import ImageClassifier


def picture(size=(4, 4), colour=(255, 0, 0), kind="PNG") -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, kind)
    return stream.getvalue()


@pytest.fixture
def handler() -> ImageClassifier:
    classifier = ImageClassifier()
    with_fake_session(classifier, height=2, width=3, max_pixels=100, max_bytes=10_000)
    return classifier


def test_raw_bytes_undeclared_bytes_and_base64_give_the_same_answer(handler):
    content = picture()
    encoded = base64.b64encode(content).decode()
    answers = ask(handler, (content, "image/png"), (content, ""), (content, "application/octet-stream"))
    answers += ask_json(handler, {"image": encoded}, encoded, {"instances": [{"b64": encoded}]})
    assert [status for status, _ in answers] == [200] * 6
    assert all(answer == answers[0] for answer in answers)


def test_pixels_are_scaled_and_laid_out_channels_first(handler):
    row = handler.tensors([handler.check(picture(), "x")])["image"][0]
    assert row.shape == (3, 2, 3)
    np.testing.assert_allclose(row[0], (255 - 127) / 128)
    np.testing.assert_allclose(row[1:], (0 - 127) / 128)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"])
def test_every_named_format_is_read(handler, kind):
    assert ask(handler, (picture(kind=kind), ""))[0][0] == 200


def test_too_many_pixels_are_413_before_they_are_decoded(handler):
    assert ask(handler, (picture((20, 20)), "image/png"))[0][0] == 413


def test_a_side_is_bounded_however_few_pixels_an_image_has():
    handler = with_fake_session(ImageClassifier(), height=2, width=3, max_bytes=10_000)
    answers = ask(handler, (picture((1, 65_535)), ""), (picture((65_536, 1)), ""))
    assert [status for status, _ in answers] == [200, 413]


def tiled(side: int) -> bytes:
    """Return a TIFF of 10 x 10 grey pixels in one tile of `side` x `side`, compressed."""
    data = zlib.compress(bytes(side * side))
    shape = {256: 10, 257: 10, 258: 8, 259: 8, 262: 1, 277: 1, 322: side, 323: side, 324: 134, 325: len(data)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in shape.items())
    return b"II*\0" + struct.pack("<IH", 8, len(shape)) + entries + bytes(4) + data


def test_a_tile_beyond_its_image_is_413_before_it_is_decoded(handler):
    answers = ask(handler, (tiled(256), ""), (tiled(1040), ""))
    assert [status for status, _ in answers] == [200, 413]
    assert "tiles of 1040 x 1040 pixels" in answers[1][1]["error"]["reason"]


def test_a_jpeg_of_very_many_scans_is_413(handler):
    stream = io.BytesIO()
    Image.new("L", (4, 4), 128).save(stream, "JPEG", progressive=True)
    content = stream.getvalue()
    scan, end = content[content.rindex(b"\xff\xda") : -2], content[-2:]
    answers = ask(handler, (content, ""), (content[:-2] + scan * 50 + end, ""), (content[:-2] + scan * 100 + end, ""))
    assert [status for status, _ in answers] == [200, 200, 413]
    assert "at most 100" in answers[2][1]["error"]["reason"]


def test_an_image_that_memory_cannot_hold_is_507(handler, monkeypatch):
    def load(_: Image.Image) -> None:
        raise MemoryError

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", load)
    [(status, answer)] = ask(handler, (picture(), ""))
    assert (status, answer["error"]["type"]) == (507, "out_of_memory")


def test_colours_that_show_their_damage_late_are_400(handler):
    # The transparency names a colour beyond the palette.
    paletted = Image.new("P", (4, 4))
    paletted.putpalette([0, 0, 0, 255, 255, 255])
    content = saved(paletted, transparency=0)
    mark = content.index(b"tRNS") - 4
    end = mark + 12 + int.from_bytes(content[mark : mark + 4], "big")
    levels = b"tRNS" + b"\1\2" * 200
    chunk = struct.pack(">I", 400) + levels + struct.pack(">I", zlib.crc32(levels))
    answers = ask(handler, (content, ""), (content[:mark] + chunk + content[end:], ""))
    assert [status for status, _ in answers] == [200, 400]
    assert answers[1][1]["error"]["type"] == "undecodable_body"


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n", b"GIF89a", picture()[:40], picture(kind="JPEG")[:200]])
def test_a_damaged_image_is_400(handler, content):
    assert ask(handler, (content, "image/png"))[0][0] == 400


@pytest.mark.parametrize(
    ("document", "status"), [("not base64!", 400), (3, 422), ({"url": "http://x"}, 422), ("", 400)]
)
def test_what_is_no_image_is_refused(handler, document, status):
    assert ask_json(handler, document)[0][0] == status


def saved(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def pixels(handler, content: bytes) -> np.ndarray:
    """Return the pixels of the row, channels last."""
    return np.asarray(handler.check(content, "x"), int)


@pytest.fixture
def exact():
    """Return a handler that doesn't resize."""
    return with_fake_session(ImageClassifier(), height=4, width=6)


@pytest.fixture
def grey():
    return with_fake_session(ImageClassifier(), height=4, width=6, channels=1)


GREY = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
COLOUR = np.random.default_rng(7).integers(0, 255, (4, 6, 3)).astype(np.uint8)


@pytest.mark.parametrize("name", ["exact", "grey"])
def test_16_bits_of_grey_are_scaled_to_8(name, request):
    handler = request.getfixturevalue(name)
    deep = Image.fromarray(GREY.astype(np.uint16) * 257)
    assert deep.mode == "I;16"
    np.testing.assert_array_equal(pixels(handler, saved(deep)), pixels(handler, saved(Image.fromarray(GREY))))


@pytest.mark.parametrize(
    ("orientation", "shown"),
    [
        (1, COLOUR),
        (2, COLOUR[:, ::-1]),
        (3, COLOUR[::-1, ::-1]),
        (4, COLOUR[::-1]),
        (5, COLOUR.transpose(1, 0, 2)),
        (6, np.rot90(COLOUR, -1)),
        (7, COLOUR[::-1, ::-1].transpose(1, 0, 2)),
        (8, np.rot90(COLOUR)),
        (9, COLOUR),
    ],
)
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_an_image_is_turned_as_its_camera_was_held(orientation, shown, kind):
    handler = with_fake_session(ImageClassifier(), height=shown.shape[0], width=shown.shape[1])
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = saved(Image.fromarray(COLOUR), kind, exif=exif, lossless=True)
    np.testing.assert_array_equal(pixels(handler, content), shown)


def test_16_bits_of_grey_are_turned_too():
    handler = with_fake_session(ImageClassifier(), height=6, width=4, channels=1)
    exif = Image.Exif()
    exif[0x0112] = 6
    content = saved(Image.fromarray(GREY.astype(np.uint16) * 257), exif=exif)
    np.testing.assert_array_equal(pixels(handler, content)[..., 0], np.rot90(GREY, -1))


def test_damaged_exif_turns_nothing(exact):
    content = saved(Image.fromarray(COLOUR), "WEBP", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\xff\x01", lossless=True)
    np.testing.assert_array_equal(pixels(exact, content), COLOUR)


@pytest.mark.parametrize("background", [255, 0, 127])
def test_transparent_parts_show_the_background(background):
    handler = with_fake_session(ImageClassifier(), height=4, width=6, background=background)
    alpha = np.zeros((4, 6), np.uint8)
    alpha[1:3, 2:4] = 255
    shown = np.where(alpha[..., None] == 255, COLOUR, background)
    with_alpha = Image.fromarray(np.dstack([COLOUR, alpha]))
    np.testing.assert_array_equal(pixels(handler, saved(with_alpha)), shown)
    np.testing.assert_array_equal(pixels(handler, saved(with_alpha, "WEBP", lossless=True, exact=True)), shown)


def test_every_way_to_be_transparent_is_one(exact):
    keyed = np.where(GREY == 100, 255, GREY)[..., None].repeat(3, 2)
    for content in (
        saved(Image.fromarray(GREY), transparency=100),
        saved(Image.fromarray(GREY).convert("P"), transparency=100),
        saved(Image.fromarray(GREY.astype(np.uint16) * 257), transparency=25700),
        saved(Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(np.where(GREY == 100, 0, 255).astype("u1"))])),
    ):
        np.testing.assert_array_equal(pixels(exact, content), keyed)


@pytest.mark.parametrize("name", ["exact", "grey"])
def test_inks_are_shown_as_colours(name, request):
    handler = request.getfixturevalue(name)
    flat = Image.new("RGB", (6, 4), (200, 40, 90))
    inks = saved(flat.convert("CMYK"), "JPEG", quality=100)
    np.testing.assert_allclose(pixels(handler, inks), pixels(handler, saved(flat)), atol=4)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP"])
def test_an_image_that_is_cut_short_is_400_wherever_it_is_cut(exact, kind):
    content = saved(Image.fromarray(COLOUR[:, :4]), kind)  # whose rows BMP needn't pad
    for stop in range(12, len(content)):
        assert ask(exact, (content[:stop], "image/png"))[0][0] == 400, stop
    assert ask(exact, (content + b"what follows is ignored", "image/png"))[0][0] == 200


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_an_image_of_damaged_bytes_is_answered_or_400(data):
    handler = with_fake_session(ImageClassifier(), height=4, width=6, max_pixels=10_000)
    exif = Image.Exif()
    exif[0x0112] = 6
    kind = data.draw(st.sampled_from(["PNG", "JPEG", "WEBP", "TIFF"]))
    content = bytearray(saved(Image.fromarray(COLOUR), kind, exif=exif))
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(4, len(content) - 1))] = data.draw(st.integers(0, 255))
    [(status, _)] = ask(handler, (bytes(content), "image/png"))
    assert status in (200, 400, 413, 422)


@pytest.mark.parametrize("background", [255, (255, 0, 10)])
def test_transparent_parts_show_the_background_in_colour_or_its_grey(background):
    clear = saved(Image.new("RGBA", (6, 4), (0, 0, 0, 0)))
    colour = with_fake_session(ImageClassifier(), height=4, width=6, background=background)
    levels = (background,) * 3 if background == 255 else background
    assert (pixels(colour, clear) == levels).all()
    grey = with_fake_session(ImageClassifier(), height=4, width=6, channels=1, background=background)
    assert (pixels(grey, clear) == Image.new("RGB", (1, 1), levels).convert("L").getpixel((0, 0))).all()


@pytest.mark.parametrize("name", ["exact", "grey"])
def test_pixels_that_are_no_levels_of_grey_or_colour_are_refused(name, request):
    floats = saved(Image.fromarray(np.linspace(0, 1, 24, dtype=np.float32).reshape(4, 6)), "TIFF")
    lab = saved(Image.new("LAB", (6, 4)), "TIFF")
    answers = ask(request.getfixturevalue(name), (floats, "image/tiff"), (lab, ""))
    assert [status for status, _ in answers] == [422, 422]
    assert "pixels of the kind F" in answers[0][1]["error"]["reason"]


def test_a_row_knows_the_size_of_the_upright_image(exact):
    exif = Image.Exif()
    exif[0x0112] = 6
    assert exact.check(saved(Image.new("RGB", (30, 20)), exif=exif), "x").source_size == (20, 30)


class Corner(ImageClassifier):
    """A user's own handler, written before there was `resize`."""

    def to_size(self, image):
        return image.crop((0, 0, self.options.width, self.options.height))

    def tensors(self, rows):
        pixels = np.stack(rows).transpose(0, 3, 1, 2).astype(np.float32)
        return {"image": (pixels - self.options.mean) / self.options.scale}


def test_a_handler_of_a_users_own_may_resize_and_scale_by_itself():
    handler = with_fake_session(Corner(), height=2, width=3, mean=1, std=2)
    row = handler.check(saved(Image.fromarray(COLOUR)), "x")
    np.testing.assert_allclose(handler.tensors([row])["image"][0], (COLOUR[:2, :3].transpose(2, 0, 1) - 1) / 2)
    assert handler.origins([row]) is None


def test_an_image_has_an_origin_unless_a_handler_made_it_of_something_else(exact):
    [frame] = exact.origins([exact.check(picture((30, 20)), "x")]) or []
    assert (frame.width, frame.height, frame.graph_width, frame.graph_height) == (30, 20, 6, 4)
    assert exact.origins([np.zeros((4, 6, 3), np.uint8)]) is None


def test_an_image_that_would_become_too_large_before_its_cut_is_refused():
    handler = with_fake_session(ImageClassifier(), height=8, width=8, resize="crop", max_pixels=1000, max_bytes=10_000)
    [(status, answer)] = ask(handler, (picture((400, 2)), "image/png"))
    assert (status, answer["error"]["reason"]) == (422, "the image is too narrow to be cut: 400 x 2 pixels")
