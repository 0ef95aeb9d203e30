"""The pictures of a run's record, by the names under which its page shows them by epoch."""

import pytest
from mlflow import MlflowClient
from PIL import Image

from risexp.tracking.client import TrackingClient
from risexp.tracking.confusion_image import BY_SNR, KEY
from risexp.tracking.stores import TrackingStore
from tests.support.uploads import artifacts_of, finished, sent, stored

pytestmark = pytest.mark.usefixtures("own_home")


def test_confusions_are_there_by_epoch_and_as_pictures(
    store: TrackingStore, runs: TrackingClient
) -> None:
    folder = finished("confused")

    sent(folder, store, runs)
    (folder.path / "mlflow.json").unlink()
    sent(folder, store, runs)

    names = artifacts_of(folder, store)
    tables = {name for name in names if name.startswith("confusion/")}
    assert {f"confusion/epoch-00000{epoch}.json" for epoch in (1, 2, 3)} == tables
    pictures = sorted(name.split("+timestamp+")[0] for name in names if name.endswith(".png"))
    whole = [f"images/val~k_confusion+step+{epoch}" for epoch in (1, 2, 3)]
    assert [*whole, "images/val~k_confusion_by_snr+step+2"] == pictures
    assert 4 == sum(name.endswith("+compressed.webp") for name in names)
    assert "True" == stored(folder, store).data.tags["mlflow.loggedImages"]


def test_pictures_have_the_names_that_mlflow_gives_them(
    store: TrackingStore, runs: TrackingClient
) -> None:
    folder = finished("pictured")
    run_id = sent(folder, store, runs).run_id
    ours = {name for name in artifacts_of(folder, store) if name.startswith("images/")}
    for key in (KEY, BY_SNR):
        MlflowClient(store.uri).log_image(run_id, Image.new("RGB", (4, 4)), key=key)

    theirs = {name for name in artifacts_of(folder, store) if name.startswith("images/")} - ours

    assert {_shape(name) for name in theirs} == {_shape(name) for name in ours}


def _shape(name: str) -> tuple[str, ...]:
    """A picture's name without what differs from one to the next."""
    key, step, _, stamp, _, _, *rest = name.split("+")
    return (key, step, stamp, "".join(rest).rpartition(".")[2], str(len(rest)))
