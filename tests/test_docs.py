"""The documentation says what the code does: trees, examples, commands, names of files."""

import re
import runpy
from pathlib import Path

import pytest

from risexp.app.space.check import review
from risexp.config.layers import preset_names
from risexp.space.files import load_space, space_paths

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_readme_tree_is_the_tree() -> None:
    tree = next(block for block in blocks("text") if block.startswith("risexp/"))
    listed = {line.split()[0].rstrip("/") for line in tree.splitlines() if not line.startswith(" ")}
    rooms = {line.split()[0].rstrip("/") for line in tree.splitlines() if line.startswith("  ")}

    folders = {
        path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")
    }
    package = ROOT / "risexp"
    parts = {path.name for path in package.iterdir() if (path / "__init__.py").exists()}

    assert folders - {"build", "dist", "data"} == listed
    assert parts | {"errors.py"} == rooms


def test_readme_python_example_runs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    example = tmp_path / "example.py"
    example.write_text(blocks("python")[0], encoding="utf-8")

    runpy.run_path(str(example))

    assert capsys.readouterr().out.startswith("tensor([")


def test_readme_names_every_preset() -> None:
    sentence = re.search(r"Presets are (.*?)\.", README, flags=re.DOTALL)

    assert sentence is not None
    assert set(preset_names()) == set(re.findall(r"`([a-z-]+)`", sentence[1]))


def test_every_shipped_space_says_what_it_is_for() -> None:
    about = {name: load_space(name).about for name in space_paths()}

    assert [] == [name for name, said in about.items() if not said]


def test_commands_page_is_what_the_commands_say() -> None:
    script = runpy.run_path(str(ROOT / "docs" / "write_commands.py"))

    assert script["page"]() == script["PAGE"].read_text(encoding="utf-8")


def test_the_places_that_the_documentation_names_exist() -> None:
    pages = [ROOT / "docs" / name for name in ("architecture.md", "changing.md", "tracking.md")]
    names = {name for page in pages for name in places(page.read_text(encoding="utf-8"))}

    assert len(names) > 40
    assert [] == sorted(name for name in names if not exists(name))


def test_a_place_that_is_gone_would_be_seen() -> None:
    assert ["risexp/a.py::B", "core/c.py"] == places("in `risexp/a.py::B`, `core/c.py`, `x.y`")
    assert not exists("risexp/loss/terms.py::NO_TERMS")
    assert not exists("risexp/loss/no_terms.py")


def places(text: str) -> list[str]:
    """Files, folders and names in files that a page names."""
    return re.findall(r"`([\w./]+/[\w./]*\.(?:py|md)(?:::\w+)?)`", text)


def exists(name: str) -> bool:
    """True if a file is there, below the root or the package, and defines the name."""
    path, _, symbol = name.partition("::")
    found = next((root / path for root in (ROOT, ROOT / "risexp") if (root / path).exists()), None)
    if found is None or not symbol:
        return found is not None
    return bool(
        re.search(rf"^(?:class |def |)({symbol})\b", found.read_text("utf-8"), re.MULTILINE)
    )


def test_every_decision_has_its_number_and_three_parts() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))

    for number, page in enumerate(pages, start=1):
        text = page.read_text(encoding="utf-8")
        assert page.name.startswith(f"{number:04d}-")
        assert text.startswith(f"# {number}. ")
        assert all(f"**{part}.**" in text for part in ("Context", "Choice", "Consequences"))


def blocks(language: str) -> list[str]:
    """The README's code blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("name", ["example", "staged"])
def test_the_spaces_of_the_documentation_are_sound(name: str, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "spaces.md").read_text(encoding="utf-8")
    text = next(
        block for block in re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL) if name in block
    )
    (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")

    found = review(load_space(str(tmp_path / f"{name}.yaml")))

    assert (found.problems, found.notes) == ((), ())
    assert found.space.about
