"""Random numbers of a scene's own: fixed by the scene and the purpose, and by nothing else."""

import torch

from risexp.evaluation.candidates import scene_normals, scene_uniforms
from tests.support.references import smoke
from tests.support.scenes import tiny_scenes


def test_a_scene_draws_the_same_wherever_it_stands(device: torch.device) -> None:
    config = smoke()
    truth = tiny_scenes(12, physics=config.physics, data=config.data, device=device).truth

    for drawn in (scene_normals, scene_uniforms):
        whole = drawn(truth, "test", (5, 4))
        assert torch.equal(whole[7:], drawn(truth[7:], "test", (5, 4)))
        assert device.type == whole.device.type


def test_scenes_and_purposes_draw_independently() -> None:
    config = smoke()
    truth = tiny_scenes(12, physics=config.physics, data=config.data).truth

    one, two = (scene_normals(truth, purpose, (500,)) for purpose in ("one", "two"))

    correlation = torch.cat([one, two]).corrcoef() - torch.eye(24, dtype=torch.float64)
    assert float(correlation.abs().max()) < 0.2
