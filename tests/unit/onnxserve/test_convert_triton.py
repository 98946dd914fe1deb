"""The configuration of a Triton model."""

from __future__ import annotations

import re
from typing import Any

import pytest

from onnxserve.archive import needs
from onnxserve.archive.needs import requirements_of
from onnxserve.convert import to_triton
from onnxserve.convert.triton import OF_TRITON, configuration


def signature_of(task: str, kind: str = "text", **options: Any) -> dict[str, Any]:
    return {
        "input": {"kind": kind, **options},
        "output": {"task": task},
        "inputs": [],
        "outputs": [{"name": "output_0", "dtype": "float32", "shape": ["batch", 1]}],
        "max_batch": 4,
    }


@pytest.mark.parametrize(("pairs", "names"), [(False, ["text"]), (True, ["text", "text_pair"])])
def test_each_text_of_a_row_is_an_input(pairs, names):
    inputs = configuration("demo", signature_of("rerank", pairs=pairs), {}).partition("output [")[0]
    assert [line.split('"')[1] for line in inputs.splitlines()[3:] if "name:" in line] == names
    assert inputs.count("TYPE_STRING") == len(names)


@pytest.mark.parametrize(
    ("task", "added"),
    [
        ("classification", [("label", "STRING", "1"), ("score", "FP32", "1")]),
        ("rerank", [("score", "FP32", "1")]),
        ("embedding", [("embedding", "FP32", "-1")]),
        ("regression", []),
    ],
)
def test_what_the_task_adds_to_the_graphs_outputs_is_an_output(task, added):
    outputs = configuration("demo", signature_of(task), {}).partition("output [")[2].partition("dynamic_batching")[0]
    pattern = r'name: "(\w+)"\s+data_type: TYPE_(\w+)\s+dims: \[ (\S+) \]'
    assert re.findall(pattern, outputs) == [("output_0", "FP32", "1"), *added]


def test_instances_get_the_archives_provider_and_share_its_cpus_out():
    config = {"maxWorkers": 3, "handler": {"provider": "cpu", "threads": 2}}
    text = configuration("demo", signature_of("regression"), config)
    assert "count: 3" in text
    assert dict(re.findall(r'key: "(\w+)"\s+value { string_value: "(\w+)" }', text)) == {
        "provider": "cpu",
        "threads": "2",
    }


def test_tritons_own_numpy_stays():
    lines = requirements_of("text", left_out=OF_TRITON).splitlines()
    assert {line.partition("==")[0] for line in lines} == {"msgspec", "onnxruntime", "pillow", "tokenizers"}
    assert any(line.startswith("numpy==") for line in requirements_of("text").splitlines())


def test_the_packages_that_bring_the_archives_provider_are_required(monkeypatch):
    installed = {"onnxruntime-openvino": "1.24.1", "numpy": "2.4.6"}  # the build takes onnxruntime's place
    monkeypatch.setattr(needs, "version_of", installed.get)
    assert requirements_of("text", provider="openvino") == "numpy==2.4.6\nonnxruntime-openvino==1.24.1\n"
    assert requirements_of("text", provider="auto") == "numpy==2.4.6\n"


def test_the_handlers_of_an_earlier_export_are_removed(archive, tmp_path):
    [_, _, folder, _] = to_triton(archive, tmp_path)
    earlier = folder / "handlers_0123456789ab"
    earlier.mkdir()
    to_triton(archive, tmp_path)
    assert not earlier.exists()
    assert len(list(folder.glob("handlers_*"))) == 1
