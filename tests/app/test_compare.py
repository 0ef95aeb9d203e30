"""Runs side by side: who is best, who ties, what differs, and which noise was used."""

import json
from pathlib import Path

import pytest
import torch

from risexp.app import accuracy
from risexp.app.accuracy_files import new_folder
from risexp.app.compare import Comparison, answer, compare, same_scenes, seed_spread, seen_runs
from risexp.app.compare_files import write_files
from risexp.app.compare_study import best_runs
from risexp.config.run import RunConfig
from risexp.config.space_charter import Charter
from risexp.errors import InvalidInput
from risexp.hpo.address import embedded
from risexp.hpo.ending import Ending
from risexp.tracking.outcome import pruned
from tests.judged import SMOKE, judged, with_network
from tests.searches import Past, past, tiny
from tests.trials import opened

CPU = torch.device("cpu")
LR = "training.optimizer.lr"


@pytest.fixture(autouse=True)
def home(at_home: Path) -> None:
    """A home with an empty store of studies."""
    del at_home


def found(*names: str) -> Comparison:
    return compare(seen_runs(names))


def seeded(seed: int, **more: object) -> RunConfig:
    return SMOKE.replace({"training.seed": seed, **more})


def test_runs_are_ranked_and_those_within_the_noise_are_ties() -> None:
    judged("worst", {"k_loc": 8.0, "k_acc": 0.3, "success_rate": 0.05})
    judged("good", {"k_loc": 3.1, "k_acc": 0.7})
    judged("best", {"k_loc": 3.0, "k_acc": 0.72}, SMOKE.replace({"loss.count": 0.5}))

    comparison = found("worst", "good", "best")

    assert ["best", "good", "worst"] == [each.seen.name for each in comparison.runs]
    assert [True, True, False] == [each.tied for each in comparison.runs]
    assert {} == comparison.runs[0].apart
    assert pytest.approx(0.1) == comparison.runs[1].apart["k_loc"].value
    assert {"loss.count": (0.5, 1.0, 1.0)} == comparison.fields
    assert comparison.as_json() == json.loads(json.dumps(comparison.as_json(), allow_nan=False))


def test_the_noise_that_was_used_is_named() -> None:
    judged("one", {"k_loc": 3.0})
    judged("other", {"k_loc": 3.1}, SMOKE.replace({"data.seed": 9}))

    scenes, seeds = found("one", "other").noise

    assert "validation of 100 scenes can vary by, not the same scenes for all" in scenes
    assert "seeds: not known" in seeds


def test_scenes_are_the_same_where_law_number_and_device_are() -> None:
    judged("one", {})
    judged("alike", {}, SMOKE.replace({"loss.count": 0.5}))
    judged("more", {}, SMOKE.replace({"validation.scenes": 64}))
    judged("law", {}, SMOKE.replace({"data.seed": 2}))
    one, alike, more, law = seen_runs(["one", "alike", "more", "law"])

    assert [True, False, False] == [same_scenes(one, each) for each in (alike, more, law)]


def test_runs_under_other_seeds_say_how_much_a_seed_is_worth() -> None:
    """Those that a confirmation trains have other scenes and epochs than the runs compared."""
    judged("one", {"k_loc": 3.0})
    judged("other", {"k_loc": 3.9}, SMOKE.replace({"loss.count": 0.5}))
    alone = found("one", "other")
    longer = {"data.seed": 7, "training.epochs": 30}
    for seed, k_loc in ((1, 2.0), (2, 4.0), (3, 3.0)):
        judged(f"seed-{seed}", {"k_loc": k_loc}, seeded(seed, **longer))
    judged("foreign", {"k_loc": 0.0}, seeded(4, **{"network.width": 48}))
    judged("given-up", {"k_loc": 9.0}, seeded(5, **longer), pruned("others are better"))

    comparison = found("one", "other")

    assert comparison.spread is not None
    assert (1.0, 2, 3) == (
        comparison.spread.deviation,
        comparison.spread.freedom,
        comparison.spread.runs,
    )
    assert "k_loc of 3 runs" in comparison.noise[1]
    widths = [each.runs[1].apart["k_loc"].margin for each in (alone, comparison)]
    assert widths[0] < widths[1] > 4.303 * 2.0**0.5
    assert alone.spread is None


def test_a_run_that_was_made_twice_says_nothing_of_seeds() -> None:
    judged("one", {"k_loc": 3.0})
    judged("again", {"k_loc": 3.5})

    assert seed_spread(seen_runs(["one", "again"])) is None


def test_a_run_under_another_seed_is_kin_itself() -> None:
    judged("one", {"k_loc": 3.0}, seeded(1))
    judged("other", {"k_loc": 3.5}, seeded(2))

    spread = seed_spread(seen_runs(["one", "other"]))

    assert spread is not None
    assert 2 == spread.runs
    assert pytest.approx(0.125**0.5) == spread.deviation


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["one"], "takes two runs or more"),
        (["one", "one"], "one is named twice"),
        (["one", "ohne"], "there is no run 'ohne'"),
    ],
)
def test_what_cannot_be_compared_is_refused(names: list[str], said: str) -> None:
    judged("one", {})

    with pytest.raises(InvalidInput, match=said):
        seen_runs(names)


def test_networks_answer_the_same_scenes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(accuracy, "dense_ms", lambda *_: 1.0)
    for place, name in enumerate(("one", "other", "same")):
        with_network(name, min(place, 1))
    runs, told = seen_runs(["one", "other", "same"]), list[int]()

    answers = answer(runs, (0.0, 20.0), 12, CPU, told.append)
    comparison = compare(runs, answers)

    assert ["one", "other", "same", "nomp"] == list(answers.table.rows)
    assert 2 * 12 * 5 == sum(told)
    scores = answers.table.rows["other"].mean.value, answers.table.rows["same"].mean.value
    assert scores[0] == scores[1]
    assert "12 test scenes of the law of one" in comparison.noise[0]
    alike = compare(runs[1:], answers)
    assert (0.0, True) == (alike.runs[1].apart["k_loc"].value, alike.runs[1].tied)
    assert {"k_loc", "k_acc", "success_rate"} == alike.runs[1].apart.keys()
    assert scores[0].k_loc == alike.runs[0].k_loc
    with new_folder(tmp_path / "out") as folder:
        write_files(comparison, folder)
    written = {each.name for each in (tmp_path / "out").iterdir()}
    assert {"compare.json", "curves.png", "curves.svg", "accuracy.json", "scores.png"} <= written


def test_of_a_study_the_best_trials_that_differ_are_compared() -> None:
    ends: list[Past] = [
        ({LR: rate}, [9.0, value], Ending("complete", "finished", value))
        for rate, value in ((3e-3, 4.0), (1e-3, 3.0), (2e-3, 5.0), (5e-3, 1.0))
    ]
    ends.append(({LR: 4e-3}, [9.0], Ending("pruned", "pruned")))
    with opened(embedded()) as store:
        past(store, "toy", Charter.of(tiny()), ends)
    for number in range(3):
        judged(f"toy-{number:03d}", {"k_loc": 3.0})

    # The best one's run is in another home.
    assert ["toy-001", "toy-000"] == best_runs("toy", 2)
    assert ["toy-001", "toy-000", "toy-002"] == best_runs("toy", 9)


def test_a_study_with_one_complete_trial_is_not_compared() -> None:
    with opened(embedded()) as store:
        past(
            store,
            "toy",
            Charter.of(tiny()),
            [({LR: 3e-3}, [4.0], Ending("complete", "finished", 4.0))],
        )
    judged("toy-000", {})

    with pytest.raises(InvalidInput, match="toy has 1 complete trials with runs in this home"):
        best_runs("toy", 5)
