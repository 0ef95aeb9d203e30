"""Write docs/commands.md from the commands' own help; `make docs` runs it, a test compares."""

from collections.abc import Iterator
from pathlib import Path

from typer.main import get_command
from typer.testing import CliRunner

from risexp.cli.main import app

PAGE = Path(__file__).with_name("commands.md")
HEADING = """# Commands

Written by `make docs` from the commands themselves. `--json` prints one JSON document on stdout and
everything else on stderr. `--debug`, anywhere on the line, shows the traceback of an error.
"""


def command_lines() -> Iterator[tuple[str, ...]]:
    """Every command of the tree, as the words after `risexp`."""
    tree = get_command(app)
    for name, command in sorted(getattr(tree, "commands", {}).items()):
        below = sorted(getattr(command, "commands", {}))
        yield from ((name, verb) for verb in below) if below else [(name,)]


def page() -> str:
    """The whole page."""
    parts = [HEADING]
    for words in command_lines():
        shown = CliRunner().invoke(
            app, [*words, "--help"], prog_name="risexp", env={"COLUMNS": "96"}
        )
        text = "\n".join(line.rstrip() for line in shown.output.strip().splitlines())
        parts.append(f"## risexp {' '.join(words)}\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
