"""TorchServe from the outside: its settings, rendered files, Java, its process, its management API."""

from .java import Java, find_java
from .management import Management
from .model_version import ModelVersion, Worker
from .server import Server, free_ports, start_server, with_free_ports
from .settings import Settings, check_names, resolve_settings
from .stores import own_stores, record_stores, stores_of

__all__ = [
    "Java",
    "Management",
    "ModelVersion",
    "Server",
    "Settings",
    "Worker",
    "check_names",
    "find_java",
    "free_ports",
    "own_stores",
    "record_stores",
    "resolve_settings",
    "start_server",
    "stores_of",
    "with_free_ports",
]
