"""The vectorised generator against a plain loop over scenes, in one run and on one thread.

The loop is the model as it is written down: for every scene and every snapshot H diag(c_l) A s + w
with NumPy matrices, elements and sources in Python loops where the formula has an index. It draws
the same fields. A second, tidier loop (broadcasting within a scene, no diag) shows how much of the
ratio is owed to plainness alone.

    python benchmarks/scenes.py [--scenes N] [--json]
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from risexp.config.run import RunConfig
from risexp.covariance.sampled import Method, sampled_covariance
from risexp.data.scenes import SceneGenerator
from risexp.data.streams import BLOCK

CONFIG = RunConfig()
Array = NDArray[np.complex128]


def steering(h_m: Array, v_m: Array, phi: float, theta: float, range_m: float) -> Array:
    """The spherical wave, element by element."""
    k0 = 2 * np.pi / CONFIG.physics.wavelength_m
    x = range_m * np.sin(phi) * np.cos(theta)
    y = range_m * np.sin(theta)
    z = range_m * np.cos(phi) * np.cos(theta)
    answer = np.zeros(len(h_m), dtype=complex)
    for n in range(len(h_m)):
        distance = np.sqrt((x - h_m[n].real) ** 2 + (y - v_m[n].real) ** 2 + z**2)
        answer[n] = np.exp(-1j * k0 * (distance - range_m)) / np.sqrt(len(h_m))
    return answer


def draw(rng: np.random.Generator) -> tuple[int, Array, NDArray[np.float64], Array, float]:
    """Count, channel, positions, symbols and SNR of one scene."""
    physics, data = CONFIG.physics, CONFIG.data
    count = int(rng.integers(1, data.sources_max + 1))
    h, v = positions()
    factor = 10 ** (rng.uniform(*physics.rician_db) / 10)
    phi_b, theta_b = np.radians(rng.uniform(-physics.station_deg, physics.station_deg, 2))
    line = np.exp(
        -1j
        * np.pi
        * (np.arange(physics.antennas) - (physics.antennas - 1) / 2)
        * np.sin(phi_b)
        * np.cos(theta_b)
    ) / np.sqrt(physics.antennas)
    panel = steering(h, v, phi_b, theta_b, physics.station_range_m)
    shape = (physics.antennas, physics.elements)
    scattered = (rng.normal(size=shape) + 1j * rng.normal(size=shape)) / np.sqrt(2 * shape[0])
    direct = np.sqrt(physics.elements) * np.outer(line, panel.conj())
    channel = np.sqrt(factor / (factor + 1)) * direct + np.sqrt(1 / (factor + 1)) * scattered
    where = np.column_stack(
        [
            np.radians(rng.uniform(*data.phi_deg, count)),
            np.radians(rng.uniform(*data.theta_deg, count)),
            rng.uniform(*data.range_m, count),
        ]
    )
    symbols = (rng.normal(size=count) + 1j * rng.normal(size=count)) / np.sqrt(2)
    return count, channel, where, symbols, rng.uniform(*data.snr_db)


def positions() -> tuple[Array, Array]:
    """Offsets of the elements, h fastest."""
    spacing = CONFIG.physics.spacing_wavelengths * CONFIG.physics.wavelength_m
    h = (np.arange(CONFIG.physics.elements_h) - (CONFIG.physics.elements_h - 1) / 2) * spacing
    v = (np.arange(CONFIG.physics.elements_v) - (CONFIG.physics.elements_v - 1) / 2) * spacing
    return np.tile(h, len(v)).astype(complex), np.repeat(v, len(h)).astype(complex)


def plain_scene(rng: np.random.Generator, codes: Array) -> Array:
    """One scene as the model is written: y_l = H diag(c_l) A s + w_l."""
    count, channel, where, symbols, snr_db = draw(rng)
    h, v = positions()
    columns = [steering(h, v, *where[k]) for k in range(count)]
    responses = np.column_stack(columns)
    gains = symbols * CONFIG.physics.wavelength_m / (4 * np.pi * where[:, 2])
    snapshots = [channel @ np.diag(code) @ responses @ gains for code in codes]
    return with_noise(rng, np.stack(snapshots), snr_db)


def tidy_scene(rng: np.random.Generator, codes: Array) -> Array:
    """One scene with everything inside it broadcast."""
    _, channel, where, symbols, snr_db = draw(rng)
    h, v = positions()
    phi, theta, range_m = where.T[..., None]
    s = h.real * np.sin(phi) * np.cos(theta) + v.real * np.sin(theta)
    distance = np.sqrt(range_m**2 - 2 * range_m * s + h.real**2 + v.real**2)
    k0 = 2 * np.pi / CONFIG.physics.wavelength_m
    responses = np.exp(-1j * k0 * (distance - range_m)) / np.sqrt(len(h))
    gains = symbols * CONFIG.physics.wavelength_m / (4 * np.pi * where[:, 2])
    return with_noise(rng, (codes * (gains @ responses)) @ channel.T, snr_db)


def with_noise(rng: np.random.Generator, clean: Array, snr_db: float) -> Array:
    """Noise of the labelled SNR on top."""
    sigma = np.sqrt(np.mean(np.abs(clean) ** 2) / 10 ** (snr_db / 10) / 2)
    noise = rng.normal(size=clean.shape) + 1j * rng.normal(size=clean.shape)
    noisy: Array = clean + sigma * noise
    return noisy


def per_second(work: Callable[[int], object], scenes: int, rounds: int) -> float:
    """Scenes a second: the median of several runs after one that does not count."""
    work(0)
    rates = []
    for turn in range(1, rounds + 1):
        start = time.perf_counter()
        work(turn)
        rates.append(scenes / (time.perf_counter() - start))
    return statistics.median(rates)


def sampled_rates(generator: SceneGenerator) -> dict[str, float]:
    """Sampled covariance factors a second, by method."""
    frames = generator.block("train", 0).frames

    def solve(method: Method) -> float:
        def work(_: int) -> object:
            return sampled_covariance(method, frames.y, frames.channel, frames.codes, 1e-3)

        return per_second(work, BLOCK, 5)

    return {"joint": solve("joint"), "per_snapshot": solve("per_snapshot")}


def main() -> None:
    """Measure, then say it as lines or as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=40, help="scenes of each run of a loop")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    generator = SceneGenerator(CONFIG.physics, CONFIG.data)
    codes = generator.codes.numpy().astype(complex)
    rng = np.random.default_rng(0)
    ours = per_second(lambda turn: generator.block("train", turn), BLOCK, 15)
    plain = per_second(
        lambda _: [plain_scene(rng, codes) for _ in range(asked.scenes)], asked.scenes, 3
    )
    tidy = per_second(
        lambda _: [tidy_scene(rng, codes) for _ in range(asked.scenes)], asked.scenes, 3
    )
    sampled = sampled_rates(generator)
    figures = {
        "scenes_per_s": round(ours),
        "plain_loop_per_s": round(plain, 1),
        "tidy_loop_per_s": round(tidy, 1),
        "ratio": round(ours / plain, 1),
        "ratio_to_tidy_loop": round(ours / tidy, 1),
        "sampled_joint_per_s": round(sampled["joint"]),
        "sampled_per_snapshot_per_s": round(sampled["per_snapshot"]),
    }
    if asked.json:
        print(json.dumps(figures, indent=2))
    else:
        for name, value in figures.items():
            print(f"{name:28s} {value}")


if __name__ == "__main__":
    main()
