import pytest

from risexp.config.layers import load_config
from risexp.runs.source import Source
from risexp.runs.spec import Labels
from risexp.tracking.payload import attempt_tags, datasets_of, described_tags, params_of, spec_files
from risexp.tracking.upload_state import UploadState
from tests.support.trainers import small_config
from tests.support.uploads import new_run

pytestmark = pytest.mark.usefixtures("own_home")


def test_params_are_the_difference_from_the_preset_or_the_defaults() -> None:
    config = small_config(data__seed=7)

    params = params_of(config, Labels(preset="smoke"))

    assert {"data.seed", "training.batch", "training.scenes_per_epoch"} < params.keys()
    assert ("7", "16") == (params["data.seed"], params["training.batch"])
    assert "physics.elements_h" not in params
    assert "6" == params_of(config, Labels())["physics.elements_h"]


def test_the_digest_of_the_data_depends_only_on_physics_and_data() -> None:
    one, other = small_config(), small_config(training__optimizer__lr=0.5)

    digests = {data.digest for config in (one, other) for data in datasets_of(config)}

    assert 1 == len(digests)
    assert digests != {data.digest for data in datasets_of(small_config(data__seed=7))}
    assert all(len(digest) <= 36 for digest in digests)  # MLflow takes no more


def test_the_tags_of_an_attempt_name_its_code() -> None:
    sources = [Source("old", dirty=False), Source("new", True, "source-1.diff")]

    tags = attempt_tags(2, sources)

    assert ("new", "true") == (tags["risexp.git_commit"], tags["risexp.git_dirty"])
    assert ("2", "resumed") == (tags["risexp.attempt"], tags["risexp.reason"])
    assert "risexp.git_commit" not in attempt_tags(1, [Source(None, dirty=False)])


def test_tags_are_redacted_and_shortened() -> None:
    folder = new_run("tagged")
    labels = Labels(tags={"risexp.url": "http://me:planted@host", "risexp.long": "x" * 9_000})

    tags = described_tags(UploadState(folder.path), labels)

    assert "http://***@host" == tags["risexp.url"]
    assert 500 == len(tags["risexp.long"])


def test_a_recorded_configuration_can_be_run_again() -> None:
    folder = new_run("again", small_config(data__seed=7))
    path = folder.path / "config.yaml"
    path.write_bytes(spec_files(folder.path)["config.yaml"])

    assert folder.config() == load_config(paths=[path]).config
