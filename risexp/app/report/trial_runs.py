"""The runs of a study as its report needs them: the best whole, of the others a few facts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from risexp.app.show.run import RunSeen
from risexp.errors import RisexpError
from risexp.hpo.studies.study import run_id
from risexp.hpo.studies.table import StudyTable
from risexp.runs.folder import RunFolder, is_run
from risexp.runs.source import Source
from risexp.tracking.payload import data_digest


@dataclass(frozen=True)
class RunSummary:
    """Facts about the run of a trial; its journal is not kept, which takes a hundred times more."""

    folder: RunFolder
    best: Mapping[str, float]
    """`k_acc` and `success_rate` of its best epoch, if there is one."""
    doubt: str | None
    """Why its count is no better than a guess."""
    training_seed: int
    data_seed: int
    data_digest: str
    sources: tuple[Source, ...]
    environments: tuple[Mapping[str, Any], ...]

    @classmethod
    def of(cls, seen: RunSeen) -> Self:
        """Sum up a run."""
        return cls(
            folder=seen.folder,
            best={key: seen.best[key] for key in ("k_acc", "success_rate") if key in seen.best},
            doubt=seen.doubt if seen.best else None,
            training_seed=seen.config.training.seed,
            data_seed=seen.config.data.seed,
            data_digest=data_digest(seen.config),
            sources=tuple(seen.sources),
            environments=tuple(seen.environments),
        )


@dataclass(frozen=True)
class TrialRuns:
    """The runs of a study that are in this home."""

    summaries: Mapping[int, RunSummary]
    """By trial number."""
    best: RunSeen | None
    """The run of the best trial."""
    remarks: tuple[str, ...]
    """What is missing or damaged."""


def read_runs(table: StudyTable) -> TrialRuns:
    """Read the runs of a study's trials one after another."""
    summaries, remarks, missing = dict[int, RunSummary](), list[str](), 0
    first, best = table.best, None
    for row in table.trials:
        name = run_id(table.name, row.number)
        if not is_run(name):
            missing += row.state != "waiting"
            continue
        try:
            seen = RunSeen.of(name)
        except RisexpError as error:
            remarks.append(str(error))
            continue
        summaries[row.number] = RunSummary.of(seen)
        if row == first:
            best = seen
    if missing:
        remarks.append(f"the runs of {missing} trials are not in this home")
    return TrialRuns(summaries, best, tuple(remarks))
