"""Clients that send a request byte by byte: they are dropped or answered, and hold up nobody."""

from __future__ import annotations

import contextlib
import time
from collections import Counter

from onnxserve.gateway.config import Deadline
from tests.helpers.gateway import Client, opened
from tests.helpers.raw import Raw, post_bytes, raw_connection

REQUEST_S = 3  # more than a busy machine stalls for between two bytes, less than all bytes of a request take


def drip(raws: list[Raw], content: bytes, client: Client) -> int:
    """Send a byte on each connection again and again, others' requests between; how many were dropped."""
    dropped = set[int]()
    for at in range(len(content)):
        for number, raw in enumerate(raws):
            try:
                raw.send(content[at : at + 1])
            except OSError:
                dropped.add(number)
        assert client.post(body=b"[2]").status_code == 200
        time.sleep(0.04)
    return len(dropped)


@opened(deadline=Deadline(request_s=REQUEST_S))
def test_clients_that_send_a_header_byte_by_byte_are_dropped_while_others_are_answered(client, upstream):
    with contextlib.ExitStack() as stack:
        port = client.gateway.config.listen.port
        raws = [stack.enter_context(raw_connection(port)) for _ in range(40)]
        assert drip(raws, post_bytes(X_Long="x" * 60), client) == 40
    assert {request.body for request in upstream.requests} == {b"[2]"}


@opened(deadline=Deadline(request_s=REQUEST_S))
def test_clients_that_send_a_body_byte_by_byte_hold_up_nobody_and_are_answered_in_the_end(client, upstream):
    body = b"[" + b"1," * 50 + b"1]"
    with contextlib.ExitStack() as stack:
        port = client.gateway.config.listen.port
        raws = [stack.enter_context(raw_connection(port)) for _ in range(40)]
        for raw in raws:
            raw.send(post_bytes(body=body)[: -len(body)])
        assert drip(raws, body, client) == 0
        answers = [raw.answer() for raw in raws]
    assert {answer and answer.status for answer in answers} == {200}
    assert Counter(request.body for request in upstream.requests)[body] == 40
