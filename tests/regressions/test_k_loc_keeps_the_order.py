"""Museum 42: the search preferred networks that find fewer sources.

The estimates of a real localiser, cut at one count or another, must come in the order in which they
serve: the true count, then a good criterion, then one that is too strict, then the two constants.
"""

import math
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import torch
from torch import Tensor

from risexp.data.frames import Scenes
from risexp.estimation.grid import search_grid
from risexp.estimation.held_symbols import HeldSymbols
from risexp.estimation.pursuit import Pursuit, pursue
from risexp.estimation.ranging import RangePosterior
from risexp.estimation.receiver_model import ReceiverModel
from risexp.evaluation.scene_scores import score_scenes
from risexp.evaluation.scores import Scores, summarise
from risexp.inference.nomp import answered
from tests.support.localisation import at_snr, config_of, scenes_of

SCENES = 300
ORDER = ("true K", "BIC", "twice the BIC penalty", "always 5", "always 1")


@dataclass(frozen=True)
class Search:
    """Scenes at 10 dB, the fits of 0 .. 5 sources to each, and the ranges of their sources."""

    scenes: Scenes
    pursuit: Pursuit
    ranges: list[Tensor]

    def priced(self, times: float) -> Tensor:
        """The count of least m ln(E_k / m) + times (5/2) k ln(2 m)."""
        samples = self.scenes.frames.y[0].numel()
        price = times * 2.5 * math.log(2 * samples)
        scores = [fit.profile - price * fit.count for fit in self.pursuit.fits[1:]]
        return torch.stack(scores, dim=-1).argmax(-1) + 1

    def scores(self, count: Tensor) -> Scores:
        certain = torch.nn.functional.one_hot(count - 1, 5).double()
        estimate = answered(self.pursuit, self.ranges, count, certain)
        return summarise(score_scenes(estimate, self.scenes.truth))


@cache
def searched(device: torch.device) -> Search:
    config = config_of(at_snr(10.0))
    scenes, receiver = scenes_of(config, SCENES, device), ReceiverModel.of(config)
    law = HeldSymbols.of(receiver, scenes.frames)
    pursuit = pursue(law, search_grid(receiver.panel, receiver.view, device), 5)
    return Search(scenes, pursuit, [RangePosterior.of(law, fit).answer() for fit in pursuit.fits])


@cache
def by_count(device: torch.device) -> dict[str, Scores]:
    search = searched(device)
    true = search.scenes.truth.count
    counts = (
        true,
        search.priced(1.0),
        search.priced(2.0),
        torch.full_like(true, 5),
        torch.full_like(true, 1),
    )
    return {name: search.scores(count) for name, count in zip(ORDER, counts, strict=True)}


def test_k_loc_orders_counts_by_what_they_are_worth(device: torch.device) -> None:
    composites = {name: scores.k_loc for name, scores in by_count(device).items()}

    assert ORDER == tuple(sorted(composites, key=composites.__getitem__))
    assert composites["always 1"] > composites["true K"] + 3.0


def test_neighbours_in_the_order_are_told_apart_clearly(device: torch.device) -> None:
    composites = [by_count(device)[name].k_loc for name in ORDER]

    gaps = [after - before for before, after in pairwise(composites)]
    assert min(gaps) > 0.1


def test_errors_of_matched_pairs_prefer_to_find_one_source(device: torch.device) -> None:
    """The scores of old put the worst of them first."""
    table = by_count(device)

    for score in ("aoa_rmse", "range_rmse"):
        errors = {name: getattr(table[name], score) for name in ORDER}

        assert "always 1" == min(errors, key=errors.__getitem__)


def test_the_true_count_counts_right_and_a_constant_as_chance_has_it(
    device: torch.device,
) -> None:
    table = by_count(device)

    assert 1.0 == table["true K"].k_acc
    assert abs(table["always 1"].k_acc - 0.2) < 0.08
    assert table["BIC"].k_acc > table["twice the BIC penalty"].k_acc
