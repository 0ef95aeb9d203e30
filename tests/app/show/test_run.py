"""The summary of a run in any state."""

import json

import pytest

from risexp.app.show.run import RunSeen, expect_judged
from risexp.errors import InvalidInput
from risexp.runs.journal_writer import Journal
from tests.support.recorded_runs import DEAD
from tests.support.uploads import new_run
from tests.support.validated_runs import SMOKE, validated

pytestmark = pytest.mark.usefixtures("own_home")


def test_a_run_is_summarised_by_its_best_epoch() -> None:
    validated("one", {"k_loc": 3.0, "k_acc": 0.71})
    seen = RunSeen.of("one")

    assert ("complete", 2, 3.0) == (seen.state, seen.best_epoch, seen.best["k_loc"])
    assert [
        ("K accuracy", 0.71, 0.213, 0.676, 0.668),
        ("success rate", 0.333, 0.0, 0.421, 0.503),
    ] == seen.beside()
    assert [30, 4, 2] == seen.confusion["matrix"][0]
    assert {"attempt-01": ()} == seen.kept
    assert (None, 0) == (seen.page, seen.unsent)
    assert seen.as_json() == json.loads(json.dumps(seen.as_json(), allow_nan=False))
    recorded = seen.recorded
    assert recorded is not None
    strata = {"0 to 10, K = 1": (36, 30), "0 to 10, K = 2": (35, 24), "0 to 10, K = 3": (29, 17)}
    assert (100, 3, strata) == (recorded.scenes, recorded.sources_max, recorded.strata)


def test_a_count_that_never_learned_is_doubted() -> None:
    for scenes, doubt in ((2000.0, "at chance"), (100.0, "not told from chance by so few scenes")):
        validated(f"dead-{scenes:.0f}", {**DEAD, "scenes": scenes})
        validated(f"alive-{scenes:.0f}", {"scenes": scenes})

        assert doubt == RunSeen.of(f"dead-{scenes:.0f}").doubt
        assert RunSeen.of(f"alive-{scenes:.0f}").doubt is None


def test_a_run_that_has_not_begun_or_was_killed_is_shown() -> None:
    folder = new_run("new", SMOKE)
    before = RunSeen.of("new")
    Journal(folder.journal, "new").note(0, "started", {})
    after = RunSeen.of("new")

    assert ("not begun", "running or killed") == (before.state, after.state)
    assert (None, {}, "no epoch was judged") == (after.best_epoch, after.best, after.doubt)
    assert after.as_json() == json.loads(json.dumps(after.as_json(), allow_nan=False))
    with pytest.raises(InvalidInput, match="run new has no judged epoch to compare"):
        expect_judged(after)


def test_guards_with_faults_are_named_and_measures_are_not() -> None:
    folder = validated("one", {})
    values = {"guard/gradient": 3.0, "guard/blend": 0.4, "guard/steps": 0.0, "guard/chance": 2.0}
    Journal(folder.journal, "one").write(3, values)

    assert {"gradient": 3.0, "chance": 2.0} == RunSeen.of("one").faults
