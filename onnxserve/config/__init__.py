"""How TorchServe is configured and started: settings, rendered files, Java, the process."""

from .java import Java, find_java
from .server import Server, free_ports, start_server, with_free_ports
from .settings import Settings, resolve_settings
from .stores import own_stores, record_stores, stores_of

__all__ = [
    "Java",
    "Server",
    "Settings",
    "find_java",
    "free_ports",
    "own_stores",
    "record_stores",
    "resolve_settings",
    "start_server",
    "stores_of",
    "with_free_ports",
]
