"""Runs the services of a compose file as local processes, without a container engine.

Every process has its service's command, environment, secrets, folders, signals and health check.
Host names become loopback, ports become free ports, container paths become local folders.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from confines import confined, postgres_programs

from risexp.config.yaml import read_yaml

_VARIABLE: Final = re.compile(r"\$\{(\w+)(:\?[^}]*)?\}")
_HOSTS: Final = re.compile(r"\b(?:postgres|mlflow|dashboard)(?=:\d{4}\b)|\b0\.0\.0\.0\b")
_TIME: Final = re.compile(r"(\d+)(s|m)")


@dataclass
class Actor:
    """A process that plays a service."""

    service: str
    process: subprocess.Popen[bytes]
    log: Path


@dataclass(frozen=True)
class Ended:
    """How a process ended that was asked to."""

    signal: str
    code: int
    seconds: float
    grace: float

    @property
    def in_time(self) -> bool:
        """Whether it ended without being killed."""
        return self.seconds <= self.grace


@dataclass
class Stage:
    """A deployment's folder, and a root folder for everything else."""

    folder: Path
    root: Path
    settings: Mapping[str, str]
    ports: Mapping[str, int]
    services: Mapping[str, Any]
    actors: list[Actor] = field(default_factory=list)

    @classmethod
    def over(cls, folder: Path, root: Path, changed: Mapping[str, str]) -> "Stage":
        """The stage of a deployment, with some of its settings changed."""
        lines = (folder / ".env").read_text(encoding="utf-8").splitlines()
        pairs = [line.partition("=") for line in lines if line and not line.startswith("#")]
        settings = {name: value for name, _, value in pairs} | dict(changed)
        ports = dict(zip(("5432", "5000", "8080"), _free_ports(3), strict=True))
        services = read_yaml(folder / "compose.yaml")["services"]
        return cls(folder, root, settings, ports, services)

    @property
    def alone(self) -> bool:
        """Whether every process sees only its own folders."""
        return os.geteuid() == 0

    def told(self, service: str) -> dict[str, str]:
        """The local environment of a service."""
        given = self.services[service].get("environment", {})
        path = [self.root / "site" / "bin", Path(sys.executable).parent, postgres_programs()]
        return {name: self.here(service, str(text)) for name, text in given.items()} | {
            "PATH": ":".join([*map(str, path), "/usr/bin", "/bin", "/usr/sbin", "/sbin"]),
            "PYTHONPATH": str(self.root / "site"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": str(self.place(service, "tmp")),
        }

    def here(self, service: str, text: str) -> str:
        """The local value of a text of the compose file."""
        text = _VARIABLE.sub(lambda found: self._setting(found[1], found[2]), text)
        for inside, outside in self._paths(service):
            text = re.sub(rf"(?<![\w.-]){re.escape(inside)}(?![\w-])", str(outside), text)
        text = _HOSTS.sub("127.0.0.1", text)
        for usual, port in self.ports.items():
            text = re.sub(rf"(?<![\w.]){usual}\b", str(port), text)
        return text

    def place(self, service: str, name: str) -> Path:
        """A folder of a service."""
        return self.root / "services" / service / name

    def _setting(self, name: str, needed: str | None) -> str:
        found = self.settings.get(name, "")
        if needed and not found:
            raise SystemExit(f"the setting {name} is needed and is not in .env")
        return found

    def _paths(self, service: str) -> list[tuple[str, Path]]:
        """Container paths and their local paths, the longest first."""
        mounts = [each.split(":") for each in self.services[service].get("volumes", [])]
        paths = [(inside, self.folder / outside) for outside, inside, *_ in mounts]
        paths += [("/run/secrets", self.place(service, "secrets"))]
        paths += [
            ("/home/risexp", self.place(service, "home")),
            ("/tmp", self.place(service, "tmp")),  # noqa: S108 - that of a container
        ]
        return sorted(paths, key=lambda each: -len(each[0]))

    def prepare(self, service: str) -> None:
        """Make a service's folders and put its secrets where it looks for them."""
        for name in ("home", "secrets", "tmp"):
            self._own(self.place(service, name), 0o700)
        for each in self.services[service].get("secrets", []):
            source = each if isinstance(each, str) else each["source"]
            target = f"/run/secrets/{each}" if isinstance(each, str) else each["target"]
            place = Path(self.here(service, target))
            self._own(place.parent, 0o700)
            content = (self.folder / "secrets" / source).read_text(encoding="utf-8")
            place.write_text(self.here(service, content), encoding="utf-8")
            place.chmod(0o600)
            self._give(place)

    def _own(self, folder: Path, mode: int) -> None:
        if not folder.exists():
            folder.mkdir(parents=True, mode=mode)
            self._give(folder)

    def _give(self, path: Path) -> None:
        if self.alone:
            user, group = map(int, self.settings["RISEXP_USER"].split(":"))
            os.chown(path, user, group)

    def start(self, service: str, command: Sequence[str] | None = None) -> Actor:
        """Start a service, or another command in its place."""
        self.prepare(service)
        log = self.root / "logs" / f"{service}-{len(self.actors)}.log"
        log.parent.mkdir(exist_ok=True)
        with log.open("wb") as said:
            process = subprocess.Popen(  # noqa: S603 - the commands of our own compose file
                self._line(service, command or self._command(service)),
                env=self.told(service),
                cwd=self.place(service, "tmp"),
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        self.actors.append(Actor(service, process, log))
        return self.actors[-1]

    def run(self, service: str, *command: str, patience_s: float = 300.0) -> int:
        """Run a command in a service's place to its end; its exit code."""
        return self.start(service, command).process.wait(patience_s)

    def well(self, service: str) -> bool:
        """What the service's health check says."""
        check = self.services[service]["healthcheck"]
        command = [self.here(service, word) for word in check["test"][1:]]
        try:
            found = subprocess.run(  # noqa: S603 - as above
                self._line(service, command),
                env=self.told(service),
                cwd=self.place(service, "tmp"),
                capture_output=True,
                check=False,
                timeout=_seconds(check["timeout"]),
            )
        except subprocess.TimeoutExpired:
            return False
        return found.returncode == 0

    def stays_well(self, service: str) -> bool:
        """Whether a service is well in one of as many checks as make it unhealthy."""
        retries = self.services[service]["healthcheck"]["retries"]
        return any(self.well(service) for _ in range(retries))

    def await_well(self, actor: Actor) -> float:
        """Seconds until a service is well.

        Raises:
            SystemExit: It ended, or the time that compose gives it is over.
        """
        check, began = self.services[actor.service]["healthcheck"], time.monotonic()
        limit = _seconds(check["start_period"]) + check["retries"] * _seconds(check["interval"])
        while not self.well(actor.service):
            waited = time.monotonic() - began
            if actor.process.poll() is not None or waited > limit:
                said = actor.log.read_text(encoding="utf-8", errors="replace")[-2000:]
                raise SystemExit(f"{actor.service} is not well after {waited:.0f} s: {said}")
            time.sleep(1.0)
        return time.monotonic() - began

    def stop(self, actor: Actor) -> Ended:
        """End a service as the engine would."""
        told = self.services[actor.service]
        grace, began = _seconds(told["stop_grace_period"]), time.monotonic()
        name = told.get("stop_signal", "SIGTERM")
        actor.process.send_signal(signal.Signals[name])
        try:
            code = actor.process.wait(grace)
        except subprocess.TimeoutExpired:
            self.kill(actor)
            code = actor.process.wait()
        return Ended(name, code, time.monotonic() - began, grace)

    def processes(self) -> Iterator[Path]:
        """Folders in /proc of all that runs here."""
        mark = f"PYTHONPATH={self.root / 'site'}".encode()
        for place in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (place / "environ").read_bytes():
                    yield place
            except OSError:
                continue

    def kill(self, actor: Actor) -> None:
        """Kill a process, with those it has started."""
        if actor.process.poll() is None:
            os.killpg(actor.process.pid, signal.SIGKILL)
            actor.process.wait()

    def end(self) -> None:
        """Kill what is left, and only that."""
        for actor in self.actors:
            self.kill(actor)

    def _command(self, service: str) -> list[str]:
        told = self.services[service]
        return [self.here(service, word) for word in told.get("entrypoint") or told["command"]]

    def _line(self, service: str, command: Sequence[str]) -> list[str]:
        """A command in the confines of its service."""
        if not self.alone:
            return [*command]
        user, temporary = self.settings["RISEXP_USER"], self.place(service, "tmp")
        return confined(command, user, temporary, self.root / "stash", self._mounts(service))

    def _mounts(self, service: str) -> Iterator[str]:
        """What is mounted where: folders to be written as they are, files over those that exist."""
        for each in self.services[service].get("volumes", []):
            outside, inside, *mode = each.split(":")
            place = self.folder / outside
            if not mode:
                yield f"{place}={place}"
            elif Path(inside).is_file():
                yield f"{place}={inside}"


def _free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(each.getsockname()[1]) for each in held]
    for each in held:
        each.close()
    return ports


def _seconds(text: str) -> float:
    found = _TIME.fullmatch(text)
    if found is None:
        raise SystemExit(f"{text!r} is no time that the rehearsal can read")
    return float(found[1]) * {"s": 1.0, "m": 60.0}[found[2]]
