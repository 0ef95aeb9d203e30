"""`risexp space`: what may vary in a search, proved to be runs before a search starts."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from risexp.app.space.check import SpaceReview, review
from risexp.cli.options import AsJson, OtherSpaceName, SpaceName, SpaceNames
from risexp.cli.output import emit, note, say, table
from risexp.config.run import describe
from risexp.errors import InvalidInput, SpaceInvalid
from risexp.space.check import extent, unknown_paths
from risexp.space.cost import RATE, Cost, in_words
from risexp.space.diff import diff_spaces
from risexp.space.dimensions import Dimension
from risexp.space.files import load_space, space_paths
from risexp.space.spec import SearchSpace
from risexp.space.text import space_text

if TYPE_CHECKING:
    from risexp.app.space.probe import ProbeResult

app = typer.Typer(no_args_is_help=True, help="Check, list, show, compare and shrink search spaces.")

Probe = Annotated[
    bool,
    typer.Option(
        "--probe", help="Also train a few steps for two values of every dimension: none is dead."
    ),
]
Rate = Annotated[
    float,
    typer.Option(min=1e-3, metavar="N", help="Scenes a second a worker trains on, for the cost."),
]
StudyName = Annotated[
    str, typer.Option("--study", metavar="STUDY", help="One that has been searched.")
]
NewFile = Annotated[
    Path, typer.Option("--out", "-o", metavar="FILE", help="A new file, FILE.yaml.")
]


@app.command("check")
def check(
    names: SpaceNames = None, probe: Probe = False, rate: Rate = RATE, json: AsJson = False
) -> None:
    """Prove that every draw of a space is a run and that no dimension is dead; say what it costs.

    The cost is that of one worker if every trial comes to its end.
    """
    reviews = [review(load_space(name)) for name in names or space_paths()]
    if not reviews:
        raise SpaceInvalid("no search space was found: is search_spaces/ there?")
    found = {each.space.name: _probed(each) for each in reviews if probe}
    if json:
        emit({each.space.name: _document(each, rate, found) for each in reviews})
    else:
        for each in reviews:
            _say(each, rate)
            _say_probe(each.space, found.get(each.space.name, ()))
    for problem in _problems(reviews, found):
        raise SpaceInvalid(problem)


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
            (
                name,
                space.trials * max(len(space.stages), 1),
                len(_dimensions(space)),
                space.base or "default",
                space.about,
            )
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
        said = " and ".join(f"{path} = {value}" for path, value in combination.items())
        say(f"forbid  {said}")
    say(f"sampler {_section(space.sampler.model_dump(mode='json'))}")
    say(f"pruner  {_section(space.pruner.model_dump(mode='json'))}")


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


@app.command("shrink")
def shrink(study: StudyName, out: NewFile, json: AsJson = False) -> None:
    """Write the next, narrower space: around the best quarter of a study's trials.

    Its trial 0 is the best of them. A choice keeps the options that win at least half as often as
    evenly. RISEXP_STORE names the store of studies where it is not this home's own.
    """
    if out.suffix != ".yaml":
        raise InvalidInput(f"--out {out}: a space is a file that ends in .yaml")
    if out.exists():
        raise InvalidInput(f"--out {out} is there already: name a new file")
    from risexp.app.space.shrink import shrunk

    space = shrunk(study, out.stem)
    with out.open("x", encoding="utf-8") as file:
        file.write(space_text(space))
    if json:
        emit(_summary(space) | {"path": str(out)})
    else:
        say(f"{out}: {space.about}")
        say(f"next: risexp space check {out}")


def _probed(reviewed: SpaceReview) -> "tuple[ProbeResult, ...]":
    if not reviewed.sound:
        return ()
    from risexp.app.space.probe import probe_space

    return probe_space(reviewed.space, tell=lambda found: note(f"probed  {found.path}"))


def _problems(
    reviews: Sequence[SpaceReview], found: "Mapping[str, tuple[ProbeResult, ...]]"
) -> Iterator[str]:
    for each in reviews:
        yield from (f"space {each.space.name}: {problem}" for problem in each.problems)
    for name, dimensions in found.items():
        for one in dimensions:
            if one.dead:
                yield f"space {name}: {one.path} is dead: {one.one!r} and {one.two!r} train alike"


def _document(
    reviewed: SpaceReview, rate: float, found: "Mapping[str, tuple[ProbeResult, ...]]"
) -> dict[str, Any]:
    document = _summary(reviewed.space) | reviewed.as_json(rate)
    if reviewed.space.name in found:
        document["probe"] = [each.as_json() for each in found[reviewed.space.name]]
    return document


def _summary(space: SearchSpace) -> dict[str, Any]:
    return {
        "about": space.about,
        "base": space.base,
        "trials": space.trials,
        "dimensions": len(_dimensions(space)),
        "stages": list(space.stages),
    }


def _dimensions(space: SearchSpace) -> dict[str, Dimension]:
    """All that varies, in stages or not."""
    staged = {path: each for vary in space.stages.values() for path, each in vary.items()}
    return space.vary | staged


def _say(reviewed: SpaceReview, rate: float) -> None:
    space = reviewed.space
    if reviewed.cost is not None:
        said = [_counted(len(_dimensions(space)), "dimension")]
        said += [_counted(len(space.stages), "stage")] if space.stages else []
        said += [f"{reviewed.forbidden_share:.0%} of draws forbidden"] if space.forbid else []
        say(f"ok      {space.name}: {', '.join(said)}; {_cost(reviewed.cost, rate)}")
    for problem in reviewed.problems:
        say(f"broken  {space.name}: {problem}")
    for remark in reviewed.notes:
        say(f"note    {space.name}: {remark}")


def _say_probe(space: SearchSpace, found: "tuple[ProbeResult, ...]") -> None:
    for each in found:
        state = "dead   " if each.dead else "alive  "
        apart = f": {', '.join(each.differs)}" if each.differs else ""
        say(f"{state} {space.name}: {each.path}, {each.one} against {each.two}{apart}")


def _cost(cost: Cost, rate: float) -> str:
    time = in_words(cost.seconds(rate))
    return (
        f"at most {cost.trials} trials of {cost.epochs} epochs, {cost.scenes:,} scenes, {time} at "
        f"{rate:g} a second"
    )


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _section(said: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in said.items())
