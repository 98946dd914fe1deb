"""The queue's simulation, held to what queueing theory says in closed form."""

from __future__ import annotations

import math

import pytest

from onnxserve.tuning.capacity import ServiceTimes, highest_rate, plan, service_times, simulate
from onnxserve.tuning.times import Timing


def test_one_worker_without_batches_is_the_queue_m_d_1():
    # Pollaczek and Khinchine: the mean wait of M/D/1 is load / (2 (1 - load)) service times; p99 grows with it.
    quiet, _ = simulate(10.0, lambda _: 0.01, 1, 1)
    loaded, busy = simulate(80.0, lambda _: 0.01, 1, 1)
    assert quiet == pytest.approx(0.0165, abs=0.003)
    assert busy == pytest.approx(0.8, abs=0.02)
    # M/D/1 at load 0.8: the tail decays with rate eta, where load (e^eta - 1) = eta: eta = 0.465 a service time.
    expected = 0.01 * (1 + math.log(100 * 0.8) / 0.465)
    assert loaded == pytest.approx(expected, rel=0.15)


def test_batches_carry_what_single_rows_cannot():
    service = ServiceTimes((1, 16), (0.010, 0.025))
    alone, batched = highest_rate(service, 1, 1, 0.1)[0], highest_rate(service, 1, 16, 0.1)[0]
    assert alone < 100 < batched < 16 / 0.025
    assert batched > 4 * alone


def test_twice_the_workers_carry_about_twice_as_much():
    service = ServiceTimes((1, 8), (0.005, 0.016))
    single, double = highest_rate(service, 1, 8, 0.1)[0], highest_rate(service, 2, 8, 0.1)[0]
    assert double == pytest.approx(2 * single, rel=0.15)


def test_servers_are_counted_with_headroom_and_none_where_a_row_alone_is_too_slow():
    service = ServiceTimes((1,), (0.01,))
    planned = plan(500, service, 1, 1, 0.1)
    assert planned.servers == math.ceil(500 / (0.7 * planned.most))
    assert planned.p99_ms <= 100
    assert plan(500, ServiceTimes((1,), (0.2,)), 1, 1, 0.1).servers == 0


def test_times_between_measured_sizes_lie_on_a_line():
    times = [Timing(1, 1, 9, 2.0), Timing(1, 1, 11, 4.0), Timing(1, 4, 9, 6.0), Timing(2, 1, 9, 1.0)]
    service = service_times(times, 1)
    assert service(1) == pytest.approx(0.003)
    assert service(2) == pytest.approx(0.004)
    assert service(4) == pytest.approx(0.006)
