"""Runs to promote that were never trained, and evaluations with chosen results."""

from collections.abc import Callable

from risexp.app.promotion.evaluate_candidates import Evaluation
from risexp.registry.verdicts import Evidence
from risexp.runs.folder import RunFolder
from risexp.runs.journal import Journal
from risexp.runs.outcome import complete
from risexp.runs.spec import Labels
from risexp.training.checkpoint import Checkpoint, State, config_tree, copied
from risexp.training.checkpoint_store import CheckpointOwner, CheckpointStore
from risexp.training.progress import Progress
from tests.support.networks import awake, network_config
from tests.support.uploads import new_run, train


def kept(name: str, seed: int = 0, labels: Labels | None = None) -> RunFolder:
    """A complete run whose last checkpoint is an untrained network."""
    config = network_config().canonical()
    folder = new_run(name, config, labels)
    train(folder)
    Journal(folder.journal, name).write(3, {"guard/loss": 0.0})
    weights = awake(config, seed=seed).state_dict()
    checkpoint = Checkpoint(
        run_id=name,
        config=config_tree(config),
        plan=folder.plans()[2],
        scores={"k_loc": 3.0},
        state=State(copied(weights), copied(weights), {}, {}, Progress(epoch=3), seed),
        temperature=1.2,
    )
    CheckpointStore(folder.attempts()[-1], CheckpointOwner(name, folder.config_sha)).save(
        checkpoint
    )
    folder.close(complete("finished", 3))
    return folder


def answering(evidence: Evidence) -> Callable[..., Evaluation]:
    """An evaluation that always has this result."""
    evaluation = Evaluation(
        evidence.candidate, evidence.champion, evidence.nomp, evidence.snr_db, evidence.ms_ratio
    )
    return lambda *_: evaluation
