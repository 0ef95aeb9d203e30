"""A search with all that belongs to it: home, database, tracking server, supervisor, workers."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.soak.processes import children, is_there
from tests.soak.proxy import Proxy

STUDY: Final = "soak"
SPACE: Final = {
    "base": "smoke",
    "trials": 8,
    "fixed": {
        "training.epochs": 3,
        "training.scenes_per_epoch": 48,
        "training.batch": 16,
        "validation.scenes": 16,
        "validation.calibration_scenes": 16,
    },
    "vary": {
        "training.optimizer.lr": {"kind": "log", "low": 3e-4, "high": 1e-2},
        "loss.count": {"kind": "uniform", "low": 0.2, "high": 2.0},
    },
    "pruner": {"kind": "none"},
}
"""Trials of a second or two."""
HOME_BYTES: Final = 1 << 29
_READY_S: Final = 240.0
_SERVER: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A disk of its own under a folder, where this user may mount one; whether it is there."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={HOME_BYTES},mode=700", "tmpfs", str(folder)]
    mounted = subprocess.run(command, check=False, capture_output=True).returncode == 0  # noqa: S603
    try:
        yield mounted
    finally:
        if mounted:
            # Lazily: what is left of a process may still have a file open.
            subprocess.run(["umount", "-l", str(folder)], check=True)  # noqa: S603, S607


@dataclass
class Program:
    """A process that is started again when it has ended, with the same command."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    process: "subprocess.Popen[bytes] | None" = None
    codes: list[int] = field(default_factory=list)
    """Exit codes so far."""

    @property
    def pid(self) -> int:
        """Of the living process; 0 if there is none."""
        return 0 if self.process is None or self.process.poll() is not None else self.process.pid

    def keep(self) -> bool:
        """Start it unless it runs; whether it was started."""
        if self.process is not None:
            code = self.process.poll()
            if code is None:
                return False
            self.codes.append(code)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own interpreter
                [sys.executable, *self.command],
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return True

    def stop(self, limit_s: float = 90.0) -> None:
        """End it, by force if it does not leave."""
        process = self.process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            try:
                process.wait(limit_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.codes.append(process.returncode)
        self.process = None


class Stage:
    """The processes of one search."""

    def __init__(self, folder: Path, home: Path, url: str, trials: int, workers: int = 2) -> None:
        self.folder, self.home, self.url, self.trials = folder, home, url, trials
        self.control = folder / "control"
        self.control.mkdir(parents=True)
        (home / "search_spaces").mkdir(parents=True)
        space = home / "search_spaces" / f"{STUDY}.yaml"
        space.write_text(json.dumps(SPACE), encoding="utf-8")
        self._port = _free_port()
        self.proxy = Proxy(self._port)
        own = {
            "RISEXP_HOME": str(home),
            "RISEXP_STORE": url,
            "RISEXP_TRACKING_URI": self.proxy.url,
            "OMP_NUM_THREADS": "1",
            "MKL_NUM_THREADS": "1",
        }
        alone = ["worker", "--study", STUDY, "--device", "cpu"]
        search = ["-m", "risexp", "hpo", "--space", STUDY, "--trials", str(trials)]
        search += ["--workers", str(workers), "--device", "cpu", "--unchecked"]
        self.environment = own
        self.server = self._program("server", self._server(), _SERVER)
        self.search = self._program("search", search, own)
        self.spared = self._program("spared", ["-m", "risexp", *alone], own)
        """A worker that no fault is aimed at, whose memory is watched."""
        planted = ["-m", "tests.soak.faulty_worker", str(self.control), *alone]
        self.faulty = self._program("faulty", planted, own)
        """A worker that is stopped, signalled, and planted with faults."""

    def _program(self, name: str, command: Sequence[str], own: Mapping[str, str]) -> Program:
        return Program(name, command, own, self.folder / f"{name}.log")

    def _server(self) -> list[str]:
        place = self.folder / "tracking"
        place.mkdir()
        return [
            *("-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self._port)),
            *("--backend-store-uri", f"sqlite:///{place / 'mlflow.db'}", "--workers", "1"),
            *("--artifacts-destination", str(place / "artifacts")),
        ]

    def serve(self) -> None:
        """Start the tracking server, and wait until it answers."""
        self.server.keep()
        end = time.monotonic() + _READY_S
        while time.monotonic() < end:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/health", timeout=5.0):
                    return
            except OSError:
                time.sleep(0.2)
        raise TimeoutError("the tracking server does not start")

    @property
    def pool(self) -> list[int]:
        """Process ids of the supervisor's workers."""
        return children(self.search.pid)

    @property
    def workers(self) -> list[int]:
        """Process ids of all workers."""
        return [*self.pool, *filter(is_there, (self.spared.pid, self.faulty.pid))]

    def command(self, *words: str, limit_s: float = 3600.0) -> "subprocess.CompletedProcess[bytes]":
        """Run another command in this home."""
        return subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-m", "risexp", *words],
            env={**os.environ, **self.environment},
            capture_output=True,
            check=False,
            timeout=limit_s,
        )

    @property
    def programs(self) -> tuple[Program, ...]:
        """All of them, the tracking server last."""
        return (self.faulty, self.spared, self.search, self.server)

    def stop(self) -> None:
        """End all processes."""
        for program in self.programs:
            program.stop()
        self.proxy.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
