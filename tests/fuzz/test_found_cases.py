"""Inputs that were once answered with a traceback, a wrong exit code, or in the wrong place."""

from pathlib import Path

import pytest

from tests.support.fuzzing import Tally

pytestmark = pytest.mark.fault("F20")

ENDLESS = f"0x{'f' * 6000}"
LONG = "a" * 5000
CONFIGURATIONS: tuple[tuple[str, str], ...] = (
    (f"data: {{seed: {ENDLESS}}}", "line 1: a number has 6002 digits: at most 40"),
    (f"data: {{seed: -{'9' * 5000}}}", "line 1: a number has 5001 digits: at most 40"),
    (f"data: {{seed: {LONG}}}", "aaa...aaa"),
    (f"data: {{{LONG[:1000]}: 3}}", "there is no field 'data.aaa"),
    ('data: {"seed\\e[2J": 3}', "there is no field 'data.seed\\x1b[2J'"),
    ('data: {seed: "\\u202e3"}', "data.seed = '\\u202e3'"),
    ('data: {"\\ud800\\udc00": 3}', "line 1: a text holds half a character"),
    ("training: {scenes_per_epoch: 10000000000000000000000000}", "training.scenes_per_epoch"),
    ("validation: {scenes: 10000000000000000000000000}", "validation.scenes"),
    ("physics: {spacing_wavelengths: 5.0e-324}", "physics.spacing_wavelengths"),
)


def test_configurations(tally: Tally) -> None:
    for text, said in CONFIGURATIONS:
        Path("run.yaml").write_text(text, encoding="utf-8")

        assert said in tally.submit("config show --config run.yaml", [2]).sentence


def test_words_of_the_command_line(tally: Tally) -> None:
    for command, said in (
        (f"config show --set data.seed={ENDLESS}", "a number has 6002 digits"),
        (f"config show --preset {LONG}", "there is no preset 'aaa"),
        ("config show --preset '\x1b[31m'", "there is no preset '\\x1b[31m'"),
        ("config show --config '\x1b]0;title\x07.yaml'", "\\x1b]0;title\\x07.yaml"),
        ("config show --config 'not-utf-8-\udcff.yaml'", "not-utf-8-\\udcff.yaml"),
        ("config show --config /dev/zero", "/dev/zero has more than 1000000 bytes"),
        ("space check /dev/zero", "/dev/zero has more than 1000000 bytes"),
        ("study show 'a\rb'", "no search has been made"),
        (f"reproduce {LONG}", "File name too long"),
        (f"sync {LONG}", "File name too long"),
        (f"data verify {LONG}", "File name too long"),
        (f"space show {LONG}.yaml", "File name too long"),
        ("space show '\u202egpj'", "there is no search space '\\u202egpj'"),
    ):
        assert said in tally.submit(command, [2]).sentence, command


def test_variables_of_the_environment(tally: Tally, monkeypatch: pytest.MonkeyPatch) -> None:
    for value, said in ((ENDLESS, "a number has 6002 digits"), ("\x1b[2J", "character")):
        monkeypatch.setenv("RISEXP__DATA__SEED", value)

        assert said in tally.submit("config show", [2]).sentence
