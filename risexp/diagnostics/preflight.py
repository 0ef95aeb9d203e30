"""What can be seen in under a minute: whether a run of this configuration can learn at all."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Final

from risexp.config.run import RunConfig
from risexp.diagnostics.k_head import Amount, probe_k_head
from risexp.diagnostics.litmus import probe_litmus
from risexp.diagnostics.oracle import Tried, probe_oracle
from risexp.diagnostics.overfit import probe_overfit
from risexp.diagnostics.probe_trainer import ProbeTrainer
from risexp.diagnostics.report import Report, Row, Table

SCENES: Final = 64
"""Learned by heart, and labelled."""
QUICK: Final = ("oracle", "litmus")
"""The probes that take a second or two."""
_BETA: Final = 0.3
_EPOCHS: Final = 160

Probes = Mapping[str, Callable[[], Report]]


@dataclass(frozen=True)
class Stage:
    """One probe of a preflight."""

    report: Report
    seconds: float


def probes_of(
    config: RunConfig, tried: Tried | None = None, school: ProbeTrainer | None = None
) -> Probes:
    """The probes of a preflight by name, none of them begun.

    Args:
        config: A run.
        tried: The code that labels are fed to.
        school: The code that learns.
    """
    amount = Amount(scenes=SCENES, judged=0)
    return {
        "oracle": lambda: probe_oracle(config, SCENES, _BETA, (), tried or Tried.of(config)),
        "litmus": partial(probe_litmus, config, school),
        "overfit": partial(probe_overfit, config, SCENES, _EPOCHS, school),
        "k-head": partial(probe_k_head, config, amount, school=school),
    }


def probe_preflight(probes: Probes, tell: Callable[[Stage], None] = lambda _: None) -> Report:
    """Run probes one after another, all of them, and say which fail.

    Args:
        probes: By name.
        tell: Is told of each one as it ends.
    """
    stages = []
    for probe in probes.values():
        begun = perf_counter()
        report = probe()
        stages.append(Stage(report, perf_counter() - begun))
        tell(stages[-1])
    failed = [stage.report for stage in stages if stage.report.verdict == "fail"]
    words = [f"{report.name}: {sentence}" for report in failed for sentence in report.advice]
    taken = sum(stage.seconds for stage in stages)
    clear = f"{', '.join(probes)} found nothing wrong in {taken:.0f} s: this run can learn."
    return Report(
        "preflight",
        "fail" if failed else "pass",
        (_stage_table(stages), _check_table(stages)),
        tuple(words or [clear]),
    )


def _stage_table(stages: Iterable[Stage]) -> Table:
    rows = tuple(
        (stage.report.name, stage.report.verdict, round(stage.seconds, 2)) for stage in stages
    )
    return Table("probes", ("probe", "verdict", "seconds"), rows)


def _check_table(stages: Iterable[Stage]) -> Table:
    """The checks of all probes, each beside its probe."""
    rows: list[Row] = [
        (stage.report.name, *row)
        for stage in stages
        for each in stage.report.evidence
        if isinstance(each, Table) and each.label == "checks"
        for row in each.rows
    ]
    return Table("checks", ("probe", "check", "measured", "needed", "verdict"), tuple(rows))
