"""Twenty secrets where users have them, and a search for them in all that is written or printed."""

import base64
import logging
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from sqlalchemy import MetaData, create_engine
from sqlalchemy.pool import NullPool

import risexp


def _key(number: int) -> str:
    """A secret that stands nowhere else, and has no shape by which it could be recognised."""
    return f"vq{number:02d}Zk7{'xwtrb'[number % 5]}Hf93mLp{number * 7919 % 10007:05d}"


STORE, TRACKING, ELSEWHERE = _key(1), _key(2), _key(3)
"""Passwords in the addresses of the store of studies, the tracking server, and another server."""
ENVIRONMENT: Final[Mapping[str, str]] = {
    "MLFLOW_TRACKING_TOKEN": _key(4),
    "RISEXP_UI_TOKEN": _key(5),
    "PGPASSWORD": _key(6),
    "AWS_ACCESS_KEY_ID": "AKIA" + _key(7).upper()[:16],
    "AWS_SECRET_ACCESS_KEY": _key(8),
    "AWS_SESSION_TOKEN": _key(9),
    "GITHUB_TOKEN": f"ghp_{_key(10)}",
    "HF_TOKEN": f"hf_{_key(11)}",
    "SMTP_PASSWORD": f"{_key(12)}/+:'",
    "DEPLOY_PRIVATE_KEY": f"-----BEGIN PRIVATE KEY-----\n{_key(13)}\n-----END PRIVATE KEY-----",
    "OTHER_DATABASE": f"mysql://app:{ELSEWHERE}@db.example.org/jobs",
}
REMOTE, ASSIGNED, BEARER, NEW_FILE = _key(14), _key(15), _key(16), _key(17)
"""In the code: in git's own settings, a line, a comment, and a file that git does not know."""
RAISED, CAUSE, ABOUT = _key(18), _key(19), _key(20)
"""In an error's message, in the message of its cause, and in the comment of a search space."""
SECRETS: Final = (
    *(STORE, TRACKING, ELSEWHERE, REMOTE, ASSIGNED, BEARER, NEW_FILE, RAISED, CAUSE, ABOUT),
    *(_key(number) for number in (4, 5, 6, 8, 9, 10, 11, 12, 13)),
    ENVIRONMENT["AWS_ACCESS_KEY_ID"],
)

_PLANTED: Final = f'''"""What a user is trying out."""
import os
PASSWORD = "{NEW_FILE}"
_calls = 0
def fail_once():
    global _calls
    _calls += 1
    if _calls == 6:
        try:
            raise OSError("login failed: user=me password='{CAUSE}'")
        except OSError as error:
            raise RuntimeError(
                "cannot reach https://me:{RAISED}@host/x with " + os.environ["AWS_SESSION_TOKEN"]
            ) from error
'''
_LOGGED: Final = "import logging\nlogging.basicConfig(level=logging.DEBUG)\n"


def write_code(folder: Path) -> Path:
    """A copy of this package in a git repository, with changes that hold secrets.

    Its second trial fails of an error with secrets, and all of its processes log at debug level.
    """
    root = Path(risexp.__file__).parents[1]
    for name in ("risexp", "search_spaces", "gates"):
        shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "sitecustomize.py").write_text(_LOGGED, "utf-8")
    address = f"https://me:{REMOTE}@git.example.org/x.git"
    for command in (
        "init --quiet",
        f"remote add origin {address}",
        "add .",
        "-c user.name=me -c user.email=me@example.org commit --quiet -m all",
    ):
        subprocess.run(["git", "-C", str(folder), *command.split()], check=True)  # noqa: S603, S607
    (folder / "risexp" / "planted.py").write_text(_PLANTED, "utf-8")
    changed = folder / "risexp" / "training" / "objective.py"
    call = "        observation = self.observe(scenes.frames)\n        prediction: Prediction"
    text = changed.read_text("utf-8")
    assert 1 == text.count(call)
    own = (
        f'        from risexp.planted import fail_once\n        api_key = "{ASSIGNED}"\n'
        f'        # curl -H "Authorization: Bearer {BEARER}"\n        fail_once()\n'
    )
    changed.write_text(text.replace(call, own + call), "utf-8")
    return folder


def found_in(texts: Iterable[tuple[str, bytes]]) -> list[tuple[int, str]]:
    """Each secret that is in a text, also if it is encoded, and the name of the text."""
    forms = [(number, form) for number, each in enumerate(SECRETS) for form in _forms(each)]
    return [
        (number, name) for name, text in texts for number, form in forms if form.encode() in text
    ]


def _forms(secret: str) -> set[str]:
    basic = {base64.b64encode(f"me:{secret}".encode()).decode()}
    return {secret, quote(secret, safe=""), *basic}


def files_of(*folders: Path) -> Iterator[tuple[str, bytes]]:
    """All files of folders."""
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file():
                yield str(path), path.read_bytes()


def rows_of(url: str) -> Iterator[tuple[str, bytes]]:
    """All rows of a database."""
    engine, tables = create_engine(url, poolclass=NullPool), MetaData()
    tables.reflect(engine)
    with engine.connect() as connection:
        for table in tables.tables.values():
            rows = connection.execute(table.select()).all()
            yield table.name, "\n".join(map(str, rows)).encode()


def commands_of(pids: Iterable[int]) -> Iterator[tuple[str, bytes]]:
    """The command lines of processes, which every user of a machine can read."""
    for pid in pids:
        yield f"command of {pid}", Path(f"/proc/{pid}/cmdline").read_bytes()


@contextmanager
def debugged() -> Iterator[None]:
    """Log at debug level to stderr, whoever logs."""
    root, handler = logging.getLogger(), logging.StreamHandler()
    level = root.level
    root.setLevel(logging.DEBUG)
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
