from pathlib import Path

import pytest

from risexp.errors import DataInvalid, InvalidInput
from risexp.runs.labels import Labels, Parent, read_labels, write_labels
from risexp.runs.source import Source
from risexp.tracking.artifacts import told_files
from risexp.tracking.attempt import Failure, attempt
from risexp.tracking.confusion_image import draw_bins, draw_confusion, is_drawn, picture_files
from risexp.tracking.payload import attempt_tags, datasets_of, described_tags, params_of
from risexp.tracking.upload_state import UploadProgress, UploadState
from tests.support.trainers import small_config
from tests.support.uploads import new_run

pytestmark = pytest.mark.usefixtures("own_home")


def test_params_are_what_differs_from_the_preset() -> None:
    config = small_config(data__seed=7)

    params = params_of(config, Labels(preset="smoke"))

    assert {"data.seed", "training.batch", "training.scenes_per_epoch"} < params.keys()
    assert ("7", "16") == (params["data.seed"], params["training.batch"])
    assert "physics.elements_h" not in params


def test_params_are_what_differs_from_the_defaults_without_a_preset() -> None:
    assert "6" == params_of(small_config(), Labels())["physics.elements_h"]


def test_params_of_a_trial_are_what_was_searched() -> None:
    labels = Labels(study="wide", trial=3, searched={"loss.count": 0.25, "count.kind": "slots"})

    params = params_of(small_config(), labels)

    assert {"loss.count": "0.25", "count.kind": "slots", "trial": "3"} == params


def test_the_data_have_one_digest_whatever_is_learned_from_them() -> None:
    one, other = small_config(), small_config(training__optimizer__lr=0.5)

    digests = {each.digest for config in (one, other) for each in datasets_of(config)}

    assert 1 == len(digests)
    assert digests != {each.digest for each in datasets_of(small_config(data__seed=7))}
    assert all(len(digest) <= 36 for digest in digests)  # MLflow takes no more


def test_the_code_of_the_last_attempt_is_told() -> None:
    sources = [Source("old", dirty=False), Source("new", True, "source-1.diff")]

    tags = attempt_tags(2, sources)

    assert ("new", "true") == (tags["risexp.git_commit"], tags["risexp.git_dirty"])
    assert ("2", "resumed") == (tags["risexp.attempt"], tags["risexp.reason"])
    assert "risexp.git_commit" not in attempt_tags(1, [Source(None, dirty=False)])


def test_tags_of_the_caller_hold_no_secret_and_no_novel() -> None:
    folder = new_run("tagged")
    labels = Labels(tags={"risexp.url": "http://me:planted@host", "risexp.long": "x" * 9_000})

    tags = described_tags(UploadState(folder.path), labels)

    assert "http://***@host" == tags["risexp.url"]
    assert 500 == len(tags["risexp.long"])


def test_a_recorded_configuration_can_be_run_again() -> None:
    from risexp.config.layers import load_config

    folder = new_run("again", small_config(data__seed=7))
    path = folder.path / "told.yaml"
    path.write_bytes(told_files(folder.path)["config.yaml"])

    assert folder.config() == load_config(paths=[path]).config


def test_labels_come_back_as_they_were_written(tmp_path: Path) -> None:
    labels = Labels(
        store="http://host:5000",
        study="wide",
        trial=3,
        parent=Parent("wide", "wide@1", 1),
        searched={"loss.count": 0.25, "physics.rician_db": [-24.0, -10.0]},
        tags={"risexp.space_sha": "abc"},
        note="[trial](http://127.0.0.1:8080)",
    )
    unwritten = read_labels(tmp_path)

    write_labels(tmp_path, labels)

    assert (None, labels) == (unwritten, read_labels(tmp_path))


@pytest.mark.parametrize("text", ["{", '{"trial": "3"}', '{"more": 1}'])
def test_labels_and_progress_that_were_edited_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "labels.json").write_text(text, "utf-8")
    (tmp_path / "mlflow.json").write_text(text, "utf-8")

    with pytest.raises(DataInvalid, match=r"labels\.json"):
        read_labels(tmp_path)
    with pytest.raises(DataInvalid, match=r"mlflow\.json"):
        UploadState(tmp_path).progress()


def test_progress_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    progress = UploadProgress("embedded", "1", "abc", 17, 2, 1_000, described=True, ending="0f")

    UploadState(tmp_path).save(progress)

    assert progress == UploadState(tmp_path).progress()


def test_pieces_of_a_journal_end_where_its_lines_do() -> None:
    from tests.support.uploads import train

    folder = new_run("pieces")
    train(folder)
    spool = UploadState(folder.path)
    whole = spool.lines()

    pieces = list(spool.pieces(0, 3))
    rest = list(spool.pieces(pieces[0].end, 100))

    assert whole.lines == tuple(line for piece in pieces for line in piece.lines)
    assert whole.end == pieces[-1].end == rest[-1].end
    assert whole.lines[3:] == rest[0].lines


def test_a_picture_has_a_column_for_none_only_where_it_is_needed() -> None:
    matrix = [[5, 1], [2, 9]]

    plain, wider = (draw_confusion(matrix, none, "") for none in ([0, 0], [1, 0]))

    assert plain.height == wider.height
    assert wider.width - plain.width == plain.width - draw_confusion([[5]], [0], "").width


def test_a_darker_cell_is_a_larger_share_of_its_row() -> None:
    picture = draw_confusion([[9, 1], [0, 0]], [0, 0], "").convert("L")

    corners = [picture.getpixel((68 + 72 * column, 68)) for column in (0, 1)]

    first, second = (int(str(value)) for value in corners)
    assert first < second < 255


def test_the_same_picture_has_the_same_names() -> None:
    picture = draw_confusion([[1]], [0], "")

    assert picture_files(picture, "run@1", 2) == picture_files(picture, "run@1", 2)
    assert not picture_files(picture, "run@1", 2).keys() & picture_files(picture, "run@2", 2).keys()


def test_pictures_of_bins_stand_side_by_side() -> None:
    small, large = draw_confusion([[1]], [0], ""), draw_confusion([[1, 0], [0, 2]], [0, 0], "")

    both = draw_bins([small, large])

    assert (small.width + large.width, large.height) == both.size
    assert large.tobytes() == both.crop((small.width, 0, *both.size)).tobytes()


@pytest.mark.parametrize(("epochs", "count"), [(1, 1), (3, 3), (10, 10), (24, 9), (1000, 11)])
def test_some_epochs_have_a_picture_whatever_they_are_worth(epochs: int, count: int) -> None:
    drawn = [epoch for epoch in range(1, epochs + 1) if is_drawn(epoch, epochs)]

    assert 1 == drawn[0]
    assert count == len(drawn)


def test_what_failed_is_a_sentence_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "planted-secret")

    def fail() -> None:
        message = "500 from http://me:other@host:\nplanted-secret " + "x" * 1_000
        raise ValueError(message)

    failure = attempt(fail)

    assert isinstance(failure, Failure)
    assert failure.sentence.startswith("ValueError: 500 from http://***@host: *** xxx")
    assert len(failure.sentence) < 450


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError("(Caused by ... [Errno 111] Connection refused'))"), "connection refused"),
        (OSError("HTTPConnectionPool: Read timed out. (read timeout=10)"), "timed out"),
    ],
)
def test_a_silent_server_is_told_in_few_words(error: Exception, said: str) -> None:
    def fail() -> None:
        raise error

    assert Failure(f"the store does not answer ({said})", error) == attempt(fail)


def test_our_own_sentences_are_passed_on() -> None:
    error = InvalidInput("name a store")

    def fail() -> None:
        raise error

    assert Failure("name a store", error) == attempt(fail)
