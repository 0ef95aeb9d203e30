"""What one run is: read off its folder, however far it has come, and nothing is changed by it."""

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
from risexp.runs.journal import Contents, Row
from risexp.runs.metrics import GUARDS
from risexp.runs.outcome import Outcome
from risexp.runs.source import Source, sources
from risexp.tracking.payload import data_digest
from risexp.tracking.upload_state import CALIBRATED, CONFUSION, UploadState, run_page
from risexp.training.checkpoint_manifest import committed

_BEST: Final = "best/"
_JUDGED: Final = "best/k_loc"
BESIDE: Final[Mapping[str, tuple[str, str | None, str, str]]] = {
    "k_acc": ("K accuracy", "k_majority", "k_nomp", "k_reference"),
    "success_rate": ("success rate", None, "success_nomp", "success_reference"),
}
"""A score's name for people, and the scores of chance, NOMP and reference that stand beside it."""


@dataclass(frozen=True)
class RunSeen:
    """One run, as its folder tells it at one moment."""

    folder: RunFolder
    config: RunConfig
    outcome: Outcome | None
    """None while it runs, or where it was killed."""
    contents: Contents
    """Its journal."""
    sources: Sequence[Source]
    environments: Sequence[Mapping[str, Any]]

    @classmethod
    def of(cls, name: str) -> Self:
        """A run by its name or the path of its folder.

        Raises:
            InvalidInput: There is none.
            DataInvalid: Its folder was edited.
        """
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
        """The run's own."""
        return self.folder.run_id

    @property
    def state(self) -> str:
        """How it ended, or `running or killed` where nothing says so."""
        if self.outcome is None:
            return "running or killed" if self.contents.lines else "not begun"
        status, reason = self.outcome.status, self.outcome.reason
        return status if reason in {status, "finished"} else f"{status} ({reason})"

    @cached_property
    def by_epoch(self) -> Mapping[int, Mapping[str, float]]:
        """Every finite value of the journal; what was written first stays."""
        found: dict[int, dict[str, float]] = {}
        for row in self.contents.rows:
            found[row.step] = {**row.values, **found.get(row.step, {})}
        return dict(sorted(found.items()))

    @cached_property
    def best_epoch(self) -> int | None:
        """The last one that was the best so far; None where none was judged."""
        judged = [row.step for row in self.contents.rows if _is_best(row)]
        return max(judged, default=None)

    @cached_property
    def best(self) -> Mapping[str, float]:
        """The scores of the best epoch by name; none where none was judged."""
        if self.best_epoch is None:
            return {}
        values = self.by_epoch[self.best_epoch]
        return {key.removeprefix(_BEST): v for key, v in values.items() if key.startswith(_BEST)}

    @property
    def recorded(self) -> RecordedScores | None:
        """What a comparison needs of the best epoch; None where something of it is missing."""
        scores = self.best
        if not scores.keys() >= {"k_loc", "k_acc", "success_rate", "scenes"}:
            return None
        return RecordedScores(
            scores["k_loc"],
            scores["k_acc"],
            scores["success_rate"],
            int(scores["scenes"]),
            self.config.data.sources_max,
            _strata(self.confusion),
        )

    @cached_property
    def confusion(self) -> Mapping[str, Any]:
        """Which counts were taken for which in the best epoch: tables, whole and by SNR."""
        notes = self._notes(CONFUSION)
        return next((each for step, each in reversed(notes) if step == self.best_epoch), {})

    @property
    def calibration(self) -> Mapping[str, Any]:
        """What the last calibration found."""
        notes = self._notes(CALIBRATED)
        return notes[-1][1] if notes else {}

    @property
    def doubt(self) -> str | None:
        """What is to be said of a count that is no better than a guess; None where it is better."""
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
        """What each guard measured last, where that is not nothing."""
        last: dict[str, float] = {}
        for values in self.by_epoch.values():
            last |= {key: value for key, value in values.items() if key.startswith("guard/")}
        named = {key.removeprefix("guard/"): value for key, value in last.items()}
        return {name: value for name, value in named.items() if value and GUARDS[name].unit}

    @property
    def preset(self) -> str | None:
        """What the configuration is told as differences from."""
        told = UploadState(self.folder.path).labels().preset
        return told if told in preset_names() else None

    def differences(self) -> dict[str, tuple[Any, ...]]:
        """Fields in which it differs from its preset, or the defaults: usual and own value."""
        usual = load_config(preset=self.preset).config if self.preset else RunConfig()
        return differing_fields([usual.canonical(), self.config.canonical()])

    @property
    def kept(self) -> dict[str, tuple[int, ...]]:
        """Epochs of the checkpoints that are kept, by attempt."""
        return {each.name: committed(each)[::-1] for each in self.folder.attempts()}

    @property
    def page(self) -> tuple[str, str] | None:
        """The store that has its record, and its page there; None where nothing was sent."""
        known = UploadState(self.folder.path).progress()
        if known is None or not known.run_id:
            return None
        return known.store, run_page(known.store, known.experiment_id, known.run_id)

    @property
    def unsent(self) -> int:
        """Lines of its record that are in no store yet; 0 where none is to have them."""
        spool = UploadState(self.folder.path)
        return spool.unsent() if spool.progress() is not None else 0

    def beside(self) -> list[tuple[str, float | None, float | None, float | None, float | None]]:
        """Score, and the network's, chance's, NOMP's and the reference's value on the scenes."""
        return [
            (
                said,
                self.best.get(score),
                0.0 if chance is None and self.best else self.best.get(chance or ""),
                self.best.get(nomp),
                self.best.get(reference),
            )
            for score, (said, chance, nomp, reference) in BESIDE.items()
        ]

    def as_json(self) -> dict[str, Any]:
        """The run as plain values."""
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
    """What was recorded of a run's best epoch.

    Raises:
        InvalidInput: No epoch of it was judged.
    """
    found = seen.recorded
    if found is None:
        raise InvalidInput(
            f"run {seen.name} has no judged epoch to compare: go on with it, or leave it out"
        )
    return found


def _is_best(row: Row) -> bool:
    return _JUDGED in row.values


def _strata(confusion: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Scenes and right counts of each SNR and number of sources."""
    found = {}
    for snr, table in confusion.get("by_snr", {}).items():
        for place, row in enumerate(table["matrix"]):
            scenes = sum(row) + table["none"][place] + table["beyond"][place]
            found[f"{snr}, K = {place + 1}"] = (scenes, row[place])
    return found
