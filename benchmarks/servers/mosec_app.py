"""Mosec: one batching stage, two worker processes, JSON requests and responses.

Mosec's guide ("Configuration", "Performance tuning") recommends batching, a wait shorter than the time of a batch, a
fast encoding, and a set number of threads per worker. One stage suffices here: no GPU needs a separate decoding stage.
"""

from __future__ import annotations

import json
from typing import Any

from mosec import Server, Worker
from task import TASK, Task

# `segment`: the fastest of 8, 16, 24, 32, 64 and 128 with 64 clients. Padding costs `sentiment` more than it saves.
BATCH = {"segment": 16, "sentiment": 1, "digits": 16}[TASK]
WAIT_MS = 1  # mosec's minimum


class Bench(Worker):
    """Answers a batch of rows."""

    def __init__(self) -> None:
        super().__init__()
        self.task = Task()

    def forward(self, data: Any) -> Any:
        """Predict a batch, or one row."""
        return self.task.predict(data) if BATCH > 1 else self.task.predict([data])[0]

    def serialize(self, data: Any) -> bytes:
        """Write compact JSON: mosec's own serializer indents, which selects Python's slow encoder."""
        return json.dumps(data).encode()


if __name__ == "__main__":
    server = Server()
    server.append_worker(Bench, num=2, max_batch_size=BATCH, max_wait_time=WAIT_MS, route="/predict")
    server.run()
