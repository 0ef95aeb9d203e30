from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from risexp.callbacks.recorder import LastConfusions, Recorder
from risexp.config.learning import LossWeights
from risexp.runs.journal import Note, read_journal
from risexp.runs.journal_writer import Journal
from risexp.runs.metrics import GUARDS, KEYS, SCORES, SYSTEM, epoch_values
from risexp.tracking.upload_state import CONFUSION
from risexp.training.events import EpochEnded, Event
from risexp.training.progress import Best, Progress
from tests.support.recorded_runs import SCORES as FOUND
from tests.support.recorded_runs import (
    Told,
    ended_of,
    followed,
    joint,
    k_locs,
    plan_of,
    plans_of,
    steps_of,
)
from tests.support.uploads import confused


def recorder(folder: Path, guards: Mapping[str, float] | None = None) -> Recorder:
    journal = Journal(folder / "journal.jsonl", "run-1")
    return Recorder(journal, lambda: guards or {}, lambda: {"cpu": 0.9, "memory_mb": 512.0})


def values_of(folder: Path) -> list[Mapping[str, float]]:
    return [row.values for row in read_journal(folder / "journal.jsonl").rows]


def notes_of(folder: Path) -> list[tuple[str, int, Mapping[str, object]]]:
    notes: tuple[Note, ...] = read_journal(folder / "journal.jsonl").notes
    return [(note.event, note.step, note.details) for note in notes]


def test_every_epoch_is_a_row_with_its_losses_weights_steps_and_scores(tmp_path: Path) -> None:
    followed(joint(2), recorder(tmp_path, {"chance": 1.0}))

    first, second = values_of(tmp_path)
    expected = {
        "loss/cov": 0.8125,
        "weighted/cov": 0.1 * 0.8125,
        "weight/cov": 0.1,
        "loss/total": 0.1 * 0.8125 + 0.05 * 0.5 + 1.25,
        "beta": 0.0,
        "lr": 1e-3,
        "lr/heads": 2e-3,
        "step/taken": 4.0,
        "step/refused": 0.0,
        "delta_param": 0.05,
        "val/k_loc": 3.412,
        "best/k_loc": 3.412,
        "guard/chance": 1.0,
        "sys/cpu": 0.9,
        "scenes_per_s": 32.0,
    }
    assert pytest.approx(expected) == {key: first[key] for key in expected}
    assert "loss/eigengap" not in first  # it has no weight, and was not evaluated
    assert "best/k_loc" not in second
    started = {"epochs": 2, "done": 0, "guards": {"chance": 1.0}}
    assert [("started", 0, started), ("ended", 2, {"reason": "finished"})] == notes_of(tmp_path)


def test_all_keys_of_a_row_are_described(tmp_path: Path) -> None:
    weights, scores = dict.fromkeys(LossWeights.model_fields, 0.5), dict.fromkeys(SCORES, 0.5)
    ended = ended_of(plan_of(3, beta=0.2, weights=weights), scores)

    recorder(tmp_path, dict.fromkeys(GUARDS, 0.0))(replace(ended, best=Best(3, "joint", 0.5)))

    (row,) = values_of(tmp_path)
    groups = {key.partition("/")[0] for key in row if "/" in key}
    assert {"loss", "weighted", "weight", "val", "best", "lr", "step", "guard", "sys"} == groups
    assert [] == [key for key in row if key not in KEYS]
    assert SYSTEM.keys() == {key.removeprefix("sys/") for key in row if key.startswith("sys/")}


def test_values_that_a_network_does_not_have_are_left_out() -> None:
    steps = replace(steps_of(1), average_distance=None, average_moved=None, lr={"heads": 2e-3})

    values = epoch_values(replace(ended_of(plan_of(1)), steps=steps))

    assert not {"average_distance", "average_moved"} & values.keys()
    assert ["lr/heads"] == [key for key in values if key.startswith("lr")]


def test_an_epoch_computed_again_leaves_no_trace_unless_a_value_differs(tmp_path: Path) -> None:
    followed(joint(3), recorder(tmp_path))
    resumed = joint(3)
    resumed.progress = Progress(epoch=2, step=8, phase="joint", best=Best(1, "joint", 3.412))
    followed(resumed, recorder(tmp_path))
    assert 3 == len(values_of(tmp_path))
    assert ["started", "ended", "started", "ended"] == [event for event, _, _ in notes_of(tmp_path)]

    followed(Told(plans_of("joint"), k_locs(3.5)), recorder(tmp_path))

    (details,) = [told for event, _, told in notes_of(tmp_path) if event == "nondeterminism"]
    assert {"val/k_loc": [3.412, 3.5], "best/k_loc": [3.412, 3.5]} == details


def test_epochs_without_a_row_are_noted(tmp_path: Path) -> None:
    resumed = joint(3)
    resumed.progress = Progress(epoch=2, step=8, phase="joint")

    followed(resumed, recorder(tmp_path))

    assert ("gap", 2, {"epochs": [1, 2]}) == notes_of(tmp_path)[1]


def test_a_score_keeps_its_meaning_and_is_described_in_a_sentence() -> None:
    assert {"min"} == {KEYS[f"{group}/k_loc"].direction for group in ("val", "best")}
    assert "max" == KEYS["val/success_rate"].direction
    assert FOUND.keys() <= SCORES.keys()
    assert [] == [key for key, each in KEYS.items() if not each.sentence.endswith(".")]


def test_each_epoch_has_the_confusion_of_its_validation_if_it_had_one(tmp_path: Path) -> None:
    journal, last = Journal(tmp_path / "journal.jsonl", "run-1"), LastConfusions()
    seen = iter((1, 3))

    def validate(event: Event) -> None:
        if isinstance(event, EpochEnded) and (epoch := next(seen, None)) is not None:
            last.see(confused(epoch))

    followed(joint(3), validate, Recorder(journal, dict, confusions=last))

    _, first, second, _ = read_journal(journal.path).notes
    assert [(1, CONFUSION), (2, CONFUSION)] == [(each.step, each.event) for each in (first, second)]
    assert confused(1).whole.matrix.tolist() == first.details["matrix"]
    assert confused(3).whole.matrix.tolist() == second.details["matrix"]
    assert [0, 0, 0] == second.details["none"]
    bins = second.details["by_snr"]
    assert ["below 0", "0 to 10"] == [*bins]
    assert confused(3).by_snr["0 to 10"].matrix.tolist() == bins["0 to 10"]["matrix"]
