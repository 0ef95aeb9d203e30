"""The best score of a search for the epochs that it spends, compared with random search.

Every arm is a study in DIR, for several seeds, over the same space of small runs. A finished study
is not searched again, an interrupted one continues. Printed is the lowest k_loc of a complete trial
after every quarter of the epochs that random search without pruning spends.

    python benchmarks/search_value.py --home DIR [--seeds 3] [--trials 24] [--epochs 8] [--json]
"""

import argparse
import json
import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console

from risexp.app.search.search import SearchRequest, search
from risexp.app.search.studies import StudyView
from risexp.hpo.store.address import embedded
from risexp.space.files import load_space
from risexp.space.spec import SearchSpace

ARMS: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "random": ({"kind": "random"}, {"kind": "none"}),
    "random, median": ({"kind": "random"}, {"kind": "median"}),
    "tpe, median": ({"kind": "tpe"}, {"kind": "median"}),
}
"""Sampler and pruner by arm; the others are compared with the first."""
QUARTERS = (0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class SearchCurve:
    """The best score of a study after each of its trials."""

    spent: Sequence[int]
    """Epochs of all trials that had ended, after each trial."""
    lowest: Sequence[float]
    """k_loc of the best complete trial by then; infinite before there is one."""
    pruned: int

    def after(self, epochs: float) -> float:
        """The lowest k_loc for this number of epochs."""
        known = [
            best for spent, best in zip(self.spent, self.lowest, strict=True) if spent <= epochs
        ]
        return min(known, default=float("inf"))


def space_of(arm: str, seed: int, epochs: int) -> SearchSpace:
    """The space `wide` on a panel of 6 x 6 elements."""
    wide = load_space("wide").model_dump(mode="json")
    sampler, pruner = ARMS[arm]
    sections = {
        "name": "value",
        "base": "smoke",
        "fixed": {
            "training.epochs": epochs,
            "training.scenes_per_epoch": 2048,
            "validation.scenes": 640,
        },
        "vary": {**wide["vary"], "network.width": {"kind": "choice", "options": [16, 32, 48]}},
        "sampler": {**sampler, "seed": seed},
        "pruner": pruner,
    }
    return SearchSpace.model_validate({**wide, **sections})


def searched(arm: str, seed: int, trials: int, epochs: int) -> SearchCurve:
    """The study of an arm, new or continued."""
    name = f"{arm.replace(', ', '-')}-{seed}"
    request = SearchRequest(
        space=space_of(arm, seed, epochs), study=name, trials=trials, tracking="off", unchecked=True
    )
    view = StudyView(Console(quiet=True))
    search(request, view)
    for sentence in view.sentences:
        print(f"{name}: {sentence}")
    study = optuna.load_study(study_name=name, storage=embedded())
    return curve_of(study.get_trials(deepcopy=False))


def curve_of(trials: Sequence[FrozenTrial]) -> SearchCurve:
    """The curve of trials in the order in which they ended."""
    ended = [each for each in trials if each.datetime_complete is not None]
    ended.sort(key=lambda each: each.datetime_complete)  # type: ignore[arg-type,return-value]
    spent, lowest, total, best = [], [], 0, float("inf")
    for each in ended:
        total += len(each.intermediate_values)
        if each.state == TrialState.COMPLETE and each.value is not None:
            best = min(best, each.value)
        spent.append(total)
        lowest.append(best)
    return SearchCurve(spent, lowest, sum(each.state == TrialState.PRUNED for each in ended))


def summary(curves: Mapping[str, Sequence[SearchCurve]]) -> dict[str, Any]:
    """Lowest k_loc of every arm after each quarter, by seed."""
    budget = statistics.mean(each.spent[-1] for each in curves["random"])
    return {
        arm: {
            "epochs": [each.spent[-1] for each in studies],
            "pruned": [each.pruned for each in studies],
            "k_loc": {
                f"{part:.0%}": [round(each.after(part * budget), 3) for each in studies]
                for part in QUARTERS
            },
            "at_its_end": [round(each.lowest[-1], 3) for each in studies],
        }
        for arm, studies in curves.items()
    }


def main() -> None:
    """Search every arm with every seed, and print the curves."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.home.mkdir(parents=True, exist_ok=True)
    os.environ["RISEXP_HOME"] = str(options.home)
    curves: dict[str, list[SearchCurve]] = {arm: [] for arm in ARMS}
    for seed in range(options.seeds):
        for arm in ARMS:
            # What pruning saves is spent on more trials; all curves are read at the same epochs.
            more = 1.0 if ARMS[arm][1]["kind"] == "none" else 1.5
            curves[arm].append(searched(arm, seed, round(more * options.trials), options.epochs))
    result = summary(curves)
    if options.json:
        print(json.dumps(result))
        return
    print(f"{'arm':16} " + "  ".join(f"{part:>6.0%}" for part in QUARTERS) + "   end   epochs")
    for arm, each in result.items():
        rates = "  ".join(f"{statistics.mean(values):6.3f}" for values in each["k_loc"].values())
        end, epochs = statistics.mean(each["at_its_end"]), each["epochs"]
        print(f"{arm:16} {rates}  {end:5.3f}  {epochs}, {each['pruned']} pruned")


if __name__ == "__main__":
    main()
