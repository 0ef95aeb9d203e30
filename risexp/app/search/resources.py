"""Worker resources and time limits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from risexp.app.run.machine import device_named
from risexp.core.home import home
from risexp.errors import InvalidInput
from risexp.hpo.store.address import STORE, store_url
from risexp.hpo.studies.study import run_id
from risexp.hpo.workers.pool import WorkerSpec
from risexp.runs.folder import is_name
from risexp.tracking.stores import VARIABLE, chosen_store

_LONGEST: Final = 96
"""Characters of a study's name: with the number of a trial it is the name of a run."""


@dataclass(frozen=True, kw_only=True)
class Resources:
    """The workers of a study, their devices, and their time limits."""

    workers: int = 1
    gpus: Sequence[str] = ()
    """Workers share them in turn; with none, every worker computes on `device`."""
    device: str = "auto"
    threads: int = 1
    timeout_s: float | None = None
    trial_timeout_s: float | None = None
    """For each trial, all its attempts together."""
    until: float | None = None
    """Value of a complete trial below which the study ends."""
    tracking: str | None = None

    @property
    def worker_device(self) -> str:
        """The device of every worker; a GPU that is missing does not become a CPU."""
        return "cuda" if self.gpus and self.device == "auto" else self.device

    def check(self, study: str) -> None:
        """Check the settings of the workers before anything is made.

        Raises:
            RisexpError: The study's name is invalid, or there is no such device or store.
        """
        if not is_name(run_id(study, 0)):
            raise InvalidInput(
                f"{study!r} is no name of a study: use letters, digits, and . _ -, at most "
                f"{_LONGEST} of them"
            )
        device_named(self.worker_device)
        chosen_store(self.tracking)


def worker_specs(study: str, resources: Resources, pool: str) -> list[WorkerSpec]:
    """The command and environment of every worker of a pool."""
    logs = home().absolute() / "mlruns" / "studies" / study
    threads = str(resources.threads)
    shared = {
        "RISEXP_HOME": str(home().absolute()),
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
    }
    if (url := store_url()) is not None:
        shared[STORE] = url
    if resources.tracking is not None:
        shared[VARIABLE] = resources.tracking
    command = ["worker", "--study", study, "--crew", pool, "--threads", threads]
    command += ["--device", resources.worker_device]
    gpus = [
        {"CUDA_VISIBLE_DEVICES": resources.gpus[index % len(resources.gpus)]}
        if resources.gpus
        else {}
        for index in range(resources.workers)
    ]
    return [
        WorkerSpec(index, command, {**shared, **gpu}, logs / f"worker-{index}.log")
        for index, gpu in enumerate(gpus)
    ]
