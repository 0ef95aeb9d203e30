"""Every gate fails alone, and is named; NaN passes none."""

import math
from dataclasses import replace
from typing import Any

import torch

from risexp.config.gates import Gates, load_gates
from risexp.registry.verdicts import Evidence, ScoredAnswers, failed_gates, judge_gates
from tests.support.promotions import MOST, SCENES, alone, answered, counts, evidence, scored

FEW = {"resamples": 200}
DEFAULT = load_gates("default").model_copy(update=FEW)
LOOSE = load_gates("smoke").model_copy(update=FEW)


def changed(**sections: dict[str, Any]) -> Gates:
    """The default gates with other fields in a section."""
    return DEFAULT.model_copy(
        update={
            name: getattr(DEFAULT, name).model_copy(update=fields)
            for name, fields in sections.items()
        }
    )


def words(case: Evidence, gates: Gates = DEFAULT) -> dict[str, str]:
    return {verdict.gate: verdict.word for verdict in judge_gates(replace(case, gates=gates))}


def failures(case: Evidence, gates: Gates = DEFAULT) -> list[str]:
    return [gate for gate, word in words(case, gates).items() if word == "failed"]


def test_a_better_candidate_passes_every_default_gate_by_the_number_that_decided() -> None:
    verdicts = judge_gates(evidence())

    better = next(verdict for verdict in verdicts if verdict.gate == "better success_rate")
    assert {"passed"} == {verdict.word for verdict in verdicts}
    assert better.value is not None
    assert 0.0 < better.value.low < better.value.value < better.value.high
    assert {"gate", "verdict", "found", "needed"} == better.as_json().keys()


def test_each_gate_fails_alone() -> None:
    cases: list[tuple[str, dict[str, Any]]] = [
        ("calibration", {"candidate": answered(0.75, 0.52, ece=0.07)}),
        ("calibration", {"candidate": answered(0.75, 0.52, ece=math.nan)}),
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
    ]

    for gate, changes in cases:
        assert [gate] == failures(evidence(**changes)), changes


def test_too_few_scenes_fail_alone_and_less_success_fails_by_both_names() -> None:
    gates = changed(champion={"slice_scenes_min": 10_000})
    worse = evidence(candidate=answered(0.75, 0.48))

    assert ["scenes"] == failures(evidence(scenes=1600), gates)
    assert ["success_rate", "better success_rate"] == failures(worse)
    assert ["success_rate"] == failures(worse, changed(champion={"better_in": []}))


def test_a_lost_slice_fails_alone() -> None:
    for rate, success, share in (("success_rate", 0.6, 0.35), ("k_acc", 0.74, 0.25)):
        better = answered(0.83, success)
        lost = counts() == 3
        lost &= torch.rand(SCENES, generator=torch.Generator().manual_seed(5)) < share
        hit = better.scores.hit & ~lost if rate == "k_acc" else better.scores.hit
        scores = scored(hit, better.scores.success & ~lost & hit)

        expected = [f"{rate} at K = 3"]
        assert expected == failures(evidence(candidate=replace(better, scores=scores)))


def test_a_constant_count_is_never_promoted() -> None:
    for count in (1, 2):  # 1 is the majority: its gain is exactly zero
        constant = scored(counts() == count, torch.zeros(SCENES, dtype=torch.bool))
        case = alone(candidate=ScoredAnswers(constant, 2.0, 0.0), nomp=answered(0.3, 0.0))
        for gates in (DEFAULT, LOOSE):
            assert ["chance"] == failures(case, gates)


def test_sources_have_to_be_found_if_all_counts_are_equal() -> None:
    ones = counts() * 0 + 1
    for share, expected in ((0.4, "passed"), (0.0, "failed")):
        scores = answered(1.0, share).scores
        matching = replace(scores.matching, true_count=ones, estimated_count=ones)
        candidate = ScoredAnswers(replace(scores, matching=matching), 2.0, 0.0)
        case = alone(candidate=candidate, nomp=candidate, snr_db=None)
        assert expected == words(case)["chance"]


def test_without_a_champion_its_gates_are_skipped_and_say_why() -> None:
    verdicts = judge_gates(alone())

    skipped = {verdict.gate: verdict.needed for verdict in verdicts if verdict.word == "skipped"}
    assert {"data", "success_rate", "k_acc", "better success_rate", "slices", "time"} == set(
        skipped
    )
    assert {"there is no champion yet"} == set(skipped.values())
    assert () == failed_gates(verdicts)


def test_a_gate_that_accepts_anything_and_a_slice_of_few_scenes_are_skipped() -> None:
    few = {"data": "any", "slice_scenes_min": SCENES // MOST + 1}
    gates = changed(candidate={"guards": "any"}, champion=few)
    verdicts = words(evidence(same_data=False, state="aborted"), gates)

    assert {"skipped"} == {verdicts[gate] for gate in ("guards", "data", "k_acc at K = 3")}
    assert "passed" == verdicts["k_acc at SNR 10 to 20 dB"]
