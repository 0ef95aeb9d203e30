"""Makes the secrets of a deployment at random, in the form that their reader needs."""

import secrets
from collections.abc import Mapping
from typing import Final

ROLES: Final = ("studies", "watcher", "mlflow")
"""Roles of PostgreSQL: workers and searches, the dashboard, and MLflow."""
DATABASES: Final = ("studies", "mlflow")
ACCOUNT: Final = "risexp"
"""MLflow's first account, which administers the others."""


def secret_files() -> dict[str, str]:
    """Names and contents of the files, with new passwords."""
    passwords = {role: _password() for role in ROLES}
    account = _password()
    return {
        "admin_password": f"{_password()}\n",
        "roles.sql": _roles(passwords),
        "studies_pgpass": f"*:*:studies:studies:{passwords['studies']}\n",
        "watcher_pgpass": f"*:*:studies:watcher:{passwords['watcher']}\n",
        "mlflow_pgpass": f"*:*:mlflow:mlflow:{passwords['mlflow']}\n",
        "mlflow_auth": (
            "[mlflow]\n"
            "default_permission = NO_PERMISSIONS\n"
            "database_uri = postgresql+psycopg://mlflow@postgres:5432/mlflow\n"
            f"admin_username = {ACCOUNT}\n"
            f"admin_password = {account}\n"
            "auth_cache_ttl_seconds = 60\n"
        ),
        "mlflow_key": f"{_password()}\n",
        "mlflow_credentials": (
            f"[mlflow]\nmlflow_tracking_username = {ACCOUNT}\n"
            f"mlflow_tracking_password = {account}\n"
        ),
        "ui_token": f"{_password()}\n",
        "netrc": "",
    }


def _password() -> str:
    # Letters and digits alone: it stands in files of several syntaxes.
    return secrets.token_hex(24)


def _roles(passwords: Mapping[str, str]) -> str:
    """Statements, one a line, that PostgreSQL reads before it listens; it hashes the passwords."""
    lines = [f"CREATE ROLE {role} LOGIN PASSWORD '{text}'" for role, text in passwords.items()]
    for database in DATABASES:
        lines += [
            f"CREATE DATABASE {database} OWNER {database}",
            f"REVOKE ALL ON DATABASE {database} FROM PUBLIC",
        ]
    lines.append("GRANT CONNECT ON DATABASE studies TO watcher")
    return "".join(f"{line}\n" for line in lines)
