"""`risexp deploy`: a folder for `docker compose`, and the commands of its services."""

from pathlib import Path
from typing import Annotated

import typer

from risexp.cli.options import AsJson, HostNames
from risexp.cli.output import emit, note, say
from risexp.errors import InvalidInput

app = typer.Typer(
    no_args_is_help=True, help="Run stores, pages and workers as services with docker compose."
)
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")]
Hosts = Annotated[
    str,
    typer.Option(
        metavar="NAME,...", help="Host names of the pages, besides this machine's own names."
    ),
]
Page = Annotated[
    str | None, typer.Option(metavar="URL", help="A page of this machine that must answer.")
]
Study = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="A study whose workers on this host must renew their leases."
    ),
]
Port = Annotated[int, typer.Option(min=1, max=65535, metavar="N", help="Port to listen at.")]
DashboardPort = Annotated[
    int | None,
    typer.Option(min=1, max=65535, metavar="N", help="Port of the dashboard in browsers."),
]


@app.command("init")
def init(folder: Folder, hosts: Hosts = "", json: AsJson = False) -> None:
    """Write a folder for `docker compose`: services, image, settings, and secrets made at random.

    Nothing is overwritten. The next commands are printed; docs/deploying.md explains them.
    """
    from risexp.app.deploy.folder import write_deployment

    made = write_deployment(folder, [name for name in hosts.split(",") if name])
    if json:
        emit(made.as_json())
        return
    say(f"{made.folder} is ready; its services run as user and group {made.user}")
    say("next:")
    for command in made.next():
        say(f"  {command}")
    note("its secrets are in secrets/, which only their owner can read: keep them with the data")


@app.command("check")
def check(page: Page = None, study: Study = None) -> None:
    """Exit with 0 if a service is healthy; the health checks of compose run it."""
    from risexp.app.deploy.services import check_page, check_study

    if (page is None) == (study is None):
        raise InvalidInput("name one of --page and --study")
    if page is not None:
        check_page(page)
    if study is not None:
        check_study(study)


@app.command("mlflow")
def mlflow(
    backend: Annotated[
        str, typer.Option(metavar="URL", help="A PostgreSQL database; PGPASSFILE opens it.")
    ],
    artifacts: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the runs' files.")],
    key_file: Annotated[
        Path, typer.Option(metavar="FILE", help="File with the key that signs forms.")
    ],
    host: Annotated[str, typer.Option(metavar="HOST", help="Address to listen at.")] = "127.0.0.1",
    port: Port = 5000,
    dashboard_port: DashboardPort = None,
    allow_host: HostNames = None,
) -> None:
    """Serve MLflow with passwords, as a service of compose; it runs no jobs.

    MLFLOW_AUTH_CONFIG_PATH is the file of its first account, RISEXP_UI_HOSTS holds more host names.
    """
    from risexp.app.deploy.services import MlflowOptions, serve_mlflow

    names = tuple(allow_host or ())
    serve_mlflow(MlflowOptions(backend, artifacts, key_file, host, port, dashboard_port, names))
