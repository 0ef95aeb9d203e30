"""The pictures of a run's record, by the names under which its page shows them by epoch."""

import pytest
from mlflow import MlflowClient
from PIL import Image

from risexp.tracking.client import TrackingClient
from risexp.tracking.confusion_image import (
    BY_SNR,
    KEY,
    draw_confusion,
    image_files,
    is_drawn,
    side_by_side,
)
from risexp.tracking.stores import TrackingStore
from tests.support.uploads import artifacts_of, finished, sent, stored

pytestmark = pytest.mark.usefixtures("own_home")


def test_confusions_are_uploaded_as_tables_and_as_images_that_mlflow_finds(
    store: TrackingStore, runs: TrackingClient
) -> None:
    folder = finished("confused")

    sent(folder, store, runs)
    (folder.path / "mlflow.json").unlink()
    run_id = sent(folder, store, runs).run_id

    names = artifacts_of(folder, store)
    tables = {name for name in names if name.startswith("confusion/")}
    assert {f"confusion/epoch-00000{epoch}.json" for epoch in (1, 2, 3)} == tables
    pictures = sorted(name.split("+timestamp+")[0] for name in names if name.endswith(".png"))
    whole = [f"images/val~k_confusion+step+{epoch}" for epoch in (1, 2, 3)]
    assert [*whole, "images/val~k_confusion_by_snr+step+2"] == pictures
    assert 4 == sum(name.endswith("+compressed.webp") for name in names)
    assert "True" == stored(folder, store).data.tags["mlflow.loggedImages"]
    picture = draw_confusion([[1]], [0], "")
    assert not image_files(picture, "run@1", 2).keys() & image_files(picture, "run@2", 2).keys()

    # MLflow's own images have names of the same form.
    for key in (KEY, BY_SNR):
        MlflowClient(store.uri).log_image(run_id, Image.new("RGB", (4, 4)), key=key)
    theirs = artifacts_of(folder, store) - names
    ours = {name for name in names if name.startswith("images/")}
    assert {_shape(name) for name in theirs} == {_shape(name) for name in ours}


def _shape(name: str) -> tuple[str, ...]:
    """A picture's name without what differs from one to the next."""
    key, step, _, stamp, _, _, *rest = name.split("+")
    return (key, step, stamp, "".join(rest).rpartition(".")[2], str(len(rest)))


def test_an_image_has_a_column_for_none_only_if_it_is_needed() -> None:
    matrix = [[5, 1], [2, 9]]

    plain, wider = (draw_confusion(matrix, none, "") for none in ([0, 0], [1, 0]))

    assert plain.height == wider.height
    assert wider.width - plain.width == plain.width - draw_confusion([[5]], [0], "").width


def test_a_darker_cell_is_a_larger_share_and_images_of_bins_stand_side_by_side() -> None:
    small, large = draw_confusion([[1]], [0], ""), draw_confusion([[9, 1], [0, 2]], [0, 0], "")

    both, grey = side_by_side([small, large]), large.convert("L")

    first, second = (int(str(grey.getpixel((68 + 72 * column, 68)))) for column in (0, 1))
    assert first < second < 255
    assert (small.width + large.width, large.height) == both.size
    assert large.tobytes() == both.crop((small.width, 0, *both.size)).tobytes()


def test_the_first_epoch_and_about_ten_more_have_an_image() -> None:
    for epochs, count in ((1, 1), (3, 3), (10, 10), (24, 9), (1000, 11)):
        drawn = [epoch for epoch in range(1, epochs + 1) if is_drawn(epoch, epochs)]

        assert (1, count) == (drawn[0], len(drawn))
