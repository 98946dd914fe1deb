"""The model definition: one frozen record for a `models/<name>/model.toml`."""

from .read import make_definition, read_definition
from .sections import Definition, FeaturesSection, QuantiseSection, RowsSection, ServeSection, Source

__all__ = [
    "Definition",
    "FeaturesSection",
    "QuantiseSection",
    "RowsSection",
    "ServeSection",
    "Source",
    "make_definition",
    "read_definition",
]
