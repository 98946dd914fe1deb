"""Mosec: one batching stage, two worker processes, JSON in and out.

Its guide ("Configuration", "Performance tuning") says: batch, wait less than a batch takes, choose the encoding, set
the threads of each worker. One stage suffices here: there is no GPU to keep busy while another stage decodes.
"""

from __future__ import annotations

import json
from typing import Any

from mosec import Server, Worker
from task import TASK, Task

# The graph of `sentiment` takes rows one by one, as served by onnxserve: padding costs more than a batch saves.
BATCH = {"segment": 32, "sentiment": 8, "digits": 16}[TASK]
WAIT_MS = 1  # the least that mosec takes


class Bench(Worker):
    """A batch of rows in, their answers out."""

    def __init__(self) -> None:
        super().__init__()
        self.task = Task()

    def forward(self, data: list[Any]) -> list[Any]:
        """Answers in the order of the rows."""
        return self.task.predict(data)

    def serialize(self, data: Any) -> bytes:
        """Compact JSON: mosec's own indents, which takes Python's slow encoder."""
        return json.dumps(data).encode()


if __name__ == "__main__":
    server = Server()
    server.append_worker(Bench, num=2, max_batch_size=BATCH, max_wait_time=WAIT_MS, route="/predict")
    server.run()
