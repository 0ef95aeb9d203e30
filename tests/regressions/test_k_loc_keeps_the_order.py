"""Museum 42: the search preferred networks that find fewer sources.

The errors of the composite were those of matched pairs alone, and the strongest source is the
easiest. The estimates of a real localiser, cut at one count or another, must come in the order in
which they serve: the true count, then a good criterion, then one too strict, then the constants.
"""

import math
from functools import cache
from itertools import pairwise

import torch
from torch import Tensor

from risexp.estimation.grid import search_grid
from risexp.estimation.held_symbols import HeldSymbols
from risexp.estimation.pursuit import pursue
from risexp.estimation.ranging import RangePosterior
from risexp.estimation.receiver_model import ReceiverModel
from risexp.evaluation.matching import CAP
from risexp.evaluation.scene_scores import SceneScores, score_scenes
from risexp.evaluation.scores import summarise
from risexp.inference.nomp import answered
from tests.support.localisation import at_snr, config_of, scenes_of

SCENES = 200
ORDER = ("true K", "BIC", "twice the BIC penalty", "always 5", "always 1")


@cache
def by_count(device: torch.device) -> dict[str, SceneScores]:
    """Scores of scenes at 10 dB, of which the fits of so many sources are the answer."""
    config = config_of(at_snr(10.0))
    scenes, receiver = scenes_of(config, SCENES, device), ReceiverModel.of(config)
    law = HeldSymbols.of(receiver, scenes.frames)
    pursuit = pursue(law, search_grid(receiver.panel, receiver.view, device), 5)
    ranges = [RangePosterior.of(law, fit).answer() for fit in pursuit.fits]

    def priced(times: float) -> Tensor:
        """The count of least m ln(E_k / m) + times (5/2) k ln(2 m)."""
        price = times * 2.5 * math.log(2 * scenes.frames.y[0].numel())
        scores = [fit.profile - price * fit.count for fit in pursuit.fits[1:]]
        return torch.stack(scores, dim=-1).argmax(-1) + 1

    true = scenes.truth.count
    constants = [torch.full_like(true, count) for count in (5, 1)]
    table = {}
    for name, count in zip(ORDER, (true, priced(1.0), priced(2.0), *constants), strict=True):
        certain = torch.nn.functional.one_hot(count - 1, 5).double()
        table[name] = score_scenes(answered(pursuit, ranges, count, certain), scenes.truth)
    return table


def over_pairs_alone(table: SceneScores) -> float:
    """The composite of old: e_x = sqrt(mean over matched pairs), whatever was missed."""
    alone = (table.slots - table.matching.pairs).unsqueeze(-1)
    paired = table.slot_errors - CAP**2 * alone
    mean: Tensor = paired.sum(0) / table.matching.pairs.sum()
    rates = table.hit.double().mean() + table.success.double().mean()
    return float(1.0 + mean.sqrt().sum() - rates)


def test_k_loc_orders_counts_by_what_they_are_worth(device: torch.device) -> None:
    composites = {name: summarise(table).k_loc for name, table in by_count(device).items()}

    assert ORDER == tuple(sorted(composites, key=composites.__getitem__))
    assert min(after - before for before, after in pairwise(composites.values())) > 0.1
    assert composites["always 1"] > composites["true K"] + 3.0


def test_scores_of_matched_pairs_alone_prefer_to_find_one_source(device: torch.device) -> None:
    """The scores of old rank it before those that find more, and agree where nothing is missed."""
    found = by_count(device)
    scores = {name: summarise(table) for name, table in found.items()}
    charged, alone = scores["always 5"].k_loc, over_pairs_alone(found["always 5"])

    assert "always 1" == min(ORDER, key=lambda name: scores[name].aoa_rmse)
    assert "always 1" == min(ORDER, key=lambda name: scores[name].range_rmse)
    assert over_pairs_alone(found["always 1"]) < alone < charged
