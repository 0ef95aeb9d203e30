"""That a study is told of every epoch, and its pruner asked: who reports nothing prunes nothing."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from risexp.hpo.search.pruning import Pruning
from risexp.runs.outcome import EndRun, pruned
from risexp.space.pruners import Asha, Hyperband, Median, NoPruner, Patient, Percentile
from risexp.space.spec import SCORE
from risexp.training.epoch_checks import EpochFault
from risexp.training.events import EpochEnded, Event, RunStarted

PRUNING_COUNTS: Final = "hearing"
"""Attribute of a trial: how often it reported, how often its pruner was asked and able."""
_GUARD: Final = "pruner"
_ENDED: Final = (TrialState.COMPLETE, TrialState.PRUNED)


class ReportsEpochs(Protocol):
    """A trial in a worker's hands."""

    @property
    def number(self) -> int:
        """Of the trial in its study."""

    def report(self, step: int, value: float, /) -> object:
        """Tell the study a step's score; `different` where another one was told before."""

    def should_prune(self) -> bool:
        """Whether the study has better ones."""


class PruningCallback:
    """Reports the score of every epoch, and ends a run that its study has better ones than.

    To be told with the recorders, before what may fail; `enforce` with those that may end a run.
    """

    def __init__(
        self, claim: ReportsEpochs, pruning: Pruning, peers: Callable[[], Sequence[FrozenTrial]]
    ) -> None:
        """Listen to one attempt at a trial.

        Args:
            claim: The trial.
            pruning: Of its study.
            peers: Every trial of the study, as they stand.
        """
        self._claim = claim
        self._pruning = pruning
        self._peers = peers
        self._epochs = pruning.epochs
        self.reports = 0
        """Epochs reported in this attempt, or found reported."""
        self.different = 0
        """Epochs that an earlier attempt had reported with another score."""
        self.asked = 0
        """How often the pruner was asked."""
        self.able = 0
        """How often it could have ended the trial."""

    def __call__(self, event: Event) -> None:
        """Report an epoch that has ended."""
        match event:
            case RunStarted(epochs=epochs):
                self._epochs = epochs
            case EpochEnded(plan=plan, scores=scores):
                told = self._claim.report(plan.epoch, scores[SCORE])
                self.reports += 1
                self.different += told == "different"

    def enforce(self, event: Event) -> None:
        """Ask the pruner after every epoch but the last, which there is nothing left to save of.

        Raises:
            EndRun: The study has better trials.
        """
        if not isinstance(event, EpochEnded) or event.plan.epoch >= self._epochs:
            return
        epoch = event.plan.epoch
        self.asked += 1
        self.able += able(self._pruning, self._peers(), self._claim.number, epoch)
        if self._claim.should_prune():
            score, kind = event.scores[SCORE], self._pruning.spec.kind
            raise EndRun(pruned(f"k_loc {score:.3f} after epoch {epoch}: ended by the {kind} rule"))

    def counts(self) -> dict[str, int]:
        """What to keep with the trial, under `PRUNING_COUNTS`."""
        return {
            "reports": self.reports,
            "different": self.different,
            "asked": self.asked,
            "able": self.able,
        }


def able(pruning: Pruning, trials: Iterable[FrozenTrial], number: int, epoch: int) -> bool:
    """Whether a pruner could end a trial now, were its score bad enough.

    Args:
        pruning: Of the study.
        trials: Of the study.
        number: Of the trial.
        epoch: The last one it has reported.
    """
    spec = pruning.spec
    if isinstance(spec, NoPruner) or epoch < pruning.first:
        return False
    if isinstance(spec, Patient):
        if epoch <= spec.patience + 1:
            return False
        spec = spec.pruner
    others = [each for each in trials if each.number != number]
    match spec:
        case Median() | Percentile():
            complete = [each for each in others if each.state == TrialState.COMPLETE]
            beside = sum(epoch in each.intermediate_values for each in complete)
            due = (epoch - pruning.first) % spec.interval == 0
            return due and len(complete) >= spec.startup and beside >= spec.least
        case Asha() | Hyperband():
            return any((each.last_step or 0) >= pruning.first for each in others)
        case _:
            return True


def check_pruning_ran(study: Study) -> EpochFault | None:
    """What was wrong with how a study was told of its trials; to be asked at its end."""
    ended = [each for each in study.get_trials(deepcopy=False) if each.state in _ENDED]
    if not ended:
        return None
    if not any(each.intermediate_values for each in ended):
        return EpochFault(
            _GUARD,
            f"none of {len(ended)} finished trials reported a score, so none could be pruned: "
            "report k_loc after every epoch",
        )
    longest = max(len(each.intermediate_values) for each in ended)
    asked = sum(each.user_attrs.get(PRUNING_COUNTS, {}).get("asked", 0) for each in ended)
    if longest > 1 and asked == 0:
        return EpochFault(
            _GUARD,
            f"{len(ended)} finished trials reported up to {longest} epochs, and the pruner was "
            "never asked: ask it after every epoch",
        )
    return None


def pruning_summary(study: Study) -> str:
    """How a study was heard, in one sentence: reports, questions, and what came of them."""
    trials = study.get_trials(deepcopy=False)
    kept = [each.user_attrs.get(PRUNING_COUNTS, {}) for each in trials]
    reports = sum(len(each.intermediate_values) for each in trials)
    asked, could = (sum(each.get(name, 0) for each in kept) for name in ("asked", "able"))
    pruned_ = sum(each.state == TrialState.PRUNED for each in trials)
    return (
        f"{reports} scores were reported; the pruner was asked {asked} times, could have ended a "
        f"trial {could} times, and {pruned_} of {len(trials)} trials were ended early"
    )
