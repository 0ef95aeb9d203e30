"""`risexp bench robustness`: what it takes, what it says, and what it leaves behind."""

from pathlib import Path

import pytest

from risexp.app.benchmark.robustness import measure as robustness
from tests.support.commands import Capture, document, run

BENCH = "bench robustness -p smoke --methods nomp --scenes 3 --scenarios phase,label"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--methods nmop", "did you mean nomp?"),
        ("--methods ,", "--methods names none"),
        ("--scenarios phse", "did you mean phase?"),
        ("--scenarios ,", "--scenarios names none"),
        ("--scenarios dead,dead", "dead twice"),
        ("--scenarios pairs --set data.sources_max=1", "pairs needs data.sources_max >= 2"),
        ("--scenarios pairs --set data.phi_deg=[0,1] --set data.theta_deg=[0,1]", "deg away"),
        ("--scenes 0", "--scenes"),
        ("--snr loud", "'loud' is no number"),
        ("--set data.snr_db=[0,10]", "--snr decides"),
        ("--preset smok", "did you mean smoke?"),
        ("--out .", "inside it"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(
    capsys: Capture, tmp_path: Path, options: str, said: str
) -> None:
    code, out, err = run(capsys, f"{BENCH} --out new {options}")

    assert (2, "") == (code, out)
    assert said in err
    assert 1 == len(err.splitlines())
    assert [] == list(tmp_path.iterdir())


def test_a_folder_that_holds_something_is_refused(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "old.json").write_text("{}")

    code, out, err = run(capsys, f"{BENCH} --out results")

    assert (2, "") == (code, out)
    assert "results is not empty" in err
    assert ["old.json"] == [path.name for path in (tmp_path / "results").iterdir()]


def test_the_tables_are_printed_and_kept(capsys: Capture, tmp_path: Path) -> None:
    code, out, err = run(capsys, f"{BENCH} --scenarios label --snr 0,10 --out results")

    assert 0 == code
    assert out.startswith("3 test scenes at each SNR")
    assert max(map(len, out.splitlines())) <= 100
    assert all(f"label, {snr} dB: " in out for snr in (0, 10))
    assert "figures go to results" in err
    names = {path.name for path in (tmp_path / "results").iterdir()}
    assert {"robustness.json", "robustness.csv", "levels_0dB.png", "levels_10dB.svg"} <= names


def test_the_document_is_all_that_is_printed_as_json(capsys: Capture) -> None:
    found = document(capsys, f"{BENCH} --snr 20")

    assert ([20.0], 3, ["nomp"]) == (found["snr_db"], found["scenes_per_snr"], found["methods"])
    assert ["phase", "label"] == list(found["scenarios"])


def test_every_scenario_is_named_in_the_help(capsys: Capture) -> None:
    from risexp.app.benchmark.robustness.scenarios import SCENARIOS

    _, out, _ = run(capsys, "bench robustness --help")

    assert all(name in out for name in SCENARIOS)


def test_an_interrupted_run_leaves_nothing(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(robustness, "measure_robustness", interrupted)

    code, out, err = run(capsys, f"{BENCH} --out deep/results")

    assert (130, "") == (code, out)
    assert "nothing half-written" in err
    assert [] == list(tmp_path.iterdir())
