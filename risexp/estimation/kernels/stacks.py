"""Room for the sources of several scenes, of which one is worked on at a time."""

from typing import NamedTuple

import numpy as np

from risexp.estimation.kernels.compilation import kernel
from risexp.estimation.kernels.products import Floats
from risexp.estimation.kernels.scene import Slopes, SourceArrays, Work, new_slopes, new_sources
from risexp.estimation.kernels.solving import Complexes, Doubles


class Works(NamedTuple):
    """What each of S scenes keeps from source to source; the rest is shared."""

    points: Doubles
    """(S, K, 3)"""
    waves: Floats
    """(S, K, 2, N)"""
    through: Floats
    """(S, K, 2, N)"""
    gains: Complexes
    """(S, 1, K)"""
    overlap: Complexes
    """(S, K, K)"""
    root: Complexes
    """(S, K, K)"""
    answers: Complexes
    """(S, 1, K)"""
    turned: Floats
    """W times the slopes, (S, 3 K, 2, N)."""
    turned_at: Doubles
    """(S, K, 3)"""
    tried: SourceArrays
    slopes: Slopes


@kernel
def new_works(scenes: int, most: int, size: int) -> Works:
    """Room for up to `most` sources in each of some scenes."""
    return Works(
        np.zeros((scenes, most, 3)),
        np.zeros((scenes, most, 2, size), np.float32),
        np.zeros((scenes, most, 2, size), np.float32),
        np.zeros((scenes, 1, most), np.complex128),
        np.zeros((scenes, most, most), np.complex128),
        np.zeros((scenes, most, most), np.complex128),
        np.zeros((scenes, 1, most), np.complex128),
        np.zeros((scenes, 3 * most, 2, size), np.float32),
        np.full((scenes, most, 3), np.inf),
        new_sources(most, size, 1),
        new_slopes(most, size),
    )


@kernel
def work_of(works: Works, scene: int) -> Work:
    """One scene's."""
    best = SourceArrays(
        works.points[scene],
        works.waves[scene],
        works.through[scene],
        works.gains[scene],
        works.overlap[scene],
        works.root[scene],
        works.answers[scene],
    )
    shared = works.slopes
    slopes = Slopes(
        shared.waves,
        works.turned[scene],
        works.turned_at[scene],
        shared.slope,
        shared.curvature,
    )
    return Work(best, works.tried, slopes)
