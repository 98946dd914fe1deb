"""OpenVINO, an execution provider of ONNX Runtime for CPUs: in a build of its own, or as a plugin beside ONNX Runtime.

The build is the package onnxruntime-openvino, which takes the place of onnxruntime. The plugin,
onnxruntime-ep-openvino, finds Intel's processors only (https://github.com/microsoft/onnxruntime/pull/31981).
Sources: https://onnxruntime.ai/docs/execution-providers/OpenVINO-ExecutionProvider.html (`load_config`), and
https://docs.openvino.ai/2025/openvino-workflow/running-inference/inference-devices-and-modes/cpu-device.html.
"""

from __future__ import annotations

import logging
from functools import cache
from importlib.util import find_spec
from typing import Any

import msgspec
import onnxruntime as ort

OPENVINO = "OpenVINOExecutionProvider"
BUILD, PLUGIN = "onnxruntime-openvino", "onnxruntime-ep-openvino"
log = logging.getLogger(__name__)
REGISTERED = "onnxserve.openvino"  # a process registers the plugin once


@cache
def has_openvino() -> bool:
    """Return whether the build has OpenVINO, or the plugin finds a processor that it takes."""
    return _is_built_in() or bool(_devices())


def add_openvino(options: ort.SessionOptions, threads: int) -> list[Any]:
    """Let a session run on OpenVINO's CPU device, on so many threads and in the graph's own precision.

    Returns ONNX Runtime's argument `providers`. Threads aren't pinned, since workers that pin theirs would share the
    first cores.
    """
    properties = {
        "INFERENCE_NUM_THREADS": str(threads),
        "NUM_STREAMS": "1",
        "ENABLE_CPU_PINNING": "NO",
        "INFERENCE_PRECISION_HINT": "f32",  # else CPUs with bfloat16 would compute floats in it
    }
    settings = {"load_config": msgspec.json.encode({"CPU": properties}).decode()}
    if _is_built_in():
        return [(OPENVINO, {"device_type": "CPU", **settings})]
    options.add_provider_for_devices(_devices(), settings)
    return []


def _is_built_in() -> bool:
    return OPENVINO in ort.get_available_providers()


@cache
def _devices() -> list[Any]:
    """Return the processors that the plugin finds; none without a plugin that this ONNX Runtime can load."""
    if find_spec(PLUGIN.replace("-", "_")) is None:
        return []
    import onnxruntime_ep_openvino as plugin

    try:
        ort.register_execution_provider_library(REGISTERED, plugin.get_library_path())
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's errors have no class in common
        if "already registered" not in str(error):  # by the handlers of another archive in this process
            log.warning("OpenVINO's plugin can't be loaded: %s", error)  # models of other providers run all the same
            return []
    devices = [device for device in ort.get_ep_devices() if device.ep_name == OPENVINO]
    return [device for device in devices if device.ep_metadata.get("ov_device") == "CPU"]
