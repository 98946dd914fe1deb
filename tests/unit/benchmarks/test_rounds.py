"""What fits into the time, what becomes of a server that fails, and how servers are paused and ended."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import cast

import psutil
import pytest

from benchmarks import rounds
from benchmarks.measure import Live, Measured, Started, length
from benchmarks.plan import Plan, fit
from benchmarks.prepare import Bench
from benchmarks.process import Running
from benchmarks.rivals import servers
from benchmarks.rounds import Results, Rounds

DEADLINE_S = 30


def test_a_slow_server_gets_time_to_answer_every_client():
    assert length(4, pace=10_000, clients=256) == 4
    assert length(4, pace=15, clients=64) == 13
    assert length(4, pace=0, clients=256) == 20


def test_runs_become_shorter_before_rounds_become_fewer():
    plan = Plan(rounds=5, seconds=4, clients=(1, 64))
    fast = [10_000.0] * 10
    assert fit(plan, float("inf"), fast) == (5, 4)
    assert fit(plan, 5 * 20 * 2.4, fast) == (5, 2)
    assert fit(plan, 5 * 20 * 1.3 - 1, fast) == (4, 1)
    assert fit(plan, -10, fast) == (1, 1)


def test_a_budget_shortens_the_load_before_too():
    assert Plan().warm_up(compiles=True) == 20
    assert Plan(budget_s=480).warm_up(compiles=True) == 7
    assert Plan(budget_s=480).warm_up(compiles=False) == 2
    assert Plan(budget_s=1).warm_up(compiles=False) == 1


class Standing(Running):
    """A server that was never really started."""

    def pause(self) -> None: ...

    def stop(self) -> None: ...


@pytest.fixture
def staged(monkeypatch):
    """Rounds over servers that answer at once; those in `broken` don't start, those in `dying` fail in their turn."""
    broken, dying = set[str](), set[str]()

    @contextlib.contextmanager
    def started(server, bench_, warm_s):
        if server.name in broken:
            raise RuntimeError("can't be installed: no wheel")
        start = Started(bench_.model, server.name, 1.0, 1.0)
        yield Live(server, Standing(cast("subprocess.Popen[bytes]", None), Path()), "", b"", Path(), [], start, 1000.0)

    def measure(live, clients, seconds, number):
        if live.server.name in dying:
            raise RuntimeError("ended with -9")
        return Measured("segment", live.server.name, clients, number, 100, 1, 2)

    monkeypatch.setattr(rounds, "started", started)
    monkeypatch.setattr(rounds, "measure", measure)
    monkeypatch.setattr(rounds, "LOOK_S", 0.01)
    results = Results({})
    subject = Rounds(Bench("segment", Path(), Path(), [], []), Plan(rounds=3, clients=(1, 64)), results)
    return subject, results, broken, dying


def test_a_server_that_fails_never_stops_the_others(staged):
    subject, results, broken, dying = staged
    broken.add("mosec")
    dying.add("triton")
    with contextlib.ExitStack() as cleanup:
        for server in servers("segment")[:6]:
            subject.start(cleanup, server)
        subject.play([], lambda: None)
    assert results.failures["segment"] == {"mosec": "can't be installed: no wheel", "triton": "ended with -9"}
    assert {run.server for run in results.runs} == {"default", "keys", "cache", "direct"}
    assert len(results.runs) == 4 * 3 * 2


def test_each_round_has_another_order_and_rounds_go_on_where_the_last_run_ended(staged):
    subject, results, _, _ = staged
    with contextlib.ExitStack() as cleanup:
        for server in servers("segment"):
            subject.start(cleanup, server)
        subject.play([], lambda: None)
        subject.play([], lambda: None)
    orders = {tuple(run.server for run in results.runs if (run.round, run.clients) == (n, 64)) for n in range(6)}
    assert len(orders) == 6
    assert {run.round for run in results.runs} == set(range(6))


def ended(process: psutil.Process) -> bool:
    """Whether it runs no more; nobody may have waited for it."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@contextlib.contextmanager
def family(tmp_path: Path):
    """A process with a child that outlives it unless it is ended too."""
    code = """if True:
        import subprocess, time
        while time.process_time() < 0.1:  # the kernel counts in hundredths of a second
            pass
        print(subprocess.Popen(['sleep', '600']).pid, flush=True)
        time.sleep(600)"""
    command = [sys.executable, "-c", code]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    running = Running(process, tmp_path / "log")
    try:
        with process.stdout as stream:
            child = psutil.Process(int(stream.readline()))
        assert child in running.tree()
        yield running, child
    finally:
        running.stop()


def test_a_paused_server_stands_still_with_its_children(tmp_path):
    with family(tmp_path) as (running, child):
        running.pause()
        stopped, standing = {psutil.STATUS_STOPPED}, {process.status() for process in running.tree()}
        deadline = time.monotonic() + DEADLINE_S
        while standing != stopped and time.monotonic() < deadline:  # a signal takes effect a little later
            standing = {process.status() for process in running.tree()}
        assert standing == stopped
        running.resume()
        while child.status() == psutil.STATUS_STOPPED and time.monotonic() < deadline:
            time.sleep(0.01)
        assert child.status() != psutil.STATUS_STOPPED


def test_a_server_is_ended_with_children_whose_parent_has_gone_and_while_it_is_paused(tmp_path):
    with family(tmp_path) as (running, child):
        running.pause()
        os.kill(running.process.pid, 9)
        running.process.wait(DEADLINE_S)
        running.stop()
        assert ended(child)


def test_cpu_time_of_a_process_that_ended_is_not_taken_back(tmp_path):
    with family(tmp_path) as (running, _):
        before = running.cpu_seconds()
        running.process.kill()
        running.process.wait(DEADLINE_S)
        assert running.tree() == []
        assert running.cpu_seconds() >= before > 0
