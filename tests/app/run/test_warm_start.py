"""A warm start: its checkpoint by any name, the meaning of its weights, and its record."""

from pathlib import Path

import pytest
import torch
from rich.console import Console

from risexp.app.run.machine import Machine
from risexp.app.run.train import resume
from risexp.app.run.warm_start import EVENT, expect_same_meaning, recorded, warm_start
from risexp.app.serving.resolve_model import resolve_checkpoint
from risexp.config.layers import load_config
from risexp.config.run import RunConfig, fields
from risexp.errors import CheckpointRefused, ConfigInvalid, RisexpError
from risexp.runs.folder import RunFolder, create_run, list_runs
from risexp.runs.journal import read_journal
from risexp.training.curriculum import curriculum
from tests.support.configs import ANOTHER
from tests.support.short_runs import SHORT, short_run
from tests.support.trainers import checkpoints, same, small_config

SMALL = small_config()
SECTIONS = {
    "physics": "wavelength_m elements_h elements_v spacing_wavelengths symbols",
    "data": "sources_max phi_deg theta_deg range_m",
    "network": "front width depth heads",
    "factors": "kind",
    "count": "kind path",
}
MEANING = [f"{section}.{name}" for section, names in SECTIONS.items() for name in names.split()]
"""Fields that give weights their meaning."""

pytestmark = pytest.mark.usefixtures("own_home")


@pytest.fixture
def source() -> RunFolder:
    """A run with checkpoints of all three epochs."""
    folder = create_run("source", SMALL, curriculum(SMALL))
    store = folder.begin({})
    for checkpoint in checkpoints(3, "source"):
        store.save(checkpoint)
    return folder


def starting(name: str | Path, **changes: object) -> RunConfig:
    return small_config(curriculum__warm_start=str(name), **changes)


def test_a_run_is_found_by_its_name_its_folder_and_the_folders_of_its_checkpoints(
    source: RunFolder,
) -> None:
    (attempt,) = source.attempts()
    names = ["source", *map(str, (source.path, attempt.parent, attempt))]

    starts = [warm_start(starting(name)) for name in names]

    best = resolve_checkpoint("source").checkpoint
    for warm in starts:
        assert warm is not None
        assert same(best.state.averaged, warm.state.averaged)
        assert ("source", best.epoch) == (warm.origin["run"], warm.origin["epoch"])


def test_a_checkpoint_is_found_by_any_of_its_files(source: RunFolder) -> None:
    (attempt,) = source.attempts()
    for epoch in (2, 3):
        files = sorted(attempt.glob(f"epoch-{epoch:06d}*"))
        sums = {path.suffix: path.name[13:25] for path in files}

        starts = [warm_start(starting(path)) for path in files]

        assert 3 == len(files)
        for warm in starts:
            assert warm is not None
            assert epoch == warm.origin["epoch"]
            assert warm.origin["tensors_sha256"].startswith(sums[".safetensors"])


def test_what_is_no_checkpoint_is_refused(source: RunFolder) -> None:
    (source.path / "outcome.json").write_text("{}")
    (source.path / "elsewhere" / "checkpoints").mkdir(parents=True)
    left_over = source.attempts()[0] / "epoch-000003-0123456789ab.safetensors"
    left_over.write_bytes(b"")
    names = ("outcome.json", "epoch-000009.manifest.json", "elsewhere/checkpoints")
    for place in (*(source.path / name for name in names), left_over):
        with pytest.raises(RisexpError) as caught:
            warm_start(starting(place))
        assert 2 == caught.value.exit_code
        assert str(place) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_weights_with_another_meaning_are_refused(source: RunFolder) -> None:
    for path in MEANING:
        front = {"network.front": "image"} if path == "physics.symbols" else {}
        changes = front | {path: 2 if path == "data.sources_max" else ANOTHER[path]}
        config = starting(source.run_id).replace(changes)
        now, then = config.canonical().flat()[path], SMALL.canonical().flat()[path]

        with pytest.raises(ConfigInvalid) as caught:
            warm_start(config)

        message = str(caught.value)
        assert f"was trained with {path} = {then!r}, and this run has {now!r}" in message
        assert "\n" not in message


def test_all_other_fields_may_differ() -> None:
    learned = RunConfig().replace({"network.front": "image"})

    refused = list[str]()
    for path in fields():
        if path not in MEANING:
            try:
                expect_same_meaning("source", learned, learned.replace({path: ANOTHER[path]}))
            except ConfigInvalid as error:
                refused.append(str(error))

    assert [] == refused


def test_what_was_started_from_is_noted_once(source: RunFolder) -> None:
    warm = warm_start(starting(source.run_id))
    folder = create_run("later", SMALL, curriculum(SMALL))
    assert warm is not None

    warm.record(folder)
    warm.record(folder)

    (note,) = read_journal(folder.journal).notes
    assert (EVENT, 0, "later") == (note.event, note.step, note.run)
    assert warm.origin == note.details
    assert {"given", "run", "epoch", "config_sha", "tensors_sha256", "damaged"} == set(warm.origin)
    assert resolve_checkpoint("source").checkpoint.config_sha == warm.origin["config_sha"]


def test_a_run_starts_from_the_averaged_weights_that_its_journal_names() -> None:
    assert warm_start(SMALL) is None
    first = short_run()
    name = first.folder.run_id
    with pytest.raises(ConfigInvalid, match=r"count\.kind = 'ordinal', and this run has 'slots'"):
        short_run({"curriculum.warm_start": name, "count.kind": "slots"})
    assert [name] == [run.run_id for run in list_runs()]

    second = short_run(
        {"curriculum.warm_start": name, "training.optimizer.lr": 1e-7, "loss.count": 0.5}
    )

    origin = recorded(second.folder)
    assert first.best is not None
    assert second.best is not None
    assert origin is not None
    assert (name, first.best.epoch) == (origin["run"], origin["epoch"])
    before, after = first.best.state.averaged, second.best.state.averaged
    assert all(torch.allclose(before[key], after[key], atol=1e-5) for key in before)

    # A run that begins anew begins with the same weights, or not at all.
    config = load_config(preset="smoke").config.replace({**SHORT, "curriculum.warm_start": name})
    folder = create_run("later", config, curriculum(config))
    other = {"run": "lost", "epoch": 7, "tensors_sha256": "0" * 64}
    folder.open_journal().note(0, EVENT, other)
    journal = folder.journal.read_bytes()
    with pytest.raises(CheckpointRefused, match="later began with epoch 7 of 'lost', and"):
        resume("later", Machine(torch.device("cpu"), threads=1), Console(quiet=True))
    assert journal == folder.journal.read_bytes()
    assert ((), None) == (folder.attempts(), folder.outcome())
