"""`python -m benchmarks.canary`: how often a harmless canary is accused, and how soon a harmful one, by simulation."""

from __future__ import annotations

import argparse
import random
import statistics
from collections.abc import Callable
from pathlib import Path

from onnxserve.gateway.observations import Observation
from onnxserve.release.trial import begin

from .prepare import ROOT

ALPHA = 0.01
INTRO = """# Canaries, simulated

Written by `python -m benchmarks.canary`: courses of an automatic canary, each with answers of both versions in turn,
drawn as below; a stable version fails 0.5 % of its requests, 5 % of its answers are slow, 70 % have the usual label and
scores have mean 0.8. The stated chance of a false alarm is {alpha:g}.
"""


def answer(version: str, said: str, status: int, seconds: float) -> Observation:
    """One line as nginx would have noted it."""
    return Observation("", "", "demo", version, status, seconds, "miss", said)


def draw(rng: random.Random, version: str, errors: float, slower: float, flips: float, shift: float) -> Observation:
    """An answer of a version that harms as given."""
    if rng.random() < 0.005 + errors:
        return answer(version, "", 500, 0.01)
    label = "usual" if rng.random() < 0.7 - flips else "other"
    score = min(1.0, max(0.0, rng.gauss(0.8 - shift, 0.15)))
    said = f'[{{"label":"{label}","score":{score:.4f}}}]'
    return answer(version, said, 200, rng.lognormvariate(0, 0.3) * (1 + slower) / 100)


HARMS: list[tuple[str, tuple[float, float, float, float]]] = [
    ("none", (0, 0, 0, 0)),
    ("1 % more fail", (0.01, 0, 0, 0)),
    ("5 % more fail", (0.05, 0, 0, 0)),
    ("20 % more fail", (0.2, 0, 0, 0)),
    ("10 % slower", (0, 0.1, 0, 0)),
    ("50 % slower", (0, 0.5, 0, 0)),
    ("5 points fewer of the usual label", (0, 0, 0.05, 0)),
    ("20 points fewer of the usual label", (0, 0, 0.2, 0)),
    ("scores 0.05 lower", (0, 0, 0, 0.05)),
    ("scores 0.2 lower", (0, 0, 0, 0.2)),
]


def course(seed: int, harm: tuple[float, float, float, float], most: int) -> int | None:
    """Answers of the canary until it is accused; None when it isn't within `most`."""
    rng, trial = random.Random(seed), begin(ALPHA)  # noqa: S311 - a simulation
    for number in range(1, most + 1):
        trial.see(draw(rng, "1.0", 0, 0, 0, 0), canary=False)
        trial.see(draw(rng, "2.0", *harm), canary=True)
        if trial.harms():
            return number
    return None


def row(name: str, harm: tuple[float, float, float, float], runs: int, most: int, tick: Callable[[str], None]) -> str:
    """One line of the table."""
    found = [course(seed, harm, most) for seed in range(runs)]
    seen = sorted(one for one in found if one is not None)
    tick(f"{name}: {len(seen)} of {runs}")
    if not seen:
        return f"| {name} | 0 of {runs} | - | - |"
    late = seen[min(len(seen) - 1, int(0.9 * len(seen)))]
    return f"| {name} | {len(seen)} of {runs} | {statistics.median(seen):,.0f} | {late:,} |"


def main() -> None:
    """Simulate and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.canary", description="Simulated canaries.")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--answers", type=int, default=5_000, help="of the canary, at most")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "93-canaries.md")
    given = parser.parse_args()
    lines = [INTRO.format(alpha=ALPHA), f"| harm | accused within {given.answers:,} answers | median answers | 90 % |"]
    lines.append("|---|--:|--:|--:|")
    lines += [row(name, harm, given.runs, given.answers, print) for name, harm in HARMS]
    given.page.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(given.page)


if __name__ == "__main__":
    main()
