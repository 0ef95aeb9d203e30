"""Writes the home that `test_earlier_homes.py` opens, with the code of an earlier commit.

    git worktree add OLD COMMIT
    python tests/homes/write_home.py OLD tests/homes/COMMIT.tar.xz

The home holds a search with finished trials, one whose worker was killed and one that waits, and a
model that was promoted twice. Its folder is `HOME`, which the test replaces with its own.
"""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
import time
from contextlib import closing
from pathlib import Path
from typing import Final

HOME: Final = Path("/tmp/risexp-earlier-home")  # noqa: S108 - a placeholder in the archive
FINISHED: Final = 2
"""Trials that end before the search is killed."""
EPOCHS: Final = 8
SPACE: Final = f"""# earlier: a search that was killed.
base: smoke
trials: 4
fixed:
  training.epochs: {EPOCHS}
  training.scenes_per_epoch: 512
  training.batch: 16
  network.width: 8
  validation.scenes: 64
  validation.calibration_scenes: 16
vary:
  training.optimizer.lr: {{kind: log, low: 2.0e-3, high: 1.0e-2}}
sampler: {{kind: random}}
pruner: {{kind: none}}
"""


def main() -> None:
    """Make the home, and pack it."""
    checkout, archive = Path(sys.argv[1]).absolute(), Path(sys.argv[2])
    shutil.rmtree(HOME, ignore_errors=True)
    (HOME / "search_spaces").mkdir(parents=True)
    (HOME / "search_spaces" / "earlier.yaml").write_text(SPACE, encoding="utf-8")
    _search_until_killed(checkout)
    for number in range(2):
        line = ("promote", "--run", f"earlier-{number:03d}", "--gates", "smoke", "--scenes", "200")
        _run(checkout, *line, "--device", "cpu")
    # What can be drawn again, or is only looked at, is left out.
    shutil.rmtree(HOME / "mlruns" / "sets")
    for path in [*HOME.rglob("*.log"), *HOME.rglob("*.png")]:
        path.unlink()
    with tarfile.open(archive, "w:xz", preset=9) as packed:
        packed.add(HOME, "home")
    sys.stdout.write(f"{archive}: {archive.stat().st_size} bytes\n")


def _search_until_killed(checkout: Path) -> None:
    """Search; kill the search and its worker amid the trial after the finished ones."""
    line = ["hpo", "--space", "earlier", "--workers", "1", "--device", "cpu", "--unchecked"]
    search = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "risexp", *line],
        env=_environment(checkout),
        cwd=HOME,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    while not _amid_a_trial():
        time.sleep(0.02)
    # The search must not see the death of its worker: it would give the trial back at once.
    search.send_signal(signal.SIGSTOP)
    with closing(sqlite3.connect(HOME / "mlruns" / "optuna.db")) as database:
        rows = database.execute("SELECT pid FROM risexp_attempts WHERE ended IS NULL").fetchall()
    for (worker,) in rows:
        os.kill(worker, signal.SIGKILL)
    search.kill()
    search.wait()


def _amid_a_trial() -> bool:
    """True once the journal of the trial after the finished ones has some epochs."""
    journal = HOME / "mlruns" / "runs" / f"earlier-{FINISHED:03d}" / "journal.jsonl"
    return journal.is_file() and len(journal.read_text("utf-8").splitlines()) > EPOCHS // 2


def _run(checkout: Path, *arguments: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "risexp", *arguments],
        env=_environment(checkout),
        cwd=HOME,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"risexp {' '.join(arguments)} failed: {done.stderr}")
    return done.stdout


def _environment(checkout: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("RISEXP_")}
    return kept | {"PYTHONPATH": str(checkout), "RISEXP_HOME": str(HOME), "OMP_NUM_THREADS": "1"}


if __name__ == "__main__":
    main()
