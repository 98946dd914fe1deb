"""What a pod needs, measured with the archive's own handler; and the chart takes it as it is."""

from __future__ import annotations

import yaml
from typer.testing import CliRunner

from onnxserve.cli.app import app
from onnxserve.tuning.resources import FRONTEND_MIB, Need, chart_values, measure_need
from tests.contract.test_helm import container, rendered


def test_tuned_archives_add_up_and_others_share_the_machine():
    tuned, other = Need("a", "1", 2, 3, 100), Need("b", "1", 4, 0, 50)
    computed = chart_values([tuned, other], cpus=8)["resources"]
    assert computed["requests"] == {"cpu": "15", "memory": f"{FRONTEND_MIB + 500}Mi"}
    assert computed["limits"] == {"memory": computed["requests"]["memory"]}
    assert chart_values([tuned])["resources"]["requests"]["cpu"] == "7"


def test_a_worker_is_measured_and_the_chart_takes_the_values(archive, tmp_path):
    worker = measure_need(archive)
    assert (worker.name, worker.workers) == ("circle", 1)
    assert 30 < worker.megabytes < 2000
    # The command's own output, comments and all.
    completed = CliRunner().invoke(app, ["tune", "resources", str(archive), "--cpus", "2"], catch_exceptions=False)
    path = tmp_path / "pod.yaml"
    path.write_text(completed.output)
    assert container(rendered("--values", str(path)))["resources"] == yaml.safe_load(completed.output)["resources"]
