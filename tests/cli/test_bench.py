"""`risexp bench accuracy`: what it takes, what it says, and what it leaves behind."""

from pathlib import Path

import pytest

from risexp.app.benchmark.accuracy import measure as accuracy
from risexp.cli.options import snr_levels
from risexp.errors import ConfigInvalid
from tests.support.commands import Capture, document, run

BENCH = "bench accuracy -p smoke --methods nomp --scenes 4"


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("-5:20:5", (-5.0, 0.0, 5.0, 10.0, 15.0, 20.0)),
        ("0:1:0.1", (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)),
        ("7:7:2", (7.0,)),
        ("0,10", (0.0, 10.0)),
        ("10, -5,0", (-5.0, 0.0, 10.0)),
        ("-5", (-5.0,)),
    ],
)
def test_snrs_are_a_range_with_both_ends_or_a_list(text: str, levels: tuple[float, ...]) -> None:
    assert levels == snr_levels(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no number"),
        ("low", "'low' is no number"),
        ("0,,5", "no number"),
        ("0:5", "neither"),
        ("0:5:1:2", "neither"),
        ("5:0:1", "leads nowhere"),
        ("0:5:0", "leads nowhere"),
        ("0:5:-1", "leads nowhere"),
        ("-5:20:10", "does not meet 20"),
        ("0:50:0.1", "501 SNRs"),
        ("0:nan:1", "too far out"),
        ("0,inf", "too far out"),
        ("0,101", "too far out"),
        ("0,10,0", "0 dB twice"),
    ],
)
def test_snrs_that_are_none_are_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigInvalid, match=said):
        snr_levels(text)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--methods nmop", "did you mean nomp?"),
        ("--methods ,", "names none"),
        ("--scenes 0", "--scenes"),
        ("--snr 5:0:1", "leads nowhere"),
        ("--set data.snr_db=[0,10]", "--snr decides"),
        ("--split holdout", "'holdout'"),
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


def test_the_table_is_printed_and_kept(capsys: Capture, tmp_path: Path) -> None:
    code, out, err = run(capsys, f"{BENCH} --snr -5:5:10 --out results")

    assert 0 == code
    assert out.startswith("4 test scenes at each SNR")
    assert max(map(len, out.splitlines())) <= 100
    assert all(word in out for word in ("nomp", "k_reference", "k_bound", "chance", "dense MUSIC"))
    assert "figures go to results" in err
    assert ["results"] == [path.name for path in tmp_path.iterdir()]


def test_the_document_is_all_that_is_printed_as_json(capsys: Capture) -> None:
    found = document(capsys, f"{BENCH} --snr 20 --split validation")

    assert ("validation", [20.0], 4) == (found["split"], found["snr_db"], found["scenes_per_snr"])
    assert ["nomp"] == list(found["methods"])


def test_an_interrupted_run_leaves_nothing(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(accuracy, "measure_accuracy", interrupted)

    code, out, err = run(capsys, f"{BENCH} --out deep/results")

    assert (130, "") == (code, out)
    assert "nothing half-written" in err
    assert [] == list(tmp_path.iterdir())
