"""A preflight verdict is saved until the configuration or the code changes."""

import json
from functools import partial
from pathlib import Path

import pytest
import torch

import risexp
from risexp.app.run import preflight as app
from risexp.config.run import RunConfig
from risexp.diagnostics.preflight import Probes, Stage
from risexp.diagnostics.probe_trainer import ProbeTrainer
from risexp.diagnostics.report import Report, Table
from tests.support.references import smoke

CHECKS = Table(
    "checks", ("check", "measured", "needed", "verdict"), (("steps", 5, ">= 5", "pass"),)
)


@pytest.fixture(autouse=True)
def probed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the probes that ran, in an empty home and without real work."""
    names: list[str] = []

    def probes(config: RunConfig, trainer: ProbeTrainer | None = None) -> Probes:
        del trainer

        def probe(name: str) -> Report:
            names.append(name)
            sound = config.data.seed == 0
            advice = ("Well.",) if sound else ("Repair it.",)
            return Report(name, "pass" if sound else "fail", (CHECKS,), advice)

        return {name: partial(probe, name) for name in ("oracle", "litmus", "k-head")}

    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))
    monkeypatch.setattr(app, "probes_of", probes)
    return names


def kept(home: Path) -> list[Path]:
    return sorted((home / "mlruns" / "preflight").glob("*"))


def test_a_verdict_is_remembered_word_for_word(probed: list[str], tmp_path: Path) -> None:
    stages: list[Stage] = []

    first = app.preflight(smoke(), tell=stages.append)
    second = app.preflight(smoke(), tell=stages.append)

    assert (False, True) == (first.remembered, second.remembered)
    assert first.report == second.report
    assert ["oracle", "litmus", "k-head"] == probed == [stage.report.name for stage in stages]
    (file,) = kept(tmp_path)
    assert {"format", "config_sha", "code_sha", "report"} == set(json.loads(file.read_text()))
    assert smoke().sha() == second.as_json()["config_sha"]


def test_another_configuration_other_code_and_a_fresh_request_are_probed_again(
    probed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.preflight(smoke())
    assert app.preflight(smoke("frame", "network.front=pursuit")).remembered
    assert not app.preflight(smoke("frame", "loss.cov=0.2")).remembered
    failed = app.preflight(smoke("frame", "data.seed=1"))
    assert ("fail", "oracle: Repair it.") == (failed.report.verdict, failed.report.advice[0])
    assert app.preflight(smoke("frame", "data.seed=1")).remembered
    monkeypatch.setattr(app, "code_sha", lambda: "f" * 64)
    assert not app.preflight(smoke()).remembered
    assert (12, 4) == (len(probed), len(kept(tmp_path)))
    assert not app.preflight(smoke(), fresh=True).remembered
    assert (15, 4) == (len(probed), len(kept(tmp_path)))


def test_the_verdict_of_a_cpu_is_not_that_of_a_gpu_and_either_clears_a_search(
    probed: list[str],
) -> None:
    gpu = torch.device("cuda:1")
    app.preflight(smoke(), gpu)

    assert app.remembered(smoke()) is None
    assert app.preflight(smoke(), torch.device("cuda")).remembered
    assert "pass" == app.cleared(smoke()).verdict
    assert 3 == len(probed)
    assert not app.preflight(smoke()).remembered


def test_a_damaged_or_foreign_record_does_not_count(probed: list[str], tmp_path: Path) -> None:
    app.preflight(smoke())
    (file,) = kept(tmp_path)
    foreign = file.read_text().replace(smoke().sha(), "0" * 64)

    for content in ("", "{", "[]", '{"format": "risexp-preflight-1"}', foreign):
        file.write_text(content)
        assert app.remembered(smoke()) is None
    assert not app.preflight(smoke()).remembered
    assert app.preflight(smoke()).remembered
    assert 6 == len(probed)


def test_an_unwritable_home_only_loses_the_saved_verdict(tmp_path: Path) -> None:
    (tmp_path / "mlruns").write_text("a file in the way")

    verdict = app.preflight(smoke())

    assert "pass" == verdict.report.verdict
    assert verdict.unkept is not None
    assert "the verdict is not kept" in verdict.unkept
    assert not app.preflight(smoke()).remembered


def test_clearance_runs_the_quick_probes_or_remembers(probed: list[str]) -> None:
    quick = app.cleared(smoke())
    first = list(probed)
    app.preflight(smoke())
    probed.clear()

    known = app.cleared(smoke())

    assert ("pass", ["oracle", "litmus"]) == (quick.verdict, first)
    assert [] == probed
    assert 3 == len(known.as_json()["evidence"][0]["rows"])


def test_the_hash_covers_every_python_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "package"
    (package / "below").mkdir(parents=True)
    for name in ("__init__.py", "below/a.py", "below/b.py", "below/notes.txt"):
        (package / name).write_text("x = 1\n")
    monkeypatch.setattr(risexp, "__file__", str(package / "__init__.py"))
    shas = [app.code_sha()]

    for name, content in (
        ("below/notes.txt", "y = 2\n"),
        ("below/a.py", "x = 2\n"),
        ("below/c.py", ""),
    ):
        (package / name).write_text(content)
        shas.append(app.code_sha())

    assert shas[0] == shas[1]
    assert 3 == len(set(shas))


def test_probes_see_the_hashed_configuration_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[RunConfig] = []

    def probes(probed: RunConfig, trainer: ProbeTrainer | None = None) -> Probes:
        del trainer
        seen.append(probed)
        return {}

    monkeypatch.setattr(app, "probes_of", probes)
    config = smoke("frame", "count.threshold=0.9")

    app.preflight(config, fresh=True)
    monkeypatch.setattr(app, "remembered", lambda *_: None)
    monkeypatch.setattr(app, "QUICK", ())
    app.cleared(config)

    assert [config.canonical()] * 2 == seen
    assert config.canonical() != config
