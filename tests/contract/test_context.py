"""Our offline context behaves like TorchServe's real one."""

import inspect
from pathlib import Path

import pytest
from ts.context import Context, RequestProcessor

from onnxserve_handlers.offline import OfflineContext
from onnxserve_handlers.response import ERROR
from tests.helpers.fakes import with_fake_session
from tests.helpers.kinds import TableClassifier

METHODS = (
    "get_request_header",
    "get_all_request_header",
    "set_response_status",
    "set_response_content_type",
    "set_response_header",
)


@pytest.mark.parametrize("method", METHODS)
def test_the_stand_in_takes_what_the_real_context_takes(method):
    real = list(inspect.signature(getattr(Context, method)).parameters)
    assert list(inspect.signature(getattr(OfflineContext, method)).parameters) == real


def test_a_handler_leaves_the_same_statuses_on_both():
    handler = TableClassifier()
    with_fake_session(handler, columns=("a", "b"))
    handler.prepare()
    bodies = [{"body": bytearray(b"[1, 2]")}, {"body": bytearray(b"[1]")}, {}]
    headers = [{"content-type": "application/json"}, {"Content-Type": "application/json"}, {}]
    fake = OfflineContext(Path())
    fake.headers = headers
    real = Context("demo", ".", None, 3, None, "0.12.0", True, None, {})
    real.request_processor = [RequestProcessor(header) for header in headers]
    assert handler.handle(bodies, fake) == handler.handle(bodies, real)
    for index in range(3):
        assert fake.statuses.get(index, (200, None)) == real.get_response_status(index)
        assert fake.content_types[index] == real.get_response_content_type(index)
        # The real one keeps the content type among the headers.
        named = {**real.get_response_headers(index)}
        assert named.pop("content-type") == real.get_response_content_type(index)
        assert named == fake.response_headers.get(index, {})
        phrase = real.get_response_status(index)[1] or ""
        assert phrase.isascii()
        assert "\n" not in phrase
    assert [real.get_response_headers(index).get(ERROR) for index in range(3)] == [
        None,
        "invalid_row",
        "undecodable_body",
    ]
