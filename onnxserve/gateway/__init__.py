"""The gateway: nginx, rendered from `traffic.toml` and the labels, the only thing that listens off loopback."""

from .config import GatewayConfig, Predictions
from .files import replace_file
from .gateway import Gateway
from .labels import Auto, Canary, Labels, Model, Share, read_labels
from .read import read_config
from .traffic import Traffic

__all__ = [
    "Auto",
    "Canary",
    "Gateway",
    "GatewayConfig",
    "Labels",
    "Model",
    "Predictions",
    "Share",
    "Traffic",
    "read_config",
    "read_labels",
    "replace_file",
]
