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
from risexp.covariance.sampled import order
from risexp.data.frames import Scenes
from risexp.data.scenes import panel_of, source_steering
from risexp.diagnostics.mdl import median_ranks
from risexp.diagnostics.order_counts import covariances, ideal_eigenvalues
from risexp.diagnostics.probe_data import noiseless, scenes_at
from risexp.evaluation.scene_scores import confusion
from risexp.physics.geometry import Panel
from risexp.physics.signals import stacked_operator

RIDGE = 1e-3


def subspace_energy(panel: Panel, scenes: Scenes) -> dict[str, float]:
    """Mean share of an estimate's energy that lies in the span of the true steering vectors."""
    truth = scenes.truth
    label = FactoredCovariance.from_sources(source_steering(panel, truth), truth.powers)
    basis = label.signal_subspace(truth.count)
    found = covariances("frame", scenes.frames, RIDGE)
    each = found["per_snapshot"].factor
    factors = {
        "joint": found["joint"].factor,
        "per_snapshot": each,
        "mean_subtracted": each - each.mean(-1, keepdim=True),
    }
    return {name: round(float(_share(basis, factor).mean()), 4) for name, factor in factors.items()}


def _share(basis: Tensor, factor: Tensor) -> Tensor:
    inside = (basis.mH @ factor).abs().square().sum((-2, -1))
    return inside / factor.abs().square().sum((-2, -1))


def mdl(scenes: Scenes, most: int) -> dict[str, dict[str, object]]:
    """Accuracy and confusion of MDL on each covariance, on all its min(N, L) eigenvalues."""
    snapshots, answer = scenes.frames.y.shape[1], {}
    for name, covariance in covariances("frame", scenes.frames, RIDGE).items():
        values = covariance.eigenvalues()
        padded = pad(values, (0, snapshots - values.shape[-1]))
        answer[name] = counted(padded, snapshots, scenes.truth.count, most)
    return answer


def mdl_on_ideal_data(panel: Panel, scenes: Scenes) -> dict[str, object]:
    """The same criterion where it must work: a panel seen directly, fresh symbols, equal power."""
    truth, snapshots = scenes.truth, scenes.frames.y.shape[1]
    eigenvalues = ideal_eigenvalues(source_steering(panel, truth), 1.0, snapshots)
    return counted(eigenvalues, snapshots, truth.count, truth.phi_rad.shape[1])


def counted(eigenvalues: Tensor, snapshots: int, true: Tensor, most: int) -> dict[str, object]:
    """Accuracy and confusion of MDL, rows true and columns found, both from 1."""
    found = order("mdl", eigenvalues, snapshots, most)
    accuracy = round(float((found == true).double().mean()), 4)
    return {"k_acc": accuracy, "confusion": confusion(true, found, most).matrix.tolist()}


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
    most, panel = config.data.sources_max, panel_of(config.physics)
    at = {f"{level:g}": scenes_at(config, level, count) for level in (0.0, 10.0, 20.0)}
    clean = noiseless(config, count)
    ranks = {
        name: [round(median, 2) for median in medians]
        for name, medians in median_ranks(config, count).items()
    }
    return {
        "config_sha": config.sha("physics", "data"),
        "scenes": count,
        "operator": conditioning(clean),
        "subspace_energy": {snr: subspace_energy(panel, scenes) for snr, scenes in at.items()},
        "effective_rank": ranks,
        "mdl": {snr: mdl(scenes, most) for snr, scenes in at.items()},
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
