"""What a model may come from: each module holds one source, and `opening` chooses among them."""

from .opening import open_source
from .source import InputSpec, SourceModel, match_inputs

__all__ = ["InputSpec", "SourceModel", "match_inputs", "open_source"]
