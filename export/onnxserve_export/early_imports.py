"""Modules that later steps need, imported while this process waits for others: that takes a second or two of a core."""

from __future__ import annotations

import importlib
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

EXPORTER = ("onnxscript", "torch._dynamo")  # what torch.onnx.export imports when it is called
QUANTISER = ("onnxserve_export.fitting", "nncf")  # the first sees to it that the second tells nobody


@contextmanager
def importing(names: Sequence[str]) -> Iterator[None]:
    """Import modules meanwhile, in a thread that ends with this; whoever needs one that fails gets its error then.

    The caller must import nothing itself meanwhile, since modules that import each other would wait for each other.
    """
    thread = threading.Thread(target=_import, args=(names,))
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _import(names: Sequence[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in names:
            with suppress(Exception):
                importlib.import_module(name)
