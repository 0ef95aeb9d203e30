"""Invalid input: one sentence, the right exit code, and no file is touched."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from risexp.cli.main import main
from tests.support.frozen_sets import contents, frozen, request_of

GENERATE = "data generate --split test --scenes 3 -p smoke"
FILES: dict[str, str] = {
    "list.yaml": "- 1\n",
    "open.yaml": "data: {seed: 3",
    "object.yaml": "data: !!python/object/apply:os.system ['touch sprung']\n",
    "bomb.yaml": "a: &a [x, x]\nb: &b [" + ", ".join(["*a"] * 9) + "]\nc: [" + "*b, " * 9 + "]",
    "unknown.yaml": "data: {sede: 3}\n",
    "dead.yaml": "trials: 4\nvary: {sampled.rigde: {kind: log, low: 0.1, high: 1.0}}\n",
    "foreign/thesis.tex": "all my work",
    "not-json/manifest.json": "{",
    "a-file": "words",
}
CASES: dict[str, list[tuple[str, int, str]]] = {
    "words": [
        ("trian", 2, "No such command 'trian'"),
        ("data verfy set", 2, "Did you mean 'verify'?"),
        ("config show --orign", 2, "--origin"),
        ("data generate --scens 3", 2, "--scenes"),
        ("config show --preset", 2, "--preset"),
        ("hpo", 2, "--space"),
        ("data generate --split test --scenes 3", 2, "--out"),
        ("data generate --out new --split holdout --scenes 3", 2, "'holdout'"),
        ("data generate --out new --split test --scenes 0", 2, "--scenes"),
        ("show scene set --index -1", 2, "--index"),
    ],
    "fields and files": [
        ("config show --set data.seed", 2, "section.field=value"),
        ("config show --set data.sede=3", 2, "did you mean data.seed?"),
        ("config show --set data=3", 2, "data (from --set) is a section, not a field"),
        ("config show --set physics.elements_h=12.5", 2, "physics.elements_h = 12.5 (from --set)"),
        ("config show -p smoke -s data.sources_max=32", 2, "more than 14 sources"),
        ("config show --set 'data.seed=[1'", 2, "--set: data.seed line 1"),
        ("config show --preset smokey", 2, "did you mean smoke?"),
        ("config show --preset ../presets/smoke", 2, "there is no preset"),
        ("config show -c nowhere.yaml", 2, "nowhere.yaml: No such file or directory"),
        ("config show -c list.yaml", 2, "list.yaml holds no mapping"),
        ("config show -c open.yaml", 2, "open.yaml line 1"),
        ("config show -c object.yaml", 2, "object.yaml line 1"),
        ("config show -c bomb.yaml", 2, "bomb.yaml uses more than 16 aliases"),
        ("config show -c unknown.yaml", 2, "unknown.yaml: there is no field 'data.sede'; did you"),
        ("config diff smoke smokey", 2, "did you mean smoke?"),
    ],
    "spaces": [
        ("space check nowhere", 2, "there is no search space 'nowhere'"),
        ("space check dead.yaml", 2, "did you mean sampled.ridge?"),
        ("space show smok", 2, "did you mean smoke?"),
        ("space diff smoke", 2, "OTHER"),
        ("space diff smoke unknown.yaml", 2, "unknown.yaml"),
        ("hpo --space smok", 2, "did you mean smoke?"),
        ("hpo --space smoke --until k_acc", 2, "--until k_acc: give a bound of the score"),
    ],
    "frozen sets": [
        (f"{GENERATE} --out new --device cud", 2, "--device 'cud' is no device"),
        (f"{GENERATE} --out new --device cpu:x", 2, "--device 'cpu:x'"),
        (f"{GENERATE} --out new -s data.separation_deg=90", 2, "leaves no room for 3 sources"),
        (f"{GENERATE} --out set -s data.seed=1", 2, "set holds another set: config.data.seed is 0"),
        (f"{GENERATE} --out foreign", 2, "foreign is not empty and holds no set"),
        (f"{GENERATE} --out a-file/set", 1, "a-file/set: Not a directory"),
        ("data verify nowhere", 2, "there is no folder nowhere"),
        ("data verify unfinished", 2, "or one that was interrupted"),
        ("data verify not-json", 2, "not-json/manifest.json: invalid JSON"),
        ("data verify outside", 2, "leads out of the set's folder"),
        ("data verify flipped", 4, "flipped is damaged: shard-00000/y.npy: SHA-256 is"),
        ("show scene unfinished", 2, "unfinished holds no manifest.json"),
        ("show scene flipped", 2, "shard-00000/y.npy: SHA-256 is"),
        ("show scene set --index 3", 2, "set holds scenes 0..2"),
        ("show scene set --out nowhere/a.png", 1, "nowhere/a.png: No such file or directory"),
    ],
}
"""Command, exit code and a part of the error sentence."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all files of the cases."""
    folder = tmp_path_factory.mktemp("bad-input")
    for name, content in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)
    frozen(folder / "set", request_of(scenes=3))
    for name in ("flipped", "outside"):
        shutil.copytree(folder / "set", folder / name)
    y = folder / "flipped" / "shard-00000" / "y.npy"
    y.write_bytes(y.read_bytes()[:-1] + b"\x55")
    manifest = folder / "outside" / "manifest.json"
    manifest.write_text(manifest.read_text().replace("shard-00000/y.npy", "../y.npy"))
    shutil.copytree(folder / "set" / "shard-00000", folder / "unfinished" / "shard-00000")
    return folder


@pytest.mark.parametrize("subject", CASES)
def test_bad_input_is_answered_in_one_sentence_and_nothing_is_touched(
    template: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    subject: str,
) -> None:
    folder = Path(shutil.copytree(template, tmp_path / "here"))
    monkeypatch.chdir(folder)
    before = contents(folder)

    for command, code, part in CASES[subject]:
        with pytest.raises(SystemExit) as left:
            main(shlex.split(command))
        errors = capsys.readouterr().err.splitlines()

        assert code == left.value.code, command
        assert [line for line in errors if line.startswith("risexp: ")] == errors[-1:], command
        # Before a set is written its size is printed; nothing else stands beside the sentence.
        assert all(re.search(" (test|train) scenes, ", line) for line in errors[:-1]), command
        assert part in errors[-1], command
        assert "Traceback" not in errors[-1], command
        assert before == contents(folder), command
