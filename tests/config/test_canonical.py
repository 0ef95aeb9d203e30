"""Idle fields: those that others switch off change neither the hash nor the run."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from risexp.app.run.machine import Machine
from risexp.app.run.run import Run
from risexp.app.run.train import resume, train
from risexp.config.layers import load_config
from risexp.config.run import RunConfig, fields
from risexp.errors import ConfigInvalid
from risexp.training.checkpoint import State
from risexp.training.curriculum import curriculum
from tests.support.configs import ANOTHER
from tests.support.trainers import epochs_of, same_state

Changes = dict[str, object]


class Knob(NamedTuple):
    """A field that other fields can make idle."""

    path: str
    value: object
    off: Sequence[Changes]
    """Changes under which it is idle."""
    on: Changes
    """Changes under which it is not."""


SHORT: Changes = {
    "training.epochs": 3,
    "training.scenes_per_epoch": 16,
    "training.batch": 8,
    "validation.scenes": 6,
    "localisation.spectrum": "pointers",
}
IMAGE: Changes = {"network.front": "image"}
APERTURE: Changes = {"network.front": "aperture"}
HADAMARD: Changes = {"physics.codebook": "hadamard"}
RANDOM: Changes = {"physics.codebook": "random"}
LONE: Changes = {"data.sources_max": 1}
UNTAUGHT: Changes = {"loss.count": 0.0}
PROBABLE: Changes = {"count.decision": "probable"}
GEOMETRY: Changes = {"curriculum.phase": "geometry"}
PHASES: Changes = {"curriculum.phase": "three-phase"}
PLAIN: Changes = GEOMETRY | {"curriculum.geometry.subspace": 0.0}
SHAPED: Changes = {"loss.subspace": 0.2}
UNLABELLED: Changes = {"loss.cov": 0.0, "loss.cov_pred": 0.0, "loss.subspace": 0.2}

KNOBS = (
    Knob("physics.codebook_seed", 7, [{}, HADAMARD], RANDOM),
    Knob("physics.phase_bits", 1, [HADAMARD], {}),
    Knob("physics.pool_h", 6, [HADAMARD, RANDOM], {}),
    Knob("physics.pool_v", 6, [HADAMARD, RANDOM], {}),
    Knob("network.heads", 2, [IMAGE], {}),
    Knob("network.search_steps", 3, [IMAGE, APERTURE], {}),
    Knob("count.path", "direct", [LONE], LONE | {"count.kind": "slots"}),
    Knob("count.detach_spectral", False, [LONE, UNTAUGHT, {"count.path": "direct"}], {}),
    Knob("count.under_weight", 2.0, [LONE, UNTAUGHT], {}),
    Knob("count.over_weight", 2.0, [LONE, UNTAUGHT], {}),
    Knob(
        "count.smoothing",
        0.2,
        [{}, {"count.kind": "slots"}, UNTAUGHT | {"count.kind": "softmax"}],
        {"count.kind": "softmax"},
    ),
    Knob("count.decision", "probable", [LONE], {}),
    Knob(
        "count.threshold", 0.9, [{}, PROBABLE | LONE, PROBABLE | {"count.kind": "slots"}], PROBABLE
    ),
    Knob("loss.cov", 0.7, [GEOMETRY], PHASES),
    Knob("loss.margin", 0.7, [GEOMETRY], PHASES),
    Knob("loss.structure_share", 0.2, [{}, PLAIN | SHAPED], SHAPED),
    Knob("loss.label_power", "compressed", [UNLABELLED], {}),
    Knob("beta.ramp_share", 1.0, [{}, {"beta.start": 0.3, "beta.final": 0.3}], {"beta.final": 0.3}),
    Knob("curriculum.geometry_share", 0.45, [{}, GEOMETRY], PHASES),
    Knob("curriculum.count_share", 0.45, [{}, GEOMETRY], PHASES),
    Knob("curriculum.count_ramp", 3, [UNTAUGHT], {}),
    Knob("curriculum.structure_ramp", 3, [{}, PLAIN], SHAPED),
    Knob("curriculum.count_backbone_lr", 0.5, [{}, GEOMETRY], PHASES),
    Knob("curriculum.geometry.pointers", 0.7, [{}], GEOMETRY),
    Knob("curriculum.geometry.margin", 0.7, [{}], PHASES),
    Knob("curriculum.count.pointers", 0.7, [{}, GEOMETRY], PHASES),
    Knob("curriculum.count.margin", 0.7, [{}, GEOMETRY], PHASES),
    Knob("training.repeat", True, [{"training.epochs": 1}], {}),
)
WRITTEN_OUT = {"sampled.method", "network.front", "training.scenes_per_epoch"}
"""Fields that a canonical configuration makes explicit."""

TOO_FINE = {"curriculum.geometry_share", "curriculum.count_share", "count.decision"}
"""Fields without effect on so short a run: shares of three epochs, decisions that agree."""


def short(*changes: Changes) -> RunConfig:
    """A short run."""
    merged = {path: value for change in changes for path, value in change.items()}
    return load_config(preset="smoke").config.replace({**SHORT, **merged})


@cache
def short_run(config: RunConfig) -> tuple[State, str]:
    """The final state of a run, and its epochs as text."""
    trainer = Run.build(config, Machine(torch.device("cpu"), 1)).trainer
    epochs = [(epoch.plan, epoch.losses, epoch.scores, epoch.best) for epoch in epochs_of(trainer)]
    return trainer.state(), repr(epochs)


def test_idle_knobs_change_neither_hash_nor_run() -> None:
    """All knobs that the same fields make idle are turned in one run."""
    contexts = {repr(off): off for knob in KNOBS for off in knob.off}
    for name, off in contexts.items():
        base, turned = short(off), dict[str, object]()
        for knob in KNOBS:
            if off in knob.off:
                one = short(off, {knob.path: knob.value})
                assert base.flat()[knob.path] != one.flat()[knob.path], (knob.path, off)
                assert base.sha() == one.sha(), (knob.path, off)
                turned[knob.path] = knob.value

        (state, epochs), (other_state, others) = short_run(base), short_run(short(off, turned))

        assert epochs == others, name
        assert same_state(state, other_state), name


def test_a_live_knob_changes_hash_and_run() -> None:
    for knob in KNOBS:
        base, turned = short(knob.on), short(knob.on, {knob.path: knob.value})

        assert base.sha() != turned.sha(), knob.path
        if knob.path not in TOO_FINE:
            assert short_run(base)[1] != short_run(turned)[1], knob.path


def drawn(paths: set[str]) -> RunConfig:
    """A run with other values in the fields that allow it."""
    base = RunConfig().replace({"network.front": "image"})
    for path in sorted(paths):
        try:
            base = base.replace({path: ANOTHER[path]})
        except ConfigInvalid:
            continue
    return base


@given(st.sets(st.sampled_from(sorted(ANOTHER))))
def test_a_canonical_configuration_is_a_configuration_and_its_own_canonical_one(
    paths: set[str],
) -> None:
    canonical = drawn(paths).canonical()

    assert canonical == canonical.canonical()
    assert canonical == RunConfig.model_validate_json(canonical.model_dump_json())


@given(st.sets(st.sampled_from(sorted(ANOTHER))))
def test_nothing_is_switched_off_but_the_knobs(paths: set[str]) -> None:
    config = drawn(paths)
    before, after = config.flat(), config.canonical().flat()

    changed = {path for path in fields() if before[path] != after[path]}

    families = ("loss.", "curriculum.geometry.", "curriculum.count.")
    known = {knob.path for knob in KNOBS} | WRITTEN_OUT
    assert set() == {path for path in changed - known if not path.startswith(families)}


@given(st.sets(st.sampled_from(sorted(ANOTHER))))
def test_the_plans_are_those_of_the_canonical_configuration(paths: set[str]) -> None:
    config = drawn(paths)

    assert curriculum(config) == curriculum(config.canonical())


def test_a_run_is_made_of_what_its_hash_stands_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))
    made: list[RunConfig] = []
    of = Run.build

    def noted(config: RunConfig, machine: Machine, **started: Any) -> Run:  # noqa: ANN401 - handed on
        made.append(config)
        return of(config, machine, **started)

    monkeypatch.setattr(Run, "build", noted)
    given = short({"count.threshold": 0.9, "validation.calibration_scenes": 8})
    machine, console = Machine(torch.device("cpu"), 1, time_limit_s=0.0), Console(quiet=True)

    begun = train(given, machine, console)
    resume(begun.folder.run_id, machine, console)

    assert [given.canonical()] * 2 == made
    assert given == begun.folder.config()
