"""A job ends after the threads of the engine's library have left Python."""

from __future__ import annotations

import _thread
import threading

import pytest

from onnxserve.batch import engine
from onnxserve.batch.engine import threads_in_python, wait_for_native_threads


@pytest.mark.parametrize("is_named", [False, True], ids=["unknown to Python", "known to Python"])
def test_the_end_waits_for_a_librarys_thread(is_named):
    before = threads_in_python()
    started, released, left = threading.Event(), threading.Event(), list[bool]()

    def report() -> None:
        if is_named:
            threading.current_thread()  # which gives it a name
        started.set()
        released.wait(5)
        left.append(True)

    _thread.start_new_thread(report, ())
    assert started.wait(60)
    threading.Timer(0.2, released.set).start()
    wait_for_native_threads(before)
    assert left == [True]


def test_the_end_doesnt_wait_for_pythons_own_threads(monkeypatch):
    monkeypatch.setattr(engine, "LEAVE_S", 600)
    before, stop = threads_in_python(), threading.Event()
    own = threading.Thread(target=stop.wait, args=(60,), daemon=True)
    own.start()
    wait_for_native_threads(before)
    assert own.is_alive()
    stop.set()


def test_the_end_doesnt_wait_for_ever(monkeypatch):
    monkeypatch.setattr(engine, "LEAVE_S", 0.1)
    before = threads_in_python()
    started, stop, left = threading.Event(), threading.Event(), list[bool]()

    def stay() -> None:
        started.set()
        stop.wait(60)
        left.append(True)

    _thread.start_new_thread(stay, ())
    assert started.wait(60)
    wait_for_native_threads(before)
    assert left == []
    stop.set()
