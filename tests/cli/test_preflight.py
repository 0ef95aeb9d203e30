"""`risexp preflight`: its table of checks, its saved verdict, and exit code 4 with the reason."""

from pathlib import Path

import pytest

from risexp.covariance.factored import FactoredCovariance
from tests.cli.test_startup import HEAVY, imported
from tests.support.commands import Capture, document, run

FAST = "preflight --preset smoke --set data.sources_max=2"


def test_a_preflight_shows_its_checks_and_the_next_one_remembers(
    capsys: Capture, tmp_path: Path
) -> None:
    code, out, err = run(capsys, FAST)
    again_code, again, beside = run(capsys, FAST)

    assert (0, 0) == (code, again_code)
    assert out == again
    assert out.startswith("preflight: pass\n")
    assert all(probe in out for probe in ("oracle", "litmus", "overfit", "k-head", "seconds"))
    assert 4 == err.count(" after ")
    assert beside == "remembered from an earlier preflight of this configuration and code\n"
    (kept,) = (tmp_path / "mlruns" / "preflight").iterdir()
    assert 64 + len(".json") == len(kept.name)


def test_json_has_the_same_evidence_and_fresh_runs_the_probes_again(capsys: Capture) -> None:
    first = document(capsys, f"{FAST} --fresh")
    second = document(capsys, FAST)

    assert {"name", "verdict", "evidence", "advice", "config_sha", "code_sha", "remembered"} == set(
        first
    )
    assert [False, True] == [each["remembered"] for each in (first, second)]
    assert first["evidence"] == second["evidence"]


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
        ("--scenes 3", "--scenes"),
    ):
        code, out, err = run(capsys, f"preflight {options}")

        assert (2, "") == (code, out)
        assert word in err


def test_the_help_imports_nothing_heavy(tmp_path: Path) -> None:
    codes, modules = imported(tmp_path, "preflight --help")

    assert {0} == codes
    assert modules & HEAVY == set()
