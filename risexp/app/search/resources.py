"""Who works on a study, on what and for how long, and what each worker is started with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from risexp.app.run.machine import device_named
from risexp.core.home import home
from risexp.errors import InvalidInput
from risexp.hpo.store.address import STORE, store_url
from risexp.hpo.studies.study import run_id
from risexp.hpo.workers.pool import WorkerSpec
from risexp.runs.folder import is_name
from risexp.tracking.stores import VARIABLE, TrackingStore, chosen_store

_LONGEST: Final = 96
"""Characters of a study's name: with the number of a trial it is the name of a run."""


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What a person gives to a study."""

    workers: int = 1
    gpus: Sequence[str] = ()
    """Workers share them in turn; none: every worker on the CPU, or as `device` says."""
    device: str = "auto"
    threads: int = 1
    timeout_s: float | None = None
    trial_timeout_s: float | None = None
    """For each trial, all attempts at it together."""
    until: float | None = None
    """Value of a complete trial below which the study ends."""
    tracking: str | None = None


def validate_launch(study: str, means: Resources) -> TrackingStore | None:
    """Where runs are recorded, once everything else that workers are told is known to be possible.

    Raises:
        RisexpError: A name cannot be that of a study, or there is no such device or store.
    """
    if not is_name(run_id(study, 0)):
        raise InvalidInput(
            f"{study!r} is no name of a study: use letters, digits, and . _ -, at most {_LONGEST} "
            "of them"
        )
    device_named(_device(means))
    return chosen_store(means.tracking)


def worker_specs(study: str, means: Resources, token: str) -> list[WorkerSpec]:
    """What every worker of a crew is started with."""
    logs = home().absolute() / "mlruns" / "studies" / study
    threads = str(means.threads)
    shared: dict[str, str] = {
        "RISEXP_HOME": str(home().absolute()),
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
    }
    if (url := store_url()) is not None:
        shared[STORE] = url
    told = {"study": study, "crew": token, "threads": threads, "device": _device(means)}
    command = ["worker", *(word for name, value in told.items() for word in (f"--{name}", value))]
    if means.tracking is not None:
        shared[VARIABLE] = means.tracking
    return [
        WorkerSpec(
            index=index,
            command=command,
            environment={**shared, **_gpu(means, index)},
            log=logs / f"worker-{index}.log",
        )
        for index in range(means.workers)
    ]


def _device(means: Resources) -> str:
    """What workers compute on; a GPU that is not there is not to become a CPU."""
    return "cuda" if means.gpus and means.device == "auto" else means.device


def _gpu(means: Resources, index: int) -> Mapping[str, str]:
    """The one GPU that a worker sees."""
    if not means.gpus:
        return {}
    return {"CUDA_VISIBLE_DEVICES": means.gpus[index % len(means.gpus)]}
