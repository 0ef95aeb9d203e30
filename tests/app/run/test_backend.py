"""A run goes on with the search that it began with, since another one has other bits."""

import pytest
import torch
from rich.console import Console

from risexp.app.run.machine import Machine
from risexp.app.run.reproduce import recalled, reproduce
from risexp.app.run.train import resume
from risexp.config.run import RunConfig
from risexp.runs.folder import RunFolder
from risexp.runs.spec import write_document
from tests.support.short_runs import short_run

QUIET = Console(quiet=True)
CPU = Machine(torch.device("cpu"), threads=1)


def backends(folder: RunFolder) -> list[object]:
    return [each.get("backend") for each in folder.environments()]


def searched_with(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The backends of the configurations from which networks are trained."""
    seen: list[object] = []
    settle = Machine.settle

    def told(self: Machine, config: RunConfig) -> RunConfig:
        settled = settle(self, config)
        seen.append(settled.localisation.backend)
        return settled

    monkeypatch.setattr(Machine, "settle", told)
    return seen


def test_a_run_records_its_backend_and_resumes_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for option, used in (("auto", "compiled"), ("torch", "torch")):
        run = short_run({"localisation.backend": option}, time_limit_s=0.0).folder
        assert backends(run) == [used], option
        seen = searched_with(monkeypatch)

        resume(run.run_id, CPU, QUIET)

        assert backends(run) == [used, used], option
        assert set(seen) == {used}, option
        monkeypatch.undo()
        assert run.config().localisation.backend == option


def test_a_run_of_an_earlier_version_goes_on_with_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    run = short_run(time_limit_s=0.0).folder
    forget_backend(run)
    seen = searched_with(monkeypatch)

    resume(run.run_id, CPU, QUIET)

    assert set(seen) == {"torch"}
    assert backends(run)[-1] == "torch"


def test_a_run_is_reproduced_with_its_own_backend() -> None:
    run = short_run({"localisation.backend": "torch"}).folder
    compiled = short_run().folder

    for folder, used in ((run, "torch"), (compiled, "compiled")):
        again = reproduce(recalled(folder.run_id, None), QUIET)

        assert again.same, used
        assert backends(again.finished.folder) == [used]


def forget_backend(run: RunFolder) -> None:
    """Make the record of a run one of a version without backends."""
    earlier = [
        {key: value for key, value in each.items() if key != "backend"}
        for each in run.environments()
    ]
    write_document(run.path / "environment.json", earlier)
