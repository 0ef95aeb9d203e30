"""`risexp data`: frozen sets of scenes, made and checked."""

from enum import StrEnum
from pathlib import Path
from time import monotonic
from typing import Annotated

import typer

from risexp.cli.options import AsJson, Files, Overrides, Preset, resolved
from risexp.cli.output import emit, note, say, size
from risexp.cli.progress import progress
from risexp.errors import VerificationFailed

app = typer.Typer(no_args_is_help=True, help="Make and check frozen sets of scenes.")


class SplitName(StrEnum):
    """The splits, as words of the command line; `Split` of the data room without its torch."""

    train = "train"
    validation = "validation"
    calibration = "calibration"
    test = "test"


@app.command("generate")
def generate(
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="The set's folder: new, empty, or a set to finish.")
    ],
    split: Annotated[SplitName, typer.Option(help="Whose stream the scenes are drawn from.")],
    scenes: Annotated[int, typer.Option(min=1, metavar="N", help="How many.")],
    preset: Preset = None,
    config: Files = None,
    set_: Overrides = None,
    device: Annotated[
        str, typer.Option(metavar="DEVICE", help="Where to draw: cpu or cuda.")
    ] = "cpu",
    json: AsJson = False,
) -> None:
    """Draw scenes into a frozen set; the same command finishes an interrupted one."""
    loaded = resolved(preset, config, set_)
    from risexp.app.data.generate import plan_set
    from risexp.data.freezing import freeze

    request, planned = plan_set(loaded.config, split.value, scenes, device)
    note(f"{scenes} {split.value} scenes, {size(planned)}, config {request.config_sha[:12]}")
    started = monotonic()
    with progress("scenes", scenes) as advance:
        manifest, drawn = freeze(out, request, device, advance)
    seconds = monotonic() - started
    if json:
        emit(
            {"folder": str(out), "split": manifest.split, "scenes": manifest.scenes}
            | {"bytes": planned, "config_sha": manifest.config_sha, "digest": manifest.digest}
            | {"drawn": drawn, "seconds": round(seconds, 3)}
        )
    elif drawn:
        say(f"{out}: {manifest.scenes} scenes in {seconds:.1f} s, digest {manifest.digest[:12]}")
    else:
        say(f"{out} already holds these {manifest.scenes} scenes, digest {manifest.digest[:12]}")


@app.command("verify")
def verify(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The set's folder.")],
    json: AsJson = False,
) -> None:
    """Read every byte of a set and hold it against the manifest; exit code 4 if it differs."""
    from risexp.app.data.verify import read_total, verify_set

    started = monotonic()
    with progress("scenes", read_total(folder)) as advance:
        found = verify_set(folder, advance)
    seconds = monotonic() - started
    if json:
        faults = [{"path": fault.path, "problem": fault.problem} for fault in found.faults]
        emit(
            {"folder": str(folder), "sound": not faults, "faults": faults}
            | {"scenes": found.manifest.scenes, "split": found.manifest.split}
            | {"digest": found.manifest.digest, "seconds": round(seconds, 3)}
        )
    if found.faults:
        rest = f" (and {len(found.faults) - 1} more faults)" if len(found.faults) > 1 else ""
        raise VerificationFailed(f"{folder} is damaged: {found.faults[0]}{rest}")
    if not json:
        say(f"{folder}: {found.manifest.scenes} scenes as listed, read in {seconds:.1f} s")
