"""A staged space searched to its end: one study a stage, and what each leaves to those after it."""

import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import JsonValue

from risexp.app.search.resources import validate_launch
from risexp.app.search.search import SearchRequest, SearchResult, search
from risexp.app.search.supervisor import Say, Show
from risexp.config.layers import DEFAULT, environment_layers
from risexp.errors import ConfigInvalid, DataInvalid, InvalidInput, VerificationFailed
from risexp.hpo.studies.study import run_id
from risexp.hpo.studies.table import StudyTable, TrialRow
from risexp.runs.folder import find_run
from risexp.space.spec import SCORE, Keep, SearchSpace
from risexp.space.stages import StageTrial, StageVerdict, stage_space, verdict
from risexp.space.study_spec import StudySpec
from risexp.training.checkpoint_store import best


@dataclass(frozen=True)
class StageRow:
    """A stage that was searched, or begun."""

    name: str
    searched: SearchResult
    verdict: StageVerdict | None = None
    """None where it did not come to its end."""
    best: int | None = None
    """Number of its best trial beside trial 0."""

    def as_json(self) -> dict[str, Any]:
        """The stage as plain values, with its whole study."""
        found = self.verdict
        return {
            "stage": self.name,
            "verdict": None if found is None else found.sentence,
            "kept": None if found is None else dict(found.kept),
            "moved": None if found is None else dict(found.moved),
            "best_beside_base": self.best,
            **self.searched.as_json(),
        }


@dataclass(frozen=True)
class StagesResult:
    """How a search by stages ended."""

    study: str
    preset: str | None
    rows: tuple[StageRow, ...]
    left: tuple[str, ...]
    """Stages without a verdict."""
    kept: Mapping[str, JsonValue]
    settings: Mapping[str, JsonValue] = field(repr=False)
    """Everything that is set on the preset, with what was kept."""
    exit_code: int = 0
    fault: str | None = None
    """Why it failed by verification."""

    @property
    def overrides(self) -> tuple[str, ...]:
        """What was kept, as `--set` takes it."""
        return tuple(map(_override, self.kept.items()))

    @property
    def arguments(self) -> tuple[str, ...]:
        """What `risexp train` is given to train the configuration that was found."""
        preset = () if self.preset is None else ("--preset", self.preset)
        return (
            *preset,
            *(word for each in self.settings.items() for word in ("-s", _override(each))),
        )

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "study": self.study,
            "stages": [each.as_json() for each in self.rows],
            "left": list(self.left),
            "kept": dict(self.kept),
            "set": list(self.overrides),
            "train": list(self.arguments),
            "exit_code": self.exit_code,
            "fault": self.fault,
        }


def search_stages(wanted: SearchRequest, show: Show, say: Say) -> StagesResult:
    """Search the stages of a space one after the other, or go on with them.

    Each is a study of its own, `<study>-<stage>`, whose base has what was kept before it. What is
    finished is read again and not searched again; `timeout_s` is for all stages together.

    Args:
        wanted: What is asked for; its space has stages, and `trials` is for each of them.
        show: Told now and then how the study of a stage stands.
        say: Told sentences that stay.

    Raises:
        RisexpError: It cannot begin, or the machine failed.
    """
    _expect_possible(wanted)
    began = time.monotonic()
    kept: dict[str, JsonValue] = {}
    rows: list[StageRow] = []
    for stage in wanted.space.stages:
        part = _of_stage(wanted, stage, kept, time.monotonic() - began)
        row = _row(stage, search(part, show, say), wanted.space.keep)
        rows.append(row)
        if row.verdict is None:
            break
        kept |= row.verdict.kept
        say(f"stage {stage}: {row.verdict.sentence}")
    return _staged(wanted, tuple(rows), kept)


def _of_stage(
    wanted: SearchRequest, stage: str, kept: Mapping[str, JsonValue], spent_s: float
) -> SearchRequest:
    limit = wanted.timeout_s
    return replace(
        wanted,
        space=stage_space(wanted.space, stage, kept),
        study=_study(wanted, stage),
        timeout_s=None if limit is None else max(limit - spent_s, 0.0),
    )


def _study(wanted: SearchRequest, stage: str) -> str:
    return f"{wanted.study}-{stage}"


def _row(stage: str, found: SearchResult, keep: Keep) -> StageRow:
    """A stage, with its verdict once all its trials have ended."""
    base, *others = found.table.trials
    if found.exit_code or not found.table.over or base.value is None:
        return StageRow(stage, found)
    complete = [each for each in others if each.value is not None]
    first = min(complete, key=lambda each: (each.value, each.number), default=None)
    trials = [_trial(found.table, each) for each in complete]
    judged = verdict(_trial(found.table, base), trials, keep)
    return StageRow(stage, found, judged, None if first is None else first.number)


def _trial(table: StudyTable, row: TrialRow) -> StageTrial:
    """A complete trial with the scores of the checkpoint that its run keeps.

    Raises:
        DataInvalid: The run of that name is not the one that the trial tells of.
    """
    folder = find_run(run_id(table.name, row.number))
    scores = best(folder.attempts()).checkpoint.scores
    if scores[SCORE] != row.value:
        raise DataInvalid(
            f"run {folder.run_id} keeps k_loc {scores[SCORE]:g} and its trial ended with "
            f"{row.value:g}: put the run's own checkpoints back into {folder.path}"
        )
    return StageTrial(row.values, {name: scores[name] for name in Keep.model_fields})


def _staged(
    wanted: SearchRequest, rows: tuple[StageRow, ...], kept: Mapping[str, JsonValue]
) -> StagesResult:
    fault = _fault(rows[-1])
    code = rows[-1].searched.exit_code
    judged = [each.name for each in rows if each.verdict is not None]
    return StagesResult(
        study=wanted.study,
        preset=wanted.space.base,
        rows=rows,
        left=tuple(name for name in wanted.space.stages if name not in judged),
        kept=kept,
        settings=dict(_settings(wanted, kept)),
        exit_code=code if fault is None else VerificationFailed.exit_code,
        fault=fault,
    )


def _fault(last: StageRow) -> str | None:
    """Why the last stage has no verdict, where going on would not give it one."""
    found = last.searched
    if last.verdict is not None:
        return None
    if found.exit_code == VerificationFailed.exit_code:
        return f"stage {last.name}: {found.pruner_fault or found.table.ended}"
    base = found.table.trials[0]
    if found.exit_code or not found.table.over:
        return None
    return (
        f"stage {last.name}: trial 0, which the others are compared with, is {base.state} "
        f"({base.reason}): mend what ended run {run_id(found.table.name, 0)}, and search under "
        "another --study"
    )


def _settings(
    wanted: SearchRequest, kept: Mapping[str, JsonValue]
) -> Iterator[tuple[str, JsonValue]]:
    """Everything that is not as in the preset, once what was kept is set."""
    *_, last = wanted.space.stages
    zero = _charter(wanted, last, kept).zero
    for path, value in zero.config.flat().items():
        if not zero.origins[path].startswith((DEFAULT, "preset ")):
            yield path, value


def _charter(wanted: SearchRequest, stage: str, kept: Mapping[str, JsonValue]) -> StudySpec:
    return StudySpec.of(
        stage_space(wanted.space, stage, kept),
        environment=os.environ,
        overrides=wanted.overrides,
        epochs=wanted.epochs,
        patience=wanted.patience,
    )


def _expect_possible(wanted: SearchRequest) -> None:
    """What would end a later stage ends the search before the first one.

    Raises:
        InvalidInput: A bound is asked for, a stage cannot be the name of a study, or something is
            set that a stage varies.
    """
    if wanted.until is not None:
        raise InvalidInput(
            f"--until ends a study, and the stages of {wanted.space.name} are compared with their "
            "bases: leave it out"
        )
    for stage in wanted.space.stages:
        validate_launch(_study(wanted, stage), wanted)
        _charter(wanted, stage, {})
    _expect_free(wanted.space)


def _expect_free(space: SearchSpace) -> None:
    """An environment that sets what a stage decides would undo its verdict in later ones."""
    for layer in environment_layers(os.environ):
        for path in layer.values:
            for stage, vary in space.stages.items():
                if path in vary:
                    raise ConfigInvalid(
                        f"{layer.origin} sets {path}, which stage {stage} decides: unset it"
                    )


def _override(each: tuple[str, JsonValue]) -> str:
    path, value = each
    return f"{path}={value if isinstance(value, str) else json.dumps(value)}"
