"""`risexp space`: what may vary in a search, proved to be runs before a search starts."""

import typer

from risexp.cli.options import AsJson, OtherSpaceName, SpaceName, SpaceNames
from risexp.cli.output import emit, say, table
from risexp.config.run import describe
from risexp.config.space import SearchSpace
from risexp.config.space_check import SpaceReport, check_space, extent, unknown_paths
from risexp.config.space_diff import diff_spaces
from risexp.config.space_files import load_space, space_paths
from risexp.errors import SpaceInvalid

app = typer.Typer(no_args_is_help=True, help="Check, list, show and compare search spaces.")


@app.command("check")
def check(names: SpaceNames = None, json: AsJson = False) -> None:
    """Prove that every draw of a space is a run and that no dimension is dead."""
    reports = [check_space(load_space(name)) for name in names or space_paths()]
    if not reports:
        raise SpaceInvalid("no search space was found: is search_spaces/ there?")
    if json:
        emit({report.space.name: _report(report) for report in reports})
    else:
        for report in reports:
            _say_report(report)
    broken = [report for report in reports if not report.sound]
    if broken:
        first = broken[0]
        raise SpaceInvalid(f"space {first.space.name}: {first.problems[0]}")


@app.command("list")
def list_(json: AsJson = False) -> None:
    """List the spaces that can be named."""
    found = {name: (load_space(name), path) for name, path in space_paths().items()}
    if json:
        emit({name: _summary(space) | {"path": str(path)} for name, (space, path) in found.items()})
        return
    table(
        ["space", "trials", "dimensions", "base", "about"],
        [
            (name, space.trials, len(space.vary), space.base or "default", space.about)
            for name, (space, _) in found.items()
        ],
    )


@app.command("show")
def show(name: SpaceName, json: AsJson = False) -> None:
    """Print a space: what it fixes, what it varies and when, what it forbids."""
    space = load_space(name)
    if json:
        emit(space.model_dump(mode="json"))
        return
    for problem in unknown_paths(space):
        raise SpaceInvalid(f"space {space.name}: {problem}")
    say(f"{space.name}: {space.about or 'no description'}")
    say(f"base {space.base or 'default'}, {space.trials} trials")
    base = space.trial_zero().config.flat()
    rows = []
    for path, dimension in space.vary.items():
        when = ", ".join(f"{at} = {value}" for at, value in dimension.when.items())
        rows.append((path, dimension.kind, extent(dimension), base.get(path), when, describe(path)))
    table(["field", "kind", "over", "default", "when", "meaning"], rows)
    for path, value in space.fixed.items():
        say(f"fixed   {path} = {value}")
    for combination in space.forbid:
        said = " and ".join(f"{path} = {value}" for path, value in combination.items())
        say(f"forbid  {said}")


@app.command("diff")
def diff(one: SpaceName, two: OtherSpaceName, json: AsJson = False) -> None:
    """Print what differs between two spaces."""
    rows = diff_spaces(load_space(one), load_space(two))
    if json:
        emit([{"what": what, one: before, two: after} for what, before, after in rows])
    elif rows:
        table(["what", one, two], rows)
    else:
        say(f"{one} and {two} search the same")


def _report(report: SpaceReport) -> dict[str, object]:
    return _summary(report.space) | {
        "sound": report.sound,
        "problems": list(report.problems),
        "forbidden_share": report.forbidden_share,
    }


def _summary(space: SearchSpace) -> dict[str, object]:
    return {
        "about": space.about,
        "base": space.base,
        "trials": space.trials,
        "dimensions": len(space.vary),
    }


def _say_report(report: SpaceReport) -> None:
    if report.sound:
        dropped = (
            f", {report.forbidden_share:.0%} of draws forbidden" if report.space.forbid else ""
        )
        width = len(report.space.vary)
        dimensions = f"{width} dimension{'s' if width > 1 else ''}"
        said = f"{dimensions}, {report.space.trials} trials{dropped}"
        say(f"ok      {report.space.name}: {said}")
    for problem in report.problems:
        say(f"broken  {report.space.name}: {problem}")
