"""What a search finds for the epochs it spends, beside random search: several seeds of each.

Every arm is a study of its own in DIR, over the same space of small runs; one that is done is not
searched again, one that was interrupted goes on. Printed is the lowest k_loc of a complete trial
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
"""Sampler and pruner of each; the first is what the others are compared with."""
QUARTERS = (0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Found:
    """A study as what it had found after each of its trials."""

    spent: Sequence[int]
    """Epochs until a trial ended, of all trials that had ended by then."""
    lowest: Sequence[float]
    """k_loc of the best complete one by then; infinite before there is any."""
    pruned: int

    def after(self, epochs: float) -> float:
        """The lowest k_loc for so many epochs."""
        known = [
            best for spent, best in zip(self.spent, self.lowest, strict=True) if spent <= epochs
        ]
        return min(known, default=float("inf"))


def space_of(arm: str, seed: int, epochs: int) -> SearchSpace:
    """What `wide` varies, on a panel of 6 x 6 elements."""
    wide = load_space("wide").model_dump(mode="json")
    sampler, pruner = ARMS[arm]
    said = {
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
    return SearchSpace.model_validate({**wide, **said})


def searched(arm: str, seed: int, trials: int, epochs: int) -> Found:
    """The study of an arm, made or gone on with."""
    name = f"{arm.replace(', ', '-')}-{seed}"
    wanted = SearchRequest(
        space=space_of(arm, seed, epochs), study=name, trials=trials, tracking="off", unchecked=True
    )
    view = StudyView(Console(quiet=True))
    search(wanted, view)
    for sentence in view.sentences:
        print(f"{name}: {sentence}")
    study = optuna.load_study(study_name=name, storage=embedded())
    return found_in(study.get_trials(deepcopy=False))


def found_in(trials: Sequence[FrozenTrial]) -> Found:
    """What trials had found, in the order in which they ended."""
    ended = [each for each in trials if each.datetime_complete is not None]
    ended.sort(key=lambda each: each.datetime_complete)  # type: ignore[arg-type,return-value]
    spent, lowest, total, best = [], [], 0, float("inf")
    for each in ended:
        total += len(each.intermediate_values)
        if each.state == TrialState.COMPLETE and each.value is not None:
            best = min(best, each.value)
        spent.append(total)
        lowest.append(best)
    return Found(spent, lowest, sum(each.state == TrialState.PRUNED for each in ended))


def summary(found: Mapping[str, Sequence[Found]]) -> dict[str, Any]:
    """Lowest k_loc of every arm after each quarter: mean over seeds, and each seed's."""
    budget = statistics.mean(each.spent[-1] for each in found["random"])
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
        for arm, studies in found.items()
    }


def main() -> None:
    """Search every arm with every seed, and print what they found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    given.home.mkdir(parents=True, exist_ok=True)
    os.environ["RISEXP_HOME"] = str(given.home)
    found: dict[str, list[Found]] = {arm: [] for arm in ARMS}
    for seed in range(given.seeds):
        for arm in ARMS:
            # What pruning saves is spent on further trials; all are read at the same epochs.
            more = 1.0 if ARMS[arm][1]["kind"] == "none" else 1.5
            found[arm].append(searched(arm, seed, round(more * given.trials), given.epochs))
    told = summary(found)
    if given.json:
        print(json.dumps(told))
        return
    print(f"{'arm':16} " + "  ".join(f"{part:>6.0%}" for part in QUARTERS) + "   end   epochs")
    for arm, each in told.items():
        rates = "  ".join(f"{statistics.mean(values):6.3f}" for values in each["k_loc"].values())
        end, epochs = statistics.mean(each["at_its_end"]), each["epochs"]
        print(f"{arm:16} {rates}  {end:5.3f}  {epochs}, {each['pruned']} pruned")


if __name__ == "__main__":
    main()
