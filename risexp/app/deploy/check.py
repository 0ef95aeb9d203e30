"""Whether a service is well, as its health check asks from within."""

import http.client
import os
import socket
from contextlib import closing
from typing import Final
from urllib.parse import urlsplit

from risexp.app.ui.secret_files import token_of
from risexp.errors import EnvironmentFailed, InvalidInput
from risexp.web.guard import is_loopback

TOKEN: Final = "RISEXP_UI_TOKEN"  # noqa: S105 - the name of a variable
STORE: Final = "RISEXP_STORE"
"""As the worker has it, whose module takes seconds to import: a check comes every minute."""
_PATIENCE_S: Final = 10.0


def check_page(address: str) -> None:
    """See that a page of this machine answers, with the token where one is needed.

    Raises:
        InvalidInput: The address is none of this machine.
        EnvironmentFailed: It does not answer as it should.
    """
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _no_page(address) from None
    if parts.scheme != "http" or not host or not is_loopback(host):
        raise _no_page(address)
    token = token_of(TOKEN)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    connection = http.client.HTTPConnection(host, port, timeout=_PATIENCE_S)
    with closing(connection):
        try:
            connection.request("GET", parts.path or "/", headers=headers)
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            raise EnvironmentFailed(f"{address} does not answer: {error}") from None
    if status != http.client.OK:
        raise EnvironmentFailed(f"{address} answers with {status}")


def check_study(name: str) -> None:
    """See that a study is there, takes writes, and that this host's workers renew their leases.

    Raises:
        InvalidInput: There is no such study.
        EnvironmentFailed: Its store does not answer, or a worker of this host hangs.
    """
    from risexp.hpo.store.leases import TTL_S, Leases
    from risexp.hpo.store.retry import Retry
    from risexp.hpo.store.store import find_store
    from risexp.hpo.studies.study import find_study

    with closing(
        find_store(os.environ.get(STORE) or None, retry=Retry("", limit_s=_PATIENCE_S))
    ) as store:
        found = Leases(store, find_study(store, name).uid).look()
    here = socket.gethostname()
    for each in found.living:
        # Others take a trial over after one such time; a new worker may have begun meanwhile.
        if each.host == here and found.now - each.expires_at > TTL_S:
            raise EnvironmentFailed(
                f"the worker with process {each.pid} has not renewed its lease on {each.run_id}"
            )


def _no_page(address: str) -> InvalidInput:
    return InvalidInput(f"--page {address}: give an address such as http://127.0.0.1:5000/health")
