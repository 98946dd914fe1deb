"""Rules and dashboard, judged by Prometheus's own tool; and every alert has a page that says what to do."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import yaml

from onnxserve.monitoring.dashboard import dashboard, expressions

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus"


def promtool(*words: str) -> str:
    binary = shutil.which("promtool")
    assert binary, "apt-get install prometheus"
    completed = subprocess.run([binary, *words], cwd=RULES, capture_output=True, text=True, check=False)
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return completed.stdout + completed.stderr


def alerts() -> list[dict[str, object]]:
    groups = yaml.safe_load((RULES / "rules.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def test_every_alert_fires_when_it_should_and_none_on_a_quiet_day():
    assert "SUCCESS" in promtool("test", "rules", "rules_test.yaml")
    tested = (RULES / "rules_test.yaml").read_text()
    for rule in alerts():
        assert tested.count(f"alertname: {rule['alert']}") >= 2 or rule["alert"] == "OnnxserveDown", rule["alert"]


def test_the_configuration_is_prometheus_own():
    promtool("check", "config", "prometheus.yaml")


def test_every_alert_has_a_page_in_the_runbook():
    pages = {path.stem for path in (ROOT / "docs" / "runbook").glob("*.md")}
    assert pages == {str(rule["alert"]) for rule in alerts()}
    for name in pages:
        text = (ROOT / "docs" / "runbook" / f"{name}.md").read_text()
        assert re.findall(r"\*\*(.+?)\*\*", text) == ["Fires when.", "What it means.", "What to do."]


def test_every_expression_of_the_dashboard_is_one(tmp_path):
    rules = [{"record": f"onnxserve:panel:{at}", "expr": text} for at, text in enumerate(expressions())]
    path = tmp_path / "panels.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", str(path))


def test_panels_do_not_overlap():
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in dashboard()["panels"]]
    assert len(set(places)) == len(places)
