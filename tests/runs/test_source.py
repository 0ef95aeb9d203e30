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


def test_the_diff_holds_only_files_that_decide_a_run_up_to_a_length_and_no_secrets(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_TOKEN", "planted-secret-1")
    text = 'two: 2\npassword = "planted-secret-2"\nother = "planted-secret-1"\n'
    (repository / "risexp" / "__init__.py").write_text(text, "utf-8")
    (repository / "risexp" / "new.py").write_text("three: 3\n", "utf-8")
    (repository / "notes.txt").write_text("private\n", "utf-8")
    (repository / ".env").write_text("private\n", "utf-8")

    source_, diff = look_at_source(repository)

    assert source_.dirty
    assert source_.masked
    assert "+two: 2" in diff
    assert "+three: 3" in diff
    assert "private" not in diff
    assert "planted-secret" not in diff
    monkeypatch.setattr(source, "_LONGEST", 300)
    shorter, start = look_at_source(repository)
    assert (True, True) == (shorter.cut, len(start) <= 300)
    assert diff.startswith(start)
    assert start.endswith("\n")


def test_code_that_no_repository_tracks_has_no_commit(tmp_path: Path, repository: Path) -> None:
    installed = repository / "lib"
    (installed / "risexp").mkdir(parents=True)
    (installed / "risexp" / "__init__.py").write_text("", "utf-8")

    assert [None, None] == [look_at_source(root)[0].commit for root in (tmp_path, installed)]


def test_the_same_code_is_recorded_once(repository: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    keep_source(folder, repository)
    (repository / "notes.txt").write_text("decides nothing\n", "utf-8")
    keep_source(folder, repository)
    (repository / "risexp" / "__init__.py").write_text("two: 2\n", "utf-8")

    keep_source(folder, repository)

    clean, dirty = sources(folder)
    assert (False, True) == (clean.dirty, dirty.dirty)
    assert git(repository, "rev-parse", "HEAD") == clean.commit == dirty.commit
    assert "+two: 2" in (folder / str(dirty.diff)).read_text("utf-8")


def test_an_edited_document_is_refused(tmp_path: Path) -> None:
    for text in ("{", '[{"commit": 1, "dirty": true}]', '[{"more": 1}]', "3"):
        (tmp_path / "source.json").write_text(text, "utf-8")

        with pytest.raises(DataInvalid, match=r"source\.json"):
            sources(tmp_path)
