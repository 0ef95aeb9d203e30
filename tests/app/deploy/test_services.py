"""What compose.yaml promises of every service, read from the file itself."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from risexp.app.deploy import check
from risexp.app.deploy.wheel import shipped
from risexp.app.ui import ui
from risexp.cli.main import app
from risexp.config.yaml import read_yaml
from risexp.hpo.store import address

DOCKER = shipped("docker")
COMPOSE = read_yaml(DOCKER / "compose.yaml")
SERVICES: dict[str, Any] = COMPOSE["services"]
ONCE = {"init"}
"""Services that end by themselves."""
OURS = sorted(SERVICES.keys() - {"postgres"})
TIME = {"s": 1, "m": 60}

every = pytest.mark.parametrize("name", SERVICES)


def seconds(text: str) -> int:
    return int(text[:-1]) * TIME[text[-1]]


def words(service: dict[str, Any]) -> list[str]:
    return [*service.get("entrypoint", []), *service.get("command", [])]


def test_there_are_the_services_of_the_documentation() -> None:
    assert SERVICES.keys() == {"postgres", "mlflow", "init", "dashboard", "search", "worker"}


@every
def test_a_service_is_nobody_and_can_do_nothing(name: str) -> None:
    service = SERVICES[name]

    assert service["user"] == "${RISEXP_USER:?}"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges"]
    assert service.keys().isdisjoint(
        {"cap_add", "privileged", "network_mode", "pid", "ipc", "devices", "group_add", "env_file"}
    )


@every
def test_a_service_has_limits_and_an_end(name: str) -> None:
    service = SERVICES[name]

    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory", "pids"}
    assert seconds(service["stop_grace_period"]) >= 30
    assert service["restart"] in {"unless-stopped", "on-failure", "on-failure:3", "on-failure:5"}


@pytest.mark.parametrize("name", OURS)
def test_threads_of_one_service_are_few_on_a_machine_with_many_cores(name: str) -> None:
    environment = SERVICES[name]["environment"]

    assert ("1", "1") == (environment["OMP_NUM_THREADS"], environment["OPENBLAS_NUM_THREADS"])


def test_a_worker_comes_again_until_its_study_has_begun() -> None:
    assert SERVICES["worker"]["restart"] == "on-failure"


def test_each_deployment_is_a_project_of_its_own() -> None:
    assert "name" not in COMPOSE


@every
def test_a_service_that_stays_says_whether_it_is_well(name: str) -> None:
    check = SERVICES[name]["healthcheck"]

    if name in ONCE:
        assert check == {"disable": True}
    else:
        assert check["test"][0] == "CMD"
        assert seconds(check["timeout"]) <= seconds(check["interval"])
        assert check.keys() >= {"retries", "start_period"}


@every
def test_ports_are_for_this_machine_alone(name: str) -> None:
    ports = SERVICES[name].get("ports", [])

    assert [] == [port for port in ports if not port.startswith("127.0.0.1:")]
    assert bool(ports) == (name in {"mlflow", "dashboard"})


@every
def test_only_pages_reach_out_of_the_network_of_the_stores(name: str) -> None:
    assert COMPOSE["networks"]["stores"] == {"internal": True}
    assert SERVICES[name]["networks"] == (
        ["stores", "pages"] if name in {"mlflow", "dashboard"} else ["stores"]
    )


@every
def test_no_secret_is_in_a_command_an_environment_or_an_address(name: str) -> None:
    service = SERVICES[name]
    environment = service.get("environment", {})
    told = [*words(service), *environment.values(), *service["healthcheck"].get("test", [])]
    secret = re.compile(r"PASSW|TOKEN|SECRET|KEY|CREDENTIAL")

    named = {each for each in environment if secret.search(each)}

    assert {each for each in named if not environment[each].startswith("/run/secrets")} == set()
    assert [] == [each for each in told if re.search(r"://[^/@]*:[^/@]*@", each)]
    assert "PGPASSWORD" not in environment
    assert not any(each.startswith("MLFLOW_TRACKING_") for each in environment)


@every
def test_secrets_are_files_of_the_deployment(name: str) -> None:
    given = SERVICES[name].get("secrets", [])
    names = {each if isinstance(each, str) else each["source"] for each in given}

    assert names
    assert [] == [each for each in names if COMPOSE["secrets"][each]["file"] != f"./secrets/{each}"]


@every
def test_a_service_waits_for_what_it_needs(name: str) -> None:
    waited = {
        other: told["condition"] for other, told in SERVICES[name].get("depends_on", {}).items()
    }
    expected = {
        "postgres": {},
        "mlflow": {"postgres": "service_healthy"},
        "init": {"postgres": "service_healthy", "mlflow": "service_healthy"},
        "dashboard": {"init": "service_completed_successfully"},
        "search": {"init": "service_completed_successfully"},
        "worker": {"init": "service_completed_successfully"},
    }

    assert waited == expected[name]


@pytest.mark.parametrize("name", ["search", "worker"])
def test_workers_have_more_time_to_end_than_they_wait_for_mlflow(name: str) -> None:
    service = SERVICES[name]

    waits = int(service["environment"]["RISEXP_TRACKING_WAIT_S"])

    assert seconds(service["stop_grace_period"]) >= 2 * waits


def test_the_dashboard_looks_on_with_a_role_that_only_reads() -> None:
    environment = SERVICES["dashboard"]["environment"]

    assert environment["RISEXP_STORE"].startswith("postgresql://watcher@")
    assert environment["PGPASSFILE"] == "/run/secrets/watcher_pgpass"
    assert SERVICES["dashboard"].get("volumes", []) == []


@pytest.mark.parametrize("name", OURS)
def test_commands_are_those_of_this_version(name: str) -> None:
    service = SERVICES[name]
    lines = [words(service), service["healthcheck"].get("test", [])[1:]]

    for line in filter(None, lines):
        assert line[0] == "risexp"
        parse([re.sub(r"\$\{\w*PORT:\?\}", "8080", word) for word in line[1:]])


def test_a_check_looks_where_workers_do() -> None:
    assert (check.STORE, check.TOKEN) == (address.STORE, ui.TOKEN)


def test_a_command_of_another_version_would_be_seen() -> None:
    with pytest.raises(TyperException):
        parse(["worker", "--studdy=smoke"])


def parse(line: list[str]) -> None:
    """Read a command's words without obeying them."""
    command = typer.main.get_command(app)
    while isinstance(command, TyperGroup) and line:
        command, line = command.commands[line[0]], line[1:]
    with command.make_context("risexp", [*line]):
        pass


def test_cuda_is_for_those_who_train_and_changes_nothing_else() -> None:
    over = read_yaml(DOCKER / "compose.cuda.yaml")["services"]

    assert over.keys() == {"search", "worker"}
    assert {("deploy",)} == {tuple(each) for each in over.values()}
    assert {("resources",)} == {tuple(each["deploy"]) for each in over.values()}
    assert {("reservations",)} == {tuple(each["deploy"]["resources"]) for each in over.values()}


@pytest.mark.parametrize("path", sorted(DOCKER.iterdir()), ids=lambda path: str(path.name))
def test_nothing_names_the_host_of_a_registry_or_an_index(path: Path) -> None:
    text = path.read_text("utf-8")

    assert re.findall(r"https?://(?!127\.0\.0\.1|localhost|mlflow:)\S+", text) == []
    assert re.findall(r"\b[\w-]+\.(?:io|com|org|net|dev)\b", text) == []


def test_the_image_is_of_nobody_and_its_build_keeps_no_secret() -> None:
    text = (DOCKER / "Dockerfile").read_text("utf-8")
    arguments = dict(re.findall(r"^ARG (\w+)(=.*)?$", text, flags=re.MULTILINE))

    assert arguments.keys() == {"BASE", "INDEX", "TORCH_INDEX"}
    assert (arguments["INDEX"], arguments["TORCH_INDEX"]) == ("", "")
    assert re.findall(r"^USER (.*)$", text, flags=re.MULTILINE) == ["10001:10001"]
    assert set(re.findall(r"^FROM (\S+)", text, flags=re.MULTILINE)) == {"${BASE}"}
    assert "--mount=type=secret,id=netrc" in text
    assert "--constraint constraints.txt" in text
    ignored = (DOCKER / "dockerignore").read_text("utf-8").splitlines()
    assert ignored[1] == "*"
