"""Runs side by side: who is best, who ties, what differs, and which noise was used."""

import json
from pathlib import Path
from statistics import stdev

import pytest
import torch

from risexp.app.benchmark.accuracy import measure as accuracy
from risexp.app.benchmark.accuracy.files import new_folder
from risexp.app.compare.best_of_study import best_runs
from risexp.app.compare.compare import Comparison, answer, compare, judged_alike, seen_runs
from risexp.app.compare.files import write_files
from risexp.app.compare.seed_noise import seeds_of
from risexp.app.show.run import expect_judged
from risexp.config.run import RunConfig
from risexp.errors import InvalidInput
from risexp.evaluation import ties
from risexp.hpo.store.address import embedded
from risexp.hpo.trials.trial_result import TrialResult
from risexp.runs.outcome import pruned
from risexp.space.study_spec import StudySpec
from tests.support.searches import Past, past, tiny
from tests.support.validated_runs import SMOKE, judged, with_network
from tests.support.worker_processes import opened

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

    assert [True, False, False] == [judged_alike(one, each) for each in (alike, more, law)]


def test_runs_under_other_seeds_say_how_much_a_seed_is_worth() -> None:
    """Those that a confirmation trains have other scenes and epochs than the runs compared."""
    judged("one", {"k_loc": 3.0})
    judged("other", {"k_loc": 3.9}, SMOKE.replace({"loss.count": 0.5}))
    alone = found("one", "other")
    longer = {"data.seed": 7, "training.epochs": 30}
    for seed, k_loc in ((1, 2.0), (2, 4.0), (3, 3.0), (6, 3.0)):
        judged(f"seed-{seed}", {"k_loc": k_loc}, seeded(seed, **longer))
    judged("foreign", {"k_loc": 0.0}, seeded(4, **{"network.width": 48}))
    judged("given-up", {"k_loc": 9.0}, seeded(5, **longer), pruned("others are better"))

    comparison = found("one", "other")

    spread = comparison.seeds.used
    assert spread is not None
    assert (3, 4) == (spread.freedom, spread.runs)
    assert pytest.approx((2.0 / 3.0) ** 0.5) == spread.deviation
    assert "k_loc of 4 runs" in comparison.noise[1]
    widths = [each.runs[1].apart["k_loc"].margin for each in (alone, comparison)]
    assert widths[0] < widths[1] > 3.182 * (4.0 / 3.0) ** 0.5
    assert alone.seeds.spread is None


def test_a_run_that_was_made_twice_says_nothing_of_seeds() -> None:
    judged("one", {"k_loc": 3.0})
    judged("again", {"k_loc": 3.5})

    assert seeds_of(seen_runs(["one", "again"])).spread is None


def test_a_single_other_seed_is_left_out_and_said_to_be() -> None:
    judged("one", {"k_loc": 3.0}, seeded(1))
    judged("other", {"k_loc": 3.5}, seeded(2))
    alone = ties.recorded(*map(expect_judged, seen_runs(["one", "other"])), same_scenes=True)

    comparison = found("one", "other")

    assert alone["k_loc"].margin == comparison.runs[1].apart["k_loc"].margin
    assert "left out, as 2 runs that differ" in comparison.noise[1]
    assert "(1 degree of freedom) are too few" in comparison.noise[1]
    assert comparison.as_json()["seeds"]["used"] is False


@pytest.mark.parametrize("name", ["config.json", "journal.jsonl"])
def test_another_run_that_cannot_be_read_is_counted_and_left_out(name: str) -> None:
    judged("one", {"k_loc": 3.0}, seeded(1))
    judged("other", {"k_loc": 3.5}, seeded(2))
    folder = judged("damaged", {"k_loc": 3.5}, seeded(3))
    (folder.path / name).write_text('{"broken\n' * 2, encoding="utf-8")

    comparison = found("one", "other")

    assert comparison.seeds.spread is not None
    assert 2 == comparison.seeds.spread.runs
    assert "left out, as they cannot be read: 1 of the runs here" in comparison.noise[1]


def test_runs_of_another_home_are_set_beside_those_of_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them has the name of a run here, which is another one."""
    judged("one", {"k_loc": 3.0}, seeded(1))
    other = judged("other", {"k_loc": 3.5}, seeded(2)).path
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path / "here"))
    judged("one", {"k_loc": 4.0}, seeded(3))
    judged("other", {"k_loc": 7.0}, seeded(4))

    spread = found("one", str(other)).seeds.spread

    assert spread is not None
    assert 3 == spread.runs
    assert pytest.approx(stdev([4.0, 3.5, 7.0])) == spread.deviation


def test_two_runs_of_one_name_are_not_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = judged("one", {}).path
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path / "here"))
    judged("one", {})

    with pytest.raises(InvalidInput, match="are two runs of one name"):
        seen_runs(["one", str(there)])


def test_a_run_is_named_twice_by_its_name_and_its_folder(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(judged("one", {}).path)

    with pytest.raises(InvalidInput, match="is named twice"):
        seen_runs(["one", str(tmp_path / "link")])


def test_a_run_of_another_data_law_is_marked() -> None:
    judged("best", {"k_loc": 3.0})
    judged("redrawn", {"k_loc": 3.1}, SMOKE.replace({"data.seed": 9}))
    judged("louder", {"k_loc": 3.2}, SMOKE.replace({"data.snr_db": [20.0, 30.0]}))

    marked = {each.seen.name: each.remarks for each in found("redrawn", "louder", "best").runs}

    assert () == marked["best"] == marked["redrawn"]
    assert ("data law unlike that of best",) == marked["louder"]


def test_a_run_under_another_seed_is_kin_itself() -> None:
    judged("one", {"k_loc": 3.0}, seeded(1))
    judged("other", {"k_loc": 3.5}, seeded(2))

    spread = seeds_of(seen_runs(["one", "other"])).spread

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
        ({LR: rate}, [9.0, value], TrialResult("complete", "finished", value))
        for rate, value in ((3e-3, 4.0), (1e-3, 3.0), (2e-3, 5.0), (5e-3, 1.0))
    ]
    ends.append(({LR: 4e-3}, [9.0], TrialResult("pruned", "pruned")))
    with opened(embedded()) as store:
        past(store, "toy", StudySpec.of(tiny()), ends)
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
            StudySpec.of(tiny()),
            [({LR: 3e-3}, [4.0], TrialResult("complete", "finished", 4.0))],
        )
    judged("toy-000", {})

    with pytest.raises(InvalidInput, match="toy has 1 complete trials with runs in this home"):
        best_runs("toy", 5)
