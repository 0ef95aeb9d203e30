"""What only the services of a deployment know: made at random, in the form its reader wants."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Final

ROLES: Final = ("studies", "watcher", "mlflow")
"""Of PostgreSQL: who works on studies, who looks at them, and MLflow."""
DATABASES: Final = ("studies", "mlflow")
ACCOUNT: Final = "risexp"
"""MLflow's first account, which administers the others."""
_ROUNDS: Final = 4096
_BYTES: Final = 24


def secret_files() -> dict[str, str]:
    """Names and contents of the files, with passwords that nobody has had before."""
    passwords = {role: _password() for role in ROLES}
    account = _password()
    return {
        "admin_password": f"{_password()}\n",
        "roles.sql": _roles(passwords),
        "studies_pgpass": _pgpass("studies", "studies", passwords["studies"]),
        "watcher_pgpass": _pgpass("studies", "watcher", passwords["watcher"]),
        "mlflow_pgpass": _pgpass("mlflow", "mlflow", passwords["mlflow"]),
        "mlflow_auth": _accounts(account),
        "mlflow_key": f"{_password()}\n",
        "mlflow_credentials": _credentials(account),
        "ui_token": f"{_password()}\n",
        "netrc": "",
    }


def verifier(password: str, salt: bytes) -> str:
    """What PostgreSQL keeps of a password (RFC 5802): proves it, and does not tell it."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ROUNDS)
    client = hmac.digest(salted, b"Client Key", "sha256")
    stored = hashlib.sha256(client).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    coded = [base64.b64encode(each).decode() for each in (salt, stored, server)]
    return f"SCRAM-SHA-256${_ROUNDS}:{coded[0]}${coded[1]}:{coded[2]}"


def _password() -> str:
    # Of letters and digits alone: it stands in files of several syntaxes.
    return secrets.token_hex(_BYTES)


def _roles(passwords: Mapping[str, str]) -> str:
    """Statements, one a line, as a server that serves nobody else reads them."""
    lines = [
        f"CREATE ROLE {role} LOGIN PASSWORD '{verifier(password, secrets.token_bytes(16))}'"
        for role, password in passwords.items()
    ]
    for database in DATABASES:
        lines += [
            f"CREATE DATABASE {database} OWNER {database}",
            f"REVOKE ALL ON DATABASE {database} FROM PUBLIC",
        ]
    lines.append("GRANT CONNECT ON DATABASE studies TO watcher")
    return "".join(f"{line}\n" for line in lines)


def _pgpass(database: str, role: str, password: str) -> str:
    return f"*:*:{database}:{role}:{password}\n"


def _accounts(password: str) -> str:
    return (
        "[mlflow]\n"
        "default_permission = NO_PERMISSIONS\n"
        "database_uri = postgresql+psycopg://mlflow@postgres:5432/mlflow\n"
        f"admin_username = {ACCOUNT}\n"
        f"admin_password = {password}\n"
        "auth_cache_ttl_seconds = 60\n"
    )


def _credentials(password: str) -> str:
    return (
        f"[mlflow]\nmlflow_tracking_username = {ACCOUNT}\nmlflow_tracking_password = {password}\n"
    )
