"""The model definition: one frozen record for a `models/<name>/model.toml`."""

from .read import read_definition
from .sections import Definition, FeaturesSection, QuantiseSection, RowsSection, ServeSection, Source

__all__ = [
    "Definition",
    "FeaturesSection",
    "QuantiseSection",
    "RowsSection",
    "ServeSection",
    "Source",
    "read_definition",
]
