"""The model definition: one frozen record for a `models/<name>/model.toml`."""

from .read import read_definition
from .sections import Definition, FeaturesSection, QuantiseSection, ServeSection, Source

__all__ = [
    "Definition",
    "FeaturesSection",
    "QuantiseSection",
    "ServeSection",
    "Source",
    "read_definition",
]
