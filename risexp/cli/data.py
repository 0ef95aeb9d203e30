"""`risexp data`: frozen sets of scenes, made and checked."""

from enum import StrEnum
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from risexp.cli.options import AsJson, resolved, shared
from risexp.cli.output import emit, note, progress, say
from risexp.errors import VerificationFailed

if TYPE_CHECKING:
    from risexp.config.layers import Loaded

app = typer.Typer(no_args_is_help=True, help="Make and check frozen sets of scenes.")


class SplitName(StrEnum):
    """The splits, as words of the command line; `Split` of the data room without its torch."""

    train = "train"
    validation = "validation"
    calibration = "calibration"
    test = "test"


@app.command("generate")
@shared(resolved)
def generate(
    loaded: "Loaded",
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="The set's folder: new, empty, or a set to finish.")
    ],
    split: Annotated[SplitName, typer.Option(help="Whose stream the scenes are drawn from.")],
    scenes: Annotated[int, typer.Option(min=1, metavar="N", help="How many.")],
    device: Annotated[
        str, typer.Option(metavar="DEVICE", help="Where to draw: cpu or cuda.")
    ] = "cpu",
    json: AsJson = False,
) -> None:
    """Draw scenes into a frozen set; the same command finishes an interrupted one."""
    from rich.filesize import decimal

    from risexp.app.run.machine import device_named
    from risexp.data.freezing import freeze, planned_bytes, scene_request

    request = scene_request(loaded.config, split.value, scenes, str(device_named(device)))
    planned = planned_bytes(request)
    note(f"{scenes} {split.value} scenes, {decimal(planned)}, config {request.config_sha[:12]}")
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
    from risexp.data.shards import FrozenSet, ShardFault, set_faults

    started = monotonic()
    manifest, faults = FrozenSet.open(folder).manifest, list[ShardFault]()
    with progress("scenes", manifest.scenes) as advance:
        for count, damage in set_faults(folder, manifest):
            faults += damage
            advance(count)
    seconds = monotonic() - started
    if json:
        emit(
            {"folder": str(folder), "sound": not faults}
            | {"faults": [{"path": fault.path, "problem": fault.problem} for fault in faults]}
            | {"scenes": manifest.scenes, "split": manifest.split}
            | {"digest": manifest.digest, "seconds": round(seconds, 3)}
        )
    if faults:
        rest = f" (and {len(faults) - 1} more faults)" if len(faults) > 1 else ""
        raise VerificationFailed(f"{folder} is damaged: {faults[0]}{rest}")
    if not json:
        say(f"{folder}: {manifest.scenes} scenes as listed, read in {seconds:.1f} s")
