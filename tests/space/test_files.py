"""Where a space is found by its name, and what a file that is none is told."""

from pathlib import Path

import pytest

from risexp.core.home import home
from risexp.errors import ConfigInvalid, SpaceInvalid
from risexp.space.files import load_space, space_paths

MINIMAL = "trials: 4\nvary:\n  sampled.ridge: {kind: log, low: 1.0e-4, high: 1.0e-2}\n"


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test looks for spaces in a folder of its own."""
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))


def place(folder: Path, name: str, text: str = MINIMAL) -> Path:
    path = folder / "search_spaces" / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_the_home_is_the_current_folder_unless_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = home()
    monkeypatch.delenv("RISEXP_HOME")
    unnamed = home()
    monkeypatch.setenv("RISEXP_HOME", "")

    assert tmp_path == named
    assert Path() == unnamed == home()


def test_shipped_spaces_are_found_without_a_home() -> None:
    assert {"smoke", "codes", "covariance"} <= set(space_paths())


def test_a_space_of_the_home_is_found_by_name(tmp_path: Path) -> None:
    path = place(tmp_path, "mine")

    assert space_paths()["mine"] == path
    assert load_space("mine").name == "mine"


def test_a_space_of_the_home_hides_a_shipped_one(tmp_path: Path) -> None:
    shipped = load_space("smoke")
    place(tmp_path, "smoke")

    assert shipped.base == "smoke"
    assert load_space("smoke").base is None


def test_a_path_is_read_wherever_it_lies(tmp_path: Path) -> None:
    path = tmp_path / "elsewhere.yml"
    path.write_text(MINIMAL, encoding="utf-8")

    assert load_space(str(path)).name == "elsewhere"


def test_the_first_comment_is_what_a_space_is_about(tmp_path: Path) -> None:
    place(tmp_path, "mine", f"# mine: one knob, turned gently.\n{MINIMAL}")
    place(tmp_path, "bare")

    assert load_space("mine").about == "one knob, turned gently."
    assert load_space("bare").about == ""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("smok", "there is no search space 'smok'; did you mean smoke?"),
        ("qqq", "there is no search space 'qqq'; there are: codes, covariance, k_head"),
        ("", "there is no search space ''; there are: codes"),
        ("..", "there is no search space '..'; there are: codes"),
    ],
)
def test_an_unknown_name_is_told_the_known_ones(name: str, said: str) -> None:
    with pytest.raises(SpaceInvalid) as caught:
        load_space(name)

    assert str(caught.value).startswith(said)


def test_a_missing_path_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match=r"none\.yaml: No such file or directory"):
        load_space(str(tmp_path / "none.yaml"))


VARY = "vary: {sampled.ridge: {kind: log, low: 0.1, high: 1.0}}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (VARY, "trials is missing"),
        ("trials: 4\n", "nothing varies"),
        ("", "trials is missing"),
        ("trials: 4\nvary: {}\n", "nothing varies"),
        ("trials: 4\nvary: [1]\n", "vary"),
        ("trials: four\n" + VARY, "trials = 'four'"),
        ("trials: 0\n" + VARY, "trials = 0"),
        ("trials: 4\nname: other\n" + VARY, "name comes from the file's name"),
        ("trials: 4\nabout: other\n" + VARY, "about comes from the file's name"),
        ("trials: 4\nsampler: {kind: tpa}\n" + VARY, "sampler"),
        ("trials: 4\nvary: {sampled.ridge: {kind: lgo, low: 0.1, high: 1.0}}", "'lgo'"),
        ("trials: 4\nvary: {sampled.ridge: {low: 0.1, high: 1.0}}", "kind"),
        ("trials: 4\nvary: {sampled.ridge: {kind: log, low: 1.0, high: 1.0}}", "low = 1 must lie"),
        ("trials: 4\nvary: {sampled.ridge: {kind: log, low: 0, high: 1}}", "must be positive"),
        ("trials: 4\nvary: {sampled.ridge: {kind: log, low: 0.1, hi: 1}}", "high is missing"),
        ("trials: 4\nvary: {sampled.ridge: {kind: log, low: .nan, high: 1}}", "finite"),
        ("trials: 4\nvary: {sampled.method: {kind: choice, options: [joint, joint]}}", "twice"),
        ("trials: 4\nvary: {sampled.method: {kind: choice, options: [joint]}}", "at least 2"),
        ("trials: 4\nfixed: {data.seed: 2001-01-01}\n" + VARY, "fixed"),
        ("trials: 4\ntrials: 5\n" + VARY, "duplicate key"),
        ("- 1\n", "holds no mapping"),
        ("trials: [\n", "line"),
    ],
)
def test_a_file_that_is_no_space_is_named_with_its_fault(
    tmp_path: Path, text: str, said: str
) -> None:
    path = place(tmp_path, "broken", text)

    with pytest.raises((SpaceInvalid, ConfigInvalid)) as caught:
        load_space("broken")

    message = str(caught.value)
    assert message.startswith(str(path))
    assert said in message
    assert "\n" not in message
