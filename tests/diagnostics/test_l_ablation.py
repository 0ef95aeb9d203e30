"""The l-ablation probe: what more snapshots gain."""

import pytest
import torch
from torch import Tensor

from risexp.data.frames import Scenes
from risexp.diagnostics.l_ablation import TrainedCounter, probe_l_ablation
from risexp.diagnostics.report import Rate
from risexp.errors import ConfigInvalid
from tests.diagnostics.reports import table
from tests.support.references import smoke


def test_each_length_has_an_accuracy_and_a_cost() -> None:
    report = probe_l_ablation(smoke(), 40)

    found = table(report, "K accuracy")
    assert ("l-ablation", "info") == (report.name, report.verdict)
    assert [(16, 128), (32, 256), (64, 288)] == [row[:2] for row in found.rows]
    for row in found.rows:
        assert isinstance(row[2], Rate)
        assert 0.5 < row[2].value <= 1.0
        assert 0.0 < float(str(row[3])) < 1e3
    assert 3 == len(report.advice)
    assert report.advice[0].startswith("From 16 to 32 snapshots NOMP gains ")
    assert "at 16, 32 and 64 snapshots: `risexp train " in report.advice[2]


def test_a_network_is_counted_too_where_it_is_trained_and_an_impossible_length_refused() -> None:
    report = probe_l_ablation(smoke(), 20, train_scenes=64, lengths=(8, 16))

    found = table(report, "K accuracy")
    assert ("NOMP", "NOMP ms a scene", "network after 64 scenes", "network ms a scene") == (
        found.headings[2:]
    )
    assert all(isinstance(row[4], Rate) and float(str(row[5])) > 0.0 for row in found.rows)
    with pytest.raises(ConfigInvalid, match="equations for 36 elements"):
        probe_l_ablation(smoke(), 20, lengths=(4,))


def knowing(run: str, right: float) -> TrainedCounter:
    """A network that counts so large a share of any scenes, its first ones."""

    def count(scenes: Scenes) -> Tensor:
        known = torch.arange(len(scenes)) < right * len(scenes)
        return scenes.truth.count - (~known).long()

    return TrainedCounter(run, count)


def test_a_trained_network_stands_beside_nomp_at_its_own_length() -> None:
    trained = {8: knowing("few", 0.25), 32: knowing("many", 1.0)}

    report = probe_l_ablation(smoke(), 20, trained=trained, lengths=(8, 16, 32))

    found = table(report, "K accuracy")
    assert ("trained network", "trained network ms a scene", "run") == found.headings[4:]
    assert ["few", None, "many"] == [row[-1] for row in found.rows]
    few, none, many = (row[4] for row in found.rows)
    assert isinstance(few, Rate)
    assert isinstance(many, Rate)
    assert (0.25, None, 1.0) == (few.value, none, many.value)
    assert (None, True) == (found.rows[1][5], float(str(found.rows[2][5])) > 0.0)


def test_networks_are_compared_with_each_other_and_with_nomp_scene_by_scene() -> None:
    trained = {16: knowing("few", 0.5), 32: knowing("many", 1.0)}

    report = probe_l_ablation(smoke("frame", "data.snr_db=[-5,-5]"), 64, trained=trained)

    nomp = [row[2] for row in table(report, "K accuracy").rows]
    ahead = [1.0 - each.value for each in nomp if isinstance(each, Rate)]
    said = " ".join(report.advice)
    assert (
        "From 16 to 32 snapshots the trained network gains +0.500 +- 0.122 in K accuracy." in said
    )
    assert f"At 32 snapshots the trained network differs from NOMP by {ahead[1]:+.3f} +- " in said
    assert "No trained network stands beside NOMP at 64 snapshots: " in said
    assert "`risexp train --preset small --set physics.snapshots=64` trains one" in said
