"""Every gate fails alone, and is found by its name; what is no number passes none."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from risexp.config.gates import Gates, load_gates
from risexp.evaluation.scene_scores import SceneScores
from risexp.registry.evidence import Evidence, ScoredAnswers
from risexp.registry.verdicts import failed, judged
from tests.support.promotions import MOST, SCENES, alone, answered, counts, evidence, scored

DEFAULT = load_gates("default")
LOOSE = load_gates("smoke")

Changes = dict[str, Any]


def words(found: Evidence, gates: Gates = DEFAULT) -> dict[str, str]:
    return {each.gate: each.word for each in judged(gates, found)}


def faults(found: Evidence, gates: Gates = DEFAULT) -> list[str]:
    return [each.gate for each in failed(judged(gates, found))]


def but_for(scores: SceneScores, chosen: torch.Tensor, share: float, what: str) -> SceneScores:
    """The same answers, of which a share goes wrong among chosen scenes."""
    lost = chosen & (torch.rand(len(scores), generator=torch.Generator().manual_seed(5)) < share)
    hit = scores.hit & ~lost if what == "k_acc" else scores.hit
    return scored(hit, scores.success & ~lost & hit)


def test_a_better_candidate_passes_every_default_gate() -> None:
    assert [] == faults(evidence())
    assert {"passed"} == set(words(evidence()).values())


@pytest.mark.parametrize(
    ("gate", "changes"),
    [
        ("calibration", {"candidate": answered(0.75, 0.52, ece=0.07)}),
        ("nomp success_rate", {"nomp": answered(0.8, 0.66)}),
        ("guards", {"faults": {"chance": 2.0}}),
        ("guards", {"state": "interrupted"}),
        ("data", {"same_data": False}),
        ("better success_rate", {"champion": answered(0.75, 0.52)}),
        ("k_acc", {"champion": answered(0.77, 0.50)}),
        ("time", {"ms_ratio": 1.6}),
        ("time", {"ms_ratio": math.nan}),
        ("time", {"ms_ratio": None}),
        ("time", {"ms_ratio": -math.inf}),
        ("calibration", {"candidate": answered(0.75, 0.52, ece=math.nan)}),
    ],
)
def test_a_gate_fails_alone(gate: str, changes: Changes) -> None:
    assert [gate] == faults(evidence(**changes))


def test_too_few_scenes_fail_alone() -> None:
    gates = DEFAULT.model_copy(
        update={"champion": DEFAULT.champion.model_copy(update={"slice_scenes_min": 10_000})}
    )

    assert ["scenes"] == faults(
        evidence(
            scenes=1600,
        ),
        gates,
    )


def test_less_success_than_the_champion_fails_by_both_names() -> None:
    worse = evidence(candidate=answered(0.75, 0.48))

    assert ["success_rate", "better success_rate"] == faults(worse)
    claimless = DEFAULT.champion.model_copy(update={"better_in": []})
    assert ["success_rate"] == faults(worse, DEFAULT.model_copy(update={"champion": claimless}))


@pytest.mark.parametrize(("what", "success"), [("success_rate", 0.6), ("k_acc", 0.74)])
def test_a_slice_that_is_lost_fails_alone(what: str, success: float) -> None:
    found = evidence(candidate=answered(0.83, success))
    share = 0.35 if what == "success_rate" else 0.25
    spoiled = but_for(found.candidate.scores, counts() == 3, share, what)

    lost = faults(replace(found, candidate=replace(found.candidate, scores=spoiled)))

    assert [f"{what} at K = 3"] == lost


def test_a_slice_of_few_scenes_is_skipped() -> None:
    few = DEFAULT.champion.model_copy(update={"slice_scenes_min": SCENES // MOST + 1})

    found = words(evidence(), DEFAULT.model_copy(update={"champion": few}))

    assert "skipped" == found["k_acc at K = 3"]
    assert "passed" == found["k_acc at SNR 10 to 20 dB"]


@pytest.mark.parametrize("gates", [DEFAULT, LOOSE], ids=["default", "smoke"])
def test_a_count_that_is_a_guess_is_never_promoted(gates: Gates) -> None:
    guess = scored(counts() == 2, torch.zeros(SCENES, dtype=torch.bool))
    found = alone(candidate=ScoredAnswers(guess, 2.0, 0.0), nomp=answered(0.3, 0.0))

    assert ["chance"] == faults(found, gates)


def test_where_all_scenes_count_alike_sources_have_to_be_found() -> None:
    ones = counts() * 0 + 1
    found = alone()
    for share, expected in ((0.4, "passed"), (0.0, "failed")):
        scores = answered(1.0, share).scores
        matching = replace(scores.matching, true_count=ones, estimated_count=ones)
        same = replace(scores, matching=matching)
        candidate = ScoredAnswers(same, 2.0, 0.0)
        seen = replace(found, candidate=candidate, nomp=candidate, snr_db=None)
        assert expected == words(seen)["chance"]


def test_without_a_champion_its_gates_are_skipped_and_say_why() -> None:
    verdicts = judged(DEFAULT, alone())

    skipped = {each.gate: each.needed for each in verdicts if each.word == "skipped"}
    assert {"data", "success_rate", "k_acc", "better success_rate", "slices", "time"} == set(
        skipped
    )
    assert {"there is no champion yet"} == set(skipped.values())
    assert [] == [each.gate for each in failed(verdicts)]


def test_verdicts_say_the_number_they_were_judged_by() -> None:
    (found,) = (each for each in judged(DEFAULT, evidence()) if each.gate == "better success_rate")

    assert found.found is not None
    assert 0.0 < found.found.low < found.found.value < found.found.high
    assert {"gate", "verdict", "found", "needed"} == found.as_json().keys()


def test_what_a_gates_file_does_not_ask_is_skipped() -> None:
    asked = DEFAULT.model_copy(
        update={
            "candidate": DEFAULT.candidate.model_copy(update={"guards": "any"}),
            "champion": DEFAULT.champion.model_copy(update={"data": "any"}),
        }
    )
    found = words(evidence(same_data=False, state="aborted"), asked)

    assert {"skipped"} == {found["guards"], found["data"]}
