"""Summary of one run from its folder, at any stage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Self

from risexp.callbacks.epoch_table import DEAD
from risexp.callbacks.learning_guards import (
    NEEDED,
    near_chance_loss,
    one_answer,
    too_few,
    within_noise,
)
from risexp.config.layers import load_config, preset_names
from risexp.config.run import RunConfig, differing_fields
from risexp.errors import InvalidInput
from risexp.evaluation.ties import RecordedScores
from risexp.runs.folder import RunFolder, find_run
from risexp.runs.journal import Contents
from risexp.runs.metrics import GUARDS
from risexp.runs.outcome import Outcome
from risexp.runs.source import Source, sources
from risexp.tracking.payload import data_digest
from risexp.tracking.upload_state import CALIBRATED, CONFUSION, UploadState, run_page
from risexp.training.checkpoint_manifest import committed

_BEST: Final = "best/"
_JUDGED: Final = "best/k_loc"


@dataclass(frozen=True)
class RunSeen:
    """One run at one moment."""

    folder: RunFolder
    config: RunConfig
    outcome: Outcome | None
    """None while it runs, and after a kill."""
    contents: Contents
    sources: Sequence[Source]
    environments: Sequence[Mapping[str, Any]]

    @classmethod
    def of(cls, name: str) -> Self:
        """Read a run by its name or the path of its folder."""
        folder = find_run(name)
        return cls(
            folder=folder,
            config=folder.config(),
            outcome=folder.outcome(),
            contents=UploadState(folder.path).lines(),
            sources=sources(folder.path),
            environments=folder.environments(),
        )

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.folder.run_id

    @property
    def state(self) -> str:
        """How it ended, or `running or killed` if it has no outcome."""
        if self.outcome is None:
            return "running or killed" if self.contents.lines else "not begun"
        status, reason = self.outcome.status, self.outcome.reason
        return status if reason in {status, "finished"} else f"{status} ({reason})"

    @cached_property
    def by_epoch(self) -> Mapping[int, Mapping[str, float]]:
        """Finite values of the journal by epoch; the first value of a key counts."""
        epochs: dict[int, dict[str, float]] = {}
        for row in self.contents.rows:
            epochs[row.step] = {**row.values, **epochs.get(row.step, {})}
        return dict(sorted(epochs.items()))

    @cached_property
    def best_epoch(self) -> int | None:
        """The last epoch that was the best so far; None before the first validation."""
        return max((row.step for row in self.contents.rows if _JUDGED in row.values), default=None)

    @cached_property
    def best(self) -> Mapping[str, float]:
        """Scores of the best epoch by name."""
        if self.best_epoch is None:
            return {}
        values = self.by_epoch[self.best_epoch]
        return {key.removeprefix(_BEST): v for key, v in values.items() if key.startswith(_BEST)}

    @property
    def recorded(self) -> RecordedScores | None:
        """The best epoch's scores for a comparison; None if one is missing."""
        scores = self.best
        if not scores.keys() >= {"k_loc", "k_acc", "success_rate", "scenes"}:
            return None
        return RecordedScores(
            scores["k_loc"],
            scores["k_acc"],
            scores["success_rate"],
            int(scores["scenes"]),
            self.config.data.sources_max,
            {
                f"{snr}, K = {count}": scenes_and_right
                for snr, table in self.confusion.get("by_snr", {}).items()
                for count, scenes_and_right in enumerate(scored(table), start=1)
            },
        )

    @cached_property
    def confusion(self) -> Mapping[str, Any]:
        """Confusion tables of the best epoch, in total and by SNR."""
        notes = self._notes(CONFUSION)
        return next((each for step, each in reversed(notes) if step == self.best_epoch), {})

    def confusion_table(self) -> tuple[list[str], list[tuple[str, list[int]]]]:
        """Answered counts of the best epoch, and rows of true counts under them."""
        none, beyond, matrix = (self.confusion[key] for key in ("none", "beyond", "matrix"))
        inside = {str(count): row for count, row in enumerate(zip(*matrix, strict=True), start=1)}
        columns = {"0": none, **inside, f">{len(matrix)}": beyond}
        shown = {name: column for name, column in columns.items() if name in inside or any(column)}
        rows = enumerate(zip(*shown.values(), strict=True), start=1)
        return list(shown), [(f"K = {count}", list(row)) for count, row in rows]

    @property
    def calibration(self) -> Mapping[str, Any]:
        """Result of the last calibration."""
        notes = self._notes(CALIBRATED)
        return notes[-1][1] if notes else {}

    @property
    def doubt(self) -> str | None:
        """Why the count is no better than a guess; None if it is better."""
        scores = self.best
        if scores and not scores.keys() >= set(NEEDED):
            return None
        if not scores:
            return "no epoch was judged"
        if not within_noise(scores):
            return None
        if too_few(scores) is not None:
            return "not told from chance by so few scenes"
        dull = one_answer(scores) or near_chance_loss(scores)
        return DEAD if dull else "as often right as a guess"

    @property
    def faults(self) -> Mapping[str, float]:
        """The last values of guards that are not zero."""
        last: dict[str, float] = {}
        for values in self.by_epoch.values():
            last |= {key: value for key, value in values.items() if key.startswith("guard/")}
        named = {key.removeprefix("guard/"): value for key, value in last.items()}
        return {name: value for name, value in named.items() if value and GUARDS[name].unit}

    @property
    def preset(self) -> str | None:
        """Preset of the run, if it still exists."""
        preset = UploadState(self.folder.path).labels().preset
        return preset if preset in preset_names() else None

    def differences(self) -> dict[str, tuple[Any, ...]]:
        """Fields that differ from the preset, or from the defaults: usual and own value."""
        usual = load_config(preset=self.preset).config if self.preset else RunConfig()
        return differing_fields([usual.canonical(), self.config.canonical()])

    @property
    def kept(self) -> dict[str, tuple[int, ...]]:
        """Epochs of kept checkpoints by attempt."""
        return {each.name: committed(each)[::-1] for each in self.folder.attempts()}

    @property
    def page(self) -> tuple[str, str] | None:
        """Tracking store and the run's page there; None before the first upload."""
        progress = UploadState(self.folder.path).progress()
        if progress is None or not progress.run_id:
            return None
        return progress.store, run_page(progress.store, progress.experiment_id, progress.run_id)

    @property
    def unsent(self) -> int:
        """Number of journal lines that were not uploaded; 0 without a store."""
        state = UploadState(self.folder.path)
        return state.unsent() if state.progress() is not None else 0

    def beside(self) -> list[tuple[str, float | None, float | None, float | None, float | None]]:
        """Label of a score, and its values for network, chance, NOMP and reference."""
        best = self.best
        accuracy = (best.get("k_acc"), best.get("k_majority"), best.get("k_nomp"))
        success = (best.get("success_rate"), 0.0 if best else None, best.get("success_nomp"))
        return [
            ("K accuracy", *accuracy, best.get("k_reference")),
            ("success rate", *success, best.get("success_reference")),
        ]

    def as_json(self) -> dict[str, Any]:
        """Plain values for `--json`."""
        page = self.page
        return {
            "run": self.name,
            "folder": str(self.folder.path),
            "state": self.state,
            "sentence": None if self.outcome is None else self.outcome.sentence,
            "config_sha": self.folder.config_sha,
            "data_digest": data_digest(self.config),
            "preset": self.preset,
            "differences": {key: list(values) for key, values in self.differences().items()},
            "epochs": {"done": max(self.by_epoch, default=0), "of": len(self.folder.plans())},
            "best_epoch": self.best_epoch,
            "best": dict(self.best),
            "doubt": self.doubt,
            "confusion": dict(self.confusion),
            "calibration": dict(self.calibration),
            "checkpoints": {name: list(epochs) for name, epochs in self.kept.items()},
            "guards": dict(self.faults),
            "mlflow": None if page is None else {"store": page[0], "page": page[1]},
            "unsent": self.unsent,
        }

    def _notes(self, event: str) -> list[tuple[int, Mapping[str, Any]]]:
        notes = self.contents.notes
        return [(each.step, each.details) for each in notes if each.event == event]


def expect_judged(seen: RunSeen) -> RecordedScores:
    """Scores of a run's best epoch."""
    if seen.recorded is None:
        raise InvalidInput(
            f"run {seen.name} has no judged epoch to compare: go on with it, or leave it out"
        )
    return seen.recorded


def scored(table: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Scenes of a confusion table and those with the right count, by number of sources."""
    outside = zip(table["none"], table["beyond"], strict=True)
    rows = zip(table["matrix"], outside, strict=True)
    return [(sum(row) + sum(ends), row[place]) for place, (row, ends) in enumerate(rows)]
