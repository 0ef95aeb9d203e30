"""Reports each epoch to Optuna and asks the pruner; checks and sums up what it did."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from risexp.hpo.search.warmup import Pruning
from risexp.runs.outcome import EndRun, pruned
from risexp.space.pruners import NoPruner, Peer
from risexp.space.spec import SCORE
from risexp.training.epoch_checks import EpochFault
from risexp.training.events import EpochEnded, Event, RunStarted

PRUNING_COUNTS: Final = "hearing"
"""Attribute of a trial: number of reports, and of checks by its pruner."""
_GUARD: Final = "pruner"
_ENDED: Final = (TrialState.COMPLETE, TrialState.PRUNED)


class PrunableTrial(Protocol):
    """A claimed trial."""

    @property
    def number(self) -> int:
        """Number of the trial in its study."""

    def report(self, step: int, value: float, /) -> object:
        """Report a step's score; `different` if another score was reported before."""

    def should_prune(self) -> bool:
        """Whether the pruner would end the trial now."""


class PruningCallback:
    """Reports the score of every epoch, and ends a run if the pruner says so.

    Call it with the recorders, before what may fail; call `enforce` with what may end a run.
    """

    def __init__(
        self, claim: PrunableTrial, pruning: Pruning, trials: Callable[[], Sequence[FrozenTrial]]
    ) -> None:
        """Count for one attempt at a trial; `trials` reads all trials of its study."""
        self._claim = claim
        self._pruning = pruning
        self._trials = trials
        self._epochs = pruning.epochs
        self._counts = dict.fromkeys(("reports", "different", "asked", "able"), 0)

    def __call__(self, event: Event) -> None:
        """Report an epoch."""
        match event:
            case RunStarted(epochs=epochs):
                self._epochs = epochs
            case EpochEnded(plan=plan, scores=scores):
                written = self._claim.report(plan.epoch, scores[SCORE])
                self._counts["reports"] += 1
                self._counts["different"] += written == "different"

    def enforce(self, event: Event) -> None:
        """Ask the pruner after every epoch but the last, after which nothing is left to save.

        Raises:
            EndRun: The pruner ends the trial.
        """
        if not isinstance(event, EpochEnded) or event.plan.epoch >= self._epochs:
            return
        epoch = event.plan.epoch
        self._counts["asked"] += 1
        self._counts["able"] += able(self._pruning, self._trials(), self._claim.number, epoch)
        if self._claim.should_prune():
            score, kind = event.scores[SCORE], self._pruning.spec.kind
            raise EndRun(pruned(f"k_loc {score:.3f} after epoch {epoch}: ended by the {kind} rule"))

    def counts(self) -> dict[str, int]:
        """Counts to keep with the trial, under `PRUNING_COUNTS`.

        `reports`: epochs reported, now or by an earlier attempt; `different`: those that had
        another score then; `asked`: checks by the pruner; `able`: those that could end the trial.
        """
        return dict(self._counts)


def able(pruning: Pruning, trials: Iterable[FrozenTrial], number: int, epoch: int) -> bool:
    """Whether a pruner would end trial `number` after an epoch if its score were bad enough."""
    if isinstance(pruning.spec, NoPruner) or epoch < pruning.first:
        return False
    peers = [
        Peer(trial.state == TrialState.COMPLETE, trial.intermediate_values.keys())
        for trial in trials
        if trial.number != number
    ]
    return pruning.spec.can_end(epoch, pruning.first, peers)


def check_pruning_ran(study: Study) -> EpochFault | None:
    """The fault of a finished study whose trials did not report, or whose pruner was not asked."""
    ended = [trial for trial in study.get_trials(deepcopy=False) if trial.state in _ENDED]
    if not ended:
        return None
    longest = max(len(trial.intermediate_values) for trial in ended)
    if longest == 0:
        return EpochFault(
            _GUARD,
            f"none of {len(ended)} finished trials reported a score, so none could be pruned: "
            "report k_loc after every epoch",
        )
    if longest > 1 and _total(ended, "asked") == 0:
        return EpochFault(
            _GUARD,
            f"{len(ended)} finished trials reported up to {longest} epochs, and the pruner was "
            "never asked: ask it after every epoch",
        )
    return None


def pruning_summary(study: Study) -> str:
    """What the pruner of a study was asked and did, in one sentence."""
    trials = study.get_trials(deepcopy=False)
    reports = sum(len(trial.intermediate_values) for trial in trials)
    ended_early = sum(trial.state == TrialState.PRUNED for trial in trials)
    return (
        f"{ended_early} of {len(trials)} trials pruned ({reports} scores reported, "
        f"{_total(trials, 'asked')} checks, {_total(trials, 'able')} of them could end a trial)"
    )


def _total(trials: Sequence[FrozenTrial], name: str) -> int:
    return sum(trial.user_attrs.get(PRUNING_COUNTS, {}).get(name, 0) for trial in trials)
