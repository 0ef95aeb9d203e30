"""Facts 1 to 3 of this problem, measured: what each estimate of the field holds, and what MDL sees.

1. The stacked operator G has full column rank and a small condition number, so one ridge solve of
   all L M equations recovers the field on the panel.
2. The per-snapshot estimate holds little of the signal; with its mean over snapshots subtracted it
   holds no more than chance.
3. No covariance of held symbols shows K: the effective ranks of the noiseless covariances do not
   follow K, and MDL answers one class on each of them. On ideal data the same criterion finds K.

    python benchmarks/facts.py [--scenes N] [--preset P] [--json]
"""

import argparse
import json
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import pad

from risexp.config.layers import load_config
from risexp.config.run import RunConfig
from risexp.covariance.factored import FactoredCovariance
from risexp.covariance.order import order
from risexp.covariance.sampled import sampled_covariance
from risexp.data.frames import Frames, Scenes
from risexp.data.scenes import SceneGenerator, source_steering
from risexp.physics.geometry import Panel
from risexp.physics.signals import received, stacked_operator

RIDGE = 1e-3


def scenes_at(config: RunConfig, snr_db: float | None, count: int) -> tuple[Panel, Scenes]:
    """Test scenes at one SNR, or without noise."""
    level = [snr_db, snr_db] if snr_db is not None else [0.0, 0.0]
    drawn = config.replace({"data.snr_db": level})
    generator = SceneGenerator(drawn.physics, drawn.data)
    scenes = generator.scenes("test", 0, count)
    if snr_db is None:
        frames, truth = scenes.frames, scenes.truth
        field = truth.gains @ source_steering(generator.panel, truth)
        clean = received(frames.channel, frames.codes, field)
        scenes = Scenes(Frames(clean, frames.channel, frames.codes, frames.snr_db), truth)
    return generator.panel, scenes


def covariances(frames: Frames) -> dict[str, FactoredCovariance]:
    """The three covariances people take MDL of, and the seeds' mean-subtracted one."""
    joint = sampled_covariance("joint", frames.y, frames.channel, frames.codes, RIDGE)
    each = sampled_covariance("per_snapshot", frames.y, frames.channel, frames.codes, RIDGE)
    centred = each.factor - each.factor.mean(-1, keepdim=True)
    return {
        "joint": joint,
        "per_snapshot": each,
        "mean_subtracted": FactoredCovariance.from_factor(centred),
        "received": FactoredCovariance.from_factor(frames.y.mT / frames.y.shape[1] ** 0.5),
    }


def subspace_energy(panel: Panel, scenes: Scenes) -> dict[str, float]:
    """Mean share of an estimate's energy that lies in the span of the true steering vectors."""
    truth = scenes.truth
    label = FactoredCovariance.from_sources(source_steering(panel, truth), truth.powers)
    basis = label.signal_subspace(truth.count)
    found = covariances(scenes.frames)
    return {
        name: round(float(_share(basis, found[name].factor).mean()), 4)
        for name in ("joint", "per_snapshot", "mean_subtracted")
    }


def _share(basis: Tensor, factor: Tensor) -> Tensor:
    inside = (basis.mH @ factor).abs().square().sum((-2, -1))
    return inside / factor.abs().square().sum((-2, -1))


def effective_rank(eigenvalues: Tensor) -> Tensor:
    """(tr R)^2 / |R|^2: how many equal eigenvalues would spread the power as much."""
    return eigenvalues.sum(-1).square() / eigenvalues.square().sum(-1)


def ranks_by_count(scenes: Scenes, most: int) -> dict[str, list[float]]:
    """Median effective rank of each noiseless covariance for K = 1 .. K_MAX."""
    found = covariances(scenes.frames)
    answer = {}
    for name in ("joint", "per_snapshot", "received"):
        rank = effective_rank(found[name].eigenvalues())
        medians = [rank[scenes.truth.count == k].median() for k in range(1, most + 1)]
        answer[name] = [round(float(median), 2) for median in medians]
    return answer


def confusion(found: Tensor, true: Tensor, most: int) -> list[list[int]]:
    """Counts, rows true and columns found, both from 1."""
    cells = torch.bincount((true - 1) * most + found - 1, minlength=most * most)
    return [[int(cell) for cell in row] for row in cells.view(most, most)]


def mdl(scenes: Scenes, most: int) -> dict[str, dict[str, object]]:
    """Accuracy and confusion of MDL on each covariance."""
    snapshots, count = scenes.frames.y.shape[1], scenes.truth.count
    answer: dict[str, dict[str, object]] = {}
    for name, covariance in covariances(scenes.frames).items():
        if name != "mean_subtracted":
            values = covariance.eigenvalues()
            padded = pad(values, (0, snapshots - values.shape[-1]))  # min(N, L) of them
            found = order("mdl", padded, snapshots, most)
            accuracy = round(float((found == count).double().mean()), 4)
            answer[name] = {"k_acc": accuracy, "confusion": confusion(found, count, most)}
    return answer


def mdl_on_ideal_data(panel: Panel, scenes: Scenes) -> dict[str, object]:
    """The same criterion where it must work: a panel seen directly, fresh symbols, equal power."""
    truth, snapshots = scenes.truth, scenes.frames.y.shape[1]
    generator = torch.Generator().manual_seed(0)
    most = truth.phi_rad.shape[1]

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, dtype=torch.complex64, generator=generator)

    steering = source_steering(panel, truth)
    symbols = normal(len(truth), snapshots, most)
    noise = normal(len(truth), snapshots, panel.elements)
    seen = symbols @ steering * panel.elements**0.5 + noise / 10.0**0.5
    eigenvalues = FactoredCovariance.from_factor(seen.mT / snapshots**0.5).eigenvalues()
    found = order("mdl", eigenvalues, snapshots, most)
    accuracy = round(float((found == truth.count).double().mean()), 4)
    return {"k_acc": accuracy, "confusion": confusion(found, truth.count, most)}


def conditioning(scenes: Scenes) -> dict[str, float]:
    """Rank and median condition number of the stacked operator."""
    operator = stacked_operator(scenes.frames.channel[:256], scenes.frames.codes)
    values = torch.linalg.svdvals(operator.to(torch.complex128))
    full = (values[:, -1] > 1e-9 * values[:, 0]).double().mean()
    return {
        "full_column_rank": float(full),
        "median_condition": round(float((values[:, 0] / values[:, -1]).median()), 2),
    }


def measure(config: RunConfig, count: int) -> dict[str, object]:
    """All three facts."""
    most = config.data.sources_max
    levels = (0.0, 10.0, 20.0)
    at = {f"{level:g}": scenes_at(config, level, count) for level in levels}
    panel, clean = scenes_at(config, None, count)
    return {
        "config_sha": config.sha("physics", "data"),
        "scenes": count,
        "operator": conditioning(clean),
        "subspace_energy": {snr: subspace_energy(*given) for snr, given in at.items()},
        "effective_rank": ranks_by_count(clean, most),
        "mdl": {snr: mdl(given[1], most) for snr, given in at.items()},
        "mdl_on_ideal_data": mdl_on_ideal_data(panel, clean),
        "share_of_one_source": round(float((clean.truth.count == 1).double().mean()), 4),
    }


def _say(figures: Mapping[str, object]) -> None:
    for name, value in figures.items():
        if isinstance(value, dict):
            print(name)
            for key, row in value.items():
                print(f"  {key:16s} {json.dumps(row)}")
        else:
            print(f"{name}: {value}")


def main() -> None:
    """Measure, then say it as lines or as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenes", type=int, default=2048, help="scenes at each SNR")
    parser.add_argument("--preset", default=None, help="a shipped configuration")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    figures = measure(load_config(preset=asked.preset).config, asked.scenes)
    if asked.json:
        print(json.dumps(figures, indent=2))
    else:
        _say(figures)


if __name__ == "__main__":
    main()
