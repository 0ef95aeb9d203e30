"""What each idea in the classical localiser is worth, and how its cost grows with the panel.

python benchmarks/localisers.py [--scenes N] [--preset NAME]
"""

import argparse
import statistics
import time
from dataclasses import dataclass

import torch

from risexp.config.layers import load_config
from risexp.config.run import RunConfig
from risexp.data.frames import Scenes
from risexp.data.scenes import SceneGenerator
from risexp.estimation.count_rule import counted
from risexp.estimation.grid import search_grid
from risexp.estimation.held_symbols import HeldSymbols
from risexp.estimation.pursuit import Pursuit, pursue
from risexp.estimation.ranging import RangePosterior
from risexp.estimation.receiver_model import ReceiverModel
from risexp.evaluation.scene_scores import score_scenes
from risexp.evaluation.scores import summarise
from risexp.inference.estimate import Estimate
from risexp.inference.nomp import Nomp, answered

LEVELS_DB = (-5, 0, 5, 10, 15, 20)
BATCH = 128


@dataclass(frozen=True)
class Row:
    """One way to answer, over all levels."""

    name: str
    k_acc: list[float]
    success: list[float]
    k_loc: list[float]


def at_level(config: RunConfig, snr_db: float, scenes: int) -> Scenes:
    """Scenes of one SNR."""
    changed = config.replace({"data.snr_db": [snr_db, snr_db]})
    return SceneGenerator(changed.physics, changed.data).scenes("test", 0, scenes)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=1024)
    parser.add_argument("--preset", default=None)
    given = parser.parse_args()
    torch.set_num_threads(1)
    config = load_config(preset=given.preset).config
    if config.physics.symbols != "frame":
        parser.error("the table is of held symbols: choose a preset with physics.symbols = frame")
    print(f"config {config.sha()[:12]}, {given.scenes} scenes a level, SNR {LEVELS_DB} dB")
    for row in ideas(config, given.scenes):
        print_row(row)
    print_growth(load_config(preset="large-panel").config, config)


def ideas(config: RunConfig, scenes: int) -> list[Row]:
    """Answers with each idea taken away, from one search of the same scenes."""
    rows: dict[str, Row] = {}
    for level in LEVELS_DB:
        drawn = at_level(config, level, scenes)
        parts: dict[str, list[Estimate]] = {}
        for start in range(0, scenes, BATCH):
            for name, answer in variants(config, drawn[start : start + BATCH]).items():
                parts.setdefault(name, []).append(answer)
        for name, answers in parts.items():
            scores = summarise(score_scenes(Estimate.join(answers), drawn.truth))
            row = rows.setdefault(name, Row(name, [], [], []))
            row.k_acc.append(scores.k_acc)
            row.success.append(scores.success_rate)
            row.k_loc.append(scores.k_loc)
    return list(rows.values())


def variants(config: RunConfig, drawn: Scenes) -> dict[str, Estimate]:
    """The search once, and several ways to read it."""
    receiver = ReceiverModel.of(config)
    law = HeldSymbols.of(receiver, drawn.frames)
    grid = search_grid(receiver.panel, receiver.view, drawn.frames.y.device)
    pursuit = pursue(law, grid, receiver.view.sources_max)
    believed = [RangePosterior.of(law, fit) for fit in pursuit.fits]
    true_count = drawn.truth.count
    evidence, likely = counted("evidence", pursuit, law, believed)
    bic, _ = counted("bic", pursuit, law, believed)
    aic, _ = counted("aic", pursuit, law, believed)
    shut = Pursuit(pursuit.fits, torch.full_like(pursuit.hidden, -100.0))
    seen, _ = counted("evidence", shut, law, believed)
    peaks = [fit.points[..., 2].double().reciprocal() for fit in pursuit.fits]
    ranges = [each.answer() for each in believed]
    return {
        "evidence, believed ranges": answered(pursuit, ranges, evidence, likely),
        "most probable count": answered(pursuit, ranges, likely.argmax(-1) + 1, likely),
        "evidence, all sources seen": answered(pursuit, ranges, seen, likely),
        "BIC, believed ranges": answered(pursuit, ranges, bic, likely),
        "BIC, ranges at the peak": answered(pursuit, peaks, bic, likely),
        "AIC, believed ranges": answered(pursuit, ranges, aic, likely),
        "true K, believed ranges": answered(pursuit, ranges, true_count, likely),
        "true K, ranges at the peak": answered(pursuit, peaks, true_count, likely),
    }


def print_row(row: Row) -> None:
    """Three lines: K accuracy, success, k_loc by level, and their means."""
    for what, values in (("K", row.k_acc), ("success", row.success), ("k_loc", row.k_loc)):
        said = " ".join(f"{value:6.3f}" for value in values)
        print(f"{row.name:28s} {what:8s} {said}   mean {statistics.mean(values):6.3f}")


def print_growth(large: RunConfig, small: RunConfig) -> None:
    """Time a scene and scores at 10 dB, on both panels."""
    times = []
    for config, scenes in ((small, 512), (large, 128)):
        name = f"{config.physics.elements_h} x {config.physics.elements_v}"
        drawn = at_level(config, 10, scenes)
        localise = Nomp(ReceiverModel.of(config))
        localise(drawn.frames[:16])
        times.append(timed(localise, drawn) / scenes)
        scores = summarise(score_scenes(localise(drawn.frames), drawn.truth))
        alone = [timed(localise, drawn[index : index + 1]) for index in range(8)]
        print(
            f"{name}: {1e3 * times[-1]:.1f} ms a scene, {1e3 * statistics.median(alone):.0f} ms "
            f"alone; at 10 dB K {scores.k_acc:.3f}, success {scores.success_rate:.3f}"
        )
    more = large.physics.elements / small.physics.elements
    print(f"cost grows {times[1] / times[0]:.0f} times for {more:.0f} times the elements")


def timed(localise: Nomp, drawn: Scenes) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    localise(drawn.frames)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
