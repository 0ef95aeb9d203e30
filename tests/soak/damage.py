"""Damage to the files of a waiting trial, and a disk without room."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Final

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from risexp.runs.folder import DOCUMENTS
from tests.soak.stage import STUDY, Stage

_SMALL: Final = (*DOCUMENTS, "journal.jsonl", "mlflow.json")
_LEAVES_S: Final = 15.0


def fill(ballast: Path) -> Callable[[], object]:
    """Fill the disk to its last page; what makes room again."""
    descriptor = os.open(ballast, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        for piece in (1 << 20, 1 << 12):
            with suppress(OSError):
                while True:
                    os.write(descriptor, bytes(piece))
    finally:
        os.close(descriptor)
    return lambda: ballast.unlink(missing_ok=True)


def damage_one(stage: Stage, dice: Random) -> bool:
    """Let a worker give its trial back, and damage a file of a trial that waits meanwhile."""
    if not stage.faulty.pid:
        return False
    os.kill(stage.faulty.pid, signal.SIGTERM)
    end = time.monotonic() + _LEAVES_S
    while stage.faulty.pid and time.monotonic() < end:
        time.sleep(0.02)
    frozen = [pid for pid in (stage.search.pid, *stage.workers) if pid]
    try:
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        waiting = [path for path in _waiting(stage) if (path / "config.json").exists()]
        return bool(waiting) and _damage(dice.choice(waiting), dice)
    finally:
        for pid in frozen:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _waiting(stage: Stage) -> list[Path]:
    """Folders of the trials that wait: nobody writes into them."""
    address = stage.url.replace("postgresql:", "postgresql+psycopg:", 1)
    engine = create_engine(address, poolclass=NullPool)
    with engine.connect() as connection:
        numbers = connection.execute(text("SELECT number FROM trials WHERE state = 'WAITING'"))
        return [stage.home / "mlruns" / "runs" / f"{STUDY}-{row.number:03d}" for row in numbers]


def _damage(folder: Path, dice: Random) -> bool:
    """Damage one copy of a small file, or one file of the newest checkpoints."""
    copies = [path for name in _SMALL for path in (folder / name, folder / "spares" / name)]
    attempts = sorted((folder / "checkpoints").glob("attempt-*"))
    kept = sorted(attempts[-1].iterdir()) if attempts else []
    found = [path for path in dice.choice((copies, kept)) if path.is_file()]
    if not found:
        return False
    path = dice.choice(found)
    content = bytearray(path.read_bytes())
    match dice.choice(("flip", "cut", "zeros", "delete")):
        case "flip" if content:
            content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
            path.write_bytes(content)
        case "cut":
            path.write_bytes(content[: dice.randrange(len(content) + 1)])
        case "zeros":
            path.write_bytes(bytes(len(content)))
        case _:
            path.unlink()
    return True
