"""What compose.yaml promises of every service, and what PostgreSQL's script does."""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest
import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from risexp.app.deploy.folder import ROLES, secret_files
from risexp.app.deploy.wheel import shipped
from risexp.cli.main import app
from risexp.config.yaml import read_yaml
from tests.support.postgres import Server, postgres

DOCKER = shipped("docker")
COMPOSE = read_yaml(DOCKER / "compose.yaml")
SERVICES: dict[str, Any] = COMPOSE["services"]
ONCE = {"init"}
"""Services that end by themselves."""
OURS = sorted(SERVICES.keys() - {"postgres"})
PAGES = {"mlflow", "dashboard"}
TIME = {"s": 1, "m": 60}

Service = dict[str, Any]


def seconds(text: str) -> int:
    return int(text[:-1]) * TIME[text[-1]]


def words(service: Service) -> list[str]:
    return [*service.get("entrypoint", []), *service.get("command", [])]


def failing(holds: Callable[[str, Service], bool]) -> list[str]:
    return [name for name, service in SERVICES.items() if not holds(name, service)]


def test_a_service_has_no_rights_few_threads_and_limits() -> None:
    rights = {"cap_add", "privileged", "network_mode", "pid", "ipc", "devices", "group_add"}
    limits = {"cpus", "memory", "pids"}
    policies = {"unless-stopped", "on-failure", "on-failure:3", "on-failure:5"}
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    rules: dict[str, Callable[[str, Service], bool]] = {
        "user": lambda _, service: service["user"] == "${RISEXP_USER:?}",
        "read only": lambda _, service: service["read_only"] is True,
        "capabilities": lambda _, service: service["cap_drop"] == ["ALL"],
        "privileges": lambda _, service: service["security_opt"] == ["no-new-privileges"],
        "rights": lambda _, service: service.keys().isdisjoint({*rights, "env_file"}),
        "limits": lambda _, service: service["deploy"]["resources"]["limits"].keys() == limits,
        "grace": lambda _, service: seconds(service["stop_grace_period"]) >= 30,
        "restart": lambda _, service: service["restart"] in policies,
        "health": is_watched,
        "threads": lambda name, service: (
            name not in OURS or threads.items() <= service["environment"].items()
        ),
        "networks": lambda name, service: (
            service["networks"] == (["stores", "pages"] if name in PAGES else ["stores"])
        ),
        "ports": lambda name, service: (
            bool(service.get("ports")) == (name in PAGES)
            and all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
        ),
    }

    assert {} == {rule: names for rule, holds in rules.items() if (names := failing(holds))}
    assert {"internal": True} == COMPOSE["networks"]["stores"]
    assert "on-failure" == SERVICES["worker"]["restart"]  # until its study exists


def is_watched(name: str, service: Service) -> bool:
    """True for a sound health check, or for none if the service ends by itself."""
    check = service["healthcheck"]
    if name in ONCE:
        return bool(check == {"disable": True})
    in_time = seconds(check["timeout"]) <= seconds(check["interval"])
    return check["test"][0] == "CMD" and in_time and {"retries", "start_period"} <= check.keys()


def test_no_secret_is_in_a_command_an_environment_or_an_address() -> None:
    secret = re.compile(r"PASSW|TOKEN|SECRET|KEY|CREDENTIAL")

    def holds(_: str, service: Service) -> bool:
        environment = service.get("environment", {})
        texts = [*words(service), *environment.values(), *service["healthcheck"].get("test", [])]
        return (
            all(
                environment[name].startswith("/run/secrets")
                for name in environment
                if secret.search(name)
            )
            and not any(re.search(r"://[^/@]*:[^/@]*@", text) for text in texts)
            and "PGPASSWORD" not in environment
            and not any(name.startswith("MLFLOW_TRACKING_") for name in environment)
        )

    assert [] == failing(holds)


def test_secrets_are_files_of_the_deployment() -> None:
    def holds(_: str, service: Service) -> bool:
        listed = service.get("secrets", [])
        names = {entry if isinstance(entry, str) else entry["source"] for entry in listed}
        files = {name: COMPOSE["secrets"][name]["file"] for name in names}
        return bool(names) and files == {name: f"./secrets/{name}" for name in names}

    assert [] == failing(holds)
    assert secret_files().keys() == COMPOSE["secrets"].keys()


def test_a_service_waits_for_the_services_it_needs_and_the_dashboard_only_reads() -> None:
    healthy, completed = "service_healthy", "service_completed_successfully"
    assert "name" not in COMPOSE  # each deployment is a project of its own
    assert {
        "postgres": {},
        "mlflow": {"postgres": healthy},
        "init": {"postgres": healthy, "mlflow": healthy},
        "dashboard": {"init": completed},
        "search": {"init": completed},
        "worker": {"init": completed},
    } == {
        name: {
            other: needed["condition"] for other, needed in service.get("depends_on", {}).items()
        }
        for name, service in SERVICES.items()
    }
    # Workers have more time to end than they wait for MLflow.
    for name in ("search", "worker"):
        waits = int(SERVICES[name]["environment"]["RISEXP_TRACKING_WAIT_S"])
        assert seconds(SERVICES[name]["stop_grace_period"]) >= 2 * waits
    environment = SERVICES["dashboard"]["environment"]
    assert environment["RISEXP_STORE"].startswith("postgresql://watcher@")
    assert "/run/secrets/watcher_pgpass" == environment["PGPASSFILE"]
    assert [] == SERVICES["dashboard"].get("volumes", [])


def parse(line: list[str]) -> None:
    """Read a command's words without running it."""
    command = typer.main.get_command(app)
    while isinstance(command, TyperGroup) and line:
        command, line = command.commands[line[0]], line[1:]
    with command.make_context("risexp", [*line]):
        pass


def test_commands_are_those_of_this_version() -> None:
    for name in OURS:
        service = SERVICES[name]
        for line in filter(None, [words(service), service["healthcheck"].get("test", [])[1:]]):
            assert "risexp" == line[0]
            parse([re.sub(r"\$\{\w*PORT:\?\}", "8080", word) for word in line[1:]])

    with pytest.raises(TyperException):
        parse(["worker", "--studdy=smoke"])


def test_cuda_changes_only_the_devices_of_services_that_train() -> None:
    over = read_yaml(DOCKER / "compose.cuda.yaml")["services"]

    assert {"search", "worker"} == over.keys()
    for service in over.values():
        assert ["deploy"] == [*service]
        assert ["reservations"] == [*service["deploy"].pop("resources")]
        assert {} == service["deploy"]


def test_no_file_names_the_host_of_a_registry_or_an_index() -> None:
    named = {
        path.name: found
        for path in DOCKER.iterdir()
        for pattern in (
            r"https?://(?!127\.0\.0\.1|localhost|mlflow:)\S+",
            r"\b[\w-]+\.(?:io|com|org|net|dev)\b",
        )
        if (found := re.findall(pattern, path.read_text("utf-8")))
    }

    assert {} == named


def test_the_image_runs_without_root_and_its_build_keeps_no_secret() -> None:
    text = (DOCKER / "Dockerfile").read_text("utf-8")
    arguments = dict(re.findall(r"^ARG (\w+)(=.*)?$", text, flags=re.MULTILINE))

    assert {"BASE", "INDEX", "TORCH_INDEX"} == arguments.keys()
    assert ("", "") == (arguments["INDEX"], arguments["TORCH_INDEX"])
    assert ["10001:10001"] == re.findall(r"^USER (.*)$", text, flags=re.MULTILINE)
    assert {"${BASE}"} == set(re.findall(r"^FROM (\S+)", text, flags=re.MULTILINE))
    assert "--mount=type=secret,id=netrc" in text
    assert "--constraint constraints.txt" in text
    assert "*" == (DOCKER / "dockerignore").read_text("utf-8").splitlines()[1]


def start_script(server: Server, secrets: dict[str, str], port: int) -> subprocess.Popen[str]:
    """Run PostgreSQL's script of a deployment, as the service does."""
    folder = server.folder / "secrets"
    folder.mkdir(exist_ok=True)
    for name, text in secrets.items():
        (folder / name).write_text(text)
    environment = {
        "PATH": f"{server.programs}:{os.environ['PATH']}",
        "PGDATA": str(server.folder / "cluster"),
        "PGPORT": str(port),
        "LISTEN": "127.0.0.1",
        "SECRETS": str(folder),
    }
    return subprocess.Popen(  # noqa: S603 - our own script
        ["/bin/sh", "-c", (DOCKER / "postgres.sh").read_text("utf-8")],
        user=server.user,
        cwd=server.folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.slow
def test_postgresql_hashes_the_passwords_and_logs_none() -> None:
    psycopg = pytest.importorskip("psycopg")
    secrets = secret_files()
    password = secrets["studies_pgpass"].strip().rpartition(":")[2]
    admin = secrets["admin_password"].strip()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]

    def connect(user: str, database: str, known: str) -> Any:  # noqa: ANN401 - psycopg may be absent
        options = {"host": "127.0.0.1", "port": port, "user": user, "dbname": database}
        return psycopg.connect(**options, password=known)

    with postgres() as server:
        twice = {**secrets, "roles.sql": secrets["roles.sql"] * 2}
        failed = start_script(server, twice, port)
        told = failed.communicate(timeout=300)[0]
        assert (True, False) == ("already exists" in told, password in told)
        assert failed.returncode != 0

        process = start_script(server, secrets, port)
        while process.poll() is None:
            try:
                connect("studies", "studies", password).close()
                break
            except psycopg.OperationalError:
                time.sleep(0.2)
        with connect("admin", "postgres", admin) as connection:
            rows = connection.execute(
                "SELECT rolpassword FROM pg_authid WHERE rolname = ANY (%s)", [[*ROLES]]
            ).fetchall()
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=300)[0]

    assert 3 == len(rows)
    assert all(hashed.startswith("SCRAM-SHA-256$") for (hashed,) in rows)
    assert password not in told
