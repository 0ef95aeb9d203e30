"""`risexp bench accuracy` and `risexp bench robustness`: what they take, print and leave behind."""

from pathlib import Path

import pytest

from risexp.app.benchmark.accuracy import measure as accuracy
from risexp.cli.options import snr_levels
from risexp.errors import ConfigInvalid
from tests.support.commands import Capture, document, refused, run

ACCURACY = "bench accuracy -p smoke --methods nomp --scenes 4"
ROBUSTNESS = "bench robustness -p smoke --methods nomp --scenes 3 --scenarios phase,label"


def test_snrs_are_a_range_with_both_ends_or_a_list() -> None:
    expected = {
        "-5:20:5": (-5.0, 0.0, 5.0, 10.0, 15.0, 20.0),
        "0:1:0.1": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
        "7:7:2": (7.0,),
        "10, -5,0": (-5.0, 0.0, 10.0),
        "-5": (-5.0,),
    }

    assert expected == {text: snr_levels(text) for text in expected}


def test_snrs_that_are_none_are_refused() -> None:
    for text, sentence in {
        "low": "'low' is no number",
        "0,,5": "no number",
        "0:5": "neither",
        "5:0:1": "leads nowhere",
        "0:5:0": "leads nowhere",
        "-5:20:10": "does not meet 20",
        "0:50:0.1": "501 SNRs",
        "0:nan:1": "too far out",
        "0,101": "too far out",
        "0,10,0": "0 dB twice",
    }.items():
        with pytest.raises(ConfigInvalid, match=sentence):
            snr_levels(text)


def test_bad_input_is_one_sentence_and_leaves_nothing(capsys: Capture, tmp_path: Path) -> None:
    near = "--set data.phi_deg=[0,1] --set data.theta_deg=[0,1]"
    for command, sentence in (
        (f"{ACCURACY} --methods nmop", "did you mean nomp?"),
        (f"{ACCURACY} --scenes 0", "--scenes"),
        (f"{ACCURACY} --snr 5:0:1", "leads nowhere"),
        (f"{ACCURACY} --set data.snr_db=[0,10]", "--snr decides"),
        (f"{ACCURACY} --split holdout", "'holdout'"),
        (f"{ACCURACY} --out .", "inside it"),
        (f"{ROBUSTNESS} --scenarios phse", "did you mean phase?"),
        (f"{ROBUSTNESS} --scenarios pairs {near}", "deg away"),
        (f"{ROBUSTNESS} --snr loud", "'loud' is no number"),
        (f"{ROBUSTNESS} --set data.snr_db=[0,10]", "--snr decides"),
        (f"{ROBUSTNESS} --out .", "inside it"),
        (f"{ACCURACY} --device tpu", "--device 'tpu'"),
        (f"{ROBUSTNESS} --device tpu", "--device 'tpu'"),
    ):
        refused(capsys, command if "--out" in command else f"{command} --out new", sentence)
    assert [] == list(tmp_path.iterdir())


def test_the_table_of_accuracies_is_printed_and_kept(capsys: Capture, tmp_path: Path) -> None:
    code, out, err = run(capsys, f"{ACCURACY} --snr -5:5:10 --out results")

    assert 0 == code
    assert out.startswith("4 test scenes at each SNR")
    assert max(map(len, out.splitlines())) <= 100
    assert all(word in out for word in ("nomp", "k_reference", "k_bound", "chance", "dense MUSIC"))
    assert "figures go to results" in err
    assert ["results"] == [path.name for path in tmp_path.iterdir()]


def test_the_tables_of_robustness_are_printed_and_kept(capsys: Capture, tmp_path: Path) -> None:
    code, out, err = run(capsys, f"{ROBUSTNESS} --scenarios label --snr 0,10 --out results")

    names = {path.name for path in (tmp_path / "results").iterdir()}
    assert 0 == code
    assert out.startswith("3 test scenes at each SNR")
    assert max(map(len, out.splitlines())) <= 100
    assert all(f"label, {snr} dB: " in out for snr in (0, 10))
    assert "figures go to results" in err
    assert {"robustness.json", "robustness.csv", "levels_0dB.png", "levels_10dB.svg"} <= names


def test_the_document_is_all_that_is_printed_as_json(capsys: Capture) -> None:
    table = document(capsys, f"{ACCURACY} --snr 20 --split validation")
    tables = document(capsys, f"{ROBUSTNESS} --snr 20")

    assert ("validation", [20.0], 4) == (table["split"], table["snr_db"], table["scenes_per_snr"])
    assert ["nomp"] == list(table["methods"]) == tables["methods"]
    assert ([20.0], 3) == (tables["snr_db"], tables["scenes_per_snr"])
    assert ["phase", "label"] == list(tables["scenarios"])


def test_every_scenario_is_named_in_the_help(capsys: Capture) -> None:
    from risexp.app.benchmark.robustness.scenarios import SCENARIOS

    _, out, _ = run(capsys, "bench robustness --help")

    assert all(name in out for name in SCENARIOS)


def test_an_interrupted_run_leaves_nothing(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(accuracy, "measure_accuracy", interrupted)

    code, out, err = run(capsys, f"{ACCURACY} --out deep/results")

    assert (130, "") == (code, out)
    assert "nothing half-written" in err
    assert [] == list(tmp_path.iterdir())
