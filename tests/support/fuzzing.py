"""Hands bad input to a command: one sentence, the right exit code, and nothing is written."""

import io
import json
import shlex
from collections.abc import Callable, Collection, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from risexp.cli.main import main
from tests.support.frozen_sets import contents

Test = TypeVar("Test", bound=Callable[..., None])
LONGEST = 1200
"""Characters of the longest sentence that a command may print about bad input."""


def one_folder(test: Test) -> Test:
    """Let the examples of a test share its folder, which each of them leaves as it was."""
    # Settings are made here, not at the import, which is before the profile is chosen.
    quiet = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
    return settings(suppress_health_check=quiet)(test)


@dataclass(frozen=True)
class Reply:
    """What a command did with an input."""

    code: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """The last line on stderr."""
        return (self.err.splitlines() or [""])[-1]


@dataclass
class Tally:
    """Counts the inputs of one test by kind of file, and what went wrong with them."""

    kind: str
    counts: dict[str, int] = field(default_factory=dict)
    """Not a `Counter`, which does not travel from one process of the tests to another."""

    def submit(self, command: str, codes: Collection[int] = (0, 2), *, written: str = "-") -> Reply:
        """Call a command and check its answer.

        Args:
            command: Its words, as in a shell.
            codes: The exit codes that are right for this input.
            written: Where it may write, or set files aside.
        """
        before = contents(Path())
        reply = call(command)
        faults = [*_faults(reply, codes)]
        after = contents(Path())
        changed = [name for name in before | after if before.get(name) != after.get(name)]
        if not all(name.startswith(written) for name in changed):
            faults.append("files were changed")
        for name in ("inputs", "accepted" if reply.code == 0 else "refused", *faults):
            self.counts[name] = self.counts.get(name, 0) + 1
        assert [] == faults, (command, reply.code, reply.sentence, changed)
        return reply


def call(command: str) -> Reply:
    """The answer of a command, called in this process."""
    out, err = io.StringIO(), io.StringIO()
    code: object = "none"
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main(shlex.split(command))
        except SystemExit as left:
            code = left.code
    assert isinstance(code, int)
    return Reply(code, out.getvalue(), err.getvalue())


def _faults(reply: Reply, codes: Collection[int]) -> Iterator[str]:
    if "Traceback" in reply.err or "--debug shows where" in reply.err:
        yield "tracebacks"
    if reply.code not in codes:
        yield "wrong exit codes"
    marked = [line for line in reply.err.splitlines() if line.startswith("risexp: ")]
    if marked != ([reply.sentence] if reply.code else []):
        yield "not one sentence"
    lines = f"{reply.out}{reply.err}".replace("\n", "").replace("\t", "")
    if not lines.isprintable():
        yield "control characters"
    if len(reply.sentence) > LONGEST:
        yield "long sentences"


FRAGMENTS = (
    *("!", "!!int ", "&a ", "*a", "<<: ", "? ", ": ", "- ", "[", "]", "{", "}", ", ", "|\n"),
    *("'", '"', "%YAML 1.1\n", "---\n", "...\n", "\n", "  ", "\t", "# ", ">-\n", "\ufeff"),
    *("0x" + "f" * 6000, "9" * 5000, "1e999", "-1", "0", "1e-320", ".inf", ".nan", "~", "true"),
    *("null", "''", "[]", "{}", "2001-02-30", "é", "\u202e", "\\", "\\e[31m", "a" * 5000, "2.5"),
    *("\x00", "\x1b[2J"),
)
"""What is planted in a text."""


@st.composite
def damaged_texts(draw: st.DrawFn, text: str) -> str:
    """A text in which up to three places were overwritten, cut, doubled or planted with another."""
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(text)))
        until = min(len(text), at + draw(st.integers(0, 30)))
        new = draw(st.sampled_from((*FRAGMENTS, text[at:until] * 2, "")) | st.text(max_size=4))
        text = text[:at] + new + text[until:]
    return text


@st.composite
def damaged_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """Bytes of which some were changed, cut out, or doubled; they differ from the original."""
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(content) - 1))
        until = at + draw(st.integers(0, 16))
        match draw(st.sampled_from(("flip", "plant", "cut", "double", "end"))):
            case "flip":
                byte = content[at] ^ draw(st.integers(1, 255))
                content = content[:at] + bytes([byte]) + content[at + 1 :]
            case "plant":
                content = content[:at] + draw(st.binary(max_size=16)) + content[until:]
            case "cut":
                content = content[:at] + content[until:]
            case "double":
                content = content[:until] + content[at:]
            case _:
                content = content[:at]
        content = content or b"\0"
    return content


WORDS = st.text(max_size=8) | st.sampled_from((*FRAGMENTS, "data", "seed", "kind", "training"))
NUMBERS = (
    st.sampled_from((0, -1, 1, 2**31, 2**63, 2**64, 10**30, 10**400, 1e308, 5e-324, -0.0))
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=5,
)
"""Any value that YAML can hold."""


def as_yaml(tree: object) -> str:
    """A tree as JSON, which is YAML too."""
    return json.dumps(tree)


Keys = tuple[str | int, ...]


def document_paths(tree: object, path: Keys = ()) -> list[Keys]:
    """The path of every value in a document."""
    match tree:
        case dict():
            inner = [each for key in tree for each in document_paths(tree[key], (*path, key))]
        case list():
            pairs = enumerate(tree)
            inner = [each for at, value in pairs for each in document_paths(value, (*path, at))]
        case _:
            inner = []
    return [path, *inner] if path else inner


def planted(tree: Any, path: Keys, value: object) -> None:  # noqa: ANN401 - any document
    """Replace a value in a document."""
    *outer, last = path
    for key in outer:
        tree = tree[key]
    tree[last] = value
