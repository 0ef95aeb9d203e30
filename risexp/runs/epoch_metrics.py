"""An epoch as keys and values, by the names that plots and other people's scripts rely on."""

from risexp.training.events import EpochEnded
from risexp.training.step_counter import Steps


def measures(ended: EpochEnded) -> dict[str, float]:
    """All that an epoch's end says; `metrics.KEYS` describes each key.

    `best/*` is there where the epoch is the best so far: its latest value is the best one's.
    """
    plan, losses = ended.plan, ended.losses
    values: dict[str, float] = {"beta": plan.beta, "loss/total": losses.total}
    values |= {f"loss/{name}": value for name, value in losses.raw.items()}
    values |= {f"weighted/{name}": value for name, value in losses.weighted.items()}
    values |= {f"weight/{name}": weight for name, weight in plan.active.items()}
    values |= _of_steps(ended.steps)
    values |= {f"val/{name}": value for name, value in ended.scores.items()}
    if ended.improved:
        values |= {f"best/{name}": value for name, value in ended.scores.items()}
    values["scenes_per_s"] = scenes_per_s(ended)
    values |= {"sys/training_s": ended.training_s, "sys/validation_s": ended.validation_s}
    return {key: float(value) for key, value in values.items()}


def scenes_per_s(ended: EpochEnded) -> float:
    """Scenes trained on in a second; validation is not counted."""
    return ended.losses.scenes / max(ended.training_s, 1e-9)


def _of_steps(steps: Steps) -> dict[str, float]:
    values: dict[str, float] = {
        "step/taken": steps.taken,
        "step/refused": len(steps.refused),
        "step/clipped": steps.clipped,
        "grad_norm": steps.grad_norm,
        "grad_norm_max": steps.grad_norm_max,
        "delta_param": steps.delta_param,
    }
    if "backbone" in steps.lr:
        values["lr"] = steps.lr["backbone"]
    values |= {f"lr/{part}": rate for part, rate in steps.lr.items()}
    for name, norm in _of_average(steps).items():
        if norm is not None:
            values[name] = norm
    return values


def _of_average(steps: Steps) -> dict[str, float | None]:
    """None where nothing is averaged."""
    return {"average_distance": steps.average_distance, "average_moved": steps.average_moved}
