"""`risexp diagnose`: verdict, evidence and advice, as text and as JSON."""

from pathlib import Path
from typing import Any

import pytest
import torch

from risexp.config.run import RunConfig
from risexp.covariance.factored import FactoredCovariance
from risexp.diagnostics.k_head import Amount
from risexp.diagnostics.probe_trainer import ProbeTrainer
from risexp.diagnostics.report import Report
from risexp.runs.folder import find_run
from risexp.training.checkpoint_store import best
from tests.cli.test_startup import HEAVY, imported
from tests.support.commands import Capture, document, refused, run

PROBES = ("mdl", "references", "oracle")
SMOKE = "--preset smoke --scenes 30"


@pytest.mark.parametrize("probe", PROBES)
def test_a_probe_says_verdict_evidence_and_advice_as_text_and_as_json(
    capsys: Capture, probe: str
) -> None:
    code, out, err = run(capsys, f"diagnose {probe} {SMOKE}")
    report = document(capsys, f"diagnose {probe} {SMOKE}")

    first, *rest = out.splitlines()
    assert (0, "") == (code, err)
    assert f"{probe}: {'pass' if probe == 'oracle' else 'info'}" == first
    advice = rest[rest.index("advice") + 1 :]
    assert len(advice) >= 3
    assert all(line.startswith("- ") and line.endswith(".") for line in advice)
    assert {"name", "verdict", "evidence", "advice"} == set(report)
    assert probe == report["name"]
    for evidence in report["evidence"]:
        assert evidence["label"] in out
        for row in evidence.get("rows", []):
            assert len(evidence["headings"]) == len(row)
    assert advice == [f"- {sentence}" for sentence in report["advice"]]


def levels(part: dict[str, Any]) -> list[object]:
    """The first column of the table by SNR."""
    tables = [each for each in part["evidence"] if "headings" in each]
    (rows,) = (each["rows"] for each in tables if each["headings"][0] == "SNR (dB)")
    return [row[0] for row in rows]


def test_a_probe_uses_the_snrs_of_its_option_or_the_configured_ones(capsys: Capture) -> None:
    chosen = document(capsys, f"diagnose references {SMOKE} --snr 0:20:10")
    configured = document(capsys, f"diagnose references {SMOKE} --set data.snr_db=[3,9]")

    assert ["0", "10", "20", "mean"] == levels(chosen)
    assert ["3", "8", "mean"] == levels(configured)


def test_impossible_requests_are_refused_in_one_sentence(capsys: Capture) -> None:
    near = "--set data.theta_deg=[0,1] --set data.phi_deg=[0,1]"
    for options, sentence in (
        ("mdl --snr loud", "--snr 'loud'"),
        ("references --snr 0,10 --set data.snr_db=[0,10]", "give one of them"),
        ("oracle --beta 1.5", "beta"),
        (f"oracle --preset smoke {near}", "10 deg apart"),
        ("k-head --checkpoint nowhere", "nowhere"),
        ("l-ablation --run nowhere", "nowhere"),
        ("l-ablation --run run-1 --set physics.snapshots=32", "leave out the rest"),
        ("k-head --checkpoint run-1 --preset smoke", "leave out the rest"),
        ("k-head --beta 2", "beta"),
        ("overfit --scenes 0", "scenes"),
        ("l-ablation --preset smoke --set physics.snapshots=20", "16, 32 and 64 are compared"),
        ("gradients --set loss.cov=soon", "loss.cov"),
        ("litmus --device tpu", "--device 'tpu'"),
    ):
        refused(capsys, f"diagnose {options}", sentence)


def test_a_failing_probe_shows_its_evidence_and_leaves_with_four(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted: an error that is blind to what it compares."""
    monkeypatch.setattr(
        FactoredCovariance, "nmse", lambda one, _: torch.zeros(len(one), dtype=torch.float64)
    )

    for option, sentence in (("", "oracle: fail"), (" --json", '"verdict": "fail"')):
        code, out, err = run(capsys, f"diagnose oracle {SMOKE}{option}")

        assert (4, True, True) == (code, "FAIL" in out, sentence in out)
        assert err.startswith("risexp: oracle failed: ")
        assert 1 == len(err.splitlines())


LEARNING = {
    "litmus": "--preset smoke",
    "overfit": "--preset smoke --scenes 8 --epochs 30",
    "k-head": "--preset smoke --set data.sources_max=2 --fresh 1024",
    "gradients": "--preset smoke --scenes 1",
    "l-ablation": "--preset smoke --scenes 20 --train-scenes 64",
}


@pytest.mark.parametrize("probe", LEARNING)
def test_a_probe_of_learning_says_verdict_evidence_and_advice(capsys: Capture, probe: str) -> None:
    code, out, err = run(capsys, f"diagnose {probe} {LEARNING[probe]}")

    first, *rest = out.splitlines()
    assert (0, "") == (code, err)
    assert f"{probe}: {'info' if probe == 'l-ablation' else 'pass'}" == first
    assert rest[-1].startswith("- ")


def test_a_count_head_is_probed_with_the_weights_and_the_beta_of_a_run(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = "--set training.epochs=1 --set training.scenes_per_epoch=16 --set training.batch=8"
    blend = "--set beta.start=0.2 --set beta.final=0.2 --device cpu --threads 1"
    finished = document(capsys, f"train --preset smoke {short} {blend}")
    kept = best(find_run(finished["run"]).attempts()).checkpoint
    probed: list[tuple[RunConfig, Amount, float, ProbeTrainer]] = []

    def watched(config: RunConfig, amount: Amount, beta: float, trainer: ProbeTrainer) -> Report:
        probed.append((config, amount, beta, trainer))
        return Report("k-head", "pass", (), ("Well.",))

    monkeypatch.setattr("risexp.app.run.diagnose.probe_k_head", watched)

    code, _, _ = run(capsys, f"diagnose k-head --checkpoint {finished['run']} --fresh 7")

    ((config, amount, beta, trainer),) = probed
    assert (0, 7, 0.2, finished["config_sha"]) == (code, amount.fresh, beta, config.sha())
    weights = trainer.fresh_network(config).state_dict()
    assert kept.state.averaged.keys() == weights.keys()
    assert all(torch.equal(value, weights[name]) for name, value in kept.state.averaged.items())


def test_the_help_of_no_probe_imports_anything_heavy(tmp_path: Path) -> None:
    helps = [f"diagnose {probe} --help" for probe in (*PROBES, *LEARNING)]

    codes, modules = imported(tmp_path, *helps)

    assert {0} == codes
    assert set() == modules & HEAVY
