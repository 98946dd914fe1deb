"""Locust users, one per model, that send real rows; the exit code tells whether the objective was met.

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
    """Sends rows to one model and checks the responses."""

    abstract = True
    wait_time = constant(0)
    model = ""

    def on_start(self) -> None:
        """Read the rows once per user."""
        self.bodies = bodies(self.model)

    @task
    def predict(self) -> None:
        """Send a randomly drawn row."""
        body = random.choice(self.bodies)  # noqa: S311 - load, not secrets
        path = f"/predictions/{self.model}"
        with self.client.post(path, data=body, headers=HEADERS, catch_response=True, name=self.model) as answer:
            if answer.status_code != 200:
                answer.failure(f"status {answer.status_code}")
            elif not answer.json().get("predictions"):
                answer.failure("no prediction")


class SegmentUser(ModelUser):
    """Sends table rows."""

    model = "segment"
    weight = 3


class SentimentUser(ModelUser):
    """Sends short texts."""

    model = "sentiment"


class DigitsUser(ModelUser):
    """Sends small images."""

    model = "digits"


class Shape(LoadTestShape):
    """The selected load plan over time."""

    plan = chosen()

    def tick(self) -> tuple[int, float] | None:
        """Return the current number of users and spawn rate, None at the end of the plan."""
        return at(self.plan, self.get_run_time())


@events.quitting.add_listener
def gate(environment: Any, **_: Any) -> None:
    """Exit with 1 if a model missed the objective."""
    total = environment.stats.total
    lines = [*environment.stats.entries.values()] or [total]
    broken = []
    for line in lines:
        p99 = line.get_response_time_percentile(0.99) or 0.0
        broken += breaches(line.name or "all", line.num_requests, line.num_failures, p99, objective())
    for breach in broken:
        log.error("objective broken: %s", breach)
    environment.process_exit_code = 1 if broken else 0
