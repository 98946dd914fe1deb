"""Warm-up of TorchServe's frontend: load on a trivial model, so that the metrics of real models stay clean."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import msgspec

from onnxserve.archive import make_key, sign_archive, unpack, write_archive
from onnxserve.client import http_post
from onnxserve.errors import ServerError
from onnxserve_handlers.trust.digests import MANIFEST, SIGNING_FILE

from .closed_loop import closed_loop
from .management import Management
from .settings import Settings

MODEL = Path(__file__).with_name("warmup_model")
FOLDER = "warm-up"
NAME, VERSION = "onnxserve-warm-up", "1.0"
CONNECTIONS = 64
READY_S = 30.0


@dataclass(frozen=True)
class WarmUpRates:
    """Requests per second in the first and in the last second of a warm-up."""

    first: int
    last: int


def sign_model(settings: Settings) -> Path:
    """Sign the warm-up model with a key that is deleted at once; return the public key, which workers must trust.

    Where only signed archives load, this one must be signed too. Nobody can sign another archive with that key.
    """
    private, archive = settings.run / "warm-up.pem", settings.run / "warm-up.mar"
    public = private.with_suffix(".pub")
    for path in (private, public):
        path.unlink(missing_ok=True)
    members = {path.name: path.read_bytes() for path in sorted(MODEL.iterdir()) if path.is_file()}
    make_key(private)
    try:
        write_archive(archive, members, msgspec.json.decode((MODEL / MANIFEST).read_bytes(), type=dict[str, object]))
        sign_archive(archive, private)
        unpack(archive, settings.state.resolve() / FOLDER)
    finally:
        private.unlink()
        archive.unlink(missing_ok=True)
    return public


def warm_up(settings: Settings, seconds: float) -> WarmUpRates:
    """Put load on a ready server's frontend, so that Java compiles the code that requests run.

    ServerError when the server hangs up meanwhile or doesn't remove the warm-up model.
    """
    # A copy, since TorchServe links to the folder and later removes what it linked to.
    folder = settings.state.resolve() / FOLDER
    if not (folder / SIGNING_FILE).is_file():
        shutil.copytree(MODEL, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    management = Management(settings.management)
    management.register(str(folder))
    try:
        management.wait_ready(NAME, VERSION, READY_S)
        counts = closed_loop(settings.inference, http_post(f"/predictions/{NAME}", b"{}"), CONNECTIONS, seconds)
        management.unregister(NAME, VERSION)
    except (OSError, ServerError) as error:
        with contextlib.suppress(ServerError):  # the first error says more
            management.unregister(NAME, VERSION)
        if isinstance(error, ServerError):
            raise
        raise ServerError(f"the server hung up during the warm-up: {error}", where=str(settings.inference)) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return WarmUpRates(counts[0], counts[-1])
