"""Dimensions and draws of a search space."""

import math
import random
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import JsonValue, TypeAdapter, ValidationError

from risexp.config.run import RunConfig
from risexp.space.dimensions import Dimension, matches
from risexp.space.spec import SearchSpace
from tests.support.spaces import CODEBOOK, planted

DIMENSION: TypeAdapter[Dimension] = TypeAdapter(Dimension)

NESTED: Mapping[str, Mapping[str, object]] = {
    # Declared innermost first: the order of drawing must come from the conditions.
    "physics.pool_v": {"kind": "int", "low": 5, "high": 8, "when": {"physics.pool_h": [7, 8]}},
    "physics.pool_h": {
        "kind": "int",
        "low": 5,
        "high": 8,
        "when": {"physics.codebook": ["dft", "balanced"]},
    },
    "physics.codebook": CODEBOOK,
}


def dice(seed: int = 0) -> random.Random:
    return random.Random(seed)  # noqa: S311 - no secret is drawn


def dimension(**part: object) -> Dimension:
    return DIMENSION.validate_python(part)


def draws(of: SearchSpace, count: int, seed: int = 0) -> list[dict[str, Any]]:
    source = dice(seed)
    base = of.trial_zero().config
    return [of.draw(base, source) for _ in range(count)]


@given(
    st.sampled_from(["uniform", "log"]), st.floats(1e-6, 1e3), st.floats(1e-6, 1e3), st.integers()
)
def test_a_range_draws_only_what_it_holds(kind: str, one: float, two: float, seed: int) -> None:
    assume(one != two)
    drawn_from = dimension(kind=kind, low=min(one, two), high=max(one, two))
    source = dice(seed)

    assert all(drawn_from.holds(drawn_from.draw(source)) for _ in range(20))


@given(st.integers(-50, 50), st.integers(1, 20), st.integers(1, 7), st.integers())
def test_whole_numbers_are_drawn_on_their_steps(low: int, steps: int, step: int, seed: int) -> None:
    drawn_from = dimension(kind="int", low=low, high=low + steps * step, step=step)
    source = dice(seed)

    for _ in range(20):
        value = drawn_from.draw(source)
        assert isinstance(value, int)
        assert 0 == (value - low) % step
        assert low <= value <= low + steps * step


def test_both_ends_of_whole_numbers_and_every_option_are_drawn() -> None:
    drawn_from = dimension(kind="int", low=2, high=8, step=2)
    source = dice()
    options = draws(planted({"physics.codebook": CODEBOOK}), 100)

    assert {2, 4, 6, 8} == {drawn_from.draw(source) for _ in range(100)}
    assert {"dft", "balanced", "random"} == {values["physics.codebook"] for values in options}


class Extreme(random.Random):
    """Always draws the upper end."""

    def uniform(self, _low: float, high: float) -> float:
        return high


@given(st.floats(1e-9, 1e9))
def test_rounding_does_not_carry_a_draw_out_of_a_log_range(high: float) -> None:
    drawn_from = dimension(kind="log", low=high / 2.0, high=high)

    assert drawn_from.holds(drawn_from.draw(Extreme()))


def test_a_uniform_range_is_even_and_a_log_range_in_the_logarithm() -> None:
    even, log = (
        dimension(kind="uniform", low=-4.0, high=-2.0),
        dimension(kind="log", low=1e-4, high=1e-2),
    )
    source = dice()

    for values in (
        [float(str(even.draw(source))) for _ in range(2000)],
        [math.log10(float(str(log.draw(source)))) for _ in range(2000)],
    ):
        assert pytest.approx(-3.0, abs=0.05) == sum(values) / len(values)
        assert pytest.approx(0.25, abs=0.04) == sum(each < -3.5 for each in values) / len(values)


def test_a_dimension_does_not_hold_what_it_cannot_draw() -> None:
    cases: list[tuple[Mapping[str, object], object]] = [
        ({"kind": "uniform", "low": 0.0, "high": 1.0}, "0.5"),
        ({"kind": "uniform", "low": 0.0, "high": 1.0}, True),
        ({"kind": "uniform", "low": 0.0, "high": 1.0}, 1.5),
        ({"kind": "log", "low": 0.1, "high": 1.0}, 0.05),
        ({"kind": "int", "low": 0, "high": 8, "step": 4}, 2),
        ({"kind": "int", "low": 0, "high": 8}, 2.0),
        ({"kind": "int", "low": 0, "high": 8}, True),
        ({"kind": "choice", "options": ["a", None]}, "b"),
    ]
    for part, value in cases:
        assert not dimension(**part).holds(value), (part, value)


def test_a_dimension_without_sense_is_refused() -> None:
    cases: list[Mapping[str, object]] = [
        {"kind": "uniform", "low": 1.0, "high": 1.0},
        {"kind": "uniform", "low": 2.0, "high": 1.0},
        {"kind": "uniform", "low": 0.0, "high": math.inf},
        {"kind": "uniform", "low": 0.0, "high": 1.0, "step": 0.1},
        {"kind": "log", "low": 0.0, "high": 1.0},
        {"kind": "int", "low": 1, "high": 1},
        {"kind": "int", "low": 1.0, "high": 4.0},
        {"kind": "int", "low": 1, "high": 8, "step": 4},
        {"kind": "int", "low": 1, "high": 8, "step": 0},
        {"kind": "choice", "options": ["dft"]},
        {"kind": "choice", "options": ["dft", "random", "dft"]},
        {"kind": "choice", "options": [[1, 2], [1.0, 2.0]]},
    ]
    for part in cases:
        with pytest.raises(ValidationError):
            dimension(**part)


def test_a_conditional_dimension_is_drawn_exactly_when_its_condition_holds() -> None:
    drawn = draws(planted(NESTED), 300)

    for values in drawn:
        pooled = values["physics.codebook"] in {"dft", "balanced"}
        assert pooled == ("physics.pool_h" in values)
        assert ("physics.pool_v" in values) == (values.get("physics.pool_h") in {7, 8})
    assert {1, 2, 3} == {len(values) for values in drawn}
    order = [path for path, _ in planted(NESTED).ordered()]
    assert ["physics.codebook", "physics.pool_h", "physics.pool_v"] == order


def test_a_condition_on_a_field_that_does_not_vary_looks_at_the_base() -> None:
    vary = {"sampled.ridge": {"kind": "log", "low": 1e-4, "high": 1e-2}}
    asking = {"when": {"physics.symbols": "snapshot"}}

    held = planted({"sampled.ridge": vary["sampled.ridge"] | asking})
    fresh = planted(
        {"sampled.ridge": vary["sampled.ridge"] | asking}, fixed={"physics.symbols": "snapshot"}
    )

    assert [{}, {}, {}] == draws(held, 3)
    assert all("sampled.ridge" in values for values in draws(fresh, 3))


def test_a_condition_on_an_undrawn_dimension_does_not_hold() -> None:
    # The base has pool_h = null; a draw without the codebook's pool must not fall back on it.
    vary = {
        **NESTED,
        "physics.pool_h": {
            "kind": "choice",
            "options": [None, 8],
            "when": {"physics.codebook": "dft"},
        },
        "physics.pool_v": {"kind": "int", "low": 5, "high": 8, "when": {"physics.pool_h": None}},
    }

    drawn = draws(planted(vary), 200)

    assert all("physics.pool_h" in values for values in drawn if "physics.pool_v" in values)
    assert any("physics.pool_v" in values for values in drawn)


def test_a_combination_is_forbidden_when_all_its_values_meet() -> None:
    cases: list[tuple[str, int, bool]] = [
        ("dft", 1, True),
        ("balanced", 1, True),
        ("random", 1, False),
        ("dft", 2, False),
        ("random", 4, True),
    ]
    for codebook, bits, forbidden in cases:
        asked = planted(
            {"physics.codebook": CODEBOOK},
            forbid=[
                {"physics.codebook": ["dft", "balanced"], "physics.phase_bits": 1},
                {"physics.phase_bits": 4},
            ],
        )
        known = (
            RunConfig().replace({"physics.codebook": codebook, "physics.phase_bits": bits}).flat()
        )

        assert forbidden == asked.forbids(known), (codebook, bits, forbidden)


def test_a_value_matches_itself_or_one_of_a_list() -> None:
    cases: list[tuple[object, JsonValue, bool]] = [
        ("dft", "dft", True),
        ("dft", ["dft", "random"], True),
        ("dft", ["random"], False),
        (None, None, True),
        (None, [None, 4], True),
        ([-5.0, 20.0], [-5, 20], True),
        ([-5.0, 20.0], [[-5, 20], [0, 10]], True),
        (-5.0, [[-5, 20]], False),
    ]
    for value, wanted, expected in cases:
        assert expected == matches(value, wanted), (value, wanted, expected)
