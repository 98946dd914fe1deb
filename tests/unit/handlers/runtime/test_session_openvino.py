"""OpenVINO's plugin: which processors it is used on, and that archives in one process share it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any

import onnxruntime as ort
import pytest

from onnxserve_handlers.runtime import session
from onnxserve_handlers.runtime.session import OPENVINO, add_openvino, available_providers, has_openvino

PLUGIN = "onnxruntime_ep_openvino"
# ONNX Runtime's own words, https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/core/session/environment.cc
AGAIN = "[ONNXRuntimeError] : 1 : FAIL : library is already registered under onnxserve.openvino"


class Plugin:
    """What the plugin and ONNX Runtime do; `failures` are raised by registrations, one each."""

    def __init__(self) -> None:
        self.registered: list[tuple[str, str]] = []
        self.failures: list[Exception] = []
        self.devices = [
            SimpleNamespace(ep_name="CPUExecutionProvider", ep_metadata={}),
            SimpleNamespace(ep_name=OPENVINO, ep_metadata={"ov_device": "GPU"}),
            SimpleNamespace(ep_name=OPENVINO, ep_metadata={"ov_device": "CPU"}),
        ]

    def register(self, name: str, path: str) -> None:
        self.registered.append((name, path))
        if self.failures:
            raise self.failures.pop()


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Plugin]:
    plugin, module = Plugin(), ModuleType(PLUGIN)
    module.__spec__ = ModuleSpec(PLUGIN, None)
    vars(module)["get_library_path"] = lambda: "/plugin.so"
    monkeypatch.setitem(sys.modules, PLUGIN, module)
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    monkeypatch.setattr(ort, "register_execution_provider_library", plugin.register, raising=False)
    monkeypatch.setattr(ort, "get_ep_devices", lambda: plugin.devices, raising=False)
    forget()
    yield plugin
    forget()


def forget() -> None:
    """As the handlers of another archive in this process, which is a module of its own."""
    session._devices.cache_clear()
    has_openvino.cache_clear()


def test_a_session_runs_on_the_plugins_cpu_device(plugin):
    given: list[tuple[list[Any], dict[str, str]]] = []
    options: Any = SimpleNamespace(add_provider_for_devices=lambda devices, settings: given.append((devices, settings)))
    assert has_openvino()
    assert add_openvino(options, 2) == []
    [(devices, settings)] = given
    assert devices == plugin.devices[2:]
    properties = json.loads(settings["load_config"])["CPU"]
    assert properties["INFERENCE_NUM_THREADS"] == "2"
    assert properties["INFERENCE_PRECISION_HINT"] == "f32", "the precision that was proven"
    assert plugin.registered == [("onnxserve.openvino", "/plugin.so")]


def test_a_second_archive_in_the_process_uses_the_plugin_that_the_first_registered(plugin):
    assert has_openvino()
    forget()
    plugin.failures = [RuntimeError(AGAIN)]
    assert has_openvino()
    assert len(plugin.registered) == 2


def test_a_plugin_that_cannot_be_loaded_is_told_and_as_none(plugin, caplog):
    plugin.failures = [RuntimeError("cannot open shared object file")]
    caplog.set_level("WARNING", session.__name__)
    assert not has_openvino()
    assert "OpenVINO's plugin can't be loaded: cannot open shared object file" in caplog.text
    assert available_providers() == ["CPUExecutionProvider"]


def test_a_plugin_that_finds_no_processor_is_as_none(plugin):
    plugin.devices = plugin.devices[:2]
    assert not has_openvino()
