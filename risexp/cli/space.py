"""`risexp space`: check, list, show, compare and shrink search spaces."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from risexp.cli.options import AsJson, OtherSpaceName, SpaceName, SpaceNames
from risexp.cli.output import emit, note, say, table
from risexp.errors import InvalidInput, SpaceInvalid

if TYPE_CHECKING:
    from risexp.app.space.check import SpaceReview
    from risexp.app.space.probe import ProbeResult
    from risexp.space.dimensions import Dimension
    from risexp.space.spec import SearchSpace

app = typer.Typer(no_args_is_help=True, help="Check, list, show, compare and shrink search spaces.")

Probe = Annotated[
    bool,
    typer.Option("--probe", help="Also train a few steps for two values of every dimension."),
]
Rate = Annotated[
    float,
    typer.Option(min=1e-3, metavar="N", help="Training speed in scenes a second, for the cost."),
]
StudyName = Annotated[str, typer.Option("--study", metavar="STUDY", help="A finished study.")]
NewFile = Annotated[
    Path, typer.Option("--out", "-o", metavar="FILE", help="A new file, FILE.yaml.")
]


_RATE: Final = 500.0
"""Training speed of the preset `small` on one CPU core: scenes a second with validation."""


@app.command("check")
def check(
    names: SpaceNames = None, probe: Probe = False, rate: Rate = _RATE, json: AsJson = False
) -> None:
    """Check that every draw of a space is a valid run and no dimension is dead; estimate its cost.

    The cost is that of one worker if no trial is pruned.
    """
    from risexp.app.space.check import review
    from risexp.space.files import load_space, space_paths

    reviews = [review(load_space(name)) for name in names or space_paths()]
    if not reviews:
        raise SpaceInvalid("no search space was found: is search_spaces/ there?")
    probes = {one.space.name: _probed(one) for one in reviews if probe}
    if json:
        emit({one.space.name: _document(one, rate, probes) for one in reviews})
    else:
        for one in reviews:
            _say(one, rate)
            _say_probe(one.space, probes.get(one.space.name, ()))
    for problem in _problems(reviews, probes):
        raise SpaceInvalid(problem)


@app.command("list")
def list_(json: AsJson = False) -> None:
    """List the named spaces."""
    from risexp.space.files import load_space, space_paths

    spaces = {name: (load_space(name), path) for name, path in space_paths().items()}
    if json:
        emit(
            {name: _summary(space) | {"path": str(path)} for name, (space, path) in spaces.items()}
        )
        return
    table(
        ["space", "trials", "dimensions", "base", "about"],
        [
            (
                name,
                space.trials * max(len(space.stages), 1),
                len(_dimensions(space)),
                space.base or "default",
                space.about,
            )
            for name, (space, _) in spaces.items()
        ],
    )


@app.command("show")
def show(name: SpaceName, json: AsJson = False) -> None:
    """Print a space: what it fixes, varies and forbids."""
    from risexp.config.run import describe
    from risexp.space.check import extent, unknown_paths
    from risexp.space.files import load_space

    space = load_space(name)
    if json:
        emit(space.model_dump(mode="json"))
        return
    for problem in unknown_paths(space):
        raise SpaceInvalid(f"space {space.name}: {problem}")
    say(f"{space.name}: {space.about or 'no description'}")
    say(
        f"base {space.base or 'default'}, {space.trials} trials{' a stage' if space.stages else ''}"
    )
    base = space.trial_zero().config.flat()
    rows = []
    for path, dimension in _dimensions(space).items():
        when = ", ".join(f"{at} = {value}" for at, value in dimension.when.items())
        rows.append((path, dimension.kind, extent(dimension), base.get(path), when, describe(path)))
    table(["field", "kind", "over", "default", "when", "meaning"], rows)
    for word, values in (("fixed", space.fixed), ("start", space.start)):
        for path, value in values.items():
            say(f"{word}   {path} = {value}")
    for combination in space.forbid:
        say(f"forbid  {' and '.join(f'{at} = {value}' for at, value in combination.items())}")
    say(f"sampler {_section(space.sampler.model_dump(mode='json'))}")
    say(f"pruner  {_section(space.pruner.model_dump(mode='json'))}")


@app.command("diff")
def diff(one: SpaceName, two: OtherSpaceName, json: AsJson = False) -> None:
    """Print the differences between two spaces."""
    from risexp.space.files import diff_spaces, load_space

    rows = diff_spaces(load_space(one), load_space(two))
    if json:
        emit([{"what": what, one: before, two: after} for what, before, after in rows])
    elif rows:
        table(["what", one, two], rows)
    else:
        say(f"{one} and {two} search the same")


@app.command("shrink")
def shrink(study: StudyName, out: NewFile, json: AsJson = False) -> None:
    """Write a narrower space around the best quarter of a study's trials.

    Its trial 0 is the best trial. A choice keeps the options that win at least half as often as an
    even split. RISEXP_STORE names the study store if it is not the one of this home.
    """
    if out.suffix != ".yaml":
        raise InvalidInput(f"--out {out}: a space is a file that ends in .yaml")
    if out.exists():
        raise InvalidInput(f"--out {out} is there already: name a new file")
    from risexp.app.space.shrink import shrunk
    from risexp.space.files import space_text

    space = shrunk(study, out.stem)
    with out.open("x", encoding="utf-8") as file:
        file.write(space_text(space))
    if json:
        emit(_summary(space) | {"path": str(out)})
    else:
        say(f"{out}: {space.about}")
        say(f"next: risexp space check {out}")


def _probed(reviewed: "SpaceReview") -> "tuple[ProbeResult, ...]":
    if not reviewed.sound:
        return ()
    from risexp.app.space.probe import probe_space

    return probe_space(reviewed.space, tell=lambda result: note(f"probed  {result.path}"))


def _problems(
    reviews: "Sequence[SpaceReview]", probes: "Mapping[str, tuple[ProbeResult, ...]]"
) -> Iterator[str]:
    for reviewed in reviews:
        yield from (f"space {reviewed.space.name}: {problem}" for problem in reviewed.problems)
    for name, results in probes.items():
        for result in results:
            if result.dead:
                both = f"{result.one!r} and {result.two!r}"
                yield f"space {name}: {result.path} is dead: {both} train alike"


def _document(
    reviewed: "SpaceReview", rate: float, probes: "Mapping[str, tuple[ProbeResult, ...]]"
) -> dict[str, Any]:
    document = _summary(reviewed.space) | reviewed.as_json(rate)
    if reviewed.space.name in probes:
        document["probe"] = [result.as_json() for result in probes[reviewed.space.name]]
    return document


def _summary(space: "SearchSpace") -> dict[str, Any]:
    return {
        "about": space.about,
        "base": space.base,
        "trials": space.trials,
        "dimensions": len(_dimensions(space)),
        "stages": list(space.stages),
    }


def _dimensions(space: "SearchSpace") -> "dict[str, Dimension]":
    staged = {path: dim for vary in space.stages.values() for path, dim in vary.items()}
    return space.vary | staged


def _say(reviewed: "SpaceReview", rate: float) -> None:
    from risexp.space.cost import in_words

    space, cost = reviewed.space, reviewed.cost
    if cost is not None:
        facts = [_counted(len(_dimensions(space)), "dimension")]
        facts += [_counted(len(space.stages), "stage")] if space.stages else []
        facts += [f"{reviewed.forbidden_share:.0%} of draws forbidden"] if space.forbid else []
        say(
            f"ok      {space.name}: {', '.join(facts)}; at most {cost.trials} trials of "
            f"{cost.epochs} epochs, {cost.scenes:,} scenes, {in_words(cost.seconds(rate))} at "
            f"{rate:g} a second"
        )
    for problem in reviewed.problems:
        say(f"broken  {space.name}: {problem}")
    for remark in reviewed.notes:
        say(f"note    {space.name}: {remark}")


def _say_probe(space: "SearchSpace", results: "tuple[ProbeResult, ...]") -> None:
    for result in results:
        state = "dead   " if result.dead else "alive  "
        apart = f": {', '.join(result.differs)}" if result.differs else ""
        say(f"{state} {space.name}: {result.path}, {result.one} against {result.two}{apart}")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _section(fields: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in fields.items())
