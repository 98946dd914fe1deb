"""The model definition: one frozen record for a `models/<name>/model.toml`."""

from .definition import Definition, FeaturesSpec, InputSpec, QuantiseSpec, ServeSpec, Source
from .read import read_definition

__all__ = ["Definition", "FeaturesSpec", "InputSpec", "QuantiseSpec", "ServeSpec", "Source", "read_definition"]
