"""A network behind an address: MLflow's scoring server, in this very environment."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NoReturn

from risexp.app.serving.resolve_model import ResolvedModel, bundle_named
from risexp.app.ui.host_names import expect_host, host_name
from risexp.app.ui.secret_files import token_at
from risexp.core.signals import SignalHandler
from risexp.registry.folder import EXAMPLE, save_model
from risexp.registry.scoring import address_of, listening, scoring_server
from risexp.web.guard import door_at

TOKEN: Final = "RISEXP_SERVE_TOKEN"  # noqa: S105 - the name of a variable
"""Names the token in the environment; off loopback one is made where there is none."""


@dataclass(frozen=True)
class Serving:
    """A network that can be asked."""

    named: ResolvedModel
    address: str
    """Of the server, without a path."""
    example: Path
    """A request that can be sent, as long as the server is there."""
    authorization: str
    """What everybody has to send in a header of this name; empty: nothing."""


def serve(
    model: str,
    host: str,
    port: int | None,
    names: tuple[str, ...],
    ready: Callable[[Serving], None],
) -> None:
    """Answer requests until Ctrl-C or SIGTERM.

    Whatever was named is written as a model of MLflow first: a registered one, too, is run by this
    installation's own code and never by code that lies beside it.

    Args:
        model: A run, a checkpoint or a model, as for `bundle_named`.
        host: Where to listen.
        port: None for the usual one, or any free one where that is taken; 0 for any free one.
        names: Host names that lead here, besides those of this machine.
        ready: Told once the server can be asked.

    Raises:
        RisexpError: There is no such model, the port is taken, or the token or a name is none.
    """
    expect_host(host)
    known = tuple(host_name(name, "--allow-host") for name in names)
    token, made = token_at(host, TOKEN)
    needed = f"Bearer {token if made else f'${TOKEN}'}" if token else ""
    named = bundle_named(model)
    with TemporaryDirectory(prefix="risexp-serve-") as place, listening(host, port) as heard:
        folder = Path(place) / "model"
        save_model(named.bundle, folder)
        server = scoring_server(folder, door_at(host, known, token, writable=True))
        ready(Serving(named, address_of(heard), folder / EXAMPLE, needed))
        with _until_signal():
            server.run(sockets=[heard])


@contextmanager
def _until_signal() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end a server without an error; only a main thread gets signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with suppress(KeyboardInterrupt), SignalHandler(_interrupt, [signal.SIGTERM]):
        yield


def _interrupt(_number: int) -> NoReturn:
    raise KeyboardInterrupt
