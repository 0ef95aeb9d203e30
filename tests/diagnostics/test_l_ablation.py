"""More snapshots: the same sources, the same channel, and what they buy."""

import pytest
import torch

from risexp.diagnostics.draws import drawn
from risexp.diagnostics.l_ablation import Measured, probe_l_ablation
from risexp.diagnostics.report import Rate
from risexp.errors import ConfigInvalid
from tests.diagnostics.reports import table
from tests.references import smoke


def test_each_length_has_an_accuracy_and_a_cost() -> None:
    report = probe_l_ablation(smoke(), 40)

    found = table(report, "K accuracy")
    assert ("l-ablation", "info") == (report.name, report.verdict)
    assert [(16, 128), (32, 256), (64, 288)] == [row[:2] for row in found.rows]
    for row in found.rows:
        assert isinstance(row[2], Rate)
        assert 0.5 < row[2].value <= 1.0
        assert 0.0 < float(str(row[3])) < 1e3
    assert 2 == len(report.advice)
    assert report.advice[0].startswith("From 16 to 32 snapshots NOMP gains ")


def test_a_network_is_counted_too_where_it_is_trained() -> None:
    report = probe_l_ablation(smoke(), 20, train_scenes=64, lengths=(8, 16))

    found = table(report, "K accuracy")
    assert ("NOMP", "NOMP ms a scene", "network after 64 scenes", "network ms a scene") == (
        found.headings[2:]
    )
    assert all(isinstance(row[4], Rate) and float(str(row[5])) > 0.0 for row in found.rows)


def test_scenes_of_every_length_hold_the_same_sources() -> None:
    few, many = (drawn(smoke("frame", f"physics.snapshots={length}"), 30) for length in (16, 64))

    assert torch.equal(few.truth.count, many.truth.count)
    assert torch.equal(few.truth.symbols, many.truth.symbols)
    assert torch.equal(few.frames.channel, many.frames.channel)


def test_a_length_that_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigInvalid, match="equations for 36 elements"):
        probe_l_ablation(smoke(), 20, lengths=(4,))


def test_hits_are_those_of_the_scenes_that_are_timed() -> None:
    scenes = drawn(smoke(), 30)

    found = Measured.of(lambda asked: asked.truth.count.clamp(max=2), scenes)

    assert torch.equal(scenes.truth.count <= 2, found.hits)
    assert found.scene_ms > 0.0
