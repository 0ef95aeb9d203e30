"""Idle fields: those that others switch off change neither the hash nor the run."""

from collections.abc import Iterator, Sequence
from copy import copy
from functools import cache
from itertools import tee
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
from risexp.training.curriculum import curriculum
from risexp.training.trainer import Trainer
from tests.support.configs import ANOTHER
from tests.support.trainers import ended, same_state

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
    "training.scenes_per_epoch": 8,
    "training.batch": 8,
    "validation.scenes": 4,
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
DIRECT: Changes = {"count.path": "direct"}
SLOTS: Changes = {"count.kind": "slots"}
SOFTMAX: Changes = {"count.kind": "softmax"}
STILL: Changes = {"beta.start": 0.3, "beta.final": 0.3}
BRIEF: Changes = {"training.epochs": 1}
UNLABELLED: Changes = {"loss.cov": 0.0, "loss.cov_pred": 0.0, "loss.subspace": 0.2}

KNOBS = (
    Knob("physics.codebook_seed", 7, [{}, HADAMARD], RANDOM),
    Knob("physics.phase_bits", 1, [HADAMARD], {}),
    Knob("physics.pool_h", 6, [HADAMARD, RANDOM], {}),
    Knob("physics.pool_v", 6, [HADAMARD, RANDOM], {}),
    Knob("network.heads", 2, [IMAGE], {}),
    Knob("network.search_steps", 3, [IMAGE, APERTURE], {}),
    Knob("count.path", "direct", [LONE], LONE | SLOTS),
    Knob("count.detach_spectral", False, [LONE, UNTAUGHT, DIRECT], {}),
    Knob("count.under_weight", 2.0, [LONE, UNTAUGHT], {}),
    Knob("count.over_weight", 2.0, [LONE, UNTAUGHT], {}),
    Knob("count.smoothing", 0.2, [{}, SLOTS, UNTAUGHT | SOFTMAX], SOFTMAX),
    Knob("count.decision", "probable", [LONE], {}),
    Knob("count.threshold", 0.9, [{}, PROBABLE | LONE, PROBABLE | SLOTS], PROBABLE),
    Knob("loss.cov", 0.7, [GEOMETRY], PHASES),
    Knob("loss.margin", 0.7, [GEOMETRY], PHASES),
    Knob("loss.structure_share", 0.2, [{}, PLAIN | SHAPED], SHAPED),
    Knob("loss.label_power", "compressed", [UNLABELLED], {}),
    Knob("beta.ramp_share", 1.0, [{}, STILL], {"beta.final": 0.3}),
    Knob("curriculum.geometry_share", 0.45, [{}, GEOMETRY], PHASES),
    Knob("curriculum.count_share", 0.45, [{}, GEOMETRY], PHASES),
    Knob("curriculum.count_ramp", 3, [UNTAUGHT], {}),
    Knob("curriculum.structure_ramp", 3, [{}, PLAIN], SHAPED),
    Knob("curriculum.count_backbone_lr", 0.5, [{}, GEOMETRY], PHASES),
    Knob("curriculum.geometry.pointers", 0.7, [{}], GEOMETRY),
    Knob("curriculum.geometry.margin", 0.7, [{}], PHASES),
    Knob("curriculum.count.pointers", 0.7, [{}, GEOMETRY], PHASES),
    Knob("curriculum.count.margin", 0.7, [{}, GEOMETRY], PHASES),
    Knob("training.repeat", True, [BRIEF], {}),
)
TOGETHER: Sequence[Sequence[Changes]] = (
    ({},),
    (HADAMARD, IMAGE, PROBABLE | LONE, GEOMETRY, STILL),
    (RANDOM, APERTURE, LONE, PLAIN | SHAPED),
    (UNTAUGHT, PROBABLE | SLOTS),
    (UNTAUGHT | SOFTMAX, UNLABELLED, BRIEF),
    (DIRECT, PLAIN, SLOTS),
)
"""Changes that are tried in one run, for none of them makes idle what another one does."""
WRITTEN_OUT = {"sampled.method", "network.front", "training.scenes_per_epoch"}
"""Fields that a canonical configuration makes explicit."""

TOO_FINE = {"curriculum.geometry_share", "curriculum.count_share", "count.decision"}
"""Fields without effect on so short a run: shares of three epochs, decisions that agree."""


def short(*changes: Changes) -> RunConfig:
    """A short run."""
    merged = {path: value for change in changes for path, value in change.items()}
    return load_config(preset="smoke").config.replace({**SHORT, **merged})


def build(config: RunConfig) -> Trainer:
    return Run.build(config, Machine(torch.device("cpu"), 1)).trainer


def results(trainer: Trainer) -> Iterator[str]:
    """The epochs of a run as text, each trained when it is asked for."""
    for epoch in ended(trainer.run()):
        yield repr((epoch.plan, epoch.losses, epoch.scores, epoch.best))


@cache
def base_results(config: RunConfig) -> Iterator[str]:
    """The epochs of a run that others are compared with; to be copied."""
    return tee(results(build(config)), 1)[0]


def test_idle_knobs_change_neither_hash_nor_run() -> None:
    contexts = {repr(off): off for knob in KNOBS for off in knob.off}
    assert contexts.keys() == {repr(off) for group in TOGETHER for off in group}
    for group in TOGETHER:
        turned = dict[str, object]()
        for knob, off in ((knob, off) for knob in KNOBS for off in group if off in knob.off):
            base, one = short(off), short(off, {knob.path: knob.value})
            assert base.flat()[knob.path] != one.flat()[knob.path], (knob.path, off)
            assert base.sha() == one.sha(), (knob.path, off)
            turned[knob.path] = knob.value

        trainers = build(short(*group)), build(short(*group, turned))

        epochs, others = ([*results(trainer)] for trainer in trainers)
        assert epochs == others, group
        assert same_state(*(trainer.state() for trainer in trainers)), group


def test_a_live_knob_changes_hash_and_run() -> None:
    for knob in KNOBS:
        base, turned = short(knob.on), short(knob.on, {knob.path: knob.value})

        assert base.sha() != turned.sha(), knob.path
        if knob.path not in TOO_FINE:
            epochs = zip(copy(base_results(base)), results(build(turned)), strict=True)
            assert any(one != other for one, other in epochs), knob.path


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
