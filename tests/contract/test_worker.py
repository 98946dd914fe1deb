"""Our worker and TorchServe's own turn the same frames into the same bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.helpers.frontend import FAST, Worker, batch_frame, load_frame, plain, request, started, stock

# Answers whatever its first request's body tells it to.
HANDLER = """
import json
from ts.utils.util import PredictionException


class Odd:
    def initialize(self, context):
        self.properties = dict(context.system_properties)
        self.config = context.model_yaml_config
        self.manifest = context.manifest

    def handle(self, data, context):
        order = bytes(data[0].get("body", b"")) if data else b""
        return getattr(self, order.decode(), self.echo)(data, context)

    def echo(self, data, context):
        return [repr(sorted((k, bytes(v) if isinstance(v, bytearray) else v) for k, v in item.items()))
                for item in data]

    def headers(self, data, context):
        return [json.dumps([context.get_all_request_header(i), context.get_request_header(i, "x-Odd"),
                            context.get_request_id(i)]) for i in range(len(data))]

    def settings(self, data, context):
        return [{"properties": self.properties, "config": self.config, "manifest": self.manifest}] * len(data)

    def values(self, data, context):
        return [[b"bytes", bytearray(b"array"), "text \\u00e9", {"a": [1, None]}, 3, None][i % 6]
                for i in range(len(data))]

    def mixed(self, data, context):
        for i in range(len(data)):
            context.set_response_content_type(i, "text/plain" if i else "application/json")
            context.set_response_status([200, 422, 507][i % 3], "Phrase %d" % i, i)
            context.set_response_header(i, "X-Number", str(i))
        return ["x"] * len(data)

    def everything(self, data, context):
        context.set_all_response_status(418, "teapot")
        return ["x"] * len(data)

    def raises(self, data, context):
        raise ValueError("no")

    def cuda(self, data, context):
        raise RuntimeError("CUDA error: out of memory")

    def memory(self, data, context):
        raise MemoryError

    def prediction(self, data, context):
        raise PredictionException("not today", 599)

    def text(self, data, context):
        return "text"

    def short(self, data, context):
        return ["one"]

    def unserialisable(self, data, context):
        return [object()] * len(data)

    def stream(self, data, context):
        from ts.handler_utils.utils import send_intermediate_predict_response
        send_intermediate_predict_response(["part"] * len(data), context.request_ids,
                                           "Intermediate Prediction success", 200, context)
        return ["last"] * len(data)

    def tensor(self, data, context):
        import torch
        return [torch.arange(3)] * len(data)

    def stopping(self, data, context):
        context.stopping_criteria = {i: (lambda value, i=i: bool(i)) for i in range(len(data))}
        try:
            return ["x"] * len(data)
        finally:
            self.undo = context

    def measures(self, data, context):
        context.metrics.add_counter("Seen", 2)
        context.metrics.add_counter("Seen", 3)
        context.metrics.add_time("PredictionTime", 7)
        context.metrics.add_size("Big", 1, unit="kB")
        context.metrics.add_percent("Full", 50)
        context.metrics.add_error("Wrong", 1)
        return ["x"] * len(data)
"""
ORDERS = [
    "echo", "headers", "settings", "values", "mixed", "everything", "raises", "cuda", "memory", "prediction",
    "text", "unserialisable", "tensor", "measures",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model_dir = tmp_path_factory.mktemp("odd")
    (model_dir / "odd.py").write_text(HANDLER)
    (model_dir / "MAR-INF").mkdir()
    manifest = {"model": {"modelName": "demo", "modelVersion": "1.0", "configFile": "model-config.yaml"}}
    (model_dir / "MAR-INF" / "MANIFEST.json").write_text(json.dumps(manifest))
    (model_dir / "model-config.yaml").write_text("batchSize: 4\nhandler: {deep: [1, 2]}\n")
    return model_dir


@pytest.fixture(scope="module")
def both(folder: Path) -> Iterator[tuple[Worker, Worker]]:
    with ExitStack() as stack:
        pair = (stack.enter_context(started(stock(), folder)), stack.enter_context(started(FAST, folder)))
        answers = [worker.ask(load_frame(folder, "odd.py")) for worker in pair]
        assert answers[0] == answers[1]
        yield pair


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("size", [1, 4])
def test_every_kind_of_answer_has_the_same_bytes(both, order, size):
    requests = [
        request(
            f"id-{i}",
            {"content-type": "application/json", "x-Odd": f"é{i}", "describe": "True", "twice": "a"},
            [("body", "application/json", order.encode()), ("more", "text/plain", b"m"), ("body2", "", b"")],
        )
        for i in range(size)
    ]
    original, ours = (worker.ask(batch_frame(*requests)) for worker in both)
    assert ours == original


def test_a_wrong_number_of_answers_has_the_same_bytes(both):
    original, ours = (worker.ask(batch_frame(plain("a", b"short"), plain("b", b""))) for worker in both)
    assert ours == original
    assert b"number of batch response mismatched" in ours


def test_streams_have_the_same_bytes(both):
    frame = batch_frame(plain("a", b"stream"))
    original, ours = ((worker.ask(frame), worker.answer()) for worker in both)
    assert ours == original
    assert b"part" in ours[0]
    assert b"last" in ours[1]


def test_a_request_without_headers_or_parameters_has_the_same_bytes(both):
    frame = batch_frame(request("a", {}, []), request("b", {"only": "header"}, []))
    original, ours = (worker.ask(frame) for worker in both)
    assert ours == original


def test_metrics_are_added_up_and_printed_in_the_frontends_format(both):
    for worker in both:
        worker.ask(batch_frame(plain("a", b"measures")))
    original, ours = both
    assert original.has_printed("[METRICS]Seen.Count:3|#ModelName:demo,Level:Model|#type:COUNTER|#hostname:")
    # Two batches of the test before this one and two values each may fall into the same second.
    seen = re.compile(r"\[METRICS\]Seen\.Count:(5|10|15)\|#ModelName:demo,Level:Model\|#type:COUNTER\|#hostname:")
    assert ours.has_printed("Seen.Count")
    assert any(seen.match(line) for line in ours.output)
    for line in (
        "[METRICS]Big.Kilobytes:1|#ModelName:demo,Level:Model|#type:GAUGE|",
        "[METRICS]Full.Percent:50|#ModelName:demo,Level:Model|#type:GAUGE|",
        "[METRICS]Wrong.unit:",
    ):
        assert original.has_printed(line)
        assert ours.has_printed(line)


names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
requests = st.builds(
    request,
    st.text("0123456789abcdef-", min_size=1, max_size=36),
    st.dictionaries(names, st.text(st.characters(codec="utf-8"), max_size=40), max_size=5),
    st.lists(st.tuples(names, st.text("abc/;=", max_size=12), st.binary(max_size=300)), max_size=3),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(requests, min_size=1, max_size=6))
def test_generated_batches_have_the_same_bytes(both, batch):
    first = plain("first", b"headers")
    for head in ([], [first]):
        original, ours = (worker.ask(batch_frame(*head, *batch)) for worker in both)
        assert ours == original


def test_decoding_in_the_worker_gives_the_same_bytes(folder):
    with ExitStack() as stack:
        pair = [
            stack.enter_context(started(script, folder, TS_DECODE_INPUT_REQUEST="true")) for script in (stock(), FAST)
        ]
        for worker in pair:
            worker.ask(load_frame(folder, "odd.py"))
        bodies = [("body", "application/json", b'{"a": [1.5, "\\u00e9"]}'), ("bad", "application/json", b"{"),
                  ("t", "text/plain", "é".encode()), ("u", "text/plain", b"\xff")]  # fmt: skip
        frame = batch_frame(*(request("a", {}, [("first", "", b""), body]) for body in bodies))
        original, ours = (worker.ask(frame) for worker in pair)
    assert ours == original


@pytest.mark.parametrize("raised", ["RuntimeError('no')", "MemoryError", "RuntimeError('CUDA is gone')"])
def test_a_model_that_does_not_load_is_refused_with_the_same_bytes_and_the_worker_ends(tmp_path, raised):
    code = f"class A:\n    def initialize(self, context):\n        raise {raised}\n    def handle(self): pass\n"
    (tmp_path / "broken.py").write_text(code)
    answers = []
    for script in (stock(), FAST):
        with started(script, tmp_path) as worker:
            answers.append(worker.ask(load_frame(tmp_path, "broken.py")))
            assert worker.wait() == 1
    assert answers[0] == answers[1]


@pytest.mark.parametrize("name", ["function.py", "function.py:answer"])
def test_a_function_may_be_the_handler(tmp_path, name):
    function = name.partition(":")[2] or "handle"
    code = f"def {function}(data, context):\n    return None if data is None else ['f'] * len(data)\n"
    (tmp_path / "function.py").write_text(code)
    answers = []
    for script in (stock(), FAST):
        with started(script, tmp_path) as worker:
            loaded = worker.ask(load_frame(tmp_path, name))
            answers.append((loaded, worker.ask(batch_frame(plain("a", b"x")))))
    assert answers[0] == answers[1]
    assert b"f" in answers[0][1]


def test_an_envelope_wraps_the_handler(tmp_path):
    (tmp_path / "service.py").write_text(
        "class A:\n    def initialize(self, context):\n        pass\n"
        "    def handle(self, data, context):\n        return [str(item) for item in data]\n"
    )
    answers = []
    for script in (stock(), FAST):
        with started(script, tmp_path, TS_DECODE_INPUT_REQUEST="true") as worker:
            worker.ask(load_frame(tmp_path, "service.py", envelope="json"))
            answers.append(worker.ask(batch_frame(plain("a", b'{"instances": [1, 2]}', "application/json"))))
    assert answers[0] == answers[1]
