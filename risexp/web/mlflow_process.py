"""MLflow's server over a store, started and ended with whoever asks for it."""

import subprocess
import sys
import tempfile
from contextlib import suppress
from os import environ
from socket import socket
from typing import Final

from risexp.core.redaction import redacted, secrets_of
from risexp.tracking.stores import TrackingStore
from risexp.web.guard import RequestGuard
from risexp.web.mlflow_app import TOLD, MlflowAppSettings

_PATIENCE_S: Final = 5.0
"""How long it may take to end before it is killed."""


class MlflowServer:
    """A process that serves the pages of a store that is a database."""

    def __init__(
        self,
        store: TrackingStore,
        listening: socket,
        door: RequestGuard,
        dashboard_port: int | None,
    ) -> None:
        """Start it; the socket is its own from here on."""
        told = MlflowAppSettings(
            descriptor=listening.fileno(),
            door=door,
            backend=store.uri,
            artifacts="" if store.artifacts is None else store.artifacts.as_uri(),
            dashboard_port=dashboard_port,
        )
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - open for as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "risexp.web.mlflow_app"],
            env={**environ, **store.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._said,
            pass_fds=(listening.fileno(),),
            # Ctrl-C is for whoever started it.
            start_new_session=True,
        )
        listening.close()
        pipe = self._process.stdin
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.write(TOLD.dump_json(told) + b"\n")
                pipe.flush()

    def died(self) -> str | None:
        """In a sentence how it ended by itself; None while it has not."""
        code = self._process.poll()
        if code is None:
            return None
        return f"MLflow's server ended with exit code {code}: {self._last_words()}"

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._said.close()

    def _last_words(self) -> str:
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").splitlines()
        last = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
        return redacted(last, secrets_of(environ))
