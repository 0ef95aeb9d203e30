"""An audit of pruning, with rows in and numbers out."""

import json
from collections.abc import Sequence

from risexp.hpo.studies.audit import Audit, Audited, Saved, audit_points, pruned_rows
from risexp.hpo.studies.start import StartPoint
from risexp.hpo.studies.table import StudyTable, TrialRow
from risexp.space.study_spec import StudySpec
from tests.support.searches import LR, RATE
from tests.support.spaces import planted, spec_of


def complete(number: int, value: float, epochs: int = 10) -> TrialRow:
    values = {LR: 1e-4 * (number + 1)}
    return TrialRow(number, "complete", "finished", 1, epochs, value, value, value, values, 1.0)


def pruned(number: int, epoch: int, last: float = 9.0, reason: str = "pruned") -> TrialRow:
    values = {LR: 1e-4 * (number + 1)}
    return TrialRow(number, "pruned", reason, 1, epoch, last, last, None, values, 1.0)


def ten() -> StudySpec:
    """A spec of ten epochs."""
    return StudySpec.of(planted(RATE, base="smoke", fixed={"training.patience": 4}), epochs=10)


def chosen(rows: Sequence[TrialRow], share: float | None, seed: int) -> list[StartPoint]:
    return audit_points(StudyTable("s", len(rows), None, tuple(rows)), share, seed)


def numbers(points: Sequence[StartPoint]) -> list[int]:
    return [point.trial for point in points]


def test_the_epochs_that_pruned_trials_had_left_are_saved() -> None:
    rows = [complete(0, 3.0), pruned(1, 4), pruned(2, 7), complete(3, 2.0, epochs=8)]
    guarded = [complete(0, 3.0), pruned(1, 4, reason="non-finite")]
    vary = {"training.epochs": {"kind": "int", "low": 2, "high": 20}}
    row = TrialRow(1, "pruned", "pruned", 1, 5, 9.0, 9.0, None, {"training.epochs": 16}, 1.0)

    saved = Saved.of_study(ten(), rows)

    assert Saved(2, 6 + 3, 10 + 4 + 7 + 8 + 9) == saved
    assert "pruning saved 9 of 38 epochs (24%)" == saved.sentence()
    assert "pruning saved 0 of 0 epochs (0%)" == Saved().sentence()
    assert (Saved(0, 0, 14), []) == (Saved.of_study(ten(), guarded), pruned_rows(guarded))
    assert Saved(1, 11, 16) == Saved.of_study(spec_of(planted(vary, base="smoke")), [row])


def test_audited_trials_are_spread_over_the_epochs_at_which_they_were_pruned() -> None:
    rows = [pruned(number, epoch) for number, epoch in enumerate([9, 2, 8, 1, 5, 6, 3, 7, 4])]

    for seed in range(20):
        epochs = [rows[number].epoch for number in numbers(chosen(rows, None, seed))]
        assert [0, 1, 2] == [(epoch - 1) // 3 for epoch in epochs]


def test_the_seed_decides_which_trials_are_audited() -> None:
    rows = [pruned(number, number % 7 + 1) for number in range(30)]

    assert chosen(rows, None, 5) == chosen(rows[::-1], None, 5)
    assert 1 < len({tuple(numbers(chosen(rows, None, seed))) for seed in range(10)})


def test_a_share_of_the_pruned_trials_is_audited_rounded_up() -> None:
    unasked = ((2, None, 2), (9, None, 3), (0, None, 0))
    asked = ((9, 1.0, 9), (9, 0.01, 1), (0, 0.5, 0), (100, 0.55, 55), (100, 0.281, 29))

    for count, share, expected in (*unasked, *asked):
        rows = [complete(200, 1.0), *(pruned(number, 3) for number in range(count))]
        points = chosen(rows, share, 0)
        assert expected == len(set(numbers(points))) == len(points)


def test_an_audited_trial_has_its_values_and_its_last_score() -> None:
    assert [StartPoint({LR: 5e-4}, "s", 4, 7.5)] == chosen([pruned(4, 3, last=7.5)], None, 0)


def audit(best: Sequence[float], final: Sequence[float | None]) -> Audit:
    """Of pruned trials 10, 11, ... with these scores in the end."""
    rows = [complete(number, value) for number, value in enumerate(best)]
    cut = [pruned(10 + place, 3 + place, last=8.0) for place in range(len(final))]
    points = [StartPoint(row.values, "s", row.number) for row in cut]
    after = {
        slot: pruned(slot, 1, reason="non-finite") if value is None else complete(slot, value)
        for slot, value in enumerate(final)
    }
    return Audit.of(ten(), StudyTable("s", 9, None, (*rows, *cut)), points, after)


def test_regret_is_how_much_better_the_best_would_have_been() -> None:
    found = audit([3.0, 2.0], [1.5, 4.0, 1.75])

    assert (2, 0.5, 2.0) == (found.better, found.regret, found.best)
    assert Audited(10, 3, 8.0, "complete", 1.5) == found.trials[0]
    assert 3 == len(found.ended)
    for final in ([2.0, 9.0], [3.0]):
        assert (0, 0.0) == (audit([2.0], final).better, audit([2.0], final).regret)


def test_trials_that_did_not_complete_tell_nothing_and_an_audit_is_json() -> None:
    found = audit([2.0], [None, 1.0])

    assert (1, 1, 1.0) == (len(found.ended), found.better, found.regret)
    assert (0, None) == (audit([2.0], [None]).better, audit([2.0], [None]).regret)
    assert (0, None) == (audit([], [1.0]).better, audit([], [1.0]).regret)
    table = StudyTable("s", 1, None, (pruned(4, 3),))
    assert () == Audit.of(ten(), table, [StartPoint({LR: 1e-3}, "s", 4)], {}).trials
    assert found.as_json() == json.loads(json.dumps(found.as_json(), allow_nan=False))
