"""`risexp show`: look at one thing."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from risexp.cli.options import AsJson, Files, Overrides, Preset, resolved
from risexp.cli.output import emit, say, table

app = typer.Typer(no_args_is_help=True, help="Look at one thing: a scene.")


@app.callback()
def _group() -> None:
    """Keep `show` a group while it has one member."""


@app.command("scene")
def scene(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A frozen set.")],
    index: Annotated[
        int, typer.Option(min=0, metavar="I", help="Which scene, counted from 0.")
    ] = 0,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The PNG file; scene-I.png here by default.")
    ] = None,
    preset: Preset = None,
    config: Files = None,
    set_: Overrides = None,
    json: AsJson = False,
) -> None:
    """Draw a scene: where the sources stand, how loud each is, what the panel resolves.

    The set brings its own physics; `--set sampled.ridge=...` and the like change the image.
    """
    loaded = resolved(preset, config, set_)
    from risexp.app.scene import show_scene

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
