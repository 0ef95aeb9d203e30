"""Requests that no client should send: strategies of whole ones and of mere bytes."""

import json
import socket

from hypothesis import strategies as st

WRITES = (
    *(("POST", "/invocations"), ("POST", "/api/studies"), ("POST", "/api/studies/77/rename")),
    *(("PUT", "/api/studies/1/note"), ("POST", "/api/trials/2/tell")),
    *(("POST", "/api/trials/2/user-attrs"), ("POST", "/api/studies/1/preference")),
)
"""Requests whose bodies are read."""
PATHS = (
    *("/ping", "/version", "/", "*", "//evil/", "/%00", "/%0a", "/%ff", "/../", "http://evil/ping"),
    *("/invocations", "/invocations?token=%ff&token=2", "/api/studies", "/api/studies/1?after=x"),
    *(
        "/api/studies/99999999999999999999999",
        "/csv/77",
        "/csv/1?trial_ids=x",
        "/mlflow/%0d%0aX: y",
    ),
    *("/static/bundle.js", "/favicon.ico", "/api/studies/1/param_importances?evaluator=x"),
)
NAMES = (
    *("Accept-Encoding", "Authorization", "Connection", "Content-Length", "Content-Type", "Cookie"),
    *("Expect", "Host", "If-Modified-Since", "Origin", "Range", "Transfer-Encoding", "Upgrade"),
    *("X-Forwarded-Host", "X-Forwarded-Proto", "X-HTTP-Method-Override"),
)
VALUES = (
    *("", "0", "-1", "1e3", "9" * 30, "chunked", "identity", "gzip", "100-continue", "websocket"),
    *("Bearer \xff", "risexp_ui=x; =;", "bytes=9-1", "null", "http://evil", "[::1", "evil.example"),
    *("application/json; charset=utf-16", "multipart/form-data; boundary=x", "127.0.0.1:999999"),
)
FIELDS = (
    *("inputs", "y", "channel", "codes", "params", "snr_db", "dataframe_split", "instances"),
    *("study_name", "directions", "version", "body", "state", "values", "user_attrs"),
)
PIECES = (
    *(b"GET ", b"POST ", b"/ping", b" HTTP/1.1", b"\r\n", b"\r\n\r\n", b"Host: 127.0.0.1\r\n"),
    *(b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"\x00", b"\xff", b"A" * 70_000),
    *(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00", b"0\r\n\r\n", b" HTTP/1.0"),
)
_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
_documents = st.recursive(
    _scalars | st.just(10**400),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(FIELDS), inner, min_size=1, max_size=4)
    ),
    max_leaves=10,
)
_objects = st.dictionaries(st.sampled_from(FIELDS), _documents, min_size=1, max_size=4)
_contents = st.one_of(
    st.binary(max_size=50),
    st.sampled_from([b"", b"[" * 5000, b'{"a": "\\ud800"}', b'{"inputs": {"y": ["nan+infj"]}}']),
    (_documents | _objects).map(lambda document: json.dumps(document).encode()),
)


@st.composite
def whole_requests(draw: st.DrawFn) -> bytes:
    """A complete request with odd parts, after which the client wants no other one."""
    methods = st.sampled_from(["GET", "HEAD", "POST", "DELETE", "OPTIONS", "CONNECT"])
    method, path = draw(st.sampled_from(WRITES) | st.tuples(methods, st.sampled_from(PATHS)))
    content = draw(_contents)
    odd = st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES))
    headers = {
        "Host": "127.0.0.1",
        "Content-Type": "application/json",
        "Content-Length": str(len(content)),
        **dict(draw(st.lists(odd, max_size=2))),
        "Connection": "close",
    }
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + content


def raw_bytes() -> st.SearchStrategy[bytes]:
    """Bytes that may be a request, a part of one, or nothing of the kind."""
    return st.binary(max_size=100) | st.lists(st.sampled_from(PIECES), max_size=8).map(b"".join)


def answer(port: int, sent: bytes) -> bytes:
    """All that a server says until it closes the connection."""
    said = b""
    with socket.create_connection(("127.0.0.1", port), timeout=60.0) as client:
        try:
            client.sendall(sent)
            while part := client.recv(1 << 16):
                said += part
        except (ConnectionResetError, BrokenPipeError):
            pass  # the server may close before it has read everything
    return said
