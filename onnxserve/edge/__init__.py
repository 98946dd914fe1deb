"""The door: Envoy in front, nginx as its cache, both rendered from `traffic.toml` and the labels."""

from .files import replace_file
from .intent import Intent, Predictions, read_intent
from .labels import Auto, Canary, Labels, Model, Share, read_labels
from .render import Edge
from .traffic import Traffic

__all__ = [
    "Auto",
    "Canary",
    "Edge",
    "Intent",
    "Labels",
    "Model",
    "Predictions",
    "Share",
    "Traffic",
    "read_intent",
    "read_labels",
    "replace_file",
]
