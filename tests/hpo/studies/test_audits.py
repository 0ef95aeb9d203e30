"""What pruning saved and cost, as rows in and numbers out."""

import json
from collections.abc import Sequence

import pytest

from risexp.hpo.studies.audits import Audit, Audited, Saved, chosen, pruned_rows
from risexp.hpo.studies.start_points import StartPoint
from risexp.hpo.studies.table import TrialRow
from risexp.space.study_spec import StudySpec
from tests.support.spaces import charter, planted

LR = "training.optimizer.lr"
RATE = {"kind": "log", "low": 1e-4, "high": 1e-2}


def complete(number: int, value: float, epochs: int = 10) -> TrialRow:
    values = {LR: 1e-4 * (number + 1)}
    return TrialRow(number, "complete", "finished", 1, epochs, value, value, value, values, 1.0)


def ended(number: int, epoch: int, last: float = 9.0, reason: str = "pruned") -> TrialRow:
    values = {LR: 1e-4 * (number + 1)}
    return TrialRow(number, "pruned", reason, 1, epoch, last, last, None, values, 1.0)


def of(vary: object = RATE, path: str = LR) -> StudySpec:
    return charter(planted({path: vary}, base="smoke", fixed={"training.patience": 4}))


def ten() -> StudySpec:
    return StudySpec.of(of().space, epochs=10)


def numbers(points: Sequence[StartPoint]) -> list[int]:
    return [each.trial for each in points]


def test_the_epochs_that_pruned_trials_had_left_are_saved() -> None:
    rows = [complete(0, 3.0), ended(1, 4), ended(2, 7), complete(3, 2.0, epochs=8)]

    found = Saved.of_study(ten(), rows)

    assert Saved(2, 6 + 3, 10 + 4 + 7 + 8 + 9) == found
    assert "pruning saved 9 of 38 epochs (24%)" == found.sentence()


def test_what_a_guard_ended_is_not_saved() -> None:
    rows = [complete(0, 3.0), ended(1, 4, reason="non-finite")]

    assert Saved(0, 0, 14) == Saved.of_study(ten(), rows)
    assert [] == pruned_rows(rows)


def test_each_trial_is_counted_by_its_own_epochs() -> None:
    given = of({"kind": "int", "low": 2, "high": 20}, "training.epochs")
    row = TrialRow(1, "pruned", "pruned", 1, 5, 9.0, 9.0, None, {"training.epochs": 16}, 1.0)

    assert Saved(1, 11, 16) == Saved.of_study(given, [row])


def test_nothing_saved_of_nothing_is_said_without_a_share() -> None:
    assert "pruning saved 0 of 0 epochs (0%)" == Saved().sentence()


def test_audited_trials_are_spread_over_how_early_they_were_ended() -> None:
    rows = [ended(number, epoch) for number, epoch in enumerate([9, 2, 8, 1, 5, 6, 3, 7, 4])]

    for seed in range(20):
        epochs = [rows[each].epoch for each in numbers(chosen("s", rows, None, seed))]
        parts = [(epoch - 1) // 3 for epoch in epochs]
        assert [0, 1, 2] == parts


def test_the_same_seed_chooses_the_same_trials_and_others_choose_others() -> None:
    rows = [ended(number, number % 7 + 1) for number in range(30)]

    assert chosen("s", rows, None, 5) == chosen("s", rows[::-1], None, 5)
    assert 1 < len({tuple(numbers(chosen("s", rows, None, seed))) for seed in range(10)})


@pytest.mark.parametrize(
    ("count", "share", "wanted"),
    [
        (2, None, 2),
        (9, None, 3),
        (9, 1.0, 9),
        (9, 0.5, 5),
        (9, 0.01, 1),
        (0, None, 0),
        (0, 0.5, 0),
        (100, 0.07, 7),
        (100, 0.14, 14),
        (100, 0.55, 55),
        (100, 0.28, 28),
        (100, 0.281, 29),
    ],
)
def test_as_many_are_audited_as_are_asked_for(count: int, share: float | None, wanted: int) -> None:
    rows = [complete(50, 1.0), *(ended(number, 3) for number in range(count))]

    found = chosen("s", rows, share, 0)

    assert wanted == len(set(numbers(found))) == len(found)


def test_an_audited_trial_has_the_values_it_had_and_its_last_score() -> None:
    (found,) = chosen("s", [ended(4, 3, last=7.5)], None, 0)

    assert StartPoint({LR: 5e-4}, "s", 4, 7.5) == found


def audit(best: Sequence[float], came_to: Sequence[float | None]) -> Audit:
    """Of pruned trials 10, 11, ... that came to these scores in the end."""
    rows = [complete(number, value) for number, value in enumerate(best)]
    cut = [ended(10 + place, 3 + place, last=8.0) for place in range(len(came_to))]
    points = [StartPoint(each.values, "s", each.number) for each in cut]
    after = {
        slot: ended(slot, 1, reason="non-finite") if value is None else complete(slot, value)
        for slot, value in enumerate(came_to)
    }
    return Audit.of("s", ten(), [*rows, *cut], points, after)


def test_regret_is_how_much_better_the_best_would_have_been() -> None:
    found = audit([3.0, 2.0], [1.5, 4.0, 1.75])

    assert (2, 0.5, 2.0) == (found.better, found.regret, found.best)
    assert Audited(10, 3, 8.0, "complete", 1.5) == found.trials[0]
    assert 3 == len(found.ended)


def test_what_was_ended_rightly_is_not_regretted() -> None:
    for came_to in ([2.0, 9.0], [3.0]):
        found = audit([2.0], came_to)
        assert (0, 0.0) == (found.better, found.regret)


def test_what_did_not_come_to_its_end_says_nothing() -> None:
    found = audit([2.0], [None, 1.0])

    assert (1, 1, 1.0) == (len(found.ended), found.better, found.regret)
    assert (0, None) == (audit([2.0], [None]).better, audit([2.0], [None]).regret)
    assert (0, None) == (audit([], [1.0]).better, audit([], [1.0]).regret)


def test_an_audit_that_has_not_begun_holds_no_trials() -> None:
    points = [StartPoint({LR: 1e-3}, "s", 4)]

    assert () == Audit.of("s", ten(), [ended(4, 3)], points, {}).trials


def test_an_audit_is_json() -> None:
    document = audit([2.0], [None, 1.0]).as_json()

    assert document == json.loads(json.dumps(document, allow_nan=False))
