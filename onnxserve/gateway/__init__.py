"""The gateway: nginx, rendered from `gateway.toml` and the labels, the only thing that listens off loopback."""

from .config import GatewayConfig
from .config_file import read_config
from .gateway import Gateway
from .role_store import Traffic
from .roles import Auto, Canary, Labels, Model, Share, read_labels

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
