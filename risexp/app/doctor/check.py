"""What a check-up finds: one sentence a thing, with a verdict and the next step."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from risexp.errors import EnvironmentFailed, VerificationFailed

Area = Literal["environment", "stores", "studies", "stale"]
Verdict = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    area: Area
    what: str
    verdict: Verdict
    sentence: str
    """What was found, and what to do where it is not as it should be."""
    details: tuple[str, ...] = ()
    """Everything that is wrong, each in its own words."""


@dataclass(frozen=True)
class Diagnosis:
    """What a check-up found, and what it mended before."""

    checks: tuple[Check, ...]
    done: tuple[str, ...] = ()
    """What was mended, in sentences."""

    @property
    def failed(self) -> tuple[Check, ...]:
        """Checks that found something wrong, those of what was computed first."""
        found = [each for each in self.checks if each.verdict == "fail"]
        return tuple(sorted(found, key=lambda each: _code(each) != VerificationFailed.exit_code))

    @property
    def exit_code(self) -> int:
        """0 where nothing failed; a violation is one though a store be away besides."""
        return _code(self.failed[0]) if self.failed else 0

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        counts = {
            verdict: sum(each.verdict == verdict for each in self.checks)
            for verdict in ("ok", "warn", "fail")
        }
        return {
            "exit_code": self.exit_code,
            "counts": counts,
            "done": list(self.done),
            "checks": [asdict(each) for each in self.checks],
        }


def judged(
    area: Area,
    what: str,
    wrong: Sequence[str],
    sound: str,
    advice: str,
    verdict: Literal["warn", "fail"] = "fail",
) -> Check:
    """A check of something that may be wrong in several places.

    Args:
        area: Of the check.
        what: What was looked at.
        wrong: What is wrong, each in a sentence without its end.
        sound: What is said where nothing is.
        advice: The next step where something is.
        verdict: Of what is wrong.
    """
    if not wrong:
        return Check(area, what, "ok", sound)
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    return Check(area, what, verdict, f"{wrong[0]}{more}: {advice}", tuple(wrong))


def _code(check: Check) -> int:
    """What a failed check leaves with."""
    machine = check.area in {"environment", "stores"}
    return EnvironmentFailed.exit_code if machine else VerificationFailed.exit_code
