"""A search by stages: one study a stage, each of which starts with what earlier ones kept."""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import JsonValue

from risexp.app.search.search import SearchRequest, SearchResult, search
from risexp.app.search.studies import StudyView
from risexp.config.layers import DEFAULT, environment_layers
from risexp.errors import ConfigInvalid, DataInvalid, InvalidInput, VerificationFailed
from risexp.hpo.studies.start import best_first
from risexp.hpo.studies.study import run_id
from risexp.hpo.studies.table import StudyTable, TrialRow
from risexp.runs.folder import find_run
from risexp.space.derived import StageTrial, StageVerdict, stage_space, verdict
from risexp.space.spec import SCORE, Keep, SearchSpace
from risexp.training.checkpoint_store import best


@dataclass(frozen=True)
class StageRow:
    """A stage that was searched, or begun."""

    name: str
    searched: SearchResult
    verdict: StageVerdict | None = None
    """None where its trials have not all finished."""
    best: int | None = None
    """Number of its best trial beside trial 0."""

    def as_json(self) -> dict[str, Any]:
        """The stage as plain values, with its whole study."""
        kept = self.verdict
        return {
            "stage": self.name,
            "verdict": None if kept is None else kept.sentence,
            "kept": None if kept is None else dict(kept.kept),
            "moved": None if kept is None else dict(kept.moved),
            "best_beside_base": self.best,
            **self.searched.as_json(),
        }

    def fault(self) -> str | None:
        """Why there is no verdict, where going on would not give one."""
        result, base = self.searched, self.searched.table.trials[0]
        if self.verdict is not None:
            return None
        if result.exit_code == VerificationFailed.exit_code:
            return f"stage {self.name}: {result.pruner_fault or result.table.ended}"
        if result.exit_code or not result.table.over:
            return None
        return (
            f"stage {self.name}: trial 0, which the others are compared with, is {base.state} "
            f"({base.reason}): mend what ended run {run_id(result.table.name, 0)}, and search "
            "under another --study"
        )


@dataclass(frozen=True)
class StagesResult:
    """The end of a search by stages."""

    study: str
    preset: str | None
    rows: tuple[StageRow, ...]
    left: tuple[str, ...]
    """Stages without a verdict."""
    kept: Mapping[str, JsonValue]
    settings: Mapping[str, JsonValue] = field(repr=False)
    """All fields that are set on the preset, with those that were kept."""
    exit_code: int = 0
    fault: str | None = None
    """Why it failed by verification."""

    @property
    def overrides(self) -> tuple[str, ...]:
        """The kept values, as `--set` takes them."""
        return tuple(map(_override, self.kept.items()))

    @property
    def arguments(self) -> tuple[str, ...]:
        """Arguments of `risexp train` for the resulting configuration."""
        preset = () if self.preset is None else ("--preset", self.preset)
        settings = (word for each in self.settings.items() for word in ("-s", _override(each)))
        return (*preset, *settings)

    def as_json(self) -> dict[str, Any]:
        """The result as plain values."""
        return {
            "study": self.study,
            "stages": [row.as_json() for row in self.rows],
            "left": list(self.left),
            "kept": dict(self.kept),
            "set": list(self.overrides),
            "train": list(self.arguments),
            "exit_code": self.exit_code,
            "fault": self.fault,
        }


def search_stages(request: SearchRequest, view: StudyView) -> StagesResult:
    """Search the stages of a space one after the other, or go on with them.

    Each is a study of its own, `<study>-<stage>`, whose base has what was kept before it. A
    finished stage is read and not searched again; `timeout_s` is for all stages together, and
    `trials` for each of them.
    """
    _check_stages(request)
    began = time.monotonic()
    kept: dict[str, JsonValue] = {}
    rows: list[StageRow] = []
    for stage in request.space.stages:
        part, first = _stage_request(request, stage, kept), len(view.sentences)
        if request.timeout_s is not None:
            left_s = max(request.timeout_s - (time.monotonic() - began), 0.0)
            part = replace(part, timeout_s=left_s)
        result = search(part, view)
        result = replace(result, said=result.said[first:])
        rows.append(_row(stage, result, request.space.keep))
        judged = rows[-1].verdict
        if judged is None:
            break
        kept |= judged.kept
        view.say(f"stage {stage}: {judged.sentence}")
    return _result(request, tuple(rows), kept)


def _stage_request(
    request: SearchRequest, stage: str, kept: Mapping[str, JsonValue]
) -> SearchRequest:
    space = stage_space(request.space, stage, kept)
    return replace(request, space=space, study=f"{request.study}-{stage}")


def _row(stage: str, result: SearchResult, keep: Keep) -> StageRow:
    """A stage, with its verdict once all its trials have ended."""
    base, *others = result.table.trials
    if result.exit_code or not result.table.over or base.value is None:
        return StageRow(stage, result)
    trials = [_trial(result.table, row) for row in others if row.value is not None]
    judged = verdict(_trial(result.table, base), trials, keep)
    ranked = best_first(others)
    return StageRow(stage, result, judged, ranked[0].number if ranked else None)


def _trial(table: StudyTable, row: TrialRow) -> StageTrial:
    """A complete trial with the scores of the checkpoint that its run keeps."""
    folder = find_run(run_id(table.name, row.number))
    scores = best(folder.attempts()).checkpoint.scores
    if scores[SCORE] != row.value:
        raise DataInvalid(
            f"run {folder.run_id} keeps k_loc {scores[SCORE]:g} and its trial ended with "
            f"{row.value:g}: put the run's own checkpoints back into {folder.path}"
        )
    return StageTrial(row.values, {name: scores[name] for name in Keep.model_fields})


def _result(
    request: SearchRequest, rows: tuple[StageRow, ...], kept: Mapping[str, JsonValue]
) -> StagesResult:
    stages, fault = tuple(request.space.stages), rows[-1].fault()
    zero = _stage_request(request, stages[-1], kept).spec.zero
    return StagesResult(
        study=request.study,
        preset=request.space.base,
        rows=rows,
        left=stages[sum(row.verdict is not None for row in rows) :],
        kept=kept,
        settings={
            path: value
            for path, value in zero.config.flat().items()
            if not zero.origins[path].startswith((DEFAULT, "preset "))
        },
        exit_code=rows[-1].searched.exit_code if fault is None else VerificationFailed.exit_code,
        fault=fault,
    )


def _check_stages(request: SearchRequest) -> None:
    """Check, before the first stage, what would end a later one."""
    if request.until is not None:
        raise InvalidInput(
            f"--until ends a study, and the stages of {request.space.name} are compared with their "
            "bases: leave it out"
        )
    for stage in request.space.stages:
        part = _stage_request(request, stage, {})
        part.check(part.study)
        _ = part.spec
    _check_environment(request.space)


def _check_environment(space: SearchSpace) -> None:
    """An environment that sets a field of a stage would undo its verdict in later stages."""
    for layer in environment_layers(os.environ):
        for path in layer.values:
            for stage, vary in space.stages.items():
                if path in vary:
                    raise ConfigInvalid(
                        f"{layer.origin} sets {path}, which stage {stage} decides: unset it"
                    )


def _override(setting: tuple[str, JsonValue]) -> str:
    path, value = setting
    return f"{path}={value if isinstance(value, str) else json.dumps(value)}"
