"""Import: a model in the form that its maker left it in becomes a model folder; each module reads one form."""

from .model_import import Imported, import_model, wanted_rows
from .options import ImportOptions

__all__ = ["ImportOptions", "Imported", "import_model", "wanted_rows"]
