"""The gateway: nginx, rendered from `gateway.toml` and the roles; only it listens off loopback."""

from .config import GatewayConfig
from .config_file import read_config
from .gateway import Gateway
from .role_store import RoleStore
from .roles import Auto, Canary, Model, Roles, Share, read_roles

__all__ = [
    "Auto",
    "Canary",
    "Gateway",
    "GatewayConfig",
    "Model",
    "RoleStore",
    "Roles",
    "Share",
    "read_config",
    "read_roles",
]
