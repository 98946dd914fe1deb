"""`python -m benchmarks.canary`: simulate how often harmless canaries are rejected and how soon harmful ones are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from onnxserve.release.measures import MEASURES, SCORE_SPREAD, slow_answers
from onnxserve.release.sequential import BOTH, STAKES, Floats, contrast, grow, log_mean

from .arguments import make_parser

ALPHA = 0.01
STEPS = 4
PAIRS = 10  # answers of each version in a block
INTRO = """# Canaries, simulated

Written by `python -m benchmarks.canary`, which uses the same arithmetic as the server. It simulates automatic canaries
of {steps} steps with a false-alarm probability of {alpha:g}. Each second, {pairs} answers of the canary are compared
with as many of the stable version. The stable version fails 0.5 % of its requests. Its answers take 10 ms, log-normal
with sigma 0.3. Of two labels, 70 % of its answers have the usual one. Its scores have mean 0.8 and standard deviation
0.15.
"""
HARMLESS = """
## A version that doesn't differ

Canaries that were taken back in {blocks:,} blocks, {answers:,} answers of the canary. What drifts, drifts for both
versions.

| while | taken back |
|---|--:|
"""
HARMFUL = """
## A version that does harm

Answers of the canary until it is taken back. An automatic canary that compares fewer (`--requests` times its steps) can
end before it finds such a harm.

| harm | found within {answers:,} answers | median | 90 % |
|---|--:|--:|--:|
"""


@dataclass(frozen=True)
class Traffic:
    """Distribution of answers: failure rate, share of the usual label, mean score, and mean latency in seconds."""

    errors: float = 0.005
    usual: float = 0.7
    score: float = 0.8
    seconds: float = 0.01


Harm = Callable[[Traffic], Traffic]
Drift = Callable[[float], Traffic]  # maps a time between 0 and 1 to the traffic at that time
DRIFTS: dict[str, Drift] = {
    "nothing drifts": lambda _: Traffic(),
    "the usual label falls from 70 % to 50 %, scores from 0.8 to 0.6": lambda t: Traffic(
        usual=0.7 - 0.2 * t, score=0.8 - 0.2 * t
    ),
    "all of that in one step": lambda t: Traffic(usual=0.7 - 0.2 * (t > 0.5), score=0.8 - 0.2 * (t > 0.5)),
    "labels, scores and failures go up and down as by day and night": lambda t: Traffic(
        0.03 + 0.025 * np.sin(12 * t), 0.6 + 0.2 * np.sin(12 * t), 0.7 + 0.1 * np.sin(12 * t)
    ),
    "load rises: answers take 10 ms, then 100 ms": lambda t: Traffic(seconds=0.01 * 10**t),
    "overload: answers take 0.1 to 2 s and 30 % fail": lambda t: Traffic(
        errors=0.3, seconds=0.1 * 20 ** abs(np.sin(9 * t))
    ),
}
HARMS: dict[str, Harm] = {
    "1 % more fail": lambda now: Traffic(now.errors + 0.01, now.usual, now.score, now.seconds),
    "2 % more fail": lambda now: Traffic(now.errors + 0.02, now.usual, now.score, now.seconds),
    "5 % more fail": lambda now: Traffic(now.errors + 0.05, now.usual, now.score, now.seconds),
    "all fail": lambda now: Traffic(1.0, now.usual, now.score, now.seconds),
    "20 % slower": lambda now: Traffic(now.errors, now.usual, now.score, 1.2 * now.seconds),
    "50 % slower": lambda now: Traffic(now.errors, now.usual, now.score, 1.5 * now.seconds),
    "5 % have the other label instead of the usual one": lambda now: Traffic(
        now.errors, now.usual - 0.05, now.score, now.seconds
    ),
    "5 % have another label than they should, at random": lambda now: Traffic(
        now.errors, 0.95 * now.usual + 0.05 * (1 - now.usual), now.score, now.seconds
    ),
    "20 % have the other label instead of the usual one": lambda now: Traffic(
        now.errors, now.usual - 0.2, now.score, now.seconds
    ),
    "scores 0.05 lower": lambda now: Traffic(now.errors, now.usual, now.score - 0.05, now.seconds),
}


def contrasts(rng: np.random.Generator, stable: Traffic, canary: Traffic, runs: int) -> dict[str, Floats]:
    """Draw a block for each of `runs` canaries; return each measure's difference in standard errors, shape (runs,)."""
    shape = (runs, PAIRS)

    def both(draw: Callable[[Traffic], Floats], precision: float = 0.0) -> Floats:
        difference: Floats = contrast(draw(stable), draw(canary), precision)
        return difference

    times = slow_answers(*(rng.lognormal(np.log(version.seconds), 0.3, shape) for version in (stable, canary)))
    return {
        "errors": both(lambda version: (rng.random(shape) < version.errors).astype(float)),
        "slow": contrast(*times),
        "label": both(lambda version: (rng.random(shape) < version.usual).astype(float)),
        "score": both(lambda version: np.clip(rng.normal(version.score, 0.15, shape), 0, 1), SCORE_SPREAD),
    }


def log_wealth(logs: dict[str, Floats]) -> Floats:
    """Return each run's largest log wealth over the measures.

    Of two labels, bets on the first have weight 1/2 and bets on the second 1/6; the other third of the wealth isn't
    bet.
    """
    parts = [log_mean(part) for name, part in logs.items() if name != "label"]
    label = np.logaddexp(log_mean(logs["label"]) + np.log(2 / 3), np.log(1 / 3))
    most: Floats = np.max([*parts, label], axis=0)
    return most


def simulate(drift: Drift, harm: Harm, runs: int, blocks: int, seed: int) -> list[int | None]:
    """Return each canary's number of answers before its rollback, None if it was kept; all within one rollout step."""
    rng, limit = np.random.default_rng(seed), np.log(len(MEASURES) / ALPHA)
    logs = {
        name: np.zeros((runs, len(BOTH if name in {"label", "score"} else STAKES)))
        for name in ("errors", "slow", "label", "score")
    }
    taken = np.zeros(runs, dtype=int)
    for block in range(1, blocks + 1):
        now = drift(block / blocks)
        for name, difference in contrasts(rng, now, harm(now), runs).items():
            logs[name] = grow(logs[name], difference, BOTH if name in {"label", "score"} else STAKES)
        # A comparison starts to bet an equal part of its wealth at each step.
        wealth = np.logaddexp(log_wealth(logs), np.log(STEPS - 1)) - np.log(STEPS)
        taken[(taken == 0) & (wealth >= limit)] = block
        if taken.all():
            break
    return [int(block) * PAIRS if block else None for block in taken]


def row(name: str, answers_until: list[int | None]) -> str:
    """Format a row of the table of harms."""
    seen = sorted(answers for answers in answers_until if answers is not None)
    if len(seen) < len(answers_until) / 2:
        return f"| {name} | {len(seen)} of {len(answers_until)} | - | - |"
    median = seen[len(answers_until) // 2] if len(answers_until) // 2 < len(seen) else seen[-1]
    late = f"{seen[int(0.9 * len(answers_until))]:,}" if int(0.9 * len(answers_until)) < len(seen) else "-"
    return f"| {name} | {len(seen)} of {len(answers_until)} | {median:,} | {late} |"


def main() -> None:
    """Simulate and write the page."""
    purpose = "Simulate automatic canaries: how often a harmless version is taken back, and how soon a harmful one."
    parser = make_parser("canary", purpose, "canaries.md")
    runs = "canaries for each kind of drift; each harm gets a fifth of them (default: %(default)s)"
    parser.add_argument("--runs", type=int, default=500, help=runs)
    parser.add_argument("--blocks", type=int, default=4_000, help="blocks per canary, at most (default: %(default)s)")
    options = parser.parse_args()
    answers = options.blocks * PAIRS
    lines = [
        INTRO.format(alpha=ALPHA, steps=STEPS, pairs=PAIRS),
        HARMLESS.format(blocks=options.blocks, answers=answers).rstrip("\n"),
    ]
    for seed, (name, drift) in enumerate(DRIFTS.items()):
        blocks_until = simulate(drift, lambda now: now, options.runs, options.blocks, seed)
        lines.append(f"| {name} | {sum(taken_back is not None for taken_back in blocks_until)} of {options.runs:,} |")
        print(lines[-1])
    lines.append(HARMFUL.format(answers=answers).rstrip("\n"))
    for seed, (name, harm) in enumerate(HARMS.items()):
        lines.append(row(name, simulate(lambda _: Traffic(), harm, options.runs // 5, options.blocks, seed)))
        print(lines[-1])
    options.page.write_text("\n".join(lines).replace("\n\n\n", "\n\n") + "\n", encoding="utf-8")
    print(options.page)


if __name__ == "__main__":
    main()
