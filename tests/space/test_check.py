"""The space check finds every kind of structural fault."""

from collections.abc import Mapping
from typing import Any

import pytest

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


def test_a_structural_fault_is_named() -> None:
    ridge, codebook = {"sampled.ridge": RIDGE}, {"physics.codebook": CODEBOOK}
    asking = only_when(RIDGE, sampled__methd="joint")
    own = only_when(CODEBOOK, physics__codebook="dft")
    cases: list[tuple[Mapping[str, object], Mapping[str, object], str]] = [
        (
            {"sampled.rigde": RIDGE},
            {},
            "vary: there is no field 'sampled.rigde'; did you mean sampled.ridge?",
        ),
        (
            ridge,
            {"fixed": {"data.sed": 1}},
            "fixed: there is no field 'data.sed'; did you mean data.seed?",
        ),
        (
            ridge,
            {"forbid": [{"physics.codebok": "dft"}]},
            "forbid: there is no field 'physics.codebok'; did you mean physics.codebook?",
        ),
        ({"sampled.ridge": asking}, {}, "vary.sampled.ridge.when: there is no field 'sampled.meth"),
        (ridge, {"base": "smoky"}, "its base is no run: there is no preset 'smoky'; did you mean"),
        (
            ridge,
            {"fixed": {"physics.antennas": 2}},
            "its base is no run: physics: 2 antennas x 16 distinct codes",
        ),
        (
            ridge,
            {"fixed": {"sampled.ridge": 1e-3}},
            "sampled.ridge is both fixed and varied: keep one",
        ),
        (
            codebook,
            {"forbid": [{"physics.codebook": "dft", "data.seed": 0}]},
            "the base configuration itself is forbidden, and it is trial 0",
        ),
        (codebook, {"forbid": [{}]}, "forbid holds an empty combination, which forbids every run"),
        ({"physics.codebook": own}, {}, "the condition of physics.codebook leads back to itself"),
    ]
    for vary, more, part in cases:
        assert problem(vary, **more).startswith(part), (vary, more, part)

    assert 2 == len(checked({"sampled.rigde": RIDGE, "sampled.metod": CODEBOOK}).problems)


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


def test_a_condition_that_cannot_hold_is_found() -> None:
    cases: list[tuple[Mapping[str, object], str]] = [
        ({"sampled.ridge": only_when(RIDGE, physics__symbols="snapshot")}, "physics.symbols"),
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
    pooled = only_when({"kind": "choice", "options": [None, 8]}, physics__codebook="dft")
    together = only_when(RIDGE, physics__codebook="random", physics__pool_h=8)
    both = {"physics.codebook": CODEBOOK, "physics.pool_h": pooled, "sampled.ridge": together}
    assert "sampled.ridge is never varied" in problem(both)


def test_the_check_draws_the_same_every_time() -> None:
    bits: Mapping[str, Any] = {"physics.phase_bits": {"kind": "int", "low": 1, "high": 6}}

    one, two = (checked(bits, forbid=[{"physics.phase_bits": 1}]) for _ in range(2))

    assert one == two
    assert 0.1 < one.forbidden_share < 0.25
