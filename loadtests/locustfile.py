"""Locust users, one a model, with real rows; the exit code says whether the objective held.

`make load`, or `locust -f loadtests/locustfile.py --headless --host http://127.0.0.1:8000`.
LOAD_SHAPE, LOAD_USERS, LOAD_SECONDS, SLO_FAILURES and SLO_P99_MS change the run.
"""

from __future__ import annotations

import logging
import random
import sys
from pathlib import Path
from typing import Any

from locust import FastHttpUser, LoadTestShape, constant, events, task

sys.path.insert(0, str(Path(__file__).parent))  # Locust loads this file by its path

from rows import bodies
from shapes import at, chosen
from slo import breaches, objective

log = logging.getLogger(__name__)
HEADERS = {"Content-Type": "application/json"}


class ModelUser(FastHttpUser):
    """Asks one model, checks that the answer is one."""

    abstract = True
    wait_time = constant(0)
    model = ""

    def on_start(self) -> None:
        """Read the rows once a user."""
        self.bodies = bodies(self.model)

    @task
    def predict(self) -> None:
        """One row of the model, drawn anew."""
        body = random.choice(self.bodies)  # noqa: S311 - load, not secrets
        path = f"/predictions/{self.model}"
        with self.client.post(path, data=body, headers=HEADERS, catch_response=True, name=self.model) as answer:
            if answer.status_code != 200:
                answer.failure(f"status {answer.status_code}")
            elif not answer.json().get("predictions"):
                answer.failure("no prediction")


class SegmentUser(ModelUser):
    """Table rows."""

    model = "segment"
    weight = 3


class SentimentUser(ModelUser):
    """Short texts."""

    model = "sentiment"


class DigitsUser(ModelUser):
    """Small pictures."""

    model = "digits"


class Shape(LoadTestShape):
    """The chosen plan over time."""

    plan = chosen()

    def tick(self) -> tuple[int, float] | None:
        """Users and rate now; None ends the run."""
        return at(self.plan, self.get_run_time())


@events.quitting.add_listener
def gate(environment: Any, **_: Any) -> None:
    """Exit with 1 when any model broke the objective."""
    total = environment.stats.total
    lines = [*environment.stats.entries.values()] or [total]
    broken = []
    for line in lines:
        p99 = line.get_response_time_percentile(0.99) or 0.0
        broken += breaches(line.name or "all", line.num_requests, line.num_failures, p99, objective())
    for breach in broken:
        log.error("objective broken: %s", breach)
    environment.process_exit_code = 1 if broken else 0
