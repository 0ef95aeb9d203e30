"""`risexp preflight`: its table of checks, its saved verdict, and exit code 4 with the reason."""

from pathlib import Path

import pytest

from risexp.covariance.factored import FactoredCovariance
from tests.support.commands import Capture, document, refused, run

FAST = "preflight --preset smoke --set data.sources_max=2"


def test_a_preflight_shows_its_checks_and_the_next_one_remembers(
    capsys: Capture, tmp_path: Path
) -> None:
    code, out, err = run(capsys, FAST)
    again_code, again, beside = run(capsys, FAST)
    report = document(capsys, FAST)

    assert (0, 0, out) == (code, again_code, again)
    assert out.startswith("preflight: pass\n")
    assert all(probe in out for probe in ("oracle", "litmus", "overfit", "k-head", "seconds"))
    assert 4 == err.count(" after ")
    assert beside == "remembered from an earlier preflight of this configuration and code\n"
    assert {"name", "verdict", "evidence", "advice", "config_sha", "code_sha", "remembered"} == set(
        report
    )
    assert report["remembered"]
    (kept,) = (tmp_path / "mlruns" / "preflight").iterdir()
    assert 64 + len(".json") == len(kept.name)


def test_a_failure_exits_with_four_and_names_probe_and_reason(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted: a similarity in place of an error."""
    nmse = FactoredCovariance.nmse
    monkeypatch.setattr(FactoredCovariance, "nmse", lambda one, other: 1.0 - nmse(one, other))
    monkeypatch.setattr("risexp.diagnostics.preflight._EPOCHS", 4)

    code, out, err = run(capsys, FAST)
    again, text, _ = run(capsys, f"{FAST} --json")

    assert (4, 4) == (code, again)
    assert "FAIL" in out
    assert '"verdict": "fail"' in text
    assert err.splitlines()[-1].startswith("risexp: preflight failed: oracle: ")


def test_bad_options_are_refused_in_one_sentence(capsys: Capture) -> None:
    for options, word in (
        ("--preset nowhere", "nowhere"),
        ("--set loss.cov=-1", "loss.cov"),
        ("--device tpu", "--device 'tpu'"),
    ):
        refused(capsys, f"preflight {options}", word)
