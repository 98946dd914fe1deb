"""MLServer: a custom runtime for the Open Inference Protocol."""

from __future__ import annotations

from typing import Any

from mlserver import MLModel
from mlserver.codecs import StringCodec
from mlserver.types import InferenceRequest, InferenceResponse
from task import TASK, Task


class Bench(MLModel):
    """Returns a row's label."""

    async def load(self) -> bool:
        """Load the model."""
        self.task = Task()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Predict a tensor of one row."""
        tensor = payload.inputs[0]
        value: Any = list(tensor.data) if TASK == "segment" else StringCodec.decode_input(tensor)[0]
        name = {"segment": "features", "sentiment": "text", "digits": "image"}[TASK]
        answer = self.task.predict([{name: value}])[0]
        output = StringCodec.encode_output("label", [answer["label"]])
        return InferenceResponse(model_name=self.name, outputs=[output])
