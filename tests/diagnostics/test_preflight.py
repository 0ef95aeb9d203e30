"""The preflight passes sound code and names the faults of the past."""

from collections.abc import Callable
from dataclasses import replace

from risexp.config.run import RunConfig
from risexp.data.scenes import SceneGenerator
from risexp.diagnostics.oracle import CodeUnderTest
from risexp.diagnostics.preflight import Stage, probe_preflight, probes_of
from risexp.diagnostics.probe_trainer import ProbeTrainer
from risexp.diagnostics.report import Report
from risexp.training.setup import TrainSetup
from risexp.training.trainer import Trainer
from tests.diagnostics.faults import (
    OneSided,
    OutsideTheLoop,
    WithoutSteps,
    trained_by,
)
from tests.diagnostics.reports import table
from tests.support.references import smoke


def flown(
    names: str,
    *,
    tried: CodeUnderTest | None = None,
    trainer: ProbeTrainer | None = None,
    config: RunConfig | None = None,
) -> Report:
    """The named probes of a preflight on the small panel."""
    probes = probes_of(config or smoke(), tried, trainer)
    return probe_preflight({name: probes[name] for name in names.split()})


def failed(report: Report) -> set[object]:
    assert ("preflight", "fail") == (report.name, report.verdict)
    return {row[0] for row in table(report, "probes").rows if row[1] == "fail"}


def test_what_can_learn_passes_and_every_probe_has_its_seconds() -> None:
    told: list[Stage] = []
    report = probe_preflight(probes_of(smoke()), told.append)

    assert ("preflight", "pass") == (report.name, report.verdict)
    rows = table(report, "probes").rows
    assert ["oracle", "litmus", "overfit", "k-head"] == [row[0] for row in rows]
    assert all(row[1] == "pass" and 0.0 < float(str(row[2])) < 60.0 for row in rows)
    assert [row[0] for row in rows] == [stage.report.name for stage in told]
    assert {"pass"} == {row[-1] for row in table(report, "checks").rows}
    assert {row[0] for row in rows} == {row[0] for row in table(report, "checks").rows}
    assert "this run can learn" in report.advice[0]


def test_a_label_regularised_on_one_side_is_found_and_later_probes_still_run() -> None:
    config = smoke("frame", "covariance.alpha_base=0.1")
    tried = replace(CodeUnderTest.of(config), objective=OneSided.of(config))

    report = flown("oracle litmus", tried=tried, config=config)

    assert {"oracle"} == failed(report)
    assert ["fail", "pass"] == [row[1] for row in table(report, "probes").rows]
    assert "oracle: Labels fed as predictions do not score 0 by the term cov:" in report.advice[0]


Factory = Callable[[RunConfig, TrainSetup, SceneGenerator], Trainer]


def test_a_step_outside_the_loop_is_found() -> None:
    cases: list[tuple[Factory, set[object], str]] = [
        (trained_by(WithoutSteps), {"litmus", "overfit"}, "0 of 5 optimizer steps were taken"),
        (trained_by(OutsideTheLoop), {"overfit"}, "1 of 4 optimizer steps were taken (steps: "),
    ]
    for trainer, found, words in cases:
        report = flown("litmus overfit", trainer=ProbeTrainer(trainer=trainer))

        assert found == failed(report), (trainer, found, words)
        assert words in report.advice[0], (trainer, found, words)
