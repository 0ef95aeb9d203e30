"""The command that draws a scene and lists its sources."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from risexp.data.shards import FrozenSet
from tests.support.commands import GENERATE, Capture, document, run


def test_show_scene_draws_a_picture_and_lists_the_sources_strongest_first(
    capsys: Capture, tmp_path: Path
) -> None:
    run(capsys, GENERATE)
    scenes = FrozenSet.open(tmp_path / "set").scenes(0, 6)
    index = int(scenes.truth.count.argmax())

    answer = document(capsys, f"show scene set --index {index} --out deep.png")
    code, out, err = run(capsys, f"show scene set --index {index}")

    levels = [source["snr_db"] for source in answer["sources"]]
    assert {"index", "split", "snr_db", "sources", "picture"} == set(answer)
    assert "deep.png" == answer["picture"]
    assert (tmp_path / "deep.png").exists()
    assert len(levels) == int(scenes.truth.count[index]) > 1
    assert sorted(levels, reverse=True) == levels
    # Together, up to their interference, the sources are as loud as the scene.
    total = 10.0 * math.log10(sum(10.0 ** (level / 10.0) for level in levels))
    assert pytest.approx(answer["snr_db"], abs=4.0) == total
    assert (0, "") == (code, err)
    assert out.startswith(f"test scene {index} at ")
    assert f"drawn in scene-{index}.png" in out
    assert [line.split()[-1] for line in out.splitlines()[2:]] == [f"{db:.1f}" for db in levels]
    with Image.open(tmp_path / f"scene-{index}.png") as picture:
        assert ("PNG", True) == (picture.format, picture.width > 1000)
        shades = np.asarray(picture.convert("L"))
    assert int(shades.max()) - int(shades.min()) > 200
    assert len(np.unique(shades)) > 50


@pytest.mark.parametrize("symbols", ["frame", "snapshot"])
def test_show_scene_of_a_single_loud_source_peaks_where_it_stands(
    capsys: Capture, tmp_path: Path, symbols: str
) -> None:
    fixed = "-s data.sources_max=1 -s data.snr_db=[40,40] -s data.phi_deg=[19.9,20.1]"
    run(capsys, f"{GENERATE} {fixed} -s physics.symbols={symbols}")

    answer = document(capsys, "show scene set")

    (source,) = answer["sources"]
    assert pytest.approx(20.0, abs=0.1) == source["phi_deg"]
    assert pytest.approx(40.0, abs=0.1) == source["snr_db"]
    true = FrozenSet.open(tmp_path / "set").scenes(0, 1).truth
    theta_deg = torch.rad2deg(true.theta_rad[0, 0]).item()
    assert pytest.approx(theta_deg, abs=1e-3) == source["theta_deg"]
