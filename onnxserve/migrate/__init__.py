"""Migration of TorchServe's archives: what runs unchanged, the same archive for our server, and a model folder."""

from .convert import convert
from .report import Finding, report
from .stock import StockArchive, read_stock
from .wrap import wrap

__all__ = ["Finding", "StockArchive", "convert", "read_stock", "report", "wrap"]
