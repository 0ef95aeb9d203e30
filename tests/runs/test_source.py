import subprocess
from pathlib import Path

import pytest

from risexp.errors import DataInvalid
from risexp.runs import source
from risexp.runs.source import keep_source, look_at_source, sources

AUTHOR = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")


def git(root: Path, *arguments: str) -> str:
    done = subprocess.run(  # noqa: S603 - git in a folder of the test's own
        ["git", "-C", str(root), *AUTHOR, *arguments],  # noqa: S607
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """One commit of a package, a space and a file that decides nothing."""
    root = tmp_path / "repository"
    for name in ("risexp/__init__.py", "search_spaces/wide.yaml", "notes.txt", "pyproject.toml"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("one: 1\n", "utf-8")
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "-m", "one")
    return root


def test_a_clean_commit_is_all_there_is_to_say(repository: Path) -> None:
    found, diff = look_at_source(repository)

    assert git(repository, "rev-parse", "HEAD") == found.commit
    assert (False, None, "") == (found.dirty, found.diff, diff)


def test_what_decides_a_run_is_in_the_diff_and_nothing_else(repository: Path) -> None:
    (repository / "risexp" / "__init__.py").write_text("two: 2\n", "utf-8")
    (repository / "risexp" / "new.py").write_text("three: 3\n", "utf-8")
    (repository / "notes.txt").write_text("private\n", "utf-8")
    (repository / ".env").write_text("private\n", "utf-8")

    found, diff = look_at_source(repository)

    assert found.dirty
    assert "+two: 2" in diff
    assert "+three: 3" in diff
    assert "private" not in diff


def test_a_change_that_decides_nothing_is_none(repository: Path) -> None:
    (repository / "notes.txt").write_text("private\n", "utf-8")

    assert not look_at_source(repository)[0].dirty


def test_a_diff_holds_no_secret_and_says_that_one_was_taken_out(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_TOKEN", "planted-secret-1")
    text = 'password = "planted-secret-2"\nother = "planted-secret-1"\n'
    (repository / "risexp" / "__init__.py").write_text(text, "utf-8")

    found, diff = look_at_source(repository)

    assert found.masked
    assert "planted-secret" not in diff


def test_a_long_diff_is_cut_at_a_line_and_says_so(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_LONGEST", 300)
    (repository / "risexp" / "__init__.py").write_text("line: 1\n" * 100, "utf-8")

    found, diff = look_at_source(repository)

    assert found.cut
    assert len(diff) <= 300
    assert diff.endswith("\n")


def test_a_package_outside_a_repository_has_no_commit(tmp_path: Path) -> None:
    found, _ = look_at_source(tmp_path)

    assert found.commit is None


def test_an_installed_package_is_not_part_of_the_repository_around_it(repository: Path) -> None:
    inside = repository / "lib"
    (inside / "risexp").mkdir(parents=True)
    (inside / "risexp" / "__init__.py").write_text("", "utf-8")

    assert look_at_source(inside)[0].commit is None


def test_a_folder_keeps_each_code_it_was_computed_with_once(
    repository: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    keep_source(folder, repository)
    keep_source(folder, repository)
    (repository / "risexp" / "__init__.py").write_text("two: 2\n", "utf-8")

    keep_source(folder, repository)

    clean, dirty = sources(folder)
    assert (False, True) == (clean.dirty, dirty.dirty)
    assert "+two: 2" in (folder / str(dirty.diff)).read_text("utf-8")


@pytest.mark.parametrize("text", ["{", '[{"commit": 1, "dirty": true}]', '[{"more": 1}]', "3"])
def test_a_document_that_was_edited_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "source.json").write_text(text, "utf-8")

    with pytest.raises(DataInvalid, match=r"source\.json"):
        sources(tmp_path)
