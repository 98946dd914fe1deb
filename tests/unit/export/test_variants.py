"""Which variants compete: those that a definition names, every one, or the machine's default."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from onnxserve.definition import Definition, read_definition
from onnxserve.scaffold import new_model
from onnxserve_export.options import ExportOptions
from onnxserve_export.variants import EVERY, competing_variants

ALL = ExportOptions(all_variants=True)


@pytest.fixture
def circle(tmp_path: Path) -> Definition:
    return read_definition(new_model("table", "circle", tmp_path / "models"))


def changed(definition: Definition, section: str, **fields: Any) -> Definition:
    replaced = msgspec.structs.replace(getattr(definition, section), **fields)
    return msgspec.structs.replace(definition, **{section: replaced})


@pytest.mark.parametrize("flags", [[], ["avx512_vnni"], ["asimddp"]])
def test_by_default_int8_and_fp32_compete(circle, flags):
    assert competing_variants(changed(circle, "quantise", variants=()), ExportOptions(), flags) == ("int8", "fp32")


@pytest.mark.parametrize(("provider", "flags"), [("tensorrt", []), ("auto", ["asimdhp"])])
def test_half_floats_compete_where_the_processor_computes_with_them(circle, provider, flags):
    definition = changed(changed(circle, "quantise", variants=()), "serve", provider=provider)
    assert competing_variants(definition, ExportOptions(), flags) == ("int8", "fp16", "fp32")


def test_8_bits_do_not_compete_on_kernels_that_would_turn_them_into_floats(circle):
    definition = changed(changed(circle, "quantise", variants=()), "serve", provider="cuda")
    assert competing_variants(definition, ExportOptions(), ["avx512_vnni"]) == ("fp16", "fp32")


def test_what_a_definition_names_competes_and_every_variant_where_that_is_asked_for(circle):
    named = changed(circle, "quantise", variants=("w8",))
    assert competing_variants(named, ExportOptions()) == ("w8",)
    assert competing_variants(named, ALL) == EVERY
    assert len(EVERY) == 7
