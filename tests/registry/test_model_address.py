"""Models by their address in a registry, and the errors for addresses that name none."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from risexp.app.serving.resolve_model import resolve_bundle
from risexp.errors import EnvironmentFailed, InvalidInput, ModelRefused
from risexp.registry.model_registry import DIGEST
from risexp.registry.sealed_model import BUNDLE_PATH, WEIGHTS, unseal, write_bundle
from risexp.tracking.stores import embedded, in_environment
from tests.support.models import bundle, model_in
from tests.support.trainers import same
from tests.support.uploads import place

NAME = "ris-localizer"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose registry has four versions: sound, damaged, of another project, exchanged."""
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
    """Log a model's folder into a run and register it, with MLflow's own client."""
    _, digest = unseal(model / BUNDLE_PATH)
    if number == 2:
        weights = model / BUNDLE_PATH / WEIGHTS
        weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    if number == 3:
        (model / BUNDLE_PATH / "model.json").unlink()
    if number == 4:
        write_bundle(replace(bundle(), beta=0.9), model / BUNDLE_PATH)
    run = client.create_run(experiment).info.run_id
    client.log_artifacts(run, str(model), "model")
    client.create_model_version(NAME, f"runs:/{run}/model", run, tags={DIGEST: digest})


@pytest.fixture(autouse=True)
def elsewhere(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test runs in a folder of its own, where MLflow would make its default store."""
    monkeypatch.setenv("RISEXP_HOME", str(home))
    monkeypatch.delenv("RISEXP_TRACKING_URI", raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    yield
    assert [] == list((tmp_path / "here").iterdir())


def refusals(texts: dict[str, str], error: type[Exception]) -> dict[str, str]:
    """The addresses whose error is another one than expected, with that error."""
    wrong: dict[str, str] = {}
    for text, expected in texts.items():
        with pytest.raises(error) as caught:
            resolve_bundle(text)
        if expected not in str(caught.value):
            wrong[text] = str(caught.value)
    return wrong


def test_a_model_is_downloaded_by_its_alias_and_by_its_version() -> None:
    for address in (f"models:/{NAME}@champion", f"models:/{NAME}/1"):
        read = resolve_bundle(address).bundle
        assert ("run-1", 3, 1.5) == (read.run_id, read.epoch, read.temperature)
        assert same(bundle().weights, read.weights)


def test_a_model_that_is_damaged_foreign_or_exchanged_is_refused() -> None:
    expected = {
        f"models:/{NAME}/2": "weights.safetensors does not have the checksum",
        f"models:/{NAME}/3": "is no model of risexp: it holds no bundle",
        f"models:/{NAME}/4": "this model is another one than was registered",
    }

    assert {} == refusals(expected, ModelRefused)


def test_an_address_that_names_no_version_is_refused() -> None:
    expected = {
        f"models:/{NAME}@challenger": f"no version of {NAME} is 'challenger'; there are: champion",
        f"models:/{NAME}/7": f"there is no version 7 of the model {NAME}",
        "models:/other@champion": "there is no model 'other' in the store embedded",
    }

    assert {} == refusals(expected, InvalidInput)


def test_another_form_of_address_is_refused() -> None:
    ends = ("", f"{NAME}", f"{NAME}/latest", f"{NAME}/0", f"{NAME}@champion/more", f"/at/{NAME}/1")
    addresses = ("models:", *(f"models:/{end}" for end in ends))
    expected = dict.fromkeys(addresses, "name models:/NAME@ALIAS or models:/NAME/3")

    assert {} == refusals(expected, InvalidInput)


def test_no_registry_is_found_where_there_is_no_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path / "home"))
    for uri, error, sentence in (
        ("embedded", InvalidInput, "the store embedded has no models"),
        ("off", InvalidInput, "tracking is off"),
        ("http://127.0.0.1:9", EnvironmentFailed, "registry of http.* failed: .* does not answer"),
    ):
        monkeypatch.setenv("RISEXP_TRACKING_URI", uri)
        with pytest.raises(error, match=sentence):
            resolve_bundle(f"models:/{NAME}/1")

    assert not (tmp_path / "home").exists()
