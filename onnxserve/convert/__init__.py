"""An archive for other servers: the way out, should TorchServe end."""

from .asgi import to_asgi
from .triton import to_triton

__all__ = ["to_asgi", "to_triton"]
