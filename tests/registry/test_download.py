"""Models by their address in a registry, and what is said of addresses that lead nowhere."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

from risexp.app.serving.resolve_model import bundle_named
from risexp.errors import EnvironmentFailed, InvalidInput, ModelRefused
from risexp.registry.bundle import INSIDE, WEIGHTS, write_bundle
from risexp.registry.download import DIGEST
from risexp.registry.seal import unseal
from risexp.tracking.stores import embedded, in_environment
from tests.support.models import bundle, model_in
from tests.support.trainers import same
from tests.support.uploads import place

NAME = "ris-localizer"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose registry has a model: under an alias, damaged, of others, and exchanged."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RISEXP_HOME", str(home))
        store = place(embedded())
        with in_environment(store):
            client = MlflowClient(tracking_uri=store.uri, registry_uri=store.uri)
            experiment = client.create_experiment("models", (home / "artifacts").as_uri())
            client.create_registered_model(NAME)
            for number in (1, 2, 3, 4):
                register(client, experiment, model_in(home / f"made-{number}"), number)
            client.set_registered_model_alias(NAME, "champion", "1")
    return home


def register(client: MlflowClient, experiment: str, model: Path, number: int) -> None:
    """Log a model's folder into a run and register it, by client and ids alone."""
    _, digest = unseal(model / INSIDE)
    if number == 2:
        weights = model / INSIDE / WEIGHTS
        weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    if number == 3:
        (model / INSIDE / "model.json").unlink()
    if number == 4:
        write_bundle(replace(bundle(), beta=0.9), model / INSIDE)
    run = client.create_run(experiment).info.run_id
    client.log_artifacts(run, str(model), "model")
    client.create_model_version(NAME, f"runs:/{run}/model", run, tags={DIGEST: digest})


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test stands in a folder of its own, where MLflow would make its default store."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    yield
    assert [] == list((tmp_path / "here").iterdir())


@pytest.fixture
def at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RISEXP_HOME", str(home))
    monkeypatch.delenv("RISEXP_TRACKING_URI", raising=False)
    return home


@pytest.mark.usefixtures("at_home")
@pytest.mark.parametrize("address", [f"models:/{NAME}@champion", f"models:/{NAME}/1"])
def test_a_model_is_fetched_by_its_alias_and_by_its_version(address: str) -> None:
    found = bundle_named(address).bundle

    assert ("run-1", 3, 1.5) == (found.run_id, found.epoch, found.temperature)
    assert same(bundle().weights, found.weights)


@pytest.mark.usefixtures("at_home")
def test_a_model_that_was_changed_in_the_registry_is_refused() -> None:
    with pytest.raises(ModelRefused, match=r"weights\.safetensors does not have the checksum"):
        bundle_named(f"models:/{NAME}/2")


@pytest.mark.usefixtures("at_home")
def test_a_model_that_was_exchanged_for_another_sound_one_is_refused() -> None:
    with pytest.raises(ModelRefused, match="this model is another one than was registered"):
        bundle_named(f"models:/{NAME}/4")


@pytest.mark.parametrize(
    ("said", "kind"),
    [("Registered model alias champion not found.", InvalidInput), ("bad", EnvironmentFailed)],
)
@pytest.mark.usefixtures("at_home")
def test_not_every_value_that_a_store_refuses_is_an_address(
    monkeypatch: pytest.MonkeyPatch, said: str, kind: type[Exception]
) -> None:
    def refusing(*_: object) -> None:
        raise MlflowException(said, INVALID_PARAMETER_VALUE)

    monkeypatch.setattr(MlflowClient, "get_model_version_by_alias", refusing)

    with pytest.raises(kind):
        bundle_named(f"models:/{NAME}@champion")


@pytest.mark.usefixtures("at_home")
def test_a_model_of_others_is_refused() -> None:
    with pytest.raises(ModelRefused, match="is no model of risexp: it holds no bundle"):
        bundle_named(f"models:/{NAME}/3")


@pytest.mark.usefixtures("at_home")
@pytest.mark.parametrize(
    "address", [f"models:/{NAME}@challenger", f"models:/{NAME}/7", "models:/other@champion"]
)
def test_an_address_that_leads_nowhere_is_refused(address: str) -> None:
    with pytest.raises(InvalidInput, match=f"there is no {address} in the store embedded"):
        bundle_named(address)


@pytest.mark.parametrize(
    "address",
    [
        "models:",
        "models:/",
        f"models:/{NAME}",
        f"models:/{NAME}/latest",
        f"models:/{NAME}/0",
        f"models:/{NAME}@champion/more",
        f"models:/{NAME}/1/artifacts",
        f"models://elsewhere/{NAME}/1",
    ],
)
def test_what_is_no_address_is_refused_with_the_form_of_one(address: str) -> None:
    with pytest.raises(InvalidInput, match="name models:/NAME@ALIAS or models:/NAME/3"):
        bundle_named(address)


def test_a_home_without_a_registry_stays_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("RISEXP_TRACKING_URI", raising=False)

    with pytest.raises(InvalidInput, match=r"the store .*mlflow\.db does not exist"):
        bundle_named(f"models:/{NAME}/1")
    assert not (tmp_path / "home").exists()


def test_where_tracking_is_off_there_is_no_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISEXP_TRACKING_URI", "off")

    with pytest.raises(InvalidInput, match="needs a registry, and tracking is off"):
        bundle_named(f"models:/{NAME}/1")


def test_a_server_that_does_not_answer_is_no_fault_of_the_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RISEXP_TRACKING_URI", "http://127.0.0.1:9")

    with pytest.raises(EnvironmentFailed, match=r"cannot fetch models:/.* does not answer"):
        bundle_named(f"models:/{NAME}/1")
