"""Serves a network at an address of this machine with MLflow's scoring server."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from risexp.app.serving.resolve_model import ResolvedModel, resolve_bundle
from risexp.app.ui.access import expect_host, host_name, token_at
from risexp.core.signals import SignalHandler
from risexp.registry.mlflow_model import EXAMPLE, save_model
from risexp.registry.scoring_server import open_socket, scoring_server, socket_address
from risexp.web.guard import guard_at

TOKEN: Final = "RISEXP_SERVE_TOKEN"  # noqa: S105 - the name of a variable
"""Variable with the token; off loopback a token is made if it is empty."""


@dataclass(frozen=True)
class Serving:
    """A network that answers requests."""

    model: ResolvedModel
    address: str
    """The server's address, without a path."""
    example: Path
    """A request; the file exists as long as the server runs."""
    authorization: str
    """The `Authorization` header that a request needs; empty if it needs none."""


def serve(
    model: str,
    host: str,
    port: int | None,
    names: tuple[str, ...],
    ready: Callable[[Serving], None],
) -> None:
    """Answer requests until Ctrl-C or SIGTERM.

    The bundle is written as an MLflow model first, also that of a registered model: the server
    runs this installation's code, never the code that lies beside a bundle.

    Without a port it is 5001, or any free one if that is taken; 0 is any free one.
    """
    expect_host(host)
    hosts = tuple(host_name(name, "--allow-host") for name in names)
    token, made = token_at(host, TOKEN)
    header = f"Bearer {token if made else f'${TOKEN}'}" if token else ""
    resolved = resolve_bundle(model)
    with (
        ExitStack() as signals,
        TemporaryDirectory(prefix="risexp-serve-") as place,
        open_socket(host, port) as listener,
    ):
        folder = Path(place) / "model"
        save_model(resolved.bundle, folder)
        server = scoring_server(folder, guard_at(host, hosts, token, writable=True))
        ready(Serving(resolved, socket_address(listener), folder / EXAMPLE, header))
        # Left last: a second signal may not end the removal of the folder.
        signals.enter_context(SignalHandler(lambda _: server.end()))
        server.run(sockets=[listener])
