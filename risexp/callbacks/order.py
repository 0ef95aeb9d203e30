"""The one order in which a run's listeners are told: read, record, guard, keep, end."""

from collections.abc import Sequence
from functools import partial

from risexp.callbacks.chance_guard import ChanceGuard
from risexp.callbacks.guard import Guard, GuardCallback
from risexp.callbacks.learning_guards import (
    BlendGuard,
    EpochGuard,
    GradientGuard,
    PlanGuard,
    never_touched,
)
from risexp.callbacks.run_loop import Callback
from risexp.runs.journal import Journal
from risexp.training.plan import Plan
from risexp.training.trainer import Trainer


def standard_guards(
    trainer: Trainer, plans: Sequence[Plan], journal: Journal, idle: Sequence[str] = ()
) -> tuple[Guard, ...]:
    """The guards of an ordinary run; `Leak` is added where the scenes are known.

    Args:
        trainer: As it stands before it is driven.
        plans: As the run's folder holds them.
        journal: Of the run, with what an earlier attempt wrote.
        idle: How the names of parameters begin that this configuration gives nothing to do.
    """
    done = trainer.progress.epoch
    row = journal.value(done, "guard/chance")
    return (
        EpochGuard(trainer.recipe.limits),
        PlanGuard(plans),
        GradientGuard(partial(never_touched, trainer.stepper, tuple(idle)), plans),
        BlendGuard(),
        ChanceGuard(row=0 if row is None else int(row), phase=trainer.progress.phase),
    )


def callback_order(
    watch: GuardCallback,
    recorders: Sequence[Callback],
    keeper: Callback,
    enders: Sequence[Callback],
) -> tuple[Callback, ...]:
    """All listeners of a run.

    An unsound epoch is recorded and never kept: going on would meet the fault again. An epoch that
    is the last one, pruned or stopped, is recorded and kept.

    Args:
        watch: The guards.
        recorders: Journal, console and the like, which end no run.
        keeper: Keeps checkpoints.
        enders: Those that end a run, signals last.
    """
    return (watch, *recorders, watch.enforce, keeper, *enders)
