from pathlib import Path

import pytest

from risexp.app.ui.secret_files import secret_in, secret_of, token_of
from risexp.errors import InvalidInput


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RISEXP_UI_TOKEN", "RISEXP_UI_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)


def test_a_secret_is_that_of_the_variable_or_of_the_file_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("from a file\nand no more\n")

    assert secret_of("RISEXP_UI_TOKEN") == ""
    monkeypatch.setenv("RISEXP_UI_TOKEN_FILE", str(tmp_path / "token"))
    assert secret_of("RISEXP_UI_TOKEN") == "from a file"
    monkeypatch.delenv("RISEXP_UI_TOKEN_FILE")
    monkeypatch.setenv("RISEXP_UI_TOKEN", "from the environment")
    assert secret_of("RISEXP_UI_TOKEN") == "from the environment"


def test_two_secrets_are_one_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISEXP_UI_TOKEN", "one")
    monkeypatch.setenv("RISEXP_UI_TOKEN_FILE", str(tmp_path / "token"))

    with pytest.raises(InvalidInput, match="are both set"):
        secret_of("RISEXP_UI_TOKEN")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file"),
        (b"", "holds no secret"),
        (b"\nsecond line\n", "holds no secret"),
        (b"\xff\xfe", "is no text"),
    ],
)
def test_a_file_without_a_secret_is_told_and_never_taken_for_none(
    content: bytes | None, reason: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "token").write_bytes(content)

    with pytest.raises(InvalidInput, match=reason):
        secret_in(tmp_path / "token")


def test_a_token_is_taken_without_the_blanks_around_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert token_of("RISEXP_UI_TOKEN") == ""
    monkeypatch.setenv("RISEXP_UI_TOKEN", " 0123456789abcdef-a-token\n")

    assert token_of("RISEXP_UI_TOKEN") == "0123456789abcdef-a-token"


@pytest.mark.parametrize("token", ["two words", "two\tcolumns", "ключ-от-двери", "a\x00b"])
def test_a_token_that_no_header_holds_is_refused_without_saying_it(
    token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text(token, encoding="utf-8")
    monkeypatch.setenv("RISEXP_UI_TOKEN_FILE", str(tmp_path / "token"))

    with pytest.raises(InvalidInput, match="no header can hold") as refused:
        token_of("RISEXP_UI_TOKEN")

    assert token not in str(refused.value)
