"""The ASGI application in front of both user interfaces: the same rules for each of them."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.types import ASGIApp

from risexp.web.dashboard_app import guarded_dashboard
from risexp.web.guard import RequestGuard, guard_at
from risexp.web.guarded_app import GuardedApp
from risexp.web.mlflow_app import guarded_mlflow
from tests.support.web_requests import Pages, exchange, request
from tests.support.worker_processes import opened

TOKEN = "0123456789abcdef-a-token"  # noqa: S105 - opens nothing
OPEN = RequestGuard(writable=True)
READ = {"mlflow": "/", "dashboard": "/api/studies"}
"""A page of each interface that can be read."""
Interface = tuple[str, Callable[[RequestGuard], ASGIApp]]


@pytest.fixture(params=["mlflow", "dashboard"])
def interface(
    request: pytest.FixtureRequest, study_store: Path, tmp_path: Path
) -> Iterator[Interface]:
    """A page that can be read, and what puts a guard in front of its interface."""
    with opened(f"sqlite:///{shutil.copy(study_store, tmp_path)}") as store:
        makers: dict[str, Callable[[RequestGuard], ASGIApp]] = {
            "mlflow": lambda guard: guarded_mlflow(Pages(), guard, 8080, None),
            "dashboard": lambda guard: guarded_dashboard(store, guard, 5000),
        }
        yield READ[request.param], makers[request.param]


@pytest.mark.fault("F21")
def test_requests_from_elsewhere_are_refused_and_others_are_let_in(interface: Interface) -> None:
    page, guarded = interface
    app = guarded(OPEN)

    for method, headers, expected in (
        ("GET", {"host": "evil.example"}, 421),
        ("POST", {"host": "evil.example", "origin": "http://evil.example"}, 421),
        ("DELETE", {"origin": "http://evil.example"}, 403),
        ("DELETE", {"origin": "null"}, 403),
        ("POST", {"origin": "http://127.0.0.1:3000"}, 403),
        ("OPTIONS", {"origin": "http://127.0.0.1:8080"}, 405),
        ("GET", {}, 200),
        ("GET", {"origin": "http://evil.example"}, 200),
    ):
        status, answered, _ = request(app, page, method, **headers)

        assert expected == status, (method, headers)
        assert "access-control-allow-origin" not in answered


def test_the_token_is_needed_once_and_then_a_cookie(interface: Interface) -> None:
    page, guarded = interface
    app = guarded(guard_at("192.0.2.1", (), TOKEN, writable=False))
    host = "192.0.2.1:8080"

    without, _, body = request(app, page, host=host)
    bearer, _, _ = request(app, page, host=host, authorization=f"Bearer {TOKEN}")
    moved, headers, _ = request(app, f"{page}?token={TOKEN}", host=host)
    cookie = headers["set-cookie"].split(";")[0]
    again, _, _ = request(app, headers["location"], host=host, cookie=cookie)

    assert (401, 200, 303, 200) == (without, bearer, moved, again)
    assert (page, True) == (headers["location"], b"a token is needed" in body)
    assert TOKEN not in str(headers)


def test_every_response_has_careful_headers_and_only_reads_come_in_if_it_is_not_writable(
    interface: Interface,
) -> None:
    page, guarded = interface

    for guard, method, expected in (
        *((RequestGuard(), "GET", 200), (RequestGuard(), "PUT", 403)),
        *((OPEN, "GET", 200), (OPEN, "TRACE", 405)),
    ):
        status, headers, _ = request(guarded(guard), page, method)

        assert expected == status
        assert headers["x-frame-options"] in ("DENY", "SAMEORIGIN")
        assert "nosniff" == headers["x-content-type-options"]
        assert "same-origin" == headers["referrer-policy"]
        assert "same-origin" == headers["cross-origin-resource-policy"]


@pytest.mark.fault("F21")
def test_a_web_socket_is_closed_and_an_unprintable_path_is_refused(interface: Interface) -> None:
    page, guarded = interface

    (closed,) = exchange(guarded(OPEN), {"type": "websocket"})
    statuses = [request(guarded(OPEN), page + end, "POST")[0] for end in ("\n", "a\nb", "\0")]

    assert "websocket.close" == closed["type"]
    assert [400] * 3 == statuses


def test_the_pages_see_no_origin_and_nothing_that_was_refused() -> None:
    pages = Pages()
    app = GuardedApp(pages, OPEN)

    request(app, method="POST", origin="http://evil.example")
    request(app, method="POST", origin="http://127.0.0.1:8080")

    (came,) = pages.requests
    assert "origin" not in {name.decode() for name, _ in came["headers"]}
