"""The gateway: nginx, rendered from `gateway.toml` and the labels, the only thing that listens off loopback."""

from .config import GatewayConfig
from .gateway import Gateway
from .read import read_config
from .roles import Auto, Canary, Labels, Model, Share, read_labels
from .traffic import Traffic

__all__ = [
    "Auto",
    "Canary",
    "Gateway",
    "GatewayConfig",
    "Labels",
    "Model",
    "Share",
    "Traffic",
    "read_config",
    "read_labels",
]
