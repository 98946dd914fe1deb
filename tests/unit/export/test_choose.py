"""Which candidates are timed and certified, and what is said where none runs."""

from types import SimpleNamespace
from typing import Any

import pytest

from onnxserve.errors import CheckFailed
from onnxserve_export import choose


def test_where_no_variant_runs_each_has_its_reason_those_that_were_not_made_too(monkeypatch):
    monkeypatch.setattr(choose, "advice", lambda _: "give more rows")
    crashed: Any = SimpleNamespace(variant="fp32", refusal="crashed: exit 1")
    state: Any = SimpleNamespace(candidates=[], measured=[crashed], refused={"mixed": "no choice of nodes holds"})
    with pytest.raises(CheckFailed) as caught:
        choose.call(state)
    assert caught.value.measured == "no variant runs (mixed: no choice of nodes holds; fp32: crashed: exit 1)"
