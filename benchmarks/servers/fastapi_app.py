"""FastAPI in the style of its tutorials: a pydantic row, an async endpoint, one row per call."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from task import TASK, Task

app = FastAPI()
task = Task()


class Segment(BaseModel):
    """A table row."""

    features: list[float]


class Sentiment(BaseModel):
    """A text."""

    text: str


class Digits(BaseModel):
    """An image in base64."""

    image: str


Row: Any = {"segment": Segment, "sentiment": Sentiment, "digits": Digits}[TASK]


async def predict(row: Any) -> dict[str, Any]:
    """Return label and score."""
    return task.predict([row.model_dump()])[0]


predict.__annotations__["row"] = Row
app.post("/predict")(predict)
