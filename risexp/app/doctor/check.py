"""Checks of the doctor: one row of the table, its verdict, and all verdicts together."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Generic, Literal, TypeVar

from risexp.errors import EnvironmentFailed, VerificationFailed

T = TypeVar("T")

Area = Literal["environment", "stores", "studies", "stale"]
Verdict = Literal["ok", "warn", "fail"]

FIX: Final = "`risexp doctor --fix`"
"""The command that repairs, for advice."""


@dataclass(frozen=True)
class Check:
    """Verdict on one subject."""

    area: Area
    what: str
    verdict: Verdict
    sentence: str
    """The first fault with the next step, or why all is well."""
    details: tuple[str, ...] = ()
    """Every fault in a sentence."""


@dataclass(frozen=True)
class CheckRow(Generic[T]):
    """One row of the table of checks: name, what it reads, verdict and repair."""

    what: str
    faults: Callable[[T], Sequence[str]]
    """Sentences without a full stop; none if all is well."""
    sound: str | Callable[[T], str] = ""
    """Sentence without faults; if it is empty, the check is left out."""
    fix: str = ""
    verdict: Literal["warn", "fail"] = "fail"
    details: Callable[[T], Sequence[str]] = lambda _: ()
    """Sentences that are listed although all is well."""

    def check(self, area: Area, subject: T, again: Callable[[], T] | None = None) -> Check | None:
        """Judge a subject; if `again` reads it anew, only faults of both readings count."""
        faults = self.faults(subject)
        if faults and again is not None:
            confirmed = {*self.faults(again())}
            faults = [fault for fault in faults if fault in confirmed]
        if faults:
            return judged(area, self.what, faults, "", self.fix, self.verdict)
        sound = self.sound if isinstance(self.sound, str) else self.sound(subject)
        return Check(area, self.what, "ok", sound, tuple(self.details(subject))) if sound else None


def judged(
    area: Area,
    what: str,
    faults: Sequence[str],
    sound: str,
    fix: str,
    verdict: Literal["warn", "fail"] = "fail",
) -> Check:
    """Check a subject that may have several faults, each a sentence without a full stop."""
    if not faults:
        return Check(area, what, "ok", sound)
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return Check(area, what, verdict, f"{faults[0]}{more}: {fix}", tuple(faults))


@dataclass(frozen=True)
class Diagnosis:
    """All checks, and what was repaired before them."""

    checks: tuple[Check, ...]
    done: tuple[str, ...] = ()

    @property
    def failed(self) -> tuple[Check, ...]:
        """Failed checks, those of computed data before those of machine and stores."""
        failed = [check for check in self.checks if check.verdict == "fail"]
        return tuple(sorted(failed, key=lambda check: _code(check) != VerificationFailed.exit_code))

    @property
    def exit_code(self) -> int:
        """0 if nothing failed; the code of a violated invariant wins over that of a store."""
        return _code(self.failed[0]) if self.failed else 0

    def as_json(self) -> dict[str, Any]:
        """Plain values for `--json`."""
        verdicts = [check.verdict for check in self.checks]
        return {
            "exit_code": self.exit_code,
            "counts": {verdict: verdicts.count(verdict) for verdict in ("ok", "warn", "fail")},
            "done": list(self.done),
            "checks": [asdict(check) for check in self.checks],
        }


def _code(check: Check) -> int:
    machine = check.area in {"environment", "stores"}
    return EnvironmentFailed.exit_code if machine else VerificationFailed.exit_code
