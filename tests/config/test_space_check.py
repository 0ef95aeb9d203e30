"""The space check: every kind of fault planted once, and each found and named."""

import random
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import JsonValue

from risexp.config.run import RunConfig
from risexp.config.space import SearchSpace
from risexp.config.space_check import SpaceReport, check_space

RIDGE: Mapping[str, object] = {"kind": "log", "low": 1e-4, "high": 1e-2}
CODEBOOK: Mapping[str, object] = {"kind": "choice", "options": ["dft", "balanced", "random"]}


def checked(vary: Mapping[str, object], **more: object) -> SpaceReport:
    said = {"name": "planted", "trials": 4, "vary": vary, **more}
    return check_space(SearchSpace.model_validate(said))


def problem(vary: Mapping[str, object], **more: object) -> str:
    """The one problem of a space that has one."""
    report = checked(vary, **more)
    assert not report.sound
    assert len(report.problems) == 1, report.problems
    return report.problems[0]


def only_when(dimension: Mapping[str, object], **when: object) -> dict[str, object]:
    return {**dimension, "when": {name.replace("__", "."): asked for name, asked in when.items()}}


def test_a_sound_space_is_sound() -> None:
    report = checked(
        {
            "physics.codebook": CODEBOOK,
            "physics.pool_h": only_when(
                {"kind": "choice", "options": [None, 8]}, physics__codebook=["dft", "balanced"]
            ),
            "sampled.ridge": RIDGE,
        },
        base="large-panel",
        fixed={"physics.pool_v": 6},
        forbid=[{"physics.codebook": "balanced", "physics.pool_h": 8}],
    )

    assert report.problems == ()
    assert report.sound
    assert pytest.approx(1 / 6, abs=0.03) == report.forbidden_share


@pytest.mark.parametrize(
    ("vary", "more", "said"),
    [
        (
            {"sampled.rigde": RIDGE},
            {},
            "vary: there is no field 'sampled.rigde'; did you mean sampled.ridge?",
        ),
        (
            {"sampled.ridge": RIDGE},
            {"fixed": {"data.sed": 1}},
            "fixed: there is no field 'data.sed'; did you mean data.seed?",
        ),
        (
            {"sampled.ridge": RIDGE},
            {"forbid": [{"physics.codebok": "dft"}]},
            "forbid: there is no field 'physics.codebok'; did you mean physics.codebook?",
        ),
        (
            {"sampled.ridge": only_when(RIDGE, sampled__methd="joint")},
            {},
            (
                "vary.sampled.ridge.when: there is no field 'sampled.methd'; did you mean "
                "sampled.method?"
            ),
        ),
    ],
    ids=["vary", "fixed", "forbid", "when"],
)
def test_an_unknown_path_is_named_with_the_right_one(
    vary: Mapping[str, object], more: Mapping[str, object], said: str
) -> None:
    assert said == problem(vary, **more)


def test_every_unknown_path_is_listed() -> None:
    report = checked({"sampled.rigde": RIDGE, "sampled.metod": CODEBOOK})

    assert len(report.problems) == 2


def test_a_base_that_does_not_exist_is_named() -> None:
    said = problem({"sampled.ridge": RIDGE}, base="smoky")

    assert said == "its base is no run: there is no preset 'smoky'; did you mean smoke?"


def test_a_base_that_cannot_be_is_named_with_its_reason() -> None:
    said = problem({"sampled.ridge": RIDGE}, fixed={"physics.antennas": 2})

    assert said.startswith("its base is no run: physics: 2 antennas x 16 distinct codes")


def test_a_field_both_fixed_and_varied_is_found() -> None:
    said = problem({"sampled.ridge": RIDGE}, fixed={"sampled.ridge": 1e-3})

    assert said == "sampled.ridge is both fixed and varied: keep one"


def test_a_circle_of_conditions_is_found() -> None:
    report = checked(
        {
            "physics.codebook": only_when(CODEBOOK, sampled__method="joint"),
            "sampled.method": only_when(
                {"kind": "choice", "options": ["joint", "per_snapshot"]}, physics__codebook="dft"
            ),
        }
    )

    assert report.problems == (
        "the condition of physics.codebook leads back to itself",
        "the condition of sampled.method leads back to itself",
    )


def test_a_condition_on_the_dimension_itself_is_a_circle() -> None:
    said = problem({"physics.codebook": only_when(CODEBOOK, physics__codebook="dft")})

    assert said == "the condition of physics.codebook leads back to itself"


@pytest.mark.parametrize(
    ("vary", "asked"),
    [
        ({"sampled.ridge": only_when(RIDGE, physics__symbols="snapshot")}, "physics.symbols"),
        (
            {
                "physics.codebook": CODEBOOK,
                "sampled.ridge": only_when(RIDGE, physics__codebook="hadamard"),
            },
            "physics.codebook",
        ),
        (
            {
                "physics.codebook": CODEBOOK,
                "sampled.ridge": only_when(RIDGE, physics__codebook=["hadamard", "dtf"]),
            },
            "physics.codebook",
        ),
    ],
    ids=["not in the base", "no option", "no option of a list"],
)
def test_a_condition_that_cannot_hold_is_found(vary: Mapping[str, object], asked: str) -> None:
    said = problem(vary)

    assert said.startswith(f"sampled.ridge is never varied: {asked} cannot be ")


def test_conditions_that_cannot_hold_together_are_found() -> None:
    said = problem(
        {
            "physics.codebook": CODEBOOK,
            "physics.pool_h": only_when(
                {"kind": "choice", "options": [None, 8]}, physics__codebook="dft"
            ),
            "sampled.ridge": only_when(RIDGE, physics__codebook="random", physics__pool_h=8),
        }
    )

    assert "sampled.ridge is never varied" in said


@pytest.mark.parametrize(
    ("path", "dimension", "default", "extent"),
    [
        ("sampled.ridge", {"kind": "log", "low": 1e-2, "high": 1.0}, "0.001", "[0.01, 1.0]"),
        ("physics.phase_bits", {"kind": "int", "low": 4, "high": 8}, "3", "[4, 8]"),
        ("physics.phase_bits", {"kind": "int", "low": 2, "high": 8, "step": 2}, "3", "[2, 8]"),
        (
            "physics.codebook",
            {"kind": "choice", "options": ["balanced", "random"]},
            "'dft'",
            "['balanced', 'random']",
        ),
        ("physics.pool_h", {"kind": "int", "low": 4, "high": 8}, "None", "[4, 8]"),
    ],
)
def test_a_default_outside_is_found(
    path: str, dimension: Mapping[str, object], default: str, extent: str
) -> None:
    assert f"the default {path} = {default} lies outside {extent}" == problem({path: dimension})


def test_a_default_outside_does_not_matter_where_the_base_does_not_vary_it() -> None:
    report = checked(
        {
            "physics.codebook": CODEBOOK,
            "physics.codebook_seed": only_when(
                {"kind": "int", "low": 1, "high": 9}, physics__codebook="random"
            ),
        }
    )

    assert report.sound


def test_a_forbidden_base_is_found() -> None:
    said = problem(
        {"physics.codebook": CODEBOOK}, forbid=[{"physics.codebook": "dft", "data.seed": 0}]
    )

    assert said == "the base configuration itself is forbidden, and it is trial 0"


def test_an_empty_combination_is_found() -> None:
    said = problem({"physics.codebook": CODEBOOK}, forbid=[{}])

    assert said == "forbid holds an empty combination, which forbids every run"


@pytest.mark.parametrize(
    ("path", "dimension", "end"),
    [
        ("sampled.ridge", {"kind": "log", "low": 1e-4, "high": 1e4}, "10000.0"),
        ("covariance.alpha_base", {"kind": "uniform", "low": -0.5, "high": 0.5}, "-0.5"),
        ("physics.antennas", {"kind": "int", "low": 8, "high": 24}, "8"),
        ("physics.antennas", {"kind": "uniform", "low": 12.0, "high": 24.0}, "12.0"),
        ("physics.codebook", {"kind": "choice", "options": ["dft", "walsh"]}, "'walsh'"),
        ("data.snr_db", {"kind": "choice", "options": [[-5, 20], [20, -5]]}, "[20, -5]"),
    ],
)
def test_an_invalid_bound_is_found_alone(
    path: str, dimension: Mapping[str, object], end: str
) -> None:
    report = checked({path: dimension})

    assert any(said.startswith(f"{path} = {end} is no run: ") for said in report.problems)


def test_an_invalid_pair_of_valid_bounds_is_found() -> None:
    nine_up = {"kind": "int", "low": 9, "high": 20}

    said = problem({"physics.antennas": nine_up, "physics.snapshots": nine_up})

    assert said.startswith("physics.antennas = 9 with physics.snapshots = 9 is no run: physics: ")


def test_bounds_whose_conditions_contradict_each_other_are_no_pair() -> None:
    # Eight antennas are too few under held symbols, and are varied under fresh ones only.
    report = checked(
        {
            "physics.antennas": only_when(
                {"kind": "int", "low": 8, "high": 24}, physics__symbols="snapshot"
            ),
            "physics.symbols": {"kind": "choice", "options": ["frame", "snapshot"]},
        }
    )

    assert report.problems == ()


def test_a_forbidden_pair_of_bounds_is_not_asked_about() -> None:
    low_high = {"kind": "choice", "options": [9, 16]}

    report = checked(
        {"physics.antennas": low_high, "physics.snapshots": low_high},
        forbid=[{"physics.antennas": 9, "physics.snapshots": 9}],
    )

    assert report.sound
    assert pytest.approx(0.25, abs=0.05) == report.forbidden_share


def test_an_invalid_draw_between_valid_pairs_is_found() -> None:
    # 12 x 12 equations cannot carry 14 x 12 elements: it takes three fields to see it.
    twelve_up = {"kind": "int", "low": 12, "high": 16}

    said = problem(
        {
            "physics.antennas": twelve_up,
            "physics.snapshots": twelve_up,
            "physics.elements_h": {"kind": "int", "low": 12, "high": 14},
        }
    )

    assert said.startswith("a draw is no run: {'physics.antennas': 1")
    assert "equations" in said


def test_a_dimension_that_changes_nothing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    sha = RunConfig.sha

    def deaf(config: RunConfig, *sections: str) -> str:
        return sha(config.replace({"sampled.ridge": 1e-3}), *sections)

    monkeypatch.setattr(RunConfig, "sha", deaf)

    said = problem(
        {
            "physics.codebook": CODEBOOK,
            "sampled.ridge": only_when(RIDGE, physics__codebook="random"),
        }
    )

    assert said == "sampled.ridge is dead: different values give the same configuration"


def test_a_dimension_that_forbid_leaves_one_value_is_dead() -> None:
    two = {"kind": "choice", "options": ["dft", "balanced"]}

    said = problem({"physics.codebook": two}, forbid=[{"physics.codebook": "balanced"}])

    assert "physics.codebook is dead" in said


def test_a_space_that_is_mostly_forbidden_is_found() -> None:
    bits = {"kind": "int", "low": 1, "high": 16}
    others = [value for value in range(1, 17) if value != 3]

    report = checked({"physics.phase_bits": bits}, forbid=[{"physics.phase_bits": others}])

    assert not report.sound
    assert report.problems[0].endswith("% of all draws are forbidden")
    assert pytest.approx(15 / 16, abs=0.03) == report.forbidden_share


def test_the_check_is_the_same_every_time() -> None:
    bits: Mapping[str, Any] = {"kind": "int", "low": 1, "high": 6}
    forbid = [{"physics.phase_bits": 1}]

    one = checked({"physics.phase_bits": bits}, forbid=forbid)

    assert one == checked({"physics.phase_bits": bits}, forbid=forbid)
    assert 0.1 < one.forbidden_share < 0.25


def test_a_thousand_draws_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[dict[str, JsonValue]] = []
    draw = SearchSpace.draw

    def counted(space: SearchSpace, base: RunConfig, source: random.Random) -> dict[str, JsonValue]:
        drawn.append(draw(space, base, source))
        return drawn[-1]

    monkeypatch.setattr(SearchSpace, "draw", counted)
    checked({"physics.phase_bits": {"kind": "int", "low": 1, "high": 6}})

    assert len(drawn) == 1000
