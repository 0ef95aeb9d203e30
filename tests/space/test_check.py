"""The space check finds every kind of structural fault."""

import random
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import JsonValue

from risexp.config.run import RunConfig
from risexp.space.spec import SearchSpace
from tests.support.spaces import CODEBOOK, RIDGE, checked, only_when, problem


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

    assert () == report.problems
    assert report.sound
    assert pytest.approx(1 / 6, abs=0.03) == report.forbidden_share


def test_an_unknown_path_is_named_with_the_right_one() -> None:
    cases: list[tuple[Mapping[str, object], Mapping[str, object], str]] = [
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
    ]
    for vary, more, part in cases:
        assert part == problem(vary, **more), (vary, more, part)


def test_every_unknown_path_is_listed() -> None:
    report = checked({"sampled.rigde": RIDGE, "sampled.metod": CODEBOOK})

    assert 2 == len(report.problems)


def test_a_base_that_does_not_exist_is_named() -> None:
    message = problem({"sampled.ridge": RIDGE}, base="smoky")

    assert "its base is no run: there is no preset 'smoky'; did you mean smoke?" == message


def test_a_base_that_cannot_be_is_named_with_its_reason() -> None:
    message = problem({"sampled.ridge": RIDGE}, fixed={"physics.antennas": 2})

    assert message.startswith("its base is no run: physics: 2 antennas x 16 distinct codes")


def test_a_field_both_fixed_and_varied_is_found() -> None:
    message = problem({"sampled.ridge": RIDGE}, fixed={"sampled.ridge": 1e-3})

    assert "sampled.ridge is both fixed and varied: keep one" == message


def test_a_circle_of_conditions_is_found() -> None:
    report = checked(
        {
            "physics.codebook": only_when(CODEBOOK, sampled__method="joint"),
            "sampled.method": only_when(
                {"kind": "choice", "options": ["joint", "per_snapshot"]}, physics__codebook="dft"
            ),
        }
    )

    assert (
        "the condition of physics.codebook leads back to itself",
        "the condition of sampled.method leads back to itself",
    ) == report.problems


def test_a_condition_on_the_dimension_itself_is_a_circle() -> None:
    message = problem({"physics.codebook": only_when(CODEBOOK, physics__codebook="dft")})

    assert "the condition of physics.codebook leads back to itself" == message


def test_a_condition_that_cannot_hold_is_found() -> None:
    cases: list[tuple[Mapping[str, object], str]] = [
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
    ]
    for vary, asked in cases:
        message = problem(vary)

        assert message.startswith(f"sampled.ridge is never varied: {asked} cannot be "), (
            vary,
            asked,
        )


def test_conditions_that_cannot_hold_together_are_found() -> None:
    message = problem(
        {
            "physics.codebook": CODEBOOK,
            "physics.pool_h": only_when(
                {"kind": "choice", "options": [None, 8]}, physics__codebook="dft"
            ),
            "sampled.ridge": only_when(RIDGE, physics__codebook="random", physics__pool_h=8),
        }
    )

    assert "sampled.ridge is never varied" in message


def test_a_forbidden_base_is_found() -> None:
    message = problem(
        {"physics.codebook": CODEBOOK}, forbid=[{"physics.codebook": "dft", "data.seed": 0}]
    )

    assert "the base configuration itself is forbidden, and it is trial 0" == message


def test_an_empty_combination_is_found() -> None:
    message = problem({"physics.codebook": CODEBOOK}, forbid=[{}])

    assert "forbid holds an empty combination, which forbids every run" == message


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

    assert 1000 == len(drawn)
