"""Prints the test files of what has changed since the last commit on the main branch.

A changed test file stands for itself, a changed module for the test files that mirror it or import
it. Without a change, or where a change reaches many tests, a fast selection is printed.
"""

import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
FAST: Final = (
    "tests/test_architecture.py",
    "tests/test_vocabulary.py",
    "tests/config",
    "tests/space",
)
MOST: Final = 12
"""Test files that run in about half a minute."""


def main() -> None:
    """Print the selection, a path a line."""
    selected = select(changed_files())
    sys.stdout.write("\n".join(FAST if not selected else [*FAST[:2], *selected[:MOST]]) + "\n")
    if len(selected) > MOST:
        sys.stderr.write(f"{len(selected) - MOST} more test files: `make test` runs all\n")


def changed_files() -> list[str]:
    """Files that differ from the main branch's last commit that this one has, and new ones."""
    base = _git("merge-base", "HEAD", "main") or ["HEAD"]
    return [*_git("diff", "--name-only", base[0]), *_git("ls-files", "-o", "--exclude-standard")]


def select(changed: Iterable[str]) -> list[str]:
    """Test files that have changed, then those that mirror a changed module, then importers."""
    files = {path for path in changed if path.endswith(".py") and (ROOT / path).exists()}
    modules = {path for path in files if path.startswith(("risexp/", "tests/support/"))}
    own = {path for path in files if Path(path).name.startswith("test_")}
    mirrors = {str(path.relative_to(ROOT)) for name in modules for path in _mirrors(Path(name))}
    return [*dict.fromkeys([*sorted(own), *sorted(mirrors), *sorted(_importers(modules))])]


def _mirrors(module: Path) -> Iterable[Path]:
    folder = ROOT / "tests" / Path(*module.parent.parts[1:])
    return folder.glob(f"test_{module.stem}*.py")


def _importers(modules: Iterable[str]) -> Iterable[str]:
    names = "|".join(re.escape(path.removesuffix(".py").replace("/", ".")) for path in modules)
    for path in (ROOT / "tests").rglob("test_*.py"):
        if names and re.search(rf"(?:{names})\b", path.read_text("utf-8")):
            yield str(path.relative_to(ROOT))


def _git(*arguments: str) -> list[str]:
    done = subprocess.run(  # noqa: S603 - git, of the system
        ["git", *arguments],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.split() if done.returncode == 0 else []


if __name__ == "__main__":
    main()
