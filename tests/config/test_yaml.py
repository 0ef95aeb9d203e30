"""The YAML reader: version 1.2, and one line for every refused trick."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from risexp.config import yaml
from risexp.config.yaml import MAX_ALIASES, MAX_BYTES, MAX_DEPTH, parse_yaml, read_yaml
from risexp.errors import ConfigInvalid

FRAGMENTS = (
    *("!", "!!", "!!bool ", "!!int ", "!!float ", "!!set ", "!!python/object:os.system ", "!x "),
    *("&a ", "*a", "<<: ", "? ", ": ", "- ", "[", "]", "{", "}", ", ", "|\n", ">-\n", "'", '"'),
    *("%YAML 1.1\n", "%YAML 1.3\n", "%TAG ! x\n", "---\n", "...\n", "\n", "  ", "\t", "# "),
    *("0x", "0o8", "1_0", ".inf", "-.nan", "1e999", "~", "null", "2001-02-30", "\x00", "\ufeff"),
    *("a", "b", "é", "9" * 40, "0001-01-01T00:00:00+01:00", "=", "@", "`"),
)


def refusal(text: str) -> str:
    with pytest.raises(ConfigInvalid) as caught:
        parse_yaml(text, "run.yaml")
    message = str(caught.value)
    assert message.startswith("run.yaml")
    assert "\n" not in message
    return message


def test_scalars_follow_yaml_1_2() -> None:
    cases: list[tuple[str, object]] = [
        ("3e-4", 3e-4),
        ("1e3", 1e3),
        ("-5", -5),
        ("017", 17),
        ("0o17", 15),
        ("0x1F", 31),
        ("no", "no"),
        ("off", "off"),
        ("y", "y"),
        ("true", True),
        ("null", None),
        ("~", None),
        ("", None),
        ("1:30", "1:30"),
        ("'12'", "12"),
        ("[1, 2.5, a]", [1, 2.5, "a"]),
        ("{a: {b: 1}}", {"a": {"b": 1}}),
    ]
    for text, value in cases:
        parsed = parse_yaml(text, "run.yaml")

        assert value == parsed, (text, value)
        assert type(value) is type(parsed), (text, value)


def test_what_is_no_yaml_is_refused_in_one_line() -> None:
    cases: list[tuple[str, str]] = [
        ("a: 1\na: 2", 'line 2: found duplicate key "a"'),
        ("{a: {b: 1, b: 2}}", 'duplicate key "b"'),
        ("a: [1, 2", "line 1"),
        ("a: 'b", "line 1"),
        ("a: b: c", "line 1"),
        ("\t- a", "line 1"),
        ("a: 1\n---\nb: 2", "another document"),
        ("a: *nowhere", "undefined alias"),
        ("a: \x00", "unacceptable character"),
        ("? {a: 1}\n: 2", "line 1"),
        ("9" * 41, "line 1: a number has 41 digits: at most 40"),
        (f"a: -0x{'f' * 6000}", "line 1: a number has 6003 digits: at most 40"),
        ("2001-02-30", "day is out of range"),
        ("[&a 1, &a 2]", "anchor"),
        ("? [{a: 1}]\n: 2\n", "key"),
        ("a: &x {b: 1}\nc: {<<: *x}\n", "<<"),
    ]
    for text, part in cases:
        assert part in refusal(text), (text, part)


def test_no_tag_at_all_is_let_through() -> None:
    cases: list[str] = [
        *("!!str 3", "!!int '3'", "!!set {a, b}", "!!omap [a: 1]", "!!binary aGVsbG8="),
        *("!!bool maybe", "!!int ''", "!!float ''", "!<tag:yaml.org,2002:bool> q"),
        *("!!python/object:os.system x", "!!python/object/apply:os.system [id]"),
        *("!mine x", "!!merge x"),
    ]
    for text in cases:
        assert "tag" in refusal(text), text


def test_no_other_version_is_read() -> None:
    for text in [
        "%YAML 1.1\n---\na: no\n",
        "%YAML 1.3\n---\na: no\n",
        "\ufeff%YAML 1.1\n---\na: no\n",
        "# c\r%YAML 1.1\r---\ra: no",
        "%YAML 1.2\n---\n1\n...\n%YAML 1.3\n",
    ]:
        assert "YAML 1." in refusal(text), text


def test_a_number_in_groups_is_refused_and_a_word_with_an_underscore_read() -> None:
    for text in ["a: 1_000", "a: [-1_0.5]", "a: 1_0e3"]:
        assert "leave out the _" in refusal(text), text

    words = "{a: free_space, b: '1_000', c: _1, d: x_1}"
    assert {"a": "free_space", "b": "1_000", "c": "_1", "d": "x_1"} == parse_yaml(words, "run.yaml")


def test_aliases_are_allowed_up_to_their_limit_and_no_billion_laughs_built() -> None:
    repeated = ", ".join(["*x"] * MAX_ALIASES)
    levels = ["a0: &a0 [lol, lol]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]

    assert parse_yaml(f"[&x 7, {repeated}]", "run.yaml") == [7] * (MAX_ALIASES + 1)
    assert f"more than {MAX_ALIASES} aliases" in refusal(f"[&x 7, {repeated}, *x]")
    assert "aliases" in refusal("\n".join(levels))


def test_depth_is_allowed_up_to_its_limit() -> None:
    cases: list[tuple[str, str]] = [("[", "]"), ("{a: ", "}")]
    for opening, closing in cases:
        deepest = opening * MAX_DEPTH + "1" + closing * MAX_DEPTH

        assert parse_yaml(deepest, "run.yaml"), (opening, closing)
        assert f"deeper than {MAX_DEPTH} levels" in refusal(opening + deepest + closing), opening
    assert "deeper" in refusal("[" * (MAX_BYTES - 1))


def test_a_file_that_is_no_configuration_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yaml, "MAX_BYTES", 10_000)
    cases: list[tuple[bytes, str]] = [
        (b"- 1\n- 2\n", "holds no mapping"),
        (b"just words", "holds no mapping"),
        (b"1: a\n", "holds no mapping"),
        (b"[1, 2]: a\n", "a key is one word"),
        (b"\xff\xfe\x00a", "it is not UTF-8 text"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "it is not UTF-8 text"),
        (b"a: 1 #" + b"x" * 9_995, "more than 10000 bytes"),
    ]
    path = tmp_path / "run.yaml"
    for content, part in cases:
        path.write_bytes(content)

        with pytest.raises(ConfigInvalid) as caught:
            read_yaml(path)

        assert str(path) in str(caught.value), (content, part)
        assert part in str(caught.value), (content, part)
        assert "\n" not in str(caught.value), (content, part)
    path.write_bytes(b"a: 1 #" + b"x" * 9_994)
    assert {"a": 1} == read_yaml(path)
    with pytest.raises(ConfigInvalid, match=r"none\.yaml: No such file or directory"):
        read_yaml(tmp_path / "none.yaml")
    with pytest.raises(ConfigInvalid, match="Is a directory"):
        read_yaml(tmp_path)


@example(["!!bool ", "a"])
@example(["%YAML 1.3\n", "---\n", "a"])
@example(["? ", "- ", "? "])
@given(st.lists(st.sampled_from(FRAGMENTS) | st.text(), max_size=12))
def test_random_yaml_is_a_value_or_invalid_and_nothing_else(fragments: list[str]) -> None:
    assert outcome("".join(fragments)) in {"value", "invalid"}


def outcome(text: str) -> str:
    try:
        parse_yaml(text, "run.yaml")
    except ConfigInvalid as error:
        return "invalid" if "\n" not in str(error) else "several lines"
    return "value"
