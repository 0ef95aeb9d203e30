"""The picture of a scene's spectra: network above, samples below; MUSIC left, power right."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from torch import Tensor

from risexp.app.benchmark.figure_style import STYLE, new_figure
from risexp.app.show.spectrum import ShownSpectrum, SpectraSeen
from risexp.core.durable import write_new

_FLOOR_DB: Final = -25.0
_TRUE: Final[dict[str, Any]] = {"marker": "o", "ms": 11, "mfc": "none", "mec": "white", "mew": 1.4}
_MARKS: Final[Mapping[str, dict[str, Any]]] = {
    "network": {"marker": "x", "ms": 7, "mec": "#56b4e9", "mew": 2.0},
    "music": {"marker": "x", "ms": 7, "mec": "#56b4e9", "mew": 2.0},
    "nomp": {"marker": "+", "ms": 9, "mec": "#4dff9d", "mew": 1.8},
}
_NAMES: Final = {"network": "network", "music": "MUSIC on the samples", "nomp": "NOMP"}


def write_spectra(seen: SpectraSeen, path: Path) -> None:
    """Draw them into a new PNG file.

    Raises:
        InvalidInput: Something of that name is there already.
        EnvironmentFailed: The disk is full or forbidden; nothing is left of it.
    """
    stream = io.BytesIO()
    _draw_spectra(seen).savefig(stream, format="png", dpi=130)
    write_new(path, stream.getvalue())


def _draw_spectra(seen: SpectraSeen) -> Figure:
    """Both covariances over the field of view, true and estimated positions marked."""
    with rc_context(STYLE):
        figure = new_figure(6.6, 10.0)
        panels = figure.subplots(2, 2, sharex=True, sharey=True)
        for shown, (left, right) in zip(seen.shown, panels, strict=True):
            who = "network's covariance" if shown.name == "network" else "sampled covariance"
            counted = f"{who}: MUSIC for {shown.count} source{'s' if shown.count > 1 else ''}"
            for axes, values, title in (
                (left, shown.music_db, counted),
                (right, shown.power_db, f"{who}: power"),
            ):
                image = _draw(axes, values, seen)
                _mark(axes, seen, shown)
                axes.set_title(title)
                figure.colorbar(image, ax=axes, label="dB below the peak", pad=0.01)
            left.set_ylabel("elevation theta (deg)")
        for axes in panels[1]:
            axes.set_xlabel("azimuth phi (deg)")
        _name(figure, seen)
        return figure


def _draw(axes: Axes, values: Tensor, seen: SpectraSeen) -> AxesImage:
    field = seen.field
    return axes.imshow(
        values.tolist(),
        origin="lower",
        extent=(*field.phi_deg, *field.theta_deg),
        aspect="auto",
        cmap="magma",
        # A flat spectrum is to be seen as one with peaks, however low these are.
        vmin=max(_FLOOR_DB, min(float(values.min()), -1.0)),
        vmax=0.0,
    )


def _mark(axes: Axes, seen: SpectraSeen, shown: ShownSpectrum) -> None:
    for source in seen.sources:
        axes.plot(source.phi_deg, source.theta_deg, ls="", clip_on=False, **_TRUE)
    for who, positions in shown.found.items():
        for phi, theta, _ in positions:
            axes.plot(phi, theta, ls="", clip_on=False, **_MARKS[who])


def _name(figure: Figure, seen: SpectraSeen) -> None:
    lines = [Line2D([], [], ls="", **{**_TRUE, "mec": "#888888"})]
    names = [f"true ({len(seen.sources)})"]
    for shown in seen.shown:
        for who, positions in shown.found.items():
            lines.append(Line2D([], [], ls="", **_MARKS[who]))
            names.append(f"{_NAMES[who]} ({len(positions)})")
    figure.suptitle(
        f"run {seen.run}, epoch {seen.epoch}: test scene {seen.scene} at {seen.snr_db:.1f} dB SNR, "
        "best of the range planes"
    )
    figure.legend(lines, names, loc="outside lower center", ncols=len(lines))
