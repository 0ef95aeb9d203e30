from pathlib import Path

import pytest

from risexp.app.ui.access import secret_in, secret_of, token_of
from risexp.errors import InvalidInput
from tests.support.commands import Capture, run


@pytest.fixture(autouse=True)
def no_token_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RISEXP_UI_TOKEN", "RISEXP_UI_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)


def test_a_secret_is_that_of_the_variable_or_of_the_file_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("from a file\nand no more\n")

    assert "" == secret_of("RISEXP_UI_TOKEN")
    monkeypatch.setenv("RISEXP_UI_TOKEN_FILE", str(tmp_path / "token"))
    assert "from a file" == secret_of("RISEXP_UI_TOKEN")
    monkeypatch.setenv("RISEXP_UI_TOKEN", "from the environment")
    with pytest.raises(InvalidInput, match="are both set"):
        secret_of("RISEXP_UI_TOKEN")
    monkeypatch.delenv("RISEXP_UI_TOKEN_FILE")
    assert "from the environment" == secret_of("RISEXP_UI_TOKEN")


def test_a_file_without_a_secret_is_an_error(tmp_path: Path) -> None:
    for content, reason in (
        (None, "No such file"),
        (b"", "holds no secret"),
        (b"\nsecond line\n", "holds no secret"),
        (b"\xff\xfe", "is no text"),
    ):
        if content is not None:
            (tmp_path / "token").write_bytes(content)

        with pytest.raises(InvalidInput, match=reason):
            secret_in(tmp_path / "token")


def test_a_token_is_taken_without_the_blanks_around_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "" == token_of("RISEXP_UI_TOKEN")
    monkeypatch.setenv("RISEXP_UI_TOKEN", " 0123456789abcdef-a-token\n")

    assert "0123456789abcdef-a-token" == token_of("RISEXP_UI_TOKEN")


def test_a_token_that_no_header_holds_is_refused_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISEXP_UI_TOKEN_FILE", str(tmp_path / "token"))
    for token in ("two words", "two\tcolumns", "ключ-от-двери", "a\x00b"):
        (tmp_path / "token").write_text(token, encoding="utf-8")

        with pytest.raises(InvalidInput, match="no header can hold") as refused:
            token_of("RISEXP_UI_TOKEN")

        assert token not in str(refused.value)


def test_an_invalid_host_or_host_name_is_refused(capsys: Capture) -> None:
    deploy = "deploy mlflow --backend x --artifacts . --key-file k"
    for command, sentence in (
        ("ui --allow-host http://desk:5000", "--allow-host 'http://desk:5000' is no host name"),
        ("ui --allow-host desk:5000", "--allow-host 'desk:5000' is no host name"),
        ("ui --host=", "--host is empty"),
        (f"{deploy} --allow-host *", "--allow-host '*' is no host name"),
        (f"{deploy} --host=", "--host is empty"),
    ):
        code, _, error = run(capsys, command)

        assert (2, True) == (code, sentence in error)
