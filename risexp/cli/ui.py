"""`risexp ui`: runs and studies in a browser."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from risexp.cli.options import AsJson, HostNames, TrackingTo
from risexp.cli.output import emit, note, say

if TYPE_CHECKING:
    from risexp.app.ui.ui import ServedPages

Only = Annotated[
    Literal["mlflow", "dashboard"] | None, typer.Option("--only", help="Show only one of the two.")
]
Host = Annotated[
    str,
    typer.Option(metavar="HOST", help="Where to listen; off loopback a token is needed."),
]
Port = Annotated[
    int | None,
    typer.Option(
        "--port",
        min=1,
        max=65535,
        metavar="N",
        help="Of MLflow; 5000, or a free one if taken.",
    ),
]
DashboardPort = Annotated[
    int | None,
    typer.Option(
        min=1, max=65535, metavar="N", help="Of the dashboard; 8080, or a free one if taken."
    ),
]
Writable = Annotated[
    bool, typer.Option("--writable", help="Let the dashboard change and delete studies.")
]


def ui(
    only: Only = None,
    host: Host = "127.0.0.1",
    port: Port = None,
    dashboard_port: DashboardPort = None,
    allow_host: HostNames = None,
    writable: Writable = False,
    tracking: TrackingTo = None,
    json: AsJson = False,
) -> None:
    """Show runs in MLflow and studies in optuna-dashboard, linked to each other, until Ctrl-C.

    RISEXP_STORE names the database of the studies if it is not in this home. Off loopback a token
    is needed: that of RISEXP_UI_TOKEN, or one that is made and printed.
    """
    from risexp.app.ui.ui import UiRequest, serve

    names = tuple(allow_host or ())
    request = UiRequest(only, host, port, dashboard_port, names, writable, tracking)
    serve(request, lambda pages: emit(pages.as_json()) if json else _say(pages))


def _say(pages: "ServedPages") -> None:
    entry = "" if pages.token is None else f"/?token={pages.token}"
    for name, address in (("runs", pages.mlflow), ("studies", pages.dashboard)):
        if address is not None:
            say(f"{name + ':':<9}{address}{entry}")
    if pages.elsewhere is not None:
        say(f"runs:    {pages.elsewhere} (a tracking server)")
    for sentence in pages.notes:
        note(sentence)
    if pages.token is not None:
        note("such a link lets anyone in, and what is sent can be read on the way")
    note("Ctrl-C ends it")
