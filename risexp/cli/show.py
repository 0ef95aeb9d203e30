"""`risexp show`: show a scene, a run, a study or a spectrum."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from risexp.cli import study
from risexp.cli.options import AsJson, Device, ModelName, RunName, resolved, shared
from risexp.cli.output import answer, emit, say, short, table
from risexp.cli.study_output import number
from risexp.errors import InvalidInput

if TYPE_CHECKING:
    from risexp.app.show.run import RunSeen
    from risexp.config.layers import Loaded

app = typer.Typer(no_args_is_help=True, help="Show a scene, a run, a study or a spectrum.")
app.command("study")(study.show)


@app.command("scene")
@shared(resolved)
def scene(
    loaded: "Loaded",
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A frozen set.")],
    index: Annotated[int, typer.Option(min=0, metavar="I", help="Index of the scene, from 0.")] = 0,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The PNG file; scene-I.png here by default.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Draw a scene: positions and power of the sources, and the resolution of the panel.

    The physics come from the set; fields like `--set sampled.ridge=...` change the image.
    """
    from risexp.app.show.scene import show_scene

    picture = out or Path(f"scene-{index}.png")
    seen = show_scene(folder, index, picture, loaded.config)
    if json:
        emit(asdict(seen) | {"picture": str(picture)})
        return
    say(f"{seen.split} scene {seen.index} at {seen.snr_db:.1f} dB SNR, drawn in {picture}")
    table(
        ["source", "phi (deg)", "theta (deg)", "range (m)", "SNR (dB)"],
        [
            (rank, f"{s.phi_deg:.2f}", f"{s.theta_deg:.2f}", f"{s.range_m:.2f}", f"{s.snr_db:.1f}")
            for rank, s in enumerate(seen.sources, start=1)
        ],
    )


@app.command("run")
def run(name: RunName, json: AsJson = False) -> None:
    """Show the state of a run, its configuration, and the scores of its best epoch.

    The scores stand beside chance, NOMP and the reference on the same validation scenes.
    """
    from risexp.app.show.run import RunSeen

    seen = RunSeen.of(name)
    answer(seen.as_json, lambda: _say_run(seen), json=json)


@app.command("spectrum")
def spectrum(
    model: ModelName,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="A new PNG file.")],
    scene_: Annotated[
        int, typer.Option("--scene", min=0, metavar="N", help="Index of the test scene, from 0.")
    ] = 0,
    snr: Annotated[
        float | None,
        typer.Option(min=-100.0, max=100.0, metavar="DB", help="Its SNR; by default as drawn."),
    ] = None,
    device: Device = "auto",
    json: AsJson = False,
) -> None:
    """Draw the spectra of a test scene: from a network's covariance and from the samples.

    True and estimated positions are marked; the estimates are printed.
    """
    if out.suffix.lower() != ".png":
        raise InvalidInput(f"--out {out}: the picture is a file that ends in .png")
    from risexp.core.durable import expect_new

    expect_new(out)
    from risexp.app.run.machine import device_named
    from risexp.app.show.spectrum import show_spectra, write_spectra

    seen = show_spectra(model, scene_, snr, device_named(device))
    write_spectra(seen, out)
    if json:
        emit(seen.as_json() | {"picture": str(out)})
        return
    say(f"test scene {seen.scene} at {seen.snr_db:.1f} dB SNR, drawn in {out}")
    rows = [("true", (s.phi_deg, s.theta_deg, s.range_m)) for s in seen.sources]
    rows += [
        (method, at)
        for each in seen.shown
        for method, positions in each.positions.items()
        for at in positions
    ]
    table(
        ["", "phi (deg)", "theta (deg)", "range (m)"],
        [(name, *(f"{value:.2f}" for value in at)) for name, at in rows],
    )


def _say_run(seen: "RunSeen") -> None:
    """Print a run in blocks of text, the most important first."""
    done, of = max(seen.by_epoch, default=0), len(seen.folder.plans())
    sha = seen.folder.config_sha[:12]
    say(f"run {seen.name}: {seen.state}, {done} of {of} epochs, config {sha}")
    if seen.outcome is not None:
        say(seen.outcome.sentence)
    _say_scores(seen)
    if seen.confusion:
        say("")
        answered, counts = seen.confusion_table()
        table(["true, answered", *answered], [(name, *row) for name, row in counts])
    _say_differences(seen)
    _say_kept(seen)


def _say_scores(seen: "RunSeen") -> None:
    say("")
    if seen.best_epoch is None:
        say("no epoch was judged")
        return
    doubt = f"; the count is {seen.doubt}" if seen.doubt else ""
    scenes = int(seen.best.get("scenes", 0))
    k_loc = number(seen.best.get("k_loc"))
    say(f"best epoch {seen.best_epoch}: k_loc {k_loc} on {scenes:,} scenes{doubt}")
    rows = [(name, *map(number, values)) for name, *values in seen.beside()]
    table(["", "network", "chance", "NOMP", "reference"], rows)


def _say_differences(seen: "RunSeen") -> None:
    differences = seen.differences()
    base = f"preset {seen.preset}" if seen.preset else "the defaults"
    say("")
    if not differences:
        say(f"configured as {base}")
        return
    table(["field", base, seen.name], [(path, *map(short, v)) for path, v in differences.items()])


def _say_kept(seen: "RunSeen") -> None:
    say("")
    for attempt, epochs in seen.kept.items():
        kept = ", ".join(map(str, epochs)) or "none"
        say(f"checkpoints of {attempt}: epochs {kept}")
    faults = ", ".join(f"{name} {value:g}" for name, value in seen.faults.items())
    say(f"guards that saw something: {faults or 'none'}")
    if seen.page is None:
        say("MLflow: nothing was sent")
    else:
        unsent = f", {seen.unsent} lines not sent yet: risexp sync" if seen.unsent else ""
        say(f"MLflow: {seen.page[0]} store, {seen.page[1]}{unsent}")
    say(f"folder: {seen.folder.path}")
