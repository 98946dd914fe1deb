"""Choosing settings from measurements, without a server."""

import math
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from onnxserve.archive import check_archive, golden_bodies, max_batch, read_config, reconfigure, summarise
from onnxserve.cli.tune.load import what_it_gained
from onnxserve.errors import TuneError
from onnxserve.tuning import Point, Sample, Tuning, check_quiet, write_tuning
from onnxserve.tuning.curves import BEGIN, write_section
from onnxserve.tuning.grid import batches, shares, shortlist
from onnxserve.tuning.live import point_of, served_as
from onnxserve.tuning.search import highest_rate, interval
from onnxserve.tuning.state import Measurements, Round, State
from onnxserve.tuning.times import Timing

POINT = Point(2, 1, 8, 1)


def linear(threads: int, batch: int, fixed: float, each: float) -> Timing:
    return Timing(threads, batch, 100, fixed + each * batch / threads)


def times(fixed: float = 1.0, each: float = 1.0) -> list[Timing]:
    return [linear(threads, batch, fixed, each) for threads in (1, 2) for batch in (1, 2, 4, 8, 16)]


def sample(rate: float, p99: float, failed: int = 0) -> Sample:
    return Sample(rate, rate, p99 / 2, p99, failed, int(rate))


def test_batches_double_up_to_the_proven_one():
    assert batches(16) == [1, 2, 4, 8, 16]
    assert batches(24) == [1, 2, 4, 8, 16, 24]
    assert batches(1) == [1]


def test_workers_and_threads_use_all_cpus_and_no_more():
    assert shares(4) == [(1, 4), (2, 2), (4, 1)]
    assert shares(3) == [(1, 3), (3, 1)]


def test_large_batches_win_where_a_batch_costs_and_the_objective_allows():
    best = shortlist(times(fixed=10, each=0.1), 2, 16, p99_ms=100)[0]
    assert (best.batch, best.workers) == (16, 2)


def test_a_tight_objective_keeps_batches_small():
    chosen = shortlist(times(fixed=1, each=5), 2, 16, p99_ms=30)
    assert max(point.batch for point in chosen) <= 4


def test_no_batch_inside_the_objective_leaves_the_smallest_to_be_tried():
    assert shortlist(times(fixed=50, each=50), 2, 16, p99_ms=10) == [Point(2, 1, 1, 1)]


def test_the_search_finds_the_knee():
    def offer(rate: float) -> Sample:
        return sample(rate, 10 if rate <= 700 else 90)

    rate, runs = highest_rate(offer, 2000, 50)
    assert 660 < rate <= 700
    assert len(runs) < 20


def test_one_disturbed_run_does_not_decide():
    seen: list[float] = []

    def offer(rate: float) -> Sample:
        seen.append(rate)
        return sample(rate, 900 if len(seen) == 1 or rate > 700 else 10)

    assert highest_rate(offer, 2000, 50)[0] > 660


def test_failed_requests_break_the_objective_however_fast():
    assert highest_rate(lambda rate: sample(rate, 1, failed=int(rate > 100)), 1000, 50)[0] <= 100


def test_nothing_holds_gives_zero():
    assert highest_rate(lambda rate: sample(rate, 900), 1000, 50)[0] == 0


def test_the_interval_is_students():
    mean, low, high = interval([10.0, 12.0, 14.0])
    assert mean == 12
    assert high - mean == pytest.approx(4.30 * 2 / math.sqrt(3))
    assert mean - low == pytest.approx(high - mean)
    assert interval([5.0])[2] == math.inf


def tuning(low: float, high: float) -> Tuning:
    return Tuning(POINT, 50, (low + high) / 2, low, high, 4, {"cpus": 2}, replace(POINT, workers=1), 80)


def test_a_setting_is_read_from_an_archive_as_a_worker_reads_it():
    config: dict[str, Any] = {"minWorkers": 2, "batchSize": 16, "maxBatchDelay": 1, "handler": {"threads": 0}}
    assert point_of(config, 8) == Point(2, 4, 16, 1)
    assert point_of(config, 1) == Point(2, 1, 16, 1)
    assert point_of({**config, "handler": {"threads": 3}}, 8) == Point(2, 3, 16, 1)
    assert point_of({**config, **served_as(POINT)}, 8) == POINT


def test_a_choice_is_compared_with_the_setting_before():
    chosen = tuning(95, 105)
    assert what_it_gained(chosen) == "before: 1 x 1 thread, batch 8, delay 1 ms, 80 requests per second, 0.80 of that"
    assert what_it_gained(replace(chosen, before=POINT)) == "it is the setting that the archive had"


def test_rounds_that_disagree_are_called_noise_with_the_figures():
    check_quiet(tuning(95, 105))
    with pytest.raises(TuneError, match=r"too noisy: 100 requests per second ± 50%") as caught:
        check_quiet(tuning(50, 150))
    assert "--force" in str(caught.value)


def test_measurements_survive_and_damage_counts_as_none(tmp_path):
    state = State(tmp_path, "key")
    measured = Measurements(times(), [Round(POINT, 100, [sample(100, 10)]), Round(POINT, 110, [])])
    state.write(measured)
    assert state.read() == measured
    assert state.read().rates(POINT) == [100, 110]
    (tmp_path / "key.json").write_text("{")
    assert state.read() == Measurements()
    state.forget()
    state.forget()


def test_an_archive_is_reconfigured_and_stays_proven(archive, tmp_path):
    target = tmp_path / archive.name
    digest = reconfigure(archive, target, {"batchSize": 4, "handler": {"threads": 2}})
    config = read_config(target)
    assert (config["batchSize"], config["handler"]["threads"]) == (4, 2)
    assert config["responseTimeout"] == read_config(archive)["responseTimeout"]
    assert check_archive(target).sha256 == digest
    assert summarise(target).evidence == summarise(archive).evidence
    assert reconfigure(archive, tmp_path / "again.mar", {"batchSize": 4, "handler": {"threads": 2}}) == digest
    assert max_batch(target) == max_batch(archive)
    assert all(b"instances" in body for body in golden_bodies(target))


def test_a_tuning_is_written_with_its_interval_and_drawn_once(archive, tmp_path):
    target = tmp_path / "circle-1.0.0.mar"
    target.write_bytes(archive.read_bytes())
    report = tmp_path / "circle-1.0.0.report.html"
    report.write_text("<html><body>before</body></html>")
    measured = Measurements(times(), [Round(POINT, 100, [sample(100, 10), sample(200, math.inf)])])
    for _ in range(2):
        write_tuning(target, tuning(95, 105), measured)
    config = read_config(target)
    assert (config["minWorkers"], config["maxWorkers"], config["batchSize"], config["maxBatchDelay"]) == (2, 2, 8, 1)
    assert config["handler"]["threads"] == 1
    assert config["jobQueueSize"] == 16
    assert (config["tuning"]["low"], config["tuning"]["high"], config["tuning"]["p99_ms"]) == (95, 105, 50)
    page = report.read_text()
    assert page.count(BEGIN) == 1
    assert page.count("<svg") == 2
    assert "95 % interval 95 to 105" in page
    assert "<script" not in page
    check_archive(target)


def test_a_report_that_is_missing_is_begun(tmp_path: Path):
    write_section(tmp_path / "x.html", "text")
    assert "text\n</body>" in (tmp_path / "x.html").read_text()
