"""The hash of a configuration depends on the run alone, not on how it is written."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping

from risexp.config.layers import load_config
from risexp.config.run import LATER, RunConfig
from tests.support.configs import ANOTHER

PHASES = {"curriculum.phase": "three-phase"}
SHAPED = {"loss.subspace": 0.2}
STORED = {
    "smoke": "6b7a7254bd8f13653f72ccd61b757d13327fadb9437d20117e7d7157100b8403",
    "small": "44e5c836680cfe2d703c2e294123131ecf786ba1cf6d3c7e12463bb1c0a1accb",
    "base": "4d2d6accc148c829fb2030a71d339a807b33fd048de7618b4c1f53a6e62c71e5",
}
"""Hashes of presets before any later field was added."""
MATTERS_UNDER: Mapping[str, Mapping[str, object]] = {
    "physics.codebook_seed": {"physics.codebook": "random"},
    "network.heads": {"network.front": "aperture"},
    "network.search_steps": {"network.front": "pursuit"},
    "count.smoothing": {"count.kind": "softmax"},
    "count.threshold": {"count.decision": "probable"},
    "loss.heat": {"network.front": "image"},
    "loss.structure_share": SHAPED,
    "beta.ramp_share": {"beta.final": 0.3},
    "curriculum.structure_ramp": SHAPED,
    **{path: PHASES for path in ANOTHER if path.startswith(("curriculum.geo", "curriculum.count"))},
    "curriculum.geometry.heat": PHASES | {"network.front": "image"},
    "curriculum.count.heat": PHASES | {"network.front": "image"},
}
"""What else must be set for a field to change the run."""


def test_the_hash_changes_with_every_field_and_that_of_a_section_with_its_own_only() -> None:
    plain = {"sampled.method": "per_snapshot", "network.front": "image"}
    others_of = {"sampled.method": "joint", "network.front": "aperture"}
    for path in ANOTHER:
        section = path.split(".")[0]
        others = {name.split(".")[0] for name in ANOTHER} - {section}
        base = RunConfig().replace(plain | dict(MATTERS_UNDER.get(path, {})))

        other = base.replace({path: others_of.get(path, ANOTHER[path])})

        assert base.flat()[path] != other.flat()[path], path
        assert base.sha() != other.sha(), path
        assert base.sha(section) != other.sha(section), path
        assert base.sha(*others) == other.sha(*others), path


def test_two_ways_to_write_one_run_have_one_hash() -> None:
    hadamard = {"physics.codebook": "hadamard"}
    snapshot = {"physics.symbols": "snapshot"}
    cases: list[tuple[Mapping[str, object], Mapping[str, object]]] = [
        ({}, {"physics.pool_h": 8, "physics.pool_v": 8}),
        ({}, {"physics.codebook_seed": 7}),
        ({}, {"sampled.method": "joint"}),
        ({}, {"training.scenes_per_epoch": 16_384 + 255}),
        ({}, {"curriculum.count_ramp": 1}),
        ({}, {"data.snr_db": [-5, 20], "physics.wavelength_m": 3e-1}),
        (hadamard, {**hadamard, "physics.pool_h": 3, "physics.phase_bits": 1}),
        (snapshot, {**snapshot, "sampled.method": "per_snapshot"}),
        (ANOTHER, dict(reversed(ANOTHER.items()))),
    ]
    for one, two in cases:
        assert RunConfig().replace(one).sha() == RunConfig().replace(two).sha(), (one, two)


def test_the_hash_is_that_of_the_canonical_json() -> None:
    canonical = RunConfig().canonical().model_dump(mode="json")
    assert canonical["localisation"].pop("backend") == "auto"

    text = json.dumps(canonical, sort_keys=True, separators=(",", ":"))

    assert hashlib.sha256(text.encode()).hexdigest() == RunConfig().sha()


def test_a_hash_stays_what_an_earlier_version_stored() -> None:
    """Fields that were added later count from the moment they are not at their default."""
    for preset, stored in STORED.items():
        assert load_config(preset=preset).config.sha() == stored, preset
    assert RunConfig().sha("localisation").startswith("da9c32bd671d")
    for path in LATER:
        assert RunConfig().replace({path: ANOTHER[path]}).sha() != RunConfig().sha()


def test_the_hash_is_the_same_in_another_process() -> None:
    program = (
        "from risexp.config.run import RunConfig; import sys; sys.stdout.write(RunConfig().sha())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}

    said = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )

    assert RunConfig().sha() == said.stdout
