"""`risexp hpo --audit`: what cannot be audited, and a search whose pruned trials are."""

import json
from pathlib import Path

import pytest

from risexp.hpo.store import find_store
from risexp.hpo.studies import find_study
from tests.commands import Capture, document, run
from tests.searches import BLINK

RATE = "training.optimizer.lr"
HPO = "hpo --space tiny --workers 1 --device cpu --unchecked --audit"


@pytest.fixture(autouse=True)
def tiny(tmp_path: Path) -> None:
    """A space of a base that learns and of one other trial, which does not."""
    folder = tmp_path / "search_spaces"
    folder.mkdir()
    space = {
        "base": "smoke",
        "trials": 2,
        "fixed": {**BLINK, "training.epochs": 4},
        "start": {RATE: 0.1},
        "vary": {RATE: {"kind": "choice", "options": [0.1, 1e-7]}},
        "pruner": {"kind": "median", "startup": 1, "warmup": 1},
    }
    (folder / "tiny.yaml").write_text(json.dumps(space), encoding="utf-8")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (f"{HPO} --audit-share 0", "--audit-share 0 audits nothing"),
        (f"{HPO} --audit-share 1.5", "--audit-share"),
        ("hpo --space tiny --audit-share 0.5", "--audit-share 0.5 of nothing: give --audit"),
        ("hpo --space structure --audit", "has stages, each of which is a study"),
    ],
)
def test_what_cannot_be_audited_is_one_sentence_and_leaves_nothing_behind(
    capsys: Capture, tmp_path: Path, command: str, said: str
) -> None:
    code, out, err = run(capsys, command)

    assert (2, "") == (code, out)
    assert said in err
    assert 1 == err.count("\n")
    assert not (tmp_path / "mlruns").exists()


def test_a_search_says_what_pruning_saved_and_what_it_cost(capsys: Capture) -> None:
    told = document(capsys, HPO)

    assert ["complete", "pruned"] == [each["state"] for each in told["trials"]]
    epoch = told["trials"][1]["epoch"]
    assert {"trials": 1, "epochs": 4 - epoch, "of": 8} == told["saved"] == told["audit"]["saved"]
    (audited,) = told["audit"]["trials"]
    assert (1, epoch, "complete") == (audited["trial"], audited["epoch"], audited["state"])
    assert (0, 0.0) == (told["audit"]["better_than_best"], told["audit"]["regret"])
    before, after = reports("tiny", 1), reports("tiny-audit", 0)
    assert before == dict(list(after.items())[:epoch])
    assert 4 == len(after)

    code, out, _ = run(capsys, HPO)

    assert 0 == code
    assert f"pruning saved {4 - epoch} of 8 epochs" in out
    assert "audit: 1 of 1 trials that were ended early came to their ends in study" in out
    assert "audit: 0 of 1 would have been the best" in out


def reports(study: str, number: int) -> dict[int, float]:
    """What a trial reported, by epoch."""
    store = find_store()
    try:
        found = store.storage.get_all_trials(find_study(store, study).id)[number]
        return dict(found.intermediate_values)
    finally:
        store.close()
