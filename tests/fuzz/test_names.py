"""Names and values on the command line: what is not there is refused in one sentence."""

import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fuzzing import NUMBERS, WORDS, Tally, one_folder

pytestmark = pytest.mark.fault("F20")

COMMANDS = (
    *("predict {} frames.npz", "predict nothing {}", "eval {} --scenes 1", "reproduce {}"),
    *("show run {}", "show spectrum {}", "compare {} nothing", "confirm --study {}"),
    *("study show {}", "study stop {}", "study retry {} 0", "watch {}", "worker --study {}"),
    *("space show {}", "space check {}", "space diff smoke {}", "hpo --space {}"),
    *("data verify {}", "show scene {}", "config show -p {}", "config show -c {}"),
    *("config diff smoke {}", "config show -s {}", "models show {}", "sync {}"),
    *("promote --run {}", "promote --study {}", "promote --run nothing --gates {}"),
    *("promote --run nothing --name {}", "promote --run nothing --alias {}", "rollback --to {}"),
    *(
        "hpo --space smoke --study {} --trials 0",
        "train --resume {}",
        "serve {}",
        "report --study {}",
    ),
)
"""None of them finds what it needs, or may begin."""
NAMES = (
    WORDS
    | NUMBERS.map(lambda number: repr(number) if abs(number) < 10**300 else "1e300")
    | st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=12)
    | st.sampled_from(
        (".", "..", "/", "~", "/dev/zero", "a/../b", "models:/", "models:/a@b", "con")
    )
)


@one_folder
@given(st.sampled_from(COMMANDS), NAMES)
def test_a_name_of_nothing(tally: Tally, command: str, name: str) -> None:
    Path("frames.npz").write_bytes(b"no frames")

    tally.submit(command.format(shlex.quote(name.replace("\0", ""))), [2])
