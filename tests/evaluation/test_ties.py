"""Equal ones are called a tie as often as is said, and those that differ are not."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from statistics import NormalDist

import pytest
import torch

from risexp.data.frames import Truth
from risexp.errors import DataInvalid
from risexp.evaluation.scene_scores import SceneScores, score_scenes
from risexp.evaluation.scores import summarise
from risexp.evaluation.ties import (
    COMPARED,
    Difference,
    RecordedScores,
    SeedSpread,
    answered,
    deviations,
    level_of_all,
    recorded,
)
from tests.support.estimates import drawn_case, estimate_at
from tests.support.looping import for_each

SCENES, ROUNDS = 150, 40
SOURCES_MAX = 5


def answer(truth: Truth, seed: int, right: float) -> SceneScores:
    """Somebody who counts right in a share of the scenes and is off by some degrees."""
    generator = torch.Generator().manual_seed(seed)
    scenes, width = truth.phi_rad.shape
    sure = torch.rand(scenes, generator=generator) < right
    guess = torch.randint(1, width + 1, (scenes,), generator=generator)
    count = torch.where(sure, truth.count, guess)
    places = torch.arange(width)
    moved = [
        (
            value.nan_to_num(nan=middle)
            + size * torch.randn(scenes, width, generator=generator, dtype=torch.float64)
        ).where(places < count.unsqueeze(-1), math.nan)
        for value, size, middle in (
            (truth.phi_rad, 0.05, 0.0),
            (truth.theta_rad, 0.05, 0.0),
            (truth.range_m, 0.6, 5.0),
        )
    ]
    return score_scenes(estimate_at(count, *moved), truth)


TRUTH = drawn_case(1, scenes=SCENES * ROUNDS)[1]
ONE, OTHER, WORSE = (answer(TRUTH, seed, right) for seed, right in ((1, 0.6), (2, 0.6), (3, 0.05)))


def rounds(table: SceneScores) -> list[SceneScores]:
    return [table[start : start + SCENES] for start in range(0, len(table), SCENES)]


def kept(table: SceneScores) -> RecordedScores:
    """What a validation records of these scenes."""
    scores, matrix = summarise(table), table.confusion.matrix
    true = torch.bincount(table.matching.true_count, minlength=SOURCES_MAX + 1)[1:]
    strata = {
        str(place): (int(true[place]), int(matrix[place, place])) for place in range(SOURCES_MAX)
    }
    return RecordedScores(
        scores.k_loc, scores.k_acc, scores.success_rate, len(table), SOURCES_MAX, strata
    )


def enough_ties(found: Iterable[dict[str, Difference]]) -> bool:
    """Of 40 rounds at 95 %, 34 or fewer are ties once in seventy times."""
    ties = Counter(name for each in found for name, apart in each.items() if apart.verdict == "tie")
    return set(COMPARED) == set(ties) and min(ties.values()) >= 35


def test_equal_answers_to_the_same_scenes_are_ties() -> None:
    pairs = zip(rounds(ONE), rounds(OTHER), strict=True)

    assert enough_ties(answered([one], [other]) for one, other in pairs)


def test_forty_equal_answers_are_all_ties_with_the_best() -> None:
    """The level of 780 pairs lies beyond what resamples can show."""
    runs, scenes, families = 40, 100, 15
    truth = drawn_case(1, scenes=scenes * families)[1]
    tables = [answer(truth, seed, 0.6) for seed in range(runs)]
    apart = []
    for start in range(0, len(truth.count), scenes):
        parts = [table[start : start + scenes] for table in tables]
        ranked = sorted(parts, key=lambda each: summarise(each).k_loc)
        apart.append(answered([ranked[-1]], [ranked[0]], level_of_all(runs))["k_loc"].verdict)

    # Of 15 families at 95 %, 11 or fewer are all ties once in two hundred times.
    assert apart.count("tie") >= 12


def test_an_interval_goes_on_beyond_what_resamples_show() -> None:
    usual, sure = (
        answered([ONE[:1000]], [OTHER[:1000]], level)["k_loc"].margin
        for level in (0.95, 1.0 - 1e-9)
    )

    sigmas = [NormalDist().inv_cdf(0.5 + level / 2.0) for level in (0.95, 1.0 - 1e-9)]
    assert pytest.approx(sigmas[1] / sigmas[0], rel=0.1) == sure / usual


@for_each("same_scenes", [True, False])
def test_equal_validations_are_ties(same_scenes: bool) -> None:
    theirs = rounds(OTHER) if same_scenes else rounds(OTHER)[::-1]
    pairs = zip(rounds(ONE), theirs, strict=True)

    assert enough_ties(
        recorded(kept(one), kept(other), same_scenes=same_scenes) for one, other in pairs
    )


def test_clearly_better_answers_and_validations_are_no_ties() -> None:
    pairs = list(zip(rounds(ONE)[:10], rounds(WORSE)[:10], strict=True))

    by_answers = [answered([one], [worse]) for one, worse in pairs]
    by_records = [recorded(kept(one), kept(worse), same_scenes=True) for one, worse in pairs]

    assert ["lower"] * 20 == [each["k_loc"].verdict for each in (*by_answers, *by_records)]


def test_the_bound_is_above_what_k_loc_varies_by_and_not_far_above() -> None:
    values = [summarise(each).k_loc for each in rounds(ONE)]
    spread = float(torch.tensor(values, dtype=torch.float64).std())

    bound = deviations(kept(ONE[:SCENES]))["k_loc"]

    assert spread < bound < 3.0 * spread


def test_a_rate_varies_as_its_binomial_law() -> None:
    found = deviations(RecordedScores(3.0, 0.7, 0.4, 1000, 5))

    assert pytest.approx(math.sqrt(0.7 * 0.3 / 1000), rel=0.01) == found["k_acc"]
    assert pytest.approx(math.sqrt(0.4 * 0.6 / 1000), rel=0.01) == found["success_rate"]
    assert 0.0 < deviations(RecordedScores(-1.0, 1.0, 1.0, 10, 5))["k_acc"]


def test_groups_of_the_same_scenes_take_out_what_they_have_in_common() -> None:
    """Where the count depends on the group alone, nothing is left to chance."""
    strata = {"easy": (500, 500), "hard": (500, 0)}
    alike = RecordedScores(3.0, 0.5, 0.4, 1000, 5, strata)

    paired = recorded(alike, alike, same_scenes=True)["k_acc"]
    apart = recorded(alike, alike, same_scenes=False)["k_acc"]

    assert paired.margin < 0.15 * apart.margin
    other = replace(alike, strata={"easy": (400, 400), "hard": (600, 0)})
    assert apart.margin == recorded(alike, other, same_scenes=True)["k_acc"].margin


def test_groups_that_differ_by_other_amounts_are_noise_too() -> None:
    """One is right in a quarter of the scenes more, and never wrong where the other is right."""
    ours = RecordedScores(3.0, 0.5, 0.4, 1000, 5, {"easy": (500, 500), "hard": (500, 0)})
    theirs = RecordedScores(3.0, 0.25, 0.4, 1000, 5, {"easy": (500, 250), "hard": (500, 0)})

    found = recorded(ours, theirs, same_scenes=True)["k_acc"]

    sigmas = NormalDist().inv_cdf(0.975)
    assert pytest.approx(sigmas * math.sqrt(0.25 * 0.75 / 1000), rel=0.03) == found.margin


def test_scenes_with_few_sources_count_less() -> None:
    """All errors may lie in the scenes with the most sources."""
    deviation = {most: deviations(RecordedScores(3.0, 0.7, 0.4, 1000, most)) for most in (1, 5)}

    located = {
        most: each["k_loc"] - each["k_acc"] - each["success_rate"]
        for most, each in deviation.items()
    }
    assert pytest.approx(math.sqrt(10.0 / 6.0)) == located[5] / located[1]


def test_more_pairs_need_a_larger_difference() -> None:
    one, other = RecordedScores(3.0, 0.7, 0.4, 1000, 5), RecordedScores(3.4, 0.7, 0.4, 1000, 5)

    margins = [
        recorded(one, other, same_scenes=True, level=level_of_all(runs))["k_loc"].margin
        for runs in (1, 2, 5)
    ]

    assert margins[0] == margins[1] < margins[2]
    assert pytest.approx(0.995) == level_of_all(5)
    ratio = NormalDist().inv_cdf(0.9975) / NormalDist().inv_cdf(0.975)
    assert pytest.approx(ratio) == margins[2] / margins[1]


def test_seeds_of_equal_skill_are_ties() -> None:
    generator, ties = torch.Generator().manual_seed(5), 0
    skill = torch.tensor([[3.0], [3.0], [4.0]], dtype=torch.float64)
    for _ in range(1000):
        noise = torch.randn(3, 3, generator=generator, dtype=torch.float64)
        drawn = (skill + 0.2 * noise).tolist()
        spread = SeedSpread.of(drawn)
        assert spread is not None
        apart = drawn[0][0] - drawn[1][0]
        ties += spread.widened(Difference(apart, apart, apart)).verdict == "tie"

    # 95 % of 1000 less three standard deviations, and more: the two are among what is pooled.
    assert 930 <= ties < 995


def test_the_spread_of_seeds_is_pooled_over_configurations() -> None:
    found = SeedSpread.of([[1.0, 3.0], [10.0, 10.0, 13.0], [7.0]])

    assert found is not None
    assert (3, 5) == (found.freedom, found.runs)
    assert pytest.approx(math.sqrt((2.0 + 6.0) / 3.0)) == found.deviation
    assert SeedSpread.of([[1.0], [2.0], []]) is None


def test_seeds_and_scenes_are_unsure_together() -> None:
    spread = SeedSpread(0.1, 4, 6)
    sharp = spread.widened(Difference(0.5, 0.5, 0.5))
    wide = spread.widened(Difference(0.5, 0.2, 0.9))

    assert pytest.approx(math.hypot(0.3, sharp.margin)) == 0.5 - wide.low
    assert pytest.approx(math.hypot(0.4, sharp.margin)) == wide.high - 0.5


@for_each("deviation", [4.0, math.nan])
def test_a_difference_that_may_be_any_is_not_known(deviation: float) -> None:
    spread = SeedSpread(deviation, 3, 6)
    apart = spread.widened(Difference(0.1, -0.5, 0.5))

    assert "tie" == Difference(0.1, -0.5, 0.5).verdict
    assert "not known" == apart.verdict


def test_what_is_undefined_is_null() -> None:
    nothing = Difference(math.nan, math.nan, math.nan)

    assert {"value": None, "low": None, "high": None, "verdict": "not known"} == nothing.as_json()


@for_each(("groups", "enough"), [([[1.0, 2.0, 3.0]], False), ([[1, 2, 3, 4]], True)])
def test_few_seeds_do_not_tell_their_spread(groups: list[list[float]], enough: bool) -> None:
    spread = SeedSpread.of(groups)

    assert spread is not None
    assert enough is spread.enough


def test_the_mean_over_snrs_is_that_of_the_differences() -> None:
    ours, theirs = rounds(ONE)[:1] * 2, [rounds(OTHER)[0], rounds(WORSE)[0]]

    together = answered(ours, theirs)["k_loc"]

    values = [
        summarise(one).k_loc - summarise(other).k_loc
        for one, other in zip(ours, theirs, strict=True)
    ]
    assert pytest.approx(sum(values) / 2.0) == together.value
    assert together.low < together.value < together.high


def test_answers_to_other_scenes_are_not_paired() -> None:
    with pytest.raises(DataInvalid, match="both answers to the same scenes"):
        answered([ONE[:10]], [ONE[10:20]])
