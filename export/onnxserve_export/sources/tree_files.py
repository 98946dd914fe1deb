"""Files of fitted models: pickles only where they are trusted, since reading one runs whatever code it names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onnxserve.errors import DefinitionError

from .fitted_tables import missing
from .trees import TreeSource
from .untrusted import FITTED, UntrustedFile

LIBRARIES = ("sklearn", "xgboost", "lightgbm", "joblib", "scipy", "pandas")  # others are the model's own


def open_trees(path: Path, *, trust: bool = False) -> TreeSource:
    """Return the fitted model of a file; DefinitionError if it can't be read, or is a pickle that isn't trusted."""
    try:
        return TreeSource(_read(path, trust=trust))
    except ModuleNotFoundError as error:
        raise missing(error) from error


def _read(path: Path, *, trust: bool) -> Any:
    match path.suffix.lower():
        case ".skops":
            return _skops(path, trust=trust)
        case ".ubj" | ".json":
            return _xgboost(path)
        case ".txt":
            return _lightgbm(path)
        case _:
            if not trust:
                raise UntrustedFile(
                    f"{path.name} is a pickle: reading it runs whatever code it names",
                    where=str(path),
                    fix="--trust, if you made it yourself; or write it with skops.io.dump, or save_model of XGBoost "
                    "(.ubj) or LightGBM (.txt), which need no trust",
                    hidden=FITTED,
                )
            return _pickle(path)


def _pickle(path: Path) -> Any:
    """Return what a pickle holds; joblib reads its own and Python's, and both are often called `.pkl`."""
    try:
        import joblib

        return joblib.load(path)
    except Exception as error:  # whatever the pickle's own code raises
        if isinstance(error, ModuleNotFoundError) and str(error.name).partition(".")[0] in LIBRARIES:
            raise
        raise DefinitionError(
            f"{path.name} can't be read: {error}",
            where=str(path),
            fix="install the versions of the libraries that wrote it, and the module of its own classes",
        ) from error


def _skops(path: Path, *, trust: bool) -> Any:
    import skops.io

    try:
        unknown = skops.io.get_untrusted_types(file=path)
    except Exception as error:
        raise DefinitionError(f"{path.name} can't be read as skops writes it: {error}", where=str(path)) from error
    if unknown and not trust:
        raise UntrustedFile(
            f"{path.name} holds types that skops doesn't know to be harmless: {unknown}",
            where=str(path),
            fix="--trust, if you made it yourself; or load it in a function with skops.io.load(…, trusted=[…]), and "
            "set source = model.py:load",
            hidden=FITTED,
        )
    return skops.io.load(path, trusted=unknown)


def _xgboost(path: Path) -> Any:
    import xgboost

    booster = xgboost.Booster()
    try:
        booster.load_model(path)
    except xgboost.core.XGBoostError as error:
        raise DefinitionError(f"{path.name} can't be read as an XGBoost model: {error}", where=str(path)) from error
    return booster


def _lightgbm(path: Path) -> Any:
    import lightgbm

    try:
        return lightgbm.Booster(model_file=str(path))
    except lightgbm.basic.LightGBMError as error:
        raise DefinitionError(f"{path.name} can't be read as a LightGBM model: {error}", where=str(path)) from error
