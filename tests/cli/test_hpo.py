"""`risexp hpo` and `risexp worker`: a search from its space to its table, in real processes."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from risexp.app.search.studies import show_study
from risexp.runs.folder import find_run
from risexp.runs.spec import read_labels
from risexp.training.checkpoint_store import best
from tests.support.commands import Capture, document, refused, run
from tests.support.searches import BLINK, RATE, EmptyPool, write_space
from tests.support.worker_processes import until

HPO = "hpo --space tiny --workers 1 --device cpu --unchecked"


@pytest.fixture(autouse=True)
def tiny(tmp_path: Path) -> None:
    """A space of two trials that take a blink."""
    space = {"base": "smoke", "trials": 2, "fixed": {**BLINK, "training.epochs": 2}, "vary": RATE}
    write_space(tmp_path, "tiny", space)


def test_a_search_trains_its_trials_and_says_which_is_best(capsys: Capture, tmp_path: Path) -> None:
    code, out, err = run(capsys, HPO)

    table = show_study("tiny")
    assert 0 == code
    assert ["complete", "complete"] == [each.state for each in table.trials]
    for each in table.trials:
        folder = find_run(f"tiny-{each.number:03d}")
        assert best(folder.attempts()).checkpoint.scores["k_loc"] == each.value
        outcome = folder.outcome()
        assert outcome is not None
        assert "complete" == outcome.status
    assert table.best is not None
    assert f"best: trial {table.best.number}, k_loc {table.lowest:.3f}" in out
    assert f"next:  risexp eval tiny-{table.best.number:03d}" in out
    assert "2 complete of 2, 4 epochs" in out
    assert "pruner: 0 of 2 trials pruned (4 scores reported, 2 checks, " in out
    assert "risexp sync" not in out
    assert "or:    risexp confirm --study tiny" in out
    told = document(capsys, "study show tiny --trial 1")
    assert (1, table.trials[1].values) == (told["number"], told["values"])
    refused(capsys, "study show tiny --trial 2", "risexp: study tiny has trials 0 to 1, not 2\n")
    sentence = "trial 1 of study tiny is complete: only a failed one is tried again"
    refused(capsys, "study retry tiny 1", f"risexp: {sentence}\n")
    lines = [line for line in err.splitlines() if line.startswith("trial")]
    assert len(set(lines)) == len(lines) > 2
    labels = read_labels(find_run("tiny-000").path)
    assert labels is not None
    assert re.search(r"`/dashboard/studies/\d+/trials\?numbers=0`", labels.note)
    assert "trial 0, attempt 1: run tiny-000" in (
        tmp_path / "mlruns" / "studies" / "tiny" / "worker-0.log"
    ).read_text("utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_search_that_was_ended_goes_on_with_the_same_command(
    capsys: Capture, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    command = f"{HPO} --trials 1 -s training.epochs=40"
    with subprocess.Popen(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-m", "risexp", *command.split()],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    ) as process:
        until(lambda: bool(list(tmp_path.glob("mlruns/runs/*/*/*/*.manifest.json"))), 100.0)
        process.send_signal(number)

    assert code == process.returncode
    until(lambda: show_study("tiny").count("waiting") == 1, 60.0)
    (before,) = show_study("tiny").trials
    assert 0 < before.epoch < 40

    told = document(capsys, command)

    (trial,) = told["trials"]
    assert ("complete", 2, 40) == (trial["state"], trial["attempts"], trial["epoch"])
    assert 2 == len(find_run("tiny-000").attempts())


def test_an_impossible_search_is_refused_in_one_sentence_and_leaves_nothing_behind(
    capsys: Capture, tmp_path: Path
) -> None:
    for command, message in (
        ("hpo --space smok", "did you mean smoke?"),
        (f"{HPO} --until k_loc=4", "--until k_loc=4: give a bound of the score"),
        (f"{HPO} --until k_acc<4", "--until k_acc<4: give a bound of the score"),
        (f"{HPO} --timeout 2", "--timeout 2: give a number and s, m or h"),
        (f"{HPO} --trial-timeout 2d", "--trial-timeout 2d: give a number and s, m or h"),
        (f"{HPO} --study a/b", "'a/b' is no name of a study"),
        (f"{HPO} --set training.optimizer.lr=0.1", "which space tiny varies"),
        (f"{HPO} --set training.epochz=1", "did you mean training.epochs?"),
        (f"{HPO} --from wide", "no search has been made"),
        (f"{HPO} --points 3", "--points 3 of nothing: name a study with --from"),
        (f"{HPO} --from wide --points 0", "--points"),
        ("hpo --space structure --from wide", "has stages, which begin with what was kept"),
        ("hpo --space tiny --device tpu", "no device"),
        ("worker --study tiny --device cpu", "no search has been made"),
    ):
        refused(capsys, command, message)
    assert not (tmp_path / "mlruns").exists()


def test_a_search_without_workers_waits_for_a_worker_of_its_own(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("risexp.app.search.supervisor.WorkerPool", EmptyPool)

    code, out, _ = run(capsys, HPO)

    assert 0 == code
    assert "study tiny: 2 waiting of 2, 0 epochs" in out
    assert "the same command goes on" in out
    assert "best:" not in out
    code, _, err = run(capsys, "worker --study tyni --device cpu")
    assert 2 == code
    assert "there is no study 'tyni'" in err
    assert "there are: tiny" in err
    code, _, err = run(capsys, "worker --study tiny --device cpu")
    assert 0 == code
    assert "trial 1, attempt 1: run tiny-001" in err
    assert show_study("tiny").over
