"""BentoML: a service with two workers; rows that are worth it are batched."""

from __future__ import annotations

from typing import Any

import bentoml
from task import TASK, Task


@bentoml.service(workers=2, traffic={"timeout": 60})
class Bench:
    """One row in, its answer out."""

    def __init__(self) -> None:
        self.task = Task()

    if TASK == "segment":

        @bentoml.api
        def predict(self, features: list[float]) -> dict[str, Any]:
            """A table row."""
            return self.task.predict([{"features": features}])[0]

    elif TASK == "sentiment":

        @bentoml.api
        def predict(self, text: str) -> dict[str, Any]:
            """A text."""
            return self.task.predict([{"text": text}])[0]

    else:

        @bentoml.api
        def predict(self, image: str) -> dict[str, Any]:
            """An image in base64."""
            return self.task.predict([{"image": image}])[0]
