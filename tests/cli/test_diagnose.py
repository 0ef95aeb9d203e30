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
from tests.support.commands import Capture, document, run

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


@pytest.mark.parametrize("probe", ["mdl", "references"])
def test_a_probe_looks_at_the_snrs_it_is_given_or_at_the_configured_ones(
    capsys: Capture, probe: str
) -> None:
    given = document(capsys, f"diagnose {probe} {SMOKE} --snr 0:20:10")
    configured = document(capsys, f"diagnose {probe} {SMOKE} --set data.snr_db=[3,9]")

    assert ["0", "10", "20", "mean"] == levels(given)
    assert ["3", "8", "mean"] == levels(configured)


def test_what_cannot_be_asked_is_refused_in_one_sentence(capsys: Capture) -> None:
    cases: list[tuple[str, str]] = [
        ("mdl --snr loud", "--snr 'loud'"),
        ("references --snr 0,10 --set data.snr_db=[0,10]", "give one of them"),
        ("oracle --beta 1.5", "beta"),
        ("mdl --scenes 0", "scenes"),
        ("oracle --preset nowhere", "nowhere"),
        (
            "oracle --preset smoke --set data.theta_deg=[0,1] --set data.phi_deg=[0,1]",
            "10 deg apart",
        ),
    ]
    for options, part in cases:
        code, out, err = run(capsys, f"diagnose {options}")

        assert (2, "") == (code, out), (options, part)
        assert part in err, (options, part)
        assert 1 == len(err.splitlines()), (options, part)


@pytest.mark.parametrize("json", ["", " --json"])
def test_a_failing_probe_shows_its_evidence_and_leaves_with_four(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, json: str
) -> None:
    """Planted: an error that is blind to what it compares."""
    monkeypatch.setattr(
        FactoredCovariance, "nmse", lambda one, _: torch.zeros(len(one), dtype=torch.float64)
    )

    code, out, err = run(capsys, f"diagnose oracle {SMOKE}{json}")

    assert 4 == code
    assert "FAIL" in out
    assert ('"verdict": "fail"' if json else "oracle: fail") in out
    assert err.startswith("risexp: oracle failed: ")
    assert 1 == len(err.splitlines())


def test_what_is_undefined_is_a_dash(capsys: Capture) -> None:
    _, out, _ = run(capsys, "diagnose mdl --preset smoke --scenes 1 --snr 5")

    (label,) = (line.split() for line in out.splitlines() if line.startswith("label"))
    assert 2 == label.count("-")


def test_the_floor_is_that_of_the_asked_beta(capsys: Capture) -> None:
    said = {beta: document(capsys, f"diagnose oracle {SMOKE} --beta {beta}") for beta in (0.1, 0.2)}

    floors = {
        beta: next(each["value"] for each in found["evidence"] if each["label"].startswith("floor"))
        for beta, found in said.items()
    }
    assert pytest.approx(4.0 * floors[0.1], rel=1e-4) == floors[0.2]


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
    advice = rest[rest.index("advice") + 1 :]
    assert advice
    assert all(line.startswith("- ") and line.endswith(".") for line in advice)


@pytest.mark.parametrize("probe", ["litmus", "overfit"])
def test_a_probe_of_learning_says_the_same_as_json(capsys: Capture, probe: str) -> None:
    output = document(capsys, f"diagnose {probe} {LEARNING[probe]}")

    assert (probe, "pass") == (output["name"], output["verdict"])
    assert "checks" in {each["label"] for each in output["evidence"]}


def test_a_network_that_does_not_learn_leaves_with_four(capsys: Capture) -> None:
    """Planted: the count term has no weight, so nothing reaches the count head."""
    code, out, err = run(capsys, "diagnose litmus --preset smoke --set loss.count=0")

    assert 4 == code
    assert "litmus: fail" in out
    assert "litmus failed: No term that has a weight reaches count.mixture, " in err


def test_a_count_head_is_asked_with_the_weights_and_the_beta_of_a_run(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = "--set training.epochs=1 --set training.scenes_per_epoch=128 --set beta.start=0.2"
    finished = document(
        capsys, f"train --preset smoke {short} --set beta.final=0.2 --device cpu --threads 1"
    )
    kept = best(find_run(finished["run"]).attempts()).checkpoint
    given: list[tuple[RunConfig, Amount, float, ProbeTrainer]] = []

    def watched(config: RunConfig, amount: Amount, beta: float, trainer: ProbeTrainer) -> Report:
        given.append((config, amount, beta, trainer))
        return Report("k-head", "pass", (), ("Well.",))

    monkeypatch.setattr("risexp.app.run.diagnose.probe_k_head", watched)

    code, _, _ = run(capsys, f"diagnose k-head --checkpoint {finished['run']} --fresh 7")

    ((config, amount, beta, trainer),) = given
    assert (0, 7, 0.2) == (code, amount.fresh, beta)
    assert finished["config_sha"] == config.sha()
    weights = trainer.fresh_network(config).state_dict()
    assert kept.state.averaged.keys() == weights.keys()
    assert all(torch.equal(value, weights[name]) for name, value in kept.state.averaged.items())


def test_a_trained_run_is_compared_at_its_own_snapshots(capsys: Capture) -> None:
    short = "--set training.epochs=1 --set training.scenes_per_epoch=128"
    longer = "--set physics.snapshots=32 --set beta.ramp_share=0"
    run_id = document(capsys, f"train --preset smoke {short} {longer} --device cpu --threads 1")[
        "run"
    ]

    output = document(capsys, f"diagnose l-ablation --run {run_id} --scenes 30")

    (table,) = output["evidence"]
    assert [[16, None], [32, run_id], [64, None]] == [[row[0], row[-1]] for row in table["rows"]]
    assert [128, 256, 288] == [row[1] for row in table["rows"]]
    assert "at 16 and 64 snapshots" in output["advice"][-1]


def test_what_cannot_be_learned_is_refused_in_one_sentence(capsys: Capture) -> None:
    cases: list[tuple[str, str]] = [
        ("k-head --checkpoint nowhere", "nowhere"),
        ("l-ablation --run nowhere", "nowhere"),
        ("l-ablation --run run-1 --set physics.snapshots=32", "leave out the rest"),
        ("k-head --checkpoint run-1 --preset smoke", "leave out the rest"),
        ("k-head --beta 2", "beta"),
        ("overfit --scenes 0", "scenes"),
        ("l-ablation --preset smoke --set physics.snapshots=20", "16, 32 and 64 are compared"),
        ("gradients --set loss.cov=soon", "loss.cov"),
    ]
    for options, part in cases:
        code, out, err = run(capsys, f"diagnose {options}")

        assert (2, "") == (code, out), (options, part)
        assert part in err, (options, part)
        assert 1 == len(err.splitlines()), (options, part)


def test_the_help_of_no_probe_imports_anything_heavy(tmp_path: Path) -> None:
    helps = [f"diagnose {probe} --help" for probe in (*PROBES, *LEARNING)]

    codes, modules = imported(tmp_path, *helps)

    assert {0} == codes
    assert set() == modules & HEAVY
