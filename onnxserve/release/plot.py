"""A plot of a rollout: what bets against the canary have won in each measure, over the canary's answers."""

from __future__ import annotations

import math
from pathlib import Path

from matplotlib import rcParams
from matplotlib.figure import Figure

from .measures import MEASURES
from .rollout import Rollout

rcParams["svg.hashsalt"] = "onnxserve"  # the same rollout gives the same file


def draw(rollout: Rollout, path: Path) -> Path:
    """Write an SVG with the odds against the canary by measure and the odds that cause a rollback; powers of ten."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    panel = figure.subplots()
    seen = [point.seen for point in rollout.points]
    for name in MEASURES:
        panel.step(seen, [point.log_wealth[name] / math.log(10) for point in rollout.points], where="post", label=name)
    panel.axhline(rollout.comparison.limit / math.log(10), color="black", linestyle="--", label="taken back")
    panel.set_ylim(bottom=-3)
    panel.set_ylabel("odds that it does harm, powers of ten")
    panel.legend(loc="upper left")
    figure.supxlabel(f"answers of {rollout.canary}")
    figure.suptitle(
        f"{rollout.model}: {rollout.ended or 'under way'}, false alarms at most {rollout.auto.false_alarm:g}"
    )
    figure.savefig(path, metadata={"Date": None})
    return path
