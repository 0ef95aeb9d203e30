"""`risexp serve`: a process that can be asked, and that ends when it is told to."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from tests.models import model_in

PROGRAM = "from risexp.cli.main import main; main()"


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_a_server_answers_its_example_and_ends_cleanly(
    tmp_path: Path, told: signal.Signals
) -> None:
    model_in(tmp_path)
    with subprocess.Popen(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", PROGRAM, "serve", "model", "--port", "0"],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(3)]
        found = re.search(r"curl (\S+) -H '(\S+): (\S+)' --data @(\S+)", said[2])
        assert found is not None
        request = Request(found[1], Path(found[4]).read_bytes(), {found[2]: found[3]})  # noqa: S310 - ours
        with urlopen(request) as response:  # noqa: S310 - ours
            answered = json.load(response)
        process.send_signal(told)
        _, noted = process.communicate()

    assert said[0].startswith("run run-1, epoch 3 answers at http://127.0.0.1:")
    assert 1 == len(answered["predictions"])
    assert 0 == process.returncode
    assert ["Ctrl-C ends it", "risexp: the server has ended"] == noted.splitlines()
    assert [] == list(tmp_path.glob("risexp-serve-*"))
