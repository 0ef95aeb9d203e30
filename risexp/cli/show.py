"""`risexp show`: show a scene, a run, a study or a spectrum."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from risexp.cli import study
from risexp.cli.options import AsJson, Device, ModelName, RunName, resolved, shared
from risexp.cli.output import emit, say, table
from risexp.cli.runs import say_run
from risexp.config.layers import Loaded
from risexp.errors import InvalidInput

app = typer.Typer(no_args_is_help=True, help="Show a scene, a run, a study or a spectrum.")
app.command("study")(study.show)


@app.command("scene")
@shared(resolved)
def scene(
    loaded: Loaded,
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
    from risexp.app.data.show_scene import show_scene

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
    if json:
        emit(seen.as_json())
        return
    say_run(seen)


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
