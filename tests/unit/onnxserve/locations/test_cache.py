"""Where downloads are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from onnxserve.locations.cache import cache_folder


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"ONNXSERVE_CACHE": "/c", "XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/c"),
        ({"XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/x/onnxserve"),
        ({"HOME": "/h"}, "/h/.cache/onnxserve"),
    ],
)
def test_the_first_variable_that_is_set_names_the_cache(monkeypatch, variables, folder):
    for name in ("ONNXSERVE_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(folder)


def test_a_user_without_a_home_has_a_cache_too(monkeypatch):
    for name in ("ONNXSERVE_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    assert cache_folder().is_absolute()
