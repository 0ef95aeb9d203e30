"""The folder of a run as the uploader reads it, its progress, and the web pages of its run."""

from pathlib import Path

import pytest

from risexp.errors import DataInvalid
from risexp.runs.spec import Labels, Parent, read_labels, write_labels
from risexp.tracking.stores import store_named
from risexp.tracking.upload_state import (
    UploadProgress,
    UploadState,
    experiment_page,
    page_in_markdown,
    run_page,
)
from tests.support.uploads import new_run, train

pytestmark = pytest.mark.usefixtures("own_home")


def test_labels_and_progress_are_read_as_they_were_written(tmp_path: Path) -> None:
    labels = Labels(
        store="http://host:5000",
        study="wide",
        trial=3,
        parent=Parent("wide", "wide@1", 1),
        searched={"loss.count": 0.25, "physics.rician_db": [-24.0, -10.0]},
        tags={"risexp.space_sha": "abc"},
        note="[trial](http://127.0.0.1:8080)",
    )
    progress = UploadProgress("embedded", "1", "abc", 17, 2, 1_000, described=True, ending="0f")
    unwritten = (read_labels(tmp_path), UploadState(tmp_path).progress())

    write_labels(tmp_path, labels)
    UploadState(tmp_path).save(progress)

    assert (None, None) == unwritten
    assert (labels, progress) == (read_labels(tmp_path), UploadState(tmp_path).progress())


def test_edited_labels_are_refused_and_an_unreadable_progress_begins_anew(tmp_path: Path) -> None:
    for text in ("{", '{"trial": "3"}', '{"more": 1}'):
        (tmp_path / "labels.json").write_text(text, "utf-8")
        (tmp_path / "mlflow.json").write_text(text, "utf-8")

        with pytest.raises(DataInvalid, match=r"labels\.json"):
            read_labels(tmp_path)
        assert UploadState(tmp_path).progress() is None


def test_pieces_of_a_journal_end_at_line_ends() -> None:
    folder = new_run("pieces")
    train(folder)
    upload = UploadState(folder.path)
    whole = upload.lines()

    pieces = list(upload.pieces(0, 3))
    rest = list(upload.pieces(pieces[0].end, 100))

    assert whole.lines == tuple(line for piece in pieces for line in piece.lines)
    assert whole.end == pieces[-1].end == rest[-1].end
    assert whole.lines[3:] == rest[0].lines


def test_the_page_of_a_run_holds_no_secret_of_its_store() -> None:
    page = "#/experiments/1/runs/abc"

    for address, expected in (
        ("http://host:5000", f"http://host:5000/{page}"),
        ("https://me:hidden@host/mlflow/", f"https://host/mlflow/{page}"),
        ("postgresql://me:hidden@host/runs", page),
    ):
        assert expected == run_page(store_named(address).name, "1", "abc")

    whole, part = (experiment_page(name, "1") for name in ("http://host:5000", "embedded"))
    assert f"[{whole}]({whole})" == page_in_markdown(whole)
    assert "`#/experiments/1`" == page_in_markdown(part)
