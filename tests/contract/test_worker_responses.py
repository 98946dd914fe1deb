"""The worker replaces each response that the frontend wouldn't take, whoever wrote the handler."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

from tests.helpers.frontend import FAST, batch_frame, integer, load_frame, plain, started

LIMIT = 1000
HANDLER = """
class Lengths:
    def initialize(self, context):
        pass

    def handle(self, data, context):
        for index in range(len(data)):
            context.set_response_status(201, "Made", index)
            context.set_response_content_type(index, "text/plain")
        return ["x" * int(bytes(item["body"])) for item in data]
"""


def test_an_answer_above_the_limit_is_507_and_those_beside_it_are_sent(tmp_path: Path):
    (tmp_path / "lengths.py").write_text(HANDLER)
    with started(FAST, tmp_path, ONNXSERVE_MAX_RESPONSE_BYTES=str(LIMIT)) as worker:
        worker.ask(load_frame(tmp_path, "lengths"))
        bodies = [plain("a", b"%d" % LIMIT), plain("b", b"%d" % (LIMIT + 1)), plain("c", b"3")]
        answer = worker.ask(batch_frame(*bodies))
        assert answer.startswith(integer(200))
        assert answer.count(integer(201)) == 2
        assert answer.count(integer(507)) == 1
        assert b"x" * LIMIT in answer
        assert b"x" * (LIMIT + 1) not in answer
        assert b"at most 1000 can be sent" in answer
        assert answer.count(b"x-onnxserve-error") == 1
        assert (answer.count(b"application/json"), answer.count(b"text/plain")) == (2, 4)  # each in two places
        again = worker.ask(batch_frame(plain("d", b"5")))
        assert b"xxxxx" in again
        assert integer(507) not in again


FAILING = """
class Failing:
    def initialize(self, context):
        pass

    def handle(self, data, context):
        for index, item in enumerate(data):
            status, name = bytes(item["body"]).decode().split()
            context.set_response_status(int(status), "Failed", index)
            if name != "-":
                context.set_response_header(index, "x-onnxserve-error", name)
        return ["its own words"] * len(data)
"""


def test_the_words_of_a_servers_error_that_has_a_name_come_in_a_header_too(tmp_path: Path):
    (tmp_path / "failing.py").write_text(FAILING)
    words = b64encode(b"its own words")
    with started(FAST, tmp_path) as worker:
        worker.ask(load_frame(tmp_path, "failing"))
        for body, repeated in (
            (b"500 not_finite", 1),
            (b"507 out_of_memory", 1),
            (b"422 invalid_row", 0),
            (b"500 -", 0),
        ):
            answer = worker.ask(batch_frame(plain("a", body)))
            assert answer.count(b"its own words") == 1
            assert (answer.count(b"x-onnxserve-body"), answer.count(words)) == (repeated, repeated)
