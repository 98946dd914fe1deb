"""`onnxserve.serve`: a server of its own for a test, a notebook or a program."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

from onnxserve.archive import read_version
from onnxserve.client.calls import Calls
from onnxserve.client.client import Client
from onnxserve.client.errors import Unreachable
from onnxserve.client.options import Options
from onnxserve.errors import ServerError
from onnxserve.gateway import Canary
from onnxserve.release import ReleaseService, VersionStatus, release_of
from onnxserve.scratch import Scratch
from onnxserve.supervisor import Version

from .markup import render
from .plain_rows import plain_rows
from .predictions import Predictions
from .server_process import ServerProcess, start_process

READY_S = 180.0
NONE: Mapping[str, Any] = MappingProxyType({})
PathLike = str | os.PathLike[str]


class Server:
    """A running server, which ends with the block, with `close`, with this object or with this process.

    `url` is for clients, `console` for a browser; `client` is a client of it, for typed predictions, streams and
    tensors, with `options`; `state` is the folder of roles, history and logs.
    """

    def __init__(
        self,
        process: ServerProcess,
        folder: Scratch | None = None,
        options: Options | None = None,
    ) -> None:
        self.url = process.url
        self.console = process.console
        self.client = Client(self.url, **(options or {}))
        self.state = process.settings.state
        self._process = process
        self._end = weakref.finalize(self, _end, process, folder, self.client, os.getpid())

    def predict(
        self, model: str, rows: Sequence[Any], *, version: str = "", parameters: Mapping[str, Any] = NONE
    ) -> Predictions:
        """Ask through the gateway in one request, and return a prediction for each row, shape (rows,).

        Rows and `parameters` are as for `Archive.predict`; without `version`, roles decide which version answers.
        RowError for the first row that has no prediction; RequestFailed, a ServerError, if the server refuses the
        request or doesn't answer.
        """
        self._check_open()
        calls, plain = Calls[Any](self.client.settings, model, version, parameters), list(plain_rows(rows))
        try:
            answer = self.client.run(calls.whole_answer(plain, calls.deadline(None)))
        except Unreachable as error:
            error.fix = error.remedy = f"see whether it ended in {self._process.log}"
            raise
        return Predictions(answer.predictions, answer.model, answer.version)

    def register(self, archive: PathLike) -> str:
        """Load an archive beside the others, and return its version, which has no role yet.

        ArchiveError if the archive isn't what it records; ReleaseError or ServerError if it can't be loaded.
        """
        return self._release().register(Path(archive))

    def canary(
        self, model: str, version: str, percent: float = 5.0, *, other_signature: bool = False, unproven: bool = False
    ) -> list[str]:
        """Let a version answer `percent` of the requests that name none; return what changes, a line a role.

        `percent` is above 0 and at most 100. ReleaseError if it isn't, if the version isn't loaded, or if the
        signature differs from the stable version's, unless `other_signature` is set; and for all requests if the
        version is unproven, unless `unproven` is set.
        """
        release, share = self._release(), Canary(version, percent)
        return _recorded(
            release, release.canary(model, share, other_signature=other_signature, accept_unproven=unproven)
        )

    def promote(
        self, model: str, version: str = "", *, other_signature: bool = False, unproven: bool = False
    ) -> list[str]:
        """Make a version stable, by default the canary; return what changes, a line a role.

        Errors are those of `canary`; ReleaseError too if no version is named and there is no canary.
        """
        release = self._release()
        return _recorded(
            release, release.promote(model, version, other_signature=other_signature, accept_unproven=unproven)
        )

    def rollback(self, model: str) -> list[str]:
        """End the canary, or without one return to the former stable version; return what changes, a line a role.

        ReleaseError if there is neither.
        """
        release = self._release()
        return _recorded(release, release.rollback(model))

    def status(self, model: str | None = None) -> list[VersionStatus]:
        """Return the role, workers and queue of each version, of one or of all models.

        ServerError if the server was closed or doesn't answer.
        """
        return self._release().status(model)

    def close(self) -> None:
        """Answer the requests under way, end all processes, and remove the folder that `serve` made."""
        self._end()

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return not self._end.alive

    def _release(self) -> ReleaseService:
        self._check_open()
        return release_of(self._process.settings)

    def _check_open(self) -> None:
        if self.closed:
            raise ServerError("the server was closed", where=self.url, fix="start another: onnxserve.serve(archives)")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Server {'closed' if self.closed else 'on'} {self.url}>"

    def _repr_html_(self) -> str:
        try:
            versions = [] if self.closed else self.status()
        except ServerError as error:
            return render("server", server=self, versions=[], failure=error.what)
        return render("server", server=self, versions=versions, failure="")


def serve(
    archives: PathLike | Iterable[PathLike],
    *,
    gateway: Mapping[str, Mapping[str, Any]] = NONE,
    client: Options | None = None,
    state: PathLike | None = None,
    timeout_s: float = READY_S,
) -> Server:
    """Serve archives, and return when all of them answer; `with` ends the server with the block.

    It has free ports of 127.0.0.1 and a temporary folder of its own, so it runs beside any other server. `archives` is
    an archive, several, or a folder of them. `gateway` are sections of gateway.toml, such as `{"cache": {"seconds":
    60.0}}`, whose paths are relative to the present folder; `client` are settings of `server.client`, such as `{"key":
    …}` where the gateway demands keys, and `{"ca": …}` where it has a certificate. `state` is a folder that keeps
    roles, history and logs; `timeout_s` is the longest start [s].

    ServerError if it can't start, if there is no archive, or if `client` can't be used; ValueError and TypeError for a
    number or a setting of `client`, or a `timeout_s`, that can't be one; ArchiveError for a file that isn't one;
    GatewayError for a section or a field that gateway.toml doesn't have, or if nginx isn't installed. Nothing was
    started then, or it was ended.
    """
    options = check_arguments(client, timeout_s)
    temporary = Scratch()
    try:
        store = temporary.path / "store"
        versions = link_archives(archives, store)
        folder = temporary.path if state is None else Path(state).resolve()
        process = start_process(store, folder, gateway)
    except BaseException:
        temporary.remove()
        raise
    try:
        server = Server(process, temporary, options)
        process.wait_ready(versions, timeout_s)
    except BaseException:
        _end(process, temporary, None, os.getpid())
        raise
    return server


def check_arguments(client: Options | None, timeout_s: float) -> Options:
    """Return the options of the client, which a client can be made of; the errors are those of `serve`."""
    options = client or Options()
    if not timeout_s > 0:
        raise ValueError(f"timeout_s must be above 0, got {timeout_s}")
    Client(**options).close()
    return options


def link_archives(archives: PathLike | Iterable[PathLike], store: Path) -> list[Version]:
    """Make a store with links to archives, and return their models and versions; the server copies what it serves.

    ServerError if there is no archive or a version is named twice; ArchiveError for a file that isn't an archive.
    """
    paths = [Path(archives)] if isinstance(archives, str | os.PathLike) else [Path(archive) for archive in archives]
    if len(paths) == 1 and paths[0].is_dir():
        paths = sorted(paths[0].glob("*.mar"))
    if not paths:
        raise ServerError("there is no archive to serve", fix="name one, or a folder with .mar files")
    store.mkdir(parents=True)
    versions = [read_version(path) for path in paths]
    for (name, version), path in zip(versions, paths, strict=True):
        link = store / f"{name}-{version}.mar"
        if link.is_symlink():
            raise ServerError(f"{name} {version} is named twice", where=str(path), fix="name each version once")
        link.symlink_to(path.resolve())
    return versions


def _recorded(release: ReleaseService, changes: list[str]) -> list[str]:
    """Return changes; HistoryNotWritten, a ReleaseError, if the history has no line of them."""
    release.history.check_written()
    return changes


def _end(process: ServerProcess, folder: Scratch | None, client: Client | None, owner: int) -> None:
    if os.getpid() != owner:  # a copy of the program, such as a worker of multiprocessing, ends before it
        return
    if client is not None:
        client.close()
    process.stop()
    if folder is not None:
        folder.remove()
