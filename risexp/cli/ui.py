"""`risexp ui`: runs and studies in a browser."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from risexp.cli.options import AsJson, TrackingTo
from risexp.cli.output import emit, note, say

if TYPE_CHECKING:
    from risexp.app.ui.ui import ServedPages

Only = Annotated[
    Literal["mlflow", "dashboard"] | None, typer.Option("--only", help="One of the two.")
]
Host = Annotated[
    str,
    typer.Option(metavar="HOST", help="Where to listen; off loopback everybody needs a token."),
]
Port = Annotated[
    int | None,
    typer.Option(
        "--port", min=1, max=65535, metavar="N", help="Of MLflow; 5000, or a free one if taken."
    ),
]
DashboardPort = Annotated[
    int | None,
    typer.Option(
        min=1, max=65535, metavar="N", help="Of the dashboard; 8080, or a free one if taken."
    ),
]
Names = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-host",
        metavar="NAME",
        envvar="RISEXP_UI_HOSTS",
        show_envvar=False,
        help="A name that leads here besides this machine's own; may be given again.",
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
    allow_host: Names = None,
    writable: Writable = False,
    tracking: TrackingTo = None,
    json: AsJson = False,
) -> None:
    """Show runs in MLflow and studies in optuna-dashboard, linked to each other, until Ctrl-C.

    RISEXP_STORE names the studies' database where it is not this home's own. Off loopback a token
    is needed: that of RISEXP_UI_TOKEN, or one that is made and printed.
    """
    from risexp.app.ui.ui import UiRequest, serve

    names = tuple(allow_host or ())
    wanted = UiRequest(only, host, port, dashboard_port, names, writable, tracking)
    serve(wanted, lambda shown: emit(shown.as_json()) if json else _say(shown))


def _say(shown: "ServedPages") -> None:
    for what, address in (("runs", shown.mlflow), ("studies", shown.dashboard)):
        if address is not None:
            say(f"{what + ':':<9}{_entry(address, shown)}")
    if shown.elsewhere is not None:
        say(f"runs:    {shown.elsewhere} (a tracking server)")
    for sentence in shown.notes:
        note(sentence)
    if shown.token is not None:
        note("whoever has such a link can come in, and what is sent can be read on the way")
    note("Ctrl-C ends it")


def _entry(address: str, shown: "ServedPages") -> str:
    return address if shown.token is None else f"{address}/?token={shown.token}"
