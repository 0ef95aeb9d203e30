"""The one order in which a run's listeners are told: read, record, guard, keep, end."""

from collections.abc import Sequence
from functools import partial

from risexp.callbacks.chance_guard import Chance
from risexp.callbacks.guard import Guard, Watch
from risexp.callbacks.learning_guards import Accounts, Blend, Gradients, Planned, never_touched
from risexp.callbacks.run_loop import Observer
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
        Accounts(trainer.recipe.limits),
        Planned(plans),
        Gradients(partial(never_touched, trainer.stepper, tuple(idle)), plans),
        Blend(),
        Chance(row=0 if row is None else int(row), phase=trainer.progress.phase),
    )


def in_order(
    watch: Watch, recorders: Sequence[Observer], keeper: Observer, enders: Sequence[Observer]
) -> tuple[Observer, ...]:
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
