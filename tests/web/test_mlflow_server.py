"""MLflow as a service needs the password and a known host, and keeps its key to itself."""

import base64
import http.client
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from risexp.tracking.stores import store_named
from tests.support.uploads import place as copied
from tests.support.worker_processes import until

KEY = "the secret key of the forms"
WORD = "the password of the account"
SEARCH = "/api/2.0/mlflow/experiments/search"
SERVE = """
import sys
from pathlib import Path
from risexp.web.mlflow_server import Service, serve
from risexp.tracking.stores import store_named
store, port, key = store_named(sys.argv[1]), int(sys.argv[2]), sys.stdin.readline().strip()
serve(Service(store, Path(sys.argv[3]), "127.0.0.1", port, ("ris.example.org",), 8080, key))
"""


@dataclass
class Served:
    process: subprocess.Popen[bytes]
    port: int

    def status(self, path: str = SEARCH, known: str | None = WORD, host: str = "localhost") -> int:
        """What a request is answered with."""
        headers = {"Host": host, "Content-Type": "application/json"}
        if known is not None:
            coded = base64.b64encode(f"risexp:{known}".encode()).decode()
            headers["Authorization"] = f"Basic {coded}"
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60.0)) as asked:
            asked.request("POST", path, '{"max_results": 1}', headers)
            return asked.getresponse().status

    def answers(self) -> bool:
        try:
            return bool(self.status())
        except OSError:
            return False


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    copied(store_named(f"sqlite:///{tmp_path}/runs.db"))
    place = tmp_path
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    accounts = place / "accounts"
    accounts.write_text(
        f"[mlflow]\ndefault_permission = NO_PERMISSIONS\n"
        f"database_uri = sqlite:///{place}/accounts.db\n"
        f"admin_username = risexp\nadmin_password = {WORD}\n"
    )
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", SERVE, f"sqlite:///{place}/runs.db", f"{port}", str(place)],
        env={"PATH": "/usr/bin:/bin", "MLFLOW_AUTH_CONFIG_PATH": str(accounts)},
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    process.stdin.write(f"{KEY}\n".encode())
    process.stdin.close()
    found = Served(process, port)
    try:
        until(lambda: found.answers() or process.poll() is not None, 100.0)
        yield found
    finally:
        process.kill()
        process.wait()


def test_it_answers_whom_it_knows_keeps_its_key_and_ends_when_asked_to(served: Served) -> None:
    answers = {
        "no password": (401, served.status(known=None)),
        "a wrong password": (401, served.status(known="password1234")),
        "the password": (200, served.status()),
        "a name of its own": (200, served.status(host="ris.example.org")),
        "a foreign name": (421, served.status(host="evil.example")),
        "a job": (403, served.status("/ajax-api/3.0/jobs/")),
    }
    place = Path(f"/proc/{served.process.pid}")
    environment = (place / "environ").read_bytes()
    children = (place / "task" / place.name / "children").read_text()
    served.process.send_signal(signal.SIGTERM)

    assert {} == {name: codes for name, codes in answers.items() if codes[0] != codes[1]}
    assert KEY.encode() not in environment
    assert "" == children
    assert 0 == served.process.wait(60)
