"""The preflight: four probes that show in a minute whether a configuration can learn."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Final

from risexp.config.run import RunConfig
from risexp.diagnostics.k_head import Amount, probe_k_head
from risexp.diagnostics.litmus import probe_litmus
from risexp.diagnostics.oracle import CodeUnderTest, probe_oracle
from risexp.diagnostics.overfit import probe_overfit
from risexp.diagnostics.probe_trainer import ProbeTrainer
from risexp.diagnostics.report import Report, Row, Table

SCENES: Final = 64
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
    config: RunConfig, code: CodeUnderTest | None = None, trainer: ProbeTrainer | None = None
) -> Probes:
    """The probes of a preflight by name, not started yet."""
    amount = Amount(scenes=SCENES, judged=0)
    return {
        "oracle": partial(probe_oracle, config, SCENES, _BETA, (), code),
        "litmus": partial(probe_litmus, config, trainer),
        "overfit": partial(probe_overfit, config, SCENES, _EPOCHS, trainer),
        "k-head": partial(probe_k_head, config, amount, trainer=trainer),
    }


def probe_preflight(probes: Probes, tell: Callable[[Stage], None] = lambda _: None) -> Report:
    """Run all probes and report which fail; `tell` gets every stage as it ends."""
    stages = []
    for probe in probes.values():
        start = perf_counter()
        report = probe()
        stages.append(Stage(report, perf_counter() - start))
        tell(stages[-1])
    failed = [stage.report for stage in stages if stage.report.verdict == "fail"]
    advice = [f"{report.name}: {sentence}" for report in failed for sentence in report.advice]
    taken = sum(stage.seconds for stage in stages)
    clear = f"{', '.join(probes)} found nothing wrong in {taken:.0f} s: this run can learn."
    times = tuple(
        (stage.report.name, stage.report.verdict, round(stage.seconds, 2)) for stage in stages
    )
    return Report(
        "preflight",
        "fail" if failed else "pass",
        (Table("probes", ("probe", "verdict", "seconds"), times), _check_table(stages)),
        tuple(advice or [clear]),
    )


def _check_table(stages: Iterable[Stage]) -> Table:
    rows: list[Row] = [
        (stage.report.name, *row)
        for stage in stages
        for item in stage.report.evidence
        if isinstance(item, Table) and item.label == "checks"
        for row in item.rows
    ]
    return Table("checks", ("probe", "check", "measured", "needed", "verdict"), tuple(rows))
