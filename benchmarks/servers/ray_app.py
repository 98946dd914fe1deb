"""Ray Serve: two replicas; batching is on where it pays."""

from __future__ import annotations

import sys
import time
from typing import Any

import ray
from ray import serve
from starlette.requests import Request
from task import TASK, Task


@serve.deployment(num_replicas=2, max_ongoing_requests=256, ray_actor_options={"num_cpus": 0.5})
class Bench:
    """Answers one row per request."""

    def __init__(self) -> None:
        self.task = Task()

    @serve.batch(max_batch_size=16, batch_wait_timeout_s=0.002)
    async def several(self, documents: list[Any]) -> list[Any]:
        """Predict a batch."""
        return self.task.predict(documents)

    async def __call__(self, request: Request) -> Any:
        """Predict one row."""
        document = await request.json()
        # Padding costs `sentiment` more than batching saves; waiting costs `segment` more than its graph does.
        return await self.several(document) if TASK == "digits" else self.task.predict([document])[0]


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    serve.start(
        http_options={"host": "127.0.0.1", "port": int(sys.argv[1])},
        logging_config={"log_level": "WARNING", "enable_access_log": False},
    )
    serve.run(Bench.bind(), route_prefix="/predict")
    while True:
        time.sleep(1)
