"""Photos of every form become what the reference transform makes of them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.fakes import ask, with_fake_session
from tests.helpers.kinds import ImageClassifier
from tests.helpers.photos import IMAGENET, imagenet, photos, viewed


@pytest.fixture(params=[(256, 224), (64, 56)])
def sides(request) -> tuple[int, int]:
    """The shorter side, and the side of the cut."""
    size: tuple[int, int] = request.param
    return size


@pytest.fixture
def handler(sides):
    shorter, size = sides
    return with_fake_session(
        ImageClassifier(), height=size, width=size, shorter_side=shorter, max_bytes=100_000, **IMAGENET
    )


@pytest.mark.parametrize(("name", "content"), photos().items(), ids=photos())
def test_a_photo_becomes_the_tensor_of_the_reference_transform(handler, sides, name, content):
    [image] = handler.tensors([handler.check(content, name)])["image"]
    np.testing.assert_allclose(image, imagenet(viewed(content), *sides), atol=2e-6)


def test_photos_of_all_forms_are_read_without_a_declared_type(handler):
    answers = ask(handler, *((content, "") for content in photos().values()))
    assert [status for status, _ in answers] == [200] * len(answers)
