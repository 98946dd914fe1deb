"""LitServe: two workers; batching is on where it pays."""

from __future__ import annotations

import sys
from typing import Any

import litserve
from task import TASK, Task

BATCH = 16 if TASK == "digits" else 1  # padding costs `sentiment` more than batching saves


class Api(litserve.LitAPI):
    """Answers one row per request."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe's
        """Load the model."""
        self.task = Task()

    def decode_request(self, request):  # noqa: ANN001, ANN201 - LitServe reads annotations as parameters
        """Return the JSON document: it is the row."""
        return request

    def batch(self, inputs: list[Any]) -> list[Any]:
        """Return the rows unchanged."""
        return inputs

    def predict(self, x: Any) -> Any:
        """Predict one row, or a batch."""
        return self.task.predict(x) if BATCH > 1 else self.task.predict([x])[0]

    def unbatch(self, output: list[Any]) -> list[Any]:
        """Return the answers unchanged."""
        return output

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        """Return the answer: it is the JSON document."""
        return output


if __name__ == "__main__":
    extra = {"max_batch_size": BATCH, "batch_timeout": 0.002} if BATCH > 1 else {}
    server = litserve.LitServer(Api(**extra), accelerator="cpu", workers_per_device=2)
    server.run(port=int(sys.argv[1]), host="127.0.0.1", generate_client_file=False, log_level="warning")
