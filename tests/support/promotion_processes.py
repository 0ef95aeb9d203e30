"""Commands at a registry in processes of their own, and homes with candidates."""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from risexp.core.failpoint import CRASH_AT, STOP_AT, PromotionPoint
from tests.support.networks import network_config
from tests.support.promotions import SERVER, kept
from tests.support.worker_processes import until

GATES = """
resamples: 200
candidate: {scenes_min: 50, ece_max: 1.0}
champion:
  success_rate_loss_max: 1.0
  k_acc_loss_max: 1.0
  better_in: []
  slice_loss_max: 1.0
  ms_ratio_max: 1000.0
nomp: {success_rate_loss_max: 1.0}
"""
"""What networks pass that have learned nothing, where each scene has one source."""


SMALL = (
    "data.sources_max=1",
    "training.scenes_per_epoch=64",
    "training.batch=32",
    "validation.scenes=32",
    "validation.calibration_scenes=32",
)
"""Few scenes, since a test set is compared with each of them."""
PATIENCE = "TESTS_PATIENCE_S"
"""Environment variable: time after which a command gives up a request."""


@dataclass(frozen=True)
class Home:
    """A home with one candidate, and the store that it promotes to."""

    folder: Path
    store: str
    run: str

    def promote(self, model: str, fault: "Fault | None" = None) -> "Command":
        """`risexp promote` of its candidate."""
        words = ["promote", "--run", self.run, "--scenes", "50", "--gates", "loose"]
        return Command.start(self, [*words, "--name", model], fault or Fault())

    def roll_back(self, model: str, fault: "Fault | None" = None) -> "Command":
        """`risexp rollback`."""
        return Command.start(self, ["rollback", "--name", model], fault or Fault())


@dataclass(frozen=True)
class Fault:
    """What befalls a command."""

    crash: PromotionPoint | None = None
    """Where it dies."""
    stop: PromotionPoint | None = None
    """Where it stops until it is told to go on."""
    patience_s: int = 120
    """When it gives up a request; a busy machine must not look like a hung server."""

    def variables(self) -> dict[str, str]:
        """As environment variables."""
        armed = {CRASH_AT: self.crash, STOP_AT: self.stop}
        own = {name: str(point) for name, point in armed.items() if point is not None}
        return {**own, PATIENCE: str(self.patience_s)}


def home_with_candidate(folder: Path, store: str, seed: int) -> Home:
    """A new home whose one candidate is an untrained network."""
    run = f"train-{seed}"
    (folder / "gates").mkdir(parents=True)
    (folder / "gates" / "loose.yaml").write_text(GATES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RISEXP_HOME", str(folder))
        kept(run, seed, config=network_config(*SMALL).canonical())
    return Home(folder, store, run)


@dataclass
class Command:
    """A command of `risexp` in a process of its own."""

    process: ForkServerProcess
    output: Path

    @classmethod
    def start(cls, home: Home, words: Sequence[str], fault: Fault) -> "Command":
        """Start it."""
        output = home.folder / f"output-{os.urandom(6).hex()}"
        variables = {
            "RISEXP_HOME": str(home.folder),
            "RISEXP_TRACKING_URI": home.store,
            **fault.variables(),
        }
        process = SERVER.Process(target=_run, args=(words, variables, str(output)), daemon=True)
        process.start()
        return cls(process, output)

    def stopped(self) -> "Command":
        """Wait until it has stopped at its point, or has ended before."""
        until(lambda: self._state() in "TZ", limit_s=300.0)
        return self

    def send(self, *numbers: int) -> "Command":
        """Send it signals, and let it go on if it has stopped."""
        assert self.process.pid is not None
        for number in (*numbers, signal.SIGCONT):
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, number)
        return self

    def code(self) -> int | None:
        """Its exit code."""
        self.process.join(300.0)
        code = self.process.exitcode
        self.process.kill()
        return code

    @property
    def said(self) -> str:
        """What it has printed."""
        return self.output.read_text("utf-8") if self.output.exists() else ""

    @property
    def sentence(self) -> str:
        """The one line with which it refused or failed."""
        (line,) = [line for line in self.said.splitlines() if line.startswith("risexp: ")]
        assert "Traceback" not in self.said
        return line

    def _state(self) -> str:
        """One letter of the system: T if it has stopped, Z if it has ended."""
        with suppress(OSError):
            stat = Path(f"/proc/{self.process.pid}/stat").read_text()
            return stat.rpartition(")")[2].split()[0]
        return "Z"


def _run(words: Sequence[str], variables: Mapping[str, str], output: str) -> None:
    """Call the command line as the program does."""
    os.environ.update(variables)
    os.chdir(variables["RISEXP_HOME"])
    file = os.open(output, os.O_WRONLY | os.O_CREAT, 0o600)
    for stream in (1, 2):
        os.dup2(file, stream)
    from risexp.cli.main import main
    from risexp.tracking import stores

    stores.SETTINGS["MLFLOW_HTTP_REQUEST_TIMEOUT"] = variables[PATIENCE]  # type: ignore[index]
    try:
        main(list(words))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
