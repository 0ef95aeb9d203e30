"""The references of a configuration at six SNRs: what its scenes allow, before anything is trained.

The table stands beside every score: the detectability reference and the bound of the count, the
success they leave at the Cramer-Rao bound, and the same success with the count given.

    python benchmarks/references.py [--scenes N] [--config NAME ...] [--json]
"""

import argparse
import json
import time
from typing import Final

import torch

from risexp.config.layers import load_config
from risexp.data.scenes import SceneGenerator
from risexp.evaluation.references import references

LEVELS: Final = (-5, 0, 5, 10, 15, 20)
SPHERICAL: Final = "spherical"
"""The default configuration goes by its wavefront here; other names are presets."""

Figures = dict[str, dict[str, float]]


def measure(preset: str | None, scenes: int) -> Figures:
    """Mean references by SNR, their means over it, and the time a scene takes."""
    answer: Figures = {}
    for level in LEVELS:
        config = load_config(preset=preset).config.replace({"data.snr_db": [level, level]})
        drawn = SceneGenerator(config.physics, config.data).scenes("test", 0, scenes)
        start = time.perf_counter()
        means = vars(references(config.physics, config.data, drawn).means())
        spent = (time.perf_counter() - start) / scenes
        answer[str(level)] = {**means, "ms_per_scene": 1e3 * spent}
    names = answer[str(LEVELS[0])]
    answer["mean"] = {
        name: sum(row[name] for row in answer.values()) / len(LEVELS) for name in names
    }
    return {
        snr: {name: round(value, 4) for name, value in row.items()} for snr, row in answer.items()
    }


def _say(name: str, figures: Figures) -> None:
    print(f"{name:32s}" + "".join(f"{snr:>7s}" for snr in figures))
    for column in figures["mean"]:
        print(f"  {column:30s}" + "".join(f"{row[column]:7.3f}" for row in figures.values()))


def main() -> None:
    """Measure, then say it as lines or as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenes", type=int, default=1000, help="scenes at each SNR")
    parser.add_argument(
        "--config", nargs="+", default=["parabolic", SPHERICAL], help="presets, or spherical"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    figures = {
        name: measure(None if name == SPHERICAL else name, asked.scenes) for name in asked.config
    }
    if asked.json:
        print(json.dumps(figures, indent=2))
    else:
        for name, table in figures.items():
            _say(name, table)


if __name__ == "__main__":
    main()
