"""A TCP proxy before the tracking server, which can pass, hang, reset or answer 500."""

import select
import socket
import threading
import time
from contextlib import suppress
from typing import Final, Literal

Mood = Literal["pass", "hang", "reset", "500"]

_ANSWER: Final = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\n"
    b'Content-Length: 25\r\nConnection: close\r\n\r\n{"error_code":"INTERNAL"}'
)
_SLICE_S: Final = 0.2


class Proxy:
    """Forwards connections to a port of this machine; `mood` says what it does with requests."""

    def __init__(self, upstream: int) -> None:
        self.mood: Mood = "pass"
        self._upstream = upstream
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    @property
    def url(self) -> str:
        """Address of the tracking server for its clients."""
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Accept no more connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            server = socket.create_connection(("127.0.0.1", self._upstream), 5.0)
            with server:
                while self._pass_on(client, server):
                    pass

    def _pass_on(self, client: socket.socket, server: socket.socket) -> bool:
        """Forward what has come; false once the connection is over."""
        ready, _, _ = select.select([client, server], [], [], _SLICE_S)
        for source, target in ((client, server), (server, client)):
            if source not in ready:
                continue
            content = source.recv(1 << 16)
            if not content or self.mood == "reset":
                return False
            if self.mood == "500" and source is client:
                client.sendall(_ANSWER)
                return False
            while self.mood == "hang":
                time.sleep(_SLICE_S)
            target.sendall(content)
        return True
