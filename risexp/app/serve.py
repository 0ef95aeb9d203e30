"""A network behind an address: MLflow's scoring server, in this very environment."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from risexp.app.trained import Named, bundle_named
from risexp.registry.folder import EXAMPLE, save_model
from risexp.registry.scoring import address_of, listening, scoring_server


@dataclass(frozen=True)
class Serving:
    """A network that can be asked."""

    named: Named
    address: str
    """Of the server, without a path."""
    example: Path
    """A request that can be sent, as long as the server is there."""


def serve(model: str, host: str, port: int | None, ready: Callable[[Serving], None]) -> None:
    """Answer requests until Ctrl-C or SIGTERM.

    Whatever was named is written as a model of MLflow first: a registered one, too, is run by this
    installation's own code and never by code that lies beside it.

    Args:
        model: A run, a checkpoint or a model, as for `bundle_named`.
        host: Where to listen.
        port: None for the usual one, or any free one where that is taken; 0 for any free one.
        ready: Told once the server can be asked.

    Raises:
        RisexpError: There is no such model, or the port is taken.
    """
    named = bundle_named(model)
    with TemporaryDirectory(prefix="risexp-serve-") as place, listening(host, port) as heard:
        folder = Path(place) / "model"
        save_model(named.bundle, folder)
        server = scoring_server(folder, host)
        ready(Serving(named, address_of(heard), folder / EXAMPLE))
        with _until_told():
            server.run(sockets=[heard])


@contextmanager
def _until_told() -> Iterator[None]:
    """Ctrl-C and SIGTERM are how a server ends, and no error."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with suppress(KeyboardInterrupt):
            yield
    finally:
        signal.signal(signal.SIGTERM, before)
