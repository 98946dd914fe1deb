"""Whether a canary does harm: four measures of each answer, compared with the stable version's at the same time."""

from __future__ import annotations

import msgspec

from onnxserve.gateway.observations import Observation

from .sequential import Bounds

# Whether more is worse, or any difference is.
MEASURES = {"errors": True, "slow": True, "label": False, "score": False}
LEARNT = 200  # stable answers that settle what is slow and which label is usual; they count for neither measure
SLOW_SHARE = 0.95


class Harm(msgspec.Struct, frozen=True):
    """One measure on which the versions differ for certain, by their bounds."""

    measure: str
    stable: tuple[float, float]
    canary: tuple[float, float]

    def __str__(self) -> str:
        stable, canary = ("{:.4f} to {:.4f}".format(*one) for one in (self.stable, self.canary))
        return f"{self.measure}: canary {canary}, stable {stable}"


class Arm(msgspec.Struct):
    """What was seen of one version."""

    measures: dict[str, Bounds]
    seen: int = 0


class Trial(msgspec.Struct):
    """A canary against the stable version; `alpha` is the chance of ever seeing harm where there is none."""

    alpha: float
    stable: Arm
    canary: Arm
    learning: list[tuple[float, str]] = []
    slow_s: float = 0.0
    usual: str = ""

    def see(self, one: Observation, *, canary: bool) -> None:
        """Take one answer into account."""
        arm = self.canary if canary else self.stable
        arm.seen += 1
        arm.measures["errors"].add(float(one.status >= 500))
        if one.status != 200:
            return
        for score in one.scores[:1]:
            arm.measures["score"].add(min(1.0, max(0.0, score)))
        if not self.slow_s:
            if not canary:
                self._learn(one)
            return
        if one.computed:
            arm.measures["slow"].add(float(one.seconds > self.slow_s))
        for label in one.labels[:1]:
            arm.measures["label"].add(float(label == self.usual))

    def _learn(self, one: Observation) -> None:
        self.learning.append((one.seconds, one.labels[0] if one.labels else ""))
        if len(self.learning) == LEARNT:
            times = sorted(seconds for seconds, _ in self.learning)
            labels = [label for _, label in self.learning]
            self.slow_s = max(1e-6, times[int(SLOW_SHARE * LEARNT)])
            self.usual = max(sorted(set(labels)), key=labels.count)
            self.learning.clear()

    def harms(self) -> list[Harm]:
        """Measures whose bounds lie apart."""
        found = []
        for name, more_is_worse in MEASURES.items():
            stable, canary = self.stable.measures[name], self.canary.measures[name]
            if canary.low > stable.high or (not more_is_worse and canary.high < stable.low):
                found.append(Harm(name, (stable.low, stable.high), (canary.low, canary.high)))
        return found


def begin(alpha: float) -> Trial:
    """A trial of which nothing has been seen; the chance of a false alarm is shared by all bounds."""
    each = alpha / (2 * len(MEASURES))
    stable, canary = (Arm({name: Bounds(each) for name in MEASURES}) for _ in range(2))
    return Trial(alpha, stable, canary)
