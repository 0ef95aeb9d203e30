"""Invalid configurations are refused with the reason."""

import math
from collections.abc import Mapping, Sequence

from risexp.config.run import RunConfig
from tests.support.configs import refusal

INTERVALS = ("physics.rician_db", "data.phi_deg", "data.theta_deg", "data.range_m", "data.snr_db")


def test_nothing_is_coerced_into_the_right_type() -> None:
    values: Mapping[str, Sequence[object]] = {
        "physics.elements_h": ["12", 12.0, True, None, [12]],
        "physics.wavelength_m": ["0.3", True, {"m": 0.3}, math.nan, math.inf, -math.inf],
        "physics.codebook": [3, "dft "],
        "physics.phase_bits": ["3"],
        "data.seed": [-1, 2**63],
        "data.snr_db": [5.0, "-5, 20", [5.0], [-5.0, 5.0, 20.0], ["-5", "20"], [False, True]],
    }
    for path, wrong in values.items():
        for value in wrong:
            assert path in refusal({path: value}), (path, value)
    for path in ("physics.station_deg", "data.separation_deg", "sampled.ridge"):
        assert path in refusal({path: math.nan})


def test_an_interval_is_finite_and_not_reversed_and_may_be_one_value() -> None:
    for path in INTERVALS:
        for bounds in ([math.nan, 1.0], [1.0, math.nan], [1.0, math.inf]):
            assert "finite" in refusal({path: bounds}), (path, bounds)
        sentence = f"{path} = [4.0, 2.0]: the lower bound 4 lies above the upper bound 2"
        assert sentence == refusal({path: [4.0, 2.0]})
        assert [2.0, 2.0] == RunConfig().replace({path: [2.0, 2.0]}).flat()[path], path


def test_what_cannot_work_is_refused_with_its_reason() -> None:
    cases: list[tuple[Mapping[str, object], str]] = [
        ({"physics.symbols": "snapshot", "sampled.method": "joint"}, "use per_snapshot"),
        ({"physics.elements_h": 2, "physics.elements_v": 2}, "2 x 2 panel"),
        ({"physics.elements_h": 1}, "physics.elements_h"),
        ({"physics.elements_h": 257}, "physics.elements_h"),
        ({"physics.antennas": 8}, "8 antennas x 16 distinct codes give 128 equations for 144"),
        ({"physics.snapshots": 8}, "16 antennas x 8 distinct codes give 128 equations for 144"),
        ({"physics.pool_h": 2, "physics.pool_v": 4}, "8 distinct codes"),
        ({"physics.pool_h": 2, "physics.pool_v": 4, "physics.codebook": "balanced"}, "8 distinct"),
        ({"physics.pool_h": 13}, "pool_h = 13 exceeds elements_h = 12"),
        ({"physics.pool_v": 13, "physics.codebook": "random"}, "pool_v = 13 exceeds"),
        ({"data.sources_max": 33}, "data.sources_max"),
        ({"data.phi_deg": [-90.0, 0.0]}, "half space"),
        ({"data.theta_deg": [0.0, 120.0]}, "half space"),
        ({"data.range_m": [0.0, 1.0]}, "a source's distance is positive"),
        ({"data.snr_db": [-5.0, 101.0]}, "snr_db"),
        ({"physics.rician_db": [101.0, 101.0]}, "rician_db"),
        ({"data.range_m": [1e-4, 1.0]}, "too far out"),
        ({"data.range_m": [1.0, 1e7]}, "too far out"),
        ({"sampled.ridge": 0.0}, "sampled.ridge"),
        ({"loss.cov": 200.0}, "loss.cov = 200"),
        ({"curriculum.geometry.cov": 100.0}, "curriculum.geometry.cov = 100"),
        ({"curriculum.count.cov": 100.0}, "curriculum.count.cov = 100"),
    ]
    for changes, reason in cases:
        assert reason in refusal(changes), (changes, reason)


SMALL: Mapping[str, object] = {"physics.elements_h": 4, "physics.elements_v": 3}


def test_the_panel_limits_the_sources() -> None:
    cases: list[tuple[str, int]] = [("frame", 4), ("snapshot", 11)]
    for symbols, most in cases:
        panel = {**SMALL, "physics.symbols": symbols}

        largest = RunConfig().replace({**panel, "data.sources_max": most})

        assert largest.data.sources_max == most, (symbols, most)
        assert f"more than {most} sources" in refusal({**panel, "data.sources_max": most + 1}), (
            symbols
        )


def test_too_few_equations_are_refused_for_held_symbols_only() -> None:
    for changes in ({"physics.antennas": 8}, {"physics.snapshots": 4}):
        fresh = RunConfig().replace({**changes, "physics.symbols": "snapshot"})

        assert "equations" in refusal(changes), changes
        assert fresh.physics.equations < fresh.physics.elements, changes
    assert 144 == RunConfig().replace({"physics.antennas": 9}).physics.equations


def test_snapshots_beyond_the_codebook_are_counted_once() -> None:
    cases: list[tuple[Mapping[str, object], int]] = [
        ({}, 9),
        ({"physics.pool_h": 4}, 12),
        ({"physics.codebook": "balanced"}, 9),
        ({"physics.codebook": "random"}, 40),
        # Nine elements see no more than the sixteen Walsh rows of their length.
        ({"physics.codebook": "hadamard", **SMALL, "physics.elements_h": 3}, 16),
        ({"physics.codebook": "hadamard"}, 40),
    ]
    for changes, codes in cases:
        repeated = {"physics.snapshots": 40, "physics.pool_h": 3, "physics.pool_v": 3}
        few = {"data.sources_max": 1, "physics.antennas": 20}

        physics = RunConfig().replace({**repeated, **few, **changes}).physics

        assert codes == physics.distinct_codes, (changes, codes)
        assert physics.equations == 20 * codes, (changes, codes)


def test_the_pool_is_two_thirds_of_each_axis_unless_said_or_too_small() -> None:
    cases: list[tuple[Mapping[str, object], tuple[int, int]]] = [
        ({}, (8, 8)),
        ({"physics.elements_h": 10}, (7, 8)),
        ({"physics.pool_h": 5}, (5, 8)),
        # Two thirds would give 2 x 4 = 8 codes for 16 snapshots.
        ({"physics.elements_h": 3, "physics.elements_v": 6}, (3, 6)),
    ]
    for changes, pool in cases:
        assert RunConfig().replace(changes).physics.pool == pool, (changes, pool)


def test_heads_that_cannot_share_the_width_are_refused_where_there_are_any() -> None:
    for front in ["pursuit", "aperture"]:
        odd = {"network.width": 30, "network.heads": 4}

        message = refusal({"network.front": front, **odd})
        image = RunConfig().replace({"network.front": "image", **odd})

        assert "network.width = 30 cannot be shared by network.heads = 4" == message, front
        assert 30 == image.network.width, front


def test_shares_of_structure_leave_room_for_the_main_terms() -> None:
    half = {"loss.structure_share": 0.5, "loss.subspace": 1.5}

    message = refusal({**half, "loss.cross": 0.5})

    assert (
        "structure_share = 0.5 with the structure weights of the joint phase asks for 1 " in message
    )
    assert 0.5 == RunConfig().replace(half).loss.structure_share


def test_shares_of_a_phase_that_is_not_run_are_not_asked_for() -> None:
    much = {"loss.structure_share": 0.5, "curriculum.geometry.subspace": 3.0}

    assert 3.0 == RunConfig().replace(much).curriculum.geometry.subspace
    assert "of the geometry phase" in refusal({**much, "curriculum.phase": "geometry"})
