"""A canary's course as a picture: the bounds of each measure, over the answers seen."""

from __future__ import annotations

from pathlib import Path

from matplotlib import rcParams
from matplotlib.figure import Figure

from .course import Course
from .trial import MEASURES

rcParams["svg.hashsalt"] = "onnxserve"  # the same course gives the same file
COLOURS = {"stable": "#4477aa", "canary": "#cc6677"}


def draw(course: Course, path: Path) -> Path:
    """One panel a measure; SVG."""
    figure = Figure(figsize=(9, 6), layout="constrained")
    panels = figure.subplots(2, 2, sharex=True).flat
    seen = [point.seen for point in course.points]
    for panel, name in zip(panels, MEASURES, strict=True):
        rows = [point.bounds[name] for point in course.points]
        for at, version in enumerate(("stable", "canary")):
            low, high = ([row[2 * at + side] for row in rows] for side in (0, 1))
            label = f"{version} {getattr(course, version)}"
            panel.fill_between(seen, low, high, color=COLOURS[version], alpha=0.4, step="post", label=label)
        panel.set_title(name)
        panel.set_ylim(0, 1)
    panels[0].legend(loc="upper right")
    figure.supxlabel(f"answers of {course.canary}")
    figure.suptitle(f"{course.model}: {course.ended or 'under way'}, false alarms at most {course.auto.false_alarm:g}")
    figure.savefig(path, metadata={"Date": None})
    return path
