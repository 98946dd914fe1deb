"""Mosec: one batching stage, two worker processes, JSON in and out.

Its guide ("Configuration", "Performance tuning") says: batch, wait less than a batch takes, choose the encoding, set
the threads of each worker. One stage suffices here: there is no GPU to keep busy while another stage decodes.
"""

from __future__ import annotations

import json
from typing import Any

from mosec import Server, Worker
from task import TASK, Task

# `segment`: the fastest of 8, 16, 24, 32, 64 and 128 with 64 clients. Padding costs `sentiment` more than it saves.
BATCH = {"segment": 16, "sentiment": 1, "digits": 16}[TASK]
WAIT_MS = 1  # the least that mosec takes


class Bench(Worker):
    """A batch of rows in, their answers out."""

    def __init__(self) -> None:
        super().__init__()
        self.task = Task()

    def forward(self, data: Any) -> Any:
        """A batch, or one row."""
        return self.task.predict(data) if BATCH > 1 else self.task.predict([data])[0]

    def serialize(self, data: Any) -> bytes:
        """Compact JSON: mosec's own indents, which takes Python's slow encoder."""
        return json.dumps(data).encode()


if __name__ == "__main__":
    server = Server()
    server.append_worker(Bench, num=2, max_batch_size=BATCH, max_wait_time=WAIT_MS, route="/predict")
    server.run()
