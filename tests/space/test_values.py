"""The space check on values: bounds, pairs, draws and dead dimensions."""

from collections.abc import Mapping

import pytest

from risexp.config.run import RunConfig
from tests.support.spaces import CODEBOOK, RIDGE, checked, only_when, problem


def test_a_default_outside_is_found() -> None:
    cases: list[tuple[str, Mapping[str, object], str, str]] = [
        ("sampled.ridge", {"kind": "log", "low": 1e-2, "high": 1.0}, "0.001", "[0.01, 1.0]"),
        ("physics.phase_bits", {"kind": "int", "low": 2, "high": 8, "step": 2}, "3", "[2, 8]"),
        (
            "physics.codebook",
            {"kind": "choice", "options": ["balanced", "random"]},
            "'dft'",
            "['balanced', 'random']",
        ),
        ("physics.pool_h", {"kind": "int", "low": 4, "high": 8}, "None", "[4, 8]"),
    ]
    for path, dimension, default, extent in cases:
        assert f"the default {path} = {default} lies outside {extent}" == problem(
            {path: dimension}
        ), path


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


def test_an_invalid_bound_is_found_alone() -> None:
    cases: list[tuple[str, Mapping[str, object], str]] = [
        ("sampled.ridge", {"kind": "log", "low": 1e-4, "high": 1e4}, "10000.0"),
        ("physics.antennas", {"kind": "int", "low": 8, "high": 24}, "8"),
        ("physics.antennas", {"kind": "uniform", "low": 12.0, "high": 24.0}, "12.0"),
        ("physics.codebook", {"kind": "choice", "options": ["dft", "walsh"]}, "'walsh'"),
        ("data.snr_db", {"kind": "choice", "options": [[-5, 20], [20, -5]]}, "[20, -5]"),
    ]
    for path, dimension, end in cases:
        report = checked({path: dimension})

        assert any(
            sentence.startswith(f"{path} = {end} is no run: ") for sentence in report.problems
        ), path


def test_an_invalid_pair_of_valid_bounds_is_found() -> None:
    nine_up = {"kind": "int", "low": 9, "high": 20}

    message = problem({"physics.antennas": nine_up, "physics.snapshots": nine_up})

    assert message.startswith(
        "physics.antennas = 9 with physics.snapshots = 9 is no run: physics: "
    )


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

    assert () == report.problems


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

    message = problem(
        {
            "physics.antennas": twelve_up,
            "physics.snapshots": twelve_up,
            "physics.elements_h": {"kind": "int", "low": 12, "high": 14},
        }
    )

    assert message.startswith("a draw is no run: {'physics.antennas': 1")
    assert "equations" in message


def test_a_dimension_that_changes_nothing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    ramp = {"curriculum.structure_ramp": {"kind": "int", "low": 0, "high": 6}}
    weight = {"loss.subspace": {"kind": "uniform", "low": 0.0, "high": 0.5}}
    kinds = {"count.kind": {"kind": "choice", "options": ["ordinal", "softmax"]}}
    smoothing = {"kind": "uniform", "low": 0.01, "high": 0.2}
    two = {"physics.codebook": {"kind": "choice", "options": ["dft", "balanced"]}}
    ridge = {
        "physics.codebook": CODEBOOK,
        "sampled.ridge": only_when(RIDGE, physics__codebook="random"),
    }
    dead = "is dead: different values give the same configuration"

    assert f"curriculum.structure_ramp {dead}" == problem(ramp)
    assert checked({**ramp, **weight}).sound
    assert f"count.smoothing {dead}" == problem({**kinds, "count.smoothing": smoothing})
    told = {**kinds, "count.smoothing": only_when(smoothing, count__kind="softmax")}
    assert checked(told).sound
    forbidden = problem(two, forbid=[{"physics.codebook": "balanced"}])
    assert forbidden.startswith("physics.codebook is dead: what is not forbidden")
    assert checked(ridge).sound

    sha = RunConfig.sha

    def deaf(config: RunConfig, *sections: str) -> str:
        return sha(config.replace({"sampled.ridge": 1e-3}), *sections)

    monkeypatch.setattr(RunConfig, "sha", deaf)
    assert f"sampled.ridge {dead}" == problem(ridge)


def test_a_space_that_is_mostly_forbidden_is_found() -> None:
    bits = {"kind": "int", "low": 1, "high": 16}
    others = [value for value in range(1, 17) if value != 3]

    report = checked({"physics.phase_bits": bits}, forbid=[{"physics.phase_bits": others}])

    assert not report.sound
    assert report.problems[0].endswith("% of all draws are forbidden")
    assert pytest.approx(15 / 16, abs=0.03) == report.forbidden_share
