"""A configuration cannot be wrong: what it refuses, how it changes, what its hash stands for."""

import hashlib
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from risexp.config.run import RunConfig, describe, fields
from risexp.config.section import Section
from risexp.errors import ConfigInvalid

ANOTHER: dict[str, object] = {
    "physics.wavelength_m": 0.1,
    "physics.elements_h": 10,
    "physics.elements_v": 14,
    "physics.spacing_wavelengths": 0.25,
    "physics.antennas": 20,
    "physics.snapshots": 18,
    "physics.codebook": "balanced",
    "physics.codebook_seed": 1,
    "physics.pool_h": 9,
    "physics.pool_v": 7,
    "physics.phase_bits": None,
    "physics.wavefront": "fresnel",
    "physics.symbols": "snapshot",
    "physics.power": "equal",
    "physics.rician_db": [-24.0, -10.0],
    "physics.station_deg": 45.0,
    "physics.station_range_m": 50.0,
    "data.seed": 1,
    "data.sources_max": 4,
    "data.phi_deg": [-60.0, 45.0],
    "data.theta_deg": [-20.0, 30.0],
    "data.range_m": [1.0, 10.0],
    "data.separation_deg": 5.0,
    "data.snr_db": [0.0, 20.0],
    "sampled.method": "per_snapshot",
    "sampled.ridge": 1e-2,
    "covariance.alpha_base": 1e-2,
}
"""Another valid value for every field."""
MATTERS_UNDER: Mapping[str, Mapping[str, object]] = {
    "physics.codebook_seed": {"physics.codebook": "random"}
}
"""What else must be set for a field to change the run."""

NUMBERS = ("physics.wavelength_m", "physics.station_deg", "data.separation_deg", "sampled.ridge")
INTERVALS = ("physics.rician_db", "data.phi_deg", "data.theta_deg", "data.range_m", "data.snr_db")


def refusal(changes: Mapping[str, object]) -> str:
    """What is said when the default configuration is asked to become this."""
    with pytest.raises(ConfigInvalid) as caught:
        RunConfig().replace(changes)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_the_other_values_cover_every_field() -> None:
    assert list(ANOTHER) == list(fields())


@pytest.mark.parametrize("path", ANOTHER)
def test_the_hash_changes_with_every_single_field(path: str) -> None:
    base = RunConfig().replace(MATTERS_UNDER.get(path, {}))

    other = base.replace({path: ANOTHER[path]})

    assert base.flat()[path] != other.flat()[path]
    assert base.sha() != other.sha()


@pytest.mark.parametrize("path", ANOTHER)
def test_the_hash_of_a_section_sees_that_section_only(path: str) -> None:
    section = path.split(".")[0]
    others = {name.split(".")[0] for name in ANOTHER} - {section}

    base = RunConfig().replace(MATTERS_UNDER.get(path, {"sampled.method": "per_snapshot"}))

    other = base.replace({path: ANOTHER[path] if path != "sampled.method" else "joint"})

    assert base.sha(section) != other.sha(section)
    assert base.sha(*others) == other.sha(*others)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ({}, {"physics.pool_h": 8, "physics.pool_v": 8}),
        ({}, {"physics.codebook_seed": 7}),
        ({}, {"sampled.method": "joint"}),
        ({"physics.codebook": "hadamard"}, {"physics.codebook": "hadamard", "physics.pool_h": 3}),
        (
            {"physics.codebook": "hadamard"},
            {"physics.codebook": "hadamard", "physics.phase_bits": 1},
        ),
        (
            {"physics.symbols": "snapshot"},
            {"physics.symbols": "snapshot", "sampled.method": "per_snapshot"},
        ),
    ],
)
def test_two_ways_to_write_one_run_have_one_hash(
    one: Mapping[str, object], two: Mapping[str, object]
) -> None:
    assert RunConfig().replace(one).sha() == RunConfig().replace(two).sha()


def test_one_vector_is_not_solved_for_where_every_snapshot_has_its_own() -> None:
    said = refusal({"physics.symbols": "snapshot", "sampled.method": "joint"})

    assert "use per_snapshot" in said


def test_the_hash_does_not_depend_on_the_order_in_which_fields_were_set() -> None:
    backwards = dict(reversed(ANOTHER.items()))

    assert RunConfig().replace(ANOTHER).sha() == RunConfig().replace(backwards).sha()


def test_the_hash_is_that_of_the_canonical_json() -> None:
    config = RunConfig()

    canonical = canonical_json(config.canonical().model_dump(mode="json"))

    assert canonical.startswith(
        '{"covariance":{"alpha_base":0.001},"data":{"phi_deg":[-60.0,60.0],'
    )
    assert hashlib.sha256(canonical.encode()).hexdigest() == config.sha()


def canonical_json(value: object) -> str:
    """Names in alphabetical order at every depth, and no space."""
    if isinstance(value, dict):
        pairs = (f"{json.dumps(name)}:{canonical_json(value[name])}" for name in sorted(value))
        return f"{{{','.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{','.join(map(canonical_json, value))}]"
    return json.dumps(value)


def test_the_hash_does_not_depend_on_how_a_number_is_written() -> None:
    written = RunConfig().replace({"data.snr_db": [-5, 20], "physics.wavelength_m": 3e-1})

    assert RunConfig().sha() == written.sha()


def test_the_hash_is_the_same_in_another_process() -> None:
    program = (
        "from risexp.config.run import RunConfig; import sys; sys.stdout.write(RunConfig().sha())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}

    said = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )

    assert RunConfig().sha() == said.stdout


def test_a_configuration_survives_its_own_json() -> None:
    config = RunConfig().replace(ANOTHER)

    assert config == RunConfig.model_validate_json(config.model_dump_json())


@given(st.sets(st.sampled_from(sorted(ANOTHER))))
def test_replace_changes_what_it_was_told_and_nothing_else(paths: set[str]) -> None:
    before = RunConfig()

    after = before.replace({path: ANOTHER[path] for path in paths})

    changed = {path for path, value in after.flat().items() if value != before.flat()[path]}
    assert paths == changed


def test_replace_leaves_the_original_untouched() -> None:
    original = RunConfig()

    original.replace({"data.seed": 7, "physics.antennas": 32})

    assert RunConfig() == original


def test_replace_validates_the_whole_and_not_one_change_after_the_other() -> None:
    panel = {"physics.elements_h": 24, "physics.elements_v": 24}
    station = {"physics.antennas": 36}

    larger = RunConfig().replace(panel | station)

    assert "equations" in refusal(panel)
    assert larger.physics.elements == 576


def test_replace_refuses_an_unknown_path_with_the_right_name() -> None:
    said = refusal({"physics.elements": 12})

    assert "there is no field 'physics.elements'; did you mean physics.elements_" in said


def test_an_unknown_path_like_no_other_leads_to_the_list_of_all() -> None:
    said = refusal({"zzz": 1})

    assert said == "there is no field 'zzz'; risexp config show lists all"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("physics.elements_h", "12"),
        ("physics.elements_h", 12.0),
        ("physics.elements_h", 12.5),
        ("physics.elements_h", True),
        ("physics.elements_h", None),
        ("physics.elements_h", [12]),
        ("physics.wavelength_m", "0.3"),
        ("physics.wavelength_m", True),
        ("physics.wavelength_m", {"m": 0.3}),
        ("physics.codebook", 3),
        ("physics.codebook", "dft "),
        ("physics.phase_bits", "3"),
        ("data.seed", -1),
        ("data.seed", 2**63),
        ("data.snr_db", 5.0),
        ("data.snr_db", "-5, 20"),
        ("data.snr_db", [5.0]),
        ("data.snr_db", [-5.0, 5.0, 20.0]),
        ("data.snr_db", ["-5", "20"]),
        ("data.snr_db", [False, True]),
    ],
)
def test_nothing_is_coerced_into_the_right_type(path: str, value: object) -> None:
    assert path in refusal({path: value})


@pytest.mark.parametrize("path", NUMBERS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_number_is_nan_or_infinite(path: str, value: float) -> None:
    assert path in refusal({path: value})


@pytest.mark.parametrize("path", INTERVALS)
@pytest.mark.parametrize("bounds", [(math.nan, 1.0), (1.0, math.nan), (1.0, math.inf)])
def test_no_bound_of_an_interval_is_nan_or_infinite(path: str, bounds: tuple[float, float]) -> None:
    assert "finite" in refusal({path: list(bounds)})


@pytest.mark.parametrize("path", INTERVALS)
def test_an_interval_is_not_reversed(path: str) -> None:
    said = refusal({path: [4.0, 2.0]})

    assert said == f"{path} = [4.0, 2.0]: the lower bound 4 lies above the upper bound 2"


@pytest.mark.parametrize("path", INTERVALS)
def test_an_interval_of_one_value_is_a_constant(path: str) -> None:
    assert RunConfig().replace({path: [2.0, 2.0]}).flat()[path] == [2.0, 2.0]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"physics.elements_h": 2, "physics.elements_v": 2}, "2 x 2 panel"),
        ({"physics.elements_h": 1}, "physics.elements_h"),
        ({"physics.elements_h": 257}, "physics.elements_h"),
        ({"physics.antennas": 0}, "physics.antennas"),
        ({"physics.snapshots": 0}, "physics.snapshots"),
        ({"physics.antennas": 8}, "8 antennas x 16 distinct codes give 128 equations for 144"),
        ({"physics.snapshots": 8}, "16 antennas x 8 distinct codes give 128 equations for 144"),
        ({"physics.pool_h": 2, "physics.pool_v": 4}, "8 distinct codes"),
        ({"physics.pool_h": 2, "physics.pool_v": 4, "physics.codebook": "balanced"}, "8 distinct"),
        ({"physics.pool_h": 13}, "pool_h = 13 exceeds elements_h = 12"),
        ({"physics.pool_v": 13, "physics.codebook": "random"}, "pool_v = 13 exceeds"),
        ({"physics.wavelength_m": 0.0}, "physics.wavelength_m"),
        ({"physics.spacing_wavelengths": -0.5}, "physics.spacing_wavelengths"),
        ({"physics.phase_bits": 0}, "physics.phase_bits"),
        ({"physics.station_deg": 91.0}, "physics.station_deg"),
        ({"physics.station_range_m": 0.0}, "physics.station_range_m"),
        ({"data.sources_max": 0}, "data.sources_max"),
        ({"data.sources_max": 33}, "data.sources_max"),
        ({"data.phi_deg": [-90.0, 0.0]}, "half space"),
        ({"data.theta_deg": [0.0, 120.0]}, "half space"),
        ({"data.range_m": [0.0, 1.0]}, "a source's distance is positive"),
        ({"data.range_m": [-1.0, 1.0]}, "a source's distance is positive"),
        ({"data.snr_db": [-5.0, 101.0]}, "snr_db"),
        ({"data.separation_deg": -1.0}, "data.separation_deg"),
        ({"sampled.ridge": 0.0}, "sampled.ridge"),
        ({"covariance.alpha_base": 1.5}, "covariance.alpha_base"),
    ],
)
def test_what_cannot_work_is_refused_with_its_reason(
    changes: Mapping[str, object], reason: str
) -> None:
    assert reason in refusal(changes)


SMALL: Mapping[str, object] = {"physics.elements_h": 4, "physics.elements_v": 3}


@pytest.mark.parametrize(
    ("symbols", "most"),
    # Held symbols: five real unknowns a source against 2 N = 24; fresh ones: K < N.
    [("frame", 4), ("snapshot", 11)],
)
def test_the_panel_limits_the_sources(symbols: str, most: int) -> None:
    panel = {**SMALL, "physics.symbols": symbols}

    largest = RunConfig().replace({**panel, "data.sources_max": most})

    assert largest.data.sources_max == most
    assert f"more than {most} sources" in refusal({**panel, "data.sources_max": most + 1})


@pytest.mark.parametrize("changes", [{"physics.antennas": 8}, {"physics.snapshots": 4}])
def test_too_few_equations_are_refused_for_held_symbols_only(changes: Mapping[str, object]) -> None:
    fresh = RunConfig().replace({**changes, "physics.symbols": "snapshot"})

    assert "equations" in refusal(changes)
    assert fresh.physics.equations < fresh.physics.elements


def test_as_many_equations_as_elements_are_enough() -> None:
    assert RunConfig().replace({"physics.antennas": 9}).physics.equations == 144


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({}, 9),
        ({"physics.pool_h": 4}, 12),
        ({"physics.codebook": "balanced"}, 9),
        ({"physics.codebook": "random"}, 40),
        # Nine elements see no more than the sixteen Walsh rows of their length.
        ({"physics.codebook": "hadamard", **SMALL, "physics.elements_h": 3}, 16),
        ({"physics.codebook": "hadamard"}, 40),
    ],
)
def test_snapshots_beyond_the_codebook_are_counted_once(
    changes: Mapping[str, object], codes: int
) -> None:
    repeated = {"physics.snapshots": 40, "physics.pool_h": 3, "physics.pool_v": 3}
    few = {"data.sources_max": 1, "physics.antennas": 20}

    physics = RunConfig().replace({**repeated, **few, **changes}).physics

    assert codes == physics.distinct_codes
    assert physics.equations == 20 * codes


@pytest.mark.parametrize(
    ("changes", "pool"),
    [
        ({}, (8, 8)),
        ({"physics.elements_h": 10}, (7, 8)),
        ({"physics.pool_h": 5}, (5, 8)),
        # Two thirds would give 2 x 4 = 8 codes for 16 snapshots.
        ({"physics.elements_h": 3, "physics.elements_v": 6}, (3, 6)),
    ],
)
def test_the_pool_is_two_thirds_of_each_axis_unless_said_or_too_small(
    changes: Mapping[str, object], pool: tuple[int, int]
) -> None:
    assert RunConfig().replace(changes).physics.pool == pool


@pytest.mark.parametrize(
    "changes",
    [
        {"physics.rician_db": [5000.0, 5000.0]},
        {"data.range_m": [1e-40, 1e-40]},
        {"data.range_m": [1e25, 1e25]},
    ],
)
def test_what_leaves_single_precision_is_refused(changes: Mapping[str, object]) -> None:
    assert refusal(changes)


@pytest.mark.parametrize("section", ["physics", "data", "sampled", "covariance"])
def test_sections_are_frozen(section: str) -> None:
    config = RunConfig()
    part: Section = getattr(config, section)
    name = next(iter(type(part).model_fields))

    with pytest.raises(ValidationError, match="frozen"):
        setattr(part, name, getattr(part, name))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(config, section, part)


@pytest.mark.parametrize("path", fields())
def test_every_field_has_a_description(path: str) -> None:
    said = describe(path)

    assert len(said.split()) >= 3
    assert said.endswith(".")
    assert "\n" not in said


def test_the_json_schema_describes_every_field() -> None:
    described = dict(described_leaves(RunConfig.model_json_schema(), "RunConfig", ""))

    assert {path: fields()[path].description for path in fields()} == described


def described_leaves(
    schema: Mapping[str, Any], section: str, prefix: str
) -> Iterator[tuple[str, str | None]]:
    """Path and description of every property that is no section itself."""
    definitions = schema["$defs"]
    part = schema if section == "RunConfig" else definitions[section]
    for name, entry in part["properties"].items():
        nested = entry.get("$ref", "").rpartition("/")[2]
        if nested:
            yield from described_leaves(schema, nested, f"{prefix}{name}.")
        else:
            yield prefix + name, entry.get("description")


def test_the_json_schema_refuses_unknown_names() -> None:
    schema = RunConfig.model_json_schema()

    parts = [schema, *schema["$defs"].values()]
    assert len(parts) == 5
    assert all(part["additionalProperties"] is False for part in parts)
