"""No request breaks a server: each is answered or cut off, none with a 500 or a traceback."""

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from risexp.registry.scoring_server import scoring_server
from risexp.web.connections import ConnectionLimits, WebServer, server_config
from risexp.web.dashboard_app import guarded_dashboard
from risexp.web.guard import RequestGuard
from risexp.web.mlflow_app import guarded_mlflow
from tests.support.models import model_in
from tests.support.odd_requests import answer, raw_bytes, whole_requests
from tests.support.web_requests import Pages, running
from tests.support.worker_processes import opened

pytestmark = pytest.mark.fault("F21")

WRITABLE = RequestGuard(writable=True)
IMPATIENT = ConnectionLimits(patience_s=0.05)
ODD = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
"""Comes before the response if a client asks for it."""
PING = b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module", params=["scoring server", "mlflow", "dashboard"])
def port(
    request: pytest.FixtureRequest, study_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    """A server of each kind that cuts off an incomplete request soon."""
    folder = tmp_path_factory.mktemp("odd")
    if request.param == "scoring server":
        with running(scoring_server(model_in(folder), WRITABLE, IMPATIENT)) as port:
            yield port
        return
    with opened(f"sqlite:///{shutil.copy(study_store, folder)}") as store:
        app = (
            guarded_mlflow(Pages(), WRITABLE, 8080, None)
            if request.param == "mlflow"
            else guarded_dashboard(store, WRITABLE, 5000)
        )
        config = server_config(app, limits=IMPATIENT, lifespan="off")
        with running(WebServer(config)) as port:
            yield port


@pytest.fixture(autouse=True)
def quiet(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fails a test whose server has written anything."""
    yield
    assert "" == capfd.readouterr().err
    assert [] == [one for one in caplog.records if one.levelno >= logging.ERROR]


@settings(ODD, max_examples=4 * ODD.max_examples)
@given(sent=whole_requests())
def test_a_whole_request_is_never_a_failure_of_the_server(port: int, sent: bytes) -> None:
    said = answer(port, sent).removeprefix(CONTINUE)

    if said:  # else the request promised a longer body than it had
        version, status, _ = said.split(b" ", 2)
        assert b"HTTP/1.1" == version
        assert 200 <= int(status) < 500
    assert b"Traceback" not in said


@ODD
@given(sent=raw_bytes())
def test_bytes_that_are_no_request_end_nothing_but_their_connection(port: int, sent: bytes) -> None:
    said = answer(port, sent)

    assert said == b"" or said.startswith((b"HTTP/1.1 4", b"HTTP/1.1 2", b"HTTP/1.1 3"))
    while not (pong := answer(port, PING)):
        pass  # where this process is slow, its own request was cut off
    assert pong.startswith((b"HTTP/1.1 200", b"HTTP/1.1 404"))
