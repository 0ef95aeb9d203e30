"""How well can it learn? Fronts and ablations on equal budgets, one after another, resumable.

    python benchmarks/fronts.py --home DIR [--only NAMES] [--epochs N] [--set FIELD=VALUE]

Every variant is a run under DIR; one that is finished is not trained again, one that was
interrupted goes on. Each is then scored on the same test scenes, over -5 to 20 dB. The table is
printed and kept in DIR/fronts.json.
"""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from risexp.app.benchmark.accuracy.measure import AccuracyTable, measure_accuracy
from risexp.app.benchmark.evaluate import compared
from risexp.app.run.machine import Machine
from risexp.app.run.train import resume, train
from risexp.app.serving.resolve_model import load_trained
from risexp.config.layers import load_config
from risexp.config.run import RunConfig
from risexp.runs.folder import RunFolder, list_runs

LEVELS_DB = (-5.0, 0.0, 5.0, 10.0, 15.0, 20.0)
CPU = torch.device("cpu")
BASE = (
    "physics.wavefront=parabolic",
    "training.scenes_per_epoch=16384",
    "count.kind=ordinal",
)

VARIANTS: Mapping[str, Sequence[str]] = {
    "pursuit": (),
    "seed 1": ("training.seed=1",),
    "seed 2": ("training.seed=2",),
    "one step": ("network.search_steps=1",),
    "image": ("network.front=image", "network.width=48"),
    "image map": ("network.front=image", "network.width=48", "loss.heat=0.01"),
    "aperture": ("network.front=aperture", "network.depth=4"),
    "aperture free": ("network.front=aperture", "network.depth=4", "factors.kind=free"),
    "beta 0.3": ("beta.final=0.3",),
    "softmax": ("count.kind=softmax",),
    "slots": ("count.kind=slots",),
    "spectral": ("count.path=spectral",),
    "direct": ("count.path=direct",),
    "probable": ("count.decision=probable",),
    "under 2 over 1": ("count.under_weight=2",),
    "prediction only": ("beta.final=0.3", "loss.cov=0", "loss.cov_pred=0.15"),
    "compressed": ("loss.label_power=compressed",),
    "subspace": ("loss.subspace=0.5",),
    "eigengap": ("loss.eigengap=0.1",),
    "peak_contrast": ("loss.peak_contrast=0.1",),
    "orthogonality": ("loss.orthogonality=0.1",),
    "cross": ("loss.cross=0.1",),
    "margin": ("loss.margin=0.1",),
    "subspace and contrast": ("loss.subspace=0.5", "loss.peak_contrast=0.1"),
    "softmax seed 1": ("count.kind=softmax", "training.seed=1"),
    "softmax direct": ("count.kind=softmax", "count.path=direct"),
}


def main() -> None:
    """Train and score what is not there yet; print all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--only", default=",".join(VARIANTS))
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--scenes", type=int, default=1000, help="test scenes at each SNR")
    parser.add_argument("--set", action="append", default=[])
    given = parser.parse_args()
    given.home.mkdir(parents=True, exist_ok=True)
    os.environ["RISEXP_HOME"] = str(given.home)
    known = read(given.home)
    for name in given.only.split(","):
        more = (*BASE, f"training.epochs={given.epochs}", *given.set, *VARIANTS[name])
        config = load_config(preset="small", overrides=more).config
        if config.sha() not in known:
            known[config.sha()] = {"variant": name, **scored(config, given.scenes)}
            (given.home / "fronts.json").write_text(json.dumps(known, indent=1), "utf-8")
    print(f"{'variant':18} {'config':12}  K acc  success  k_loc  refined  true K  s/epoch")
    for sha, row in known.items():
        rates = f"{row['k_acc']:5.3f}  {row['success']:7.3f}  {row['k_loc']:5.2f}"
        rest = f"{row['refined']:7.3f}  {row['true_k']:6.3f}  {row['epoch_s']:7.1f}"
        print(f"{row['variant']:18} {sha[:12]}  {rates}  {rest}")


def read(home: Path) -> dict[str, dict[str, Any]]:
    """What was scored before, by the hash of its configuration."""
    path = home / "fronts.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def scored(config: RunConfig, scenes: int) -> dict[str, float]:
    """A variant's scores in the mean over SNRs, of a run that is made or gone on with."""
    machine, console = Machine(CPU, threads=1), Console(stderr=True)
    begun = [run for run in list_runs() if run.config_sha == config.sha()]
    finished = (
        resume(begun[0].run_id, machine, console) if begun else train(config, machine, console)
    )
    if finished.outcome.status != "complete":
        raise SystemExit(finished.outcome.sentence)
    found = load_trained(finished.folder.run_id, CPU)
    rows = compared(found, config, ["network:true-k"], "measurement")
    table = measure_accuracy(config, rows, LEVELS_DB, scenes, "test", lambda _: None)
    return {
        "k_acc": mean(table, "network", "k_acc"),
        "success": mean(table, "network", "success_rate"),
        "k_loc": mean(table, "network", "k_loc"),
        "refined": mean(table, "network+measurement", "success_rate"),
        "true_k": mean(table, "network:true-k", "success_rate"),
        "epoch_s": epoch_s(finished.folder),
    }


def mean(table: AccuracyTable, method: str, score: str) -> float:
    """A score in the mean over SNRs."""
    scores: dict[str, float] = dict(table.rows[method].mean.value.items())
    return scores[score]


def epoch_s(run: RunFolder) -> float:
    """Seconds of training an epoch, from the run's own record."""
    lines = [json.loads(line) for line in run.journal.read_text("utf-8").splitlines()]
    seconds = [line["values"]["sys/training_s"] for line in lines if "values" in line]
    return float(sum(seconds) / len(seconds))


if __name__ == "__main__":
    main()
