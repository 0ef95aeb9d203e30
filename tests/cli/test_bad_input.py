"""Invalid input: one sentence, the right exit code, and no file is touched."""

import os
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from risexp.cli.main import main
from tests.support.frozen_sets import contents, frozen, request_of

GENERATE = "data generate --split test --scenes 3 -p smoke"

FILES: dict[str, str | bytes] = {
    "list.yaml": "- 1\n",
    "word.yaml": "smoke\n",
    "open.yaml": "data: {seed: 3",
    "twice.yaml": "data: {seed: 3}\ndata: {seed: 4}\n",
    "object.yaml": "data: !!python/object/apply:os.system ['touch sprung']\n",
    "bool-tag.yaml": "data: {seed: !!bool maybe}\n",
    "yaml-1.1.yaml": "%YAML 1.1\n---\ndata: {seed: 3}\n",
    "bomb.yaml": "a: &a [x, x]\nb: &b [" + ", ".join(["*a"] * 9) + "]\nc: [" + "*b, " * 9 + "]",
    "deep.yaml": "data: " + "[" * 100 + "]" * 100,
    "huge.yaml": "# " + "x" * 1_000_001,
    "binary.yaml": b"\x89PNG\r\n\x1a\n\x00",
    "unknown.yaml": "data: {sede: 3}\n",
    "string.yaml": "data: {seed: '3'}\n",
    "impossible.yaml": "physics: {elements_h: 2, elements_v: 2}\n",
    "no-trials.yaml": "vary: {sampled.ridge: {kind: log, low: 0.1, high: 1.0}}\n",
    "lgo.yaml": "trials: 4\nvary: {sampled.ridge: {kind: lgo, low: 0.1, high: 1.0}}\n",
    "negative.yaml": "trials: 4\nvary: {sampled.ridge: {kind: log, low: -1, high: 1.0}}\n",
    "dead.yaml": "trials: 4\nvary: {sampled.rigde: {kind: log, low: 0.1, high: 1.0}}\n",
    "outside.yaml": "trials: 4\nvary: {sampled.ridge: {kind: log, low: 0.1, high: 1.0}}\n",
    "self.yaml": (
        "trials: 4\nvary:\n  physics.codebook:\n"
        "    {kind: choice, options: [dft, random], when: {physics.codebook: dft}}\n"
    ),
    "foreign/thesis.tex": "all my work",
    "foreign/film.partial": "half a film",
    "not-json/manifest.json": "{",
    "not-a-manifest/manifest.json": "{}",
    "a-file": "words",
}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all files of the cases."""
    folder = tmp_path_factory.mktemp("bad-input")
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    for name in ("set", "flipped", "missing", "listed", "outside"):
        frozen(folder / name, request_of(scenes=3))
    flipped = folder / "flipped" / "shard-00000" / "y.npy"
    flipped.write_bytes(flipped.read_bytes()[:-1] + b"\x55")
    (folder / "missing" / "shard-00000" / "codes.npy").unlink()
    np.save(folder / "listed" / "shard-00000" / "count.npy", np.array([1, 2, 3], dtype="i4"))
    manifest = folder / "outside" / "manifest.json"
    manifest.write_text(manifest.read_text().replace("shard-00000/y.npy", "../y.npy"))
    (folder / "unfinished").mkdir()
    shutil.copytree(folder / "set" / "shard-00000", folder / "unfinished" / "shard-00000")
    (folder / "empty").mkdir()
    return folder


@pytest.fixture
def folder(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory: a copy of the template, in a clean environment."""
    copy = tmp_path / "here"
    shutil.copytree(template, copy)
    monkeypatch.chdir(copy)
    monkeypatch.delenv("RISEXP_HOME", raising=False)
    for name in os.environ:
        if name.startswith("RISEXP__"):
            monkeypatch.delenv(name)
    return copy


CASES: dict[str, list[tuple[str, int, str]]] = {
    "words": [
        ("trian", 2, "No such command 'trian'"),
        ("data verfy set", 2, "Did you mean 'verify'?"),
        ("config show --orign", 2, "--origin"),
        ("config show surplus", 2, "surplus"),
        ("config diff smoke", 2, "TWO"),
        ("config show --preset", 2, "--preset"),
        ("space show", 2, "SPACE"),
        ("hpo", 2, "--space"),
        ("data generate --split test --scenes 3", 2, "--out"),
        ("data generate --out new --scenes 3", 2, "--split"),
        ("data generate --out new --split test", 2, "--scenes"),
        ("data generate --out new --split holdout --scenes 3", 2, "'holdout'"),
        ("data generate --out new --split test --scenes 0", 2, "--scenes"),
        ("data generate --out new --split test --scenes many", 2, "--scenes"),
        ("show scene set --index -1", 2, "--index"),
        ("show scene set --index first", 2, "--index"),
    ],
    "fields": [
        ("config show --set data.seed", 2, "section.field=value"),
        ("config show --set =3", 2, "section.field=value"),
        ("config show --set data.sede=3", 2, "did you mean data.seed?"),
        ("config show --set loss.covs=3", 2, "there is no field 'loss.covs'"),
        ("config show --set data=3", 2, "data (from --set) is a section, not a field"),
        ("config show --set physics.elements_h=12.5", 2, "physics.elements_h = 12.5 (from --set)"),
        ("config show --set physics.wavelength_m=.nan", 2, "finite"),
        ("config show --set physics.codebook=dtf", 2, "'dft', 'balanced', 'hadamard' or 'random'"),
        ("config show --set data.snr_db=[20,-5]", 2, "the lower bound 20 lies above"),
        ("config show --set data.snr_db=5", 2, "data.snr_db = 5"),
        ("config show -p smoke -s data.sources_max=32", 2, "more than 14 sources"),
        ("config show --set 'data.seed=[1'", 2, "--set: data.seed line 1"),
        ("config show --set 'data.seed=&a [*a]'", 2, "data.seed"),
        ("config show --set 'data.seed=!!bool maybe'", 2, "data.seed"),
        ("config show --preset smokey", 2, "did you mean smoke?"),
        ("config show --preset ../presets/smoke", 2, "there is no preset"),
    ],
    "files": [
        ("config show -c nowhere.yaml", 2, "nowhere.yaml: No such file or directory"),
        ("config show -c empty", 2, "empty: Is a directory"),
        ("config show -c list.yaml", 2, "list.yaml holds no mapping"),
        ("config show -c word.yaml", 2, "word.yaml holds no mapping"),
        ("config show -c open.yaml", 2, "open.yaml line 1"),
        ("config show -c twice.yaml", 2, 'duplicate key "data"'),
        ("config show -c object.yaml", 2, "object.yaml line 1"),
        ("config show -c bool-tag.yaml", 2, "bool-tag"),
        ("config show -c yaml-1.1.yaml", 2, "1.1"),
        ("config show -c bomb.yaml", 2, "bomb.yaml uses more than 16 aliases"),
        ("config show -c deep.yaml", 2, "deep.yaml nests deeper than 20 levels"),
        ("config show -c huge.yaml", 2, "huge.yaml has more than 1000000 bytes"),
        ("config show -c binary.yaml", 2, "binary.yaml: it is not UTF-8 text"),
        ("config show -c unknown.yaml", 2, "unknown.yaml: there is no field 'data.sede'; did you"),
        ("config show -c string.yaml", 2, "data.seed = '3' (from string.yaml)"),
        ("config show -c impossible.yaml", 2, "2 x 2 panel"),
        ("config diff smoke smokey", 2, "did you mean smoke?"),
    ],
    "spaces": [
        ("space check nowhere", 2, "there is no search space 'nowhere'"),
        ("space check no-trials.yaml", 2, "no-trials.yaml: trials is missing"),
        ("space check lgo.yaml", 2, "lgo.yaml: vary.sampled.ridge"),
        ("space check negative.yaml", 2, "must be positive on a logarithmic scale"),
        ("space check dead.yaml", 2, "did you mean sampled.ridge?"),
        ("space check outside.yaml", 2, "the default sampled.ridge = 0.001 lies outside"),
        ("space check self.yaml", 2, "leads back to itself"),
        ("space check binary.yaml", 2, "binary.yaml: it is not UTF-8 text"),
        ("space show smok", 2, "did you mean smoke?"),
        ("space show dead.yaml", 2, "sampled.rigde"),
        ("space diff smoke", 2, "OTHER"),
        ("space diff smoke lgo.yaml", 2, "lgo.yaml"),
        ("hpo --space smok", 2, "did you mean smoke?"),
        ("hpo --space smoke --until k_acc", 2, "--until k_acc: give a bound of the score"),
    ],
    "frozen sets": [
        (f"{GENERATE} --out new --device cud", 2, "--device 'cud' is no device"),
        (f"{GENERATE} --out new --device meta", 2, "--device"),
        (f"{GENERATE} --out new --preset smokey", 2, "did you mean smoke?"),
        (f"{GENERATE} --out new -s data.separation_deg=90", 2, "leaves no room for 3 sources"),
        (f"{GENERATE} --out set -s data.seed=1", 2, "set holds another set: config.data.seed is 0"),
        ("data generate --out set --split test --scenes 4 -p smoke", 2, "scenes is 3 there and 4"),
        ("data generate --out set --split train --scenes 3 -p smoke", 2, "split is 'test' there"),
        (f"{GENERATE} --out foreign", 2, "foreign is not empty and holds no set"),
        (f"{GENERATE} --out unfinished", 2, "unfinished is not empty and holds no set"),
        (f"{GENERATE} --out not-json", 2, "not-json/manifest.json: invalid JSON"),
        (f"{GENERATE} --out a-file", 2, "a-file"),
        (f"{GENERATE} --out a-file/set", 1, "a-file/set: Not a directory"),
        ("data verify nowhere", 2, "there is no folder nowhere"),
        ("data verify a-file", 2, "there is no folder a-file"),
        ("data verify empty", 2, "empty holds no manifest.json"),
        ("data verify unfinished", 2, "or one that was interrupted"),
        ("data verify not-json", 2, "not-json/manifest.json: invalid JSON"),
        ("data verify not-a-manifest", 2, "not-a-manifest/manifest.json: generator is missing"),
        ("data verify outside", 2, "leads out of the set's folder"),
        ("data verify flipped", 4, "flipped is damaged: shard-00000/y.npy: SHA-256 is"),
        ("data verify missing", 4, "shard-00000/codes.npy: the file is missing"),
        ("data verify listed", 4, "shard-00000/count.npy: SHA-256 is"),
        ("show scene nowhere", 2, "there is no folder nowhere"),
        ("show scene unfinished", 2, "unfinished holds no manifest.json"),
        ("show scene flipped", 2, "shard-00000/y.npy: SHA-256 is"),
        ("show scene outside", 2, "leads out of the set's folder"),
        ("show scene set --index 3", 2, "set holds scenes 0..2"),
        ("show scene set --out nowhere/a.png", 1, "nowhere/a.png: No such file or directory"),
        ("show scene set --out empty", 1, "empty: Is a directory"),
    ],
}
"""Command, exit code and a part of the error sentence."""


@pytest.mark.parametrize("subject", CASES)
def test_bad_input_is_answered_in_one_sentence_and_nothing_is_touched(
    folder: Path, capsys: pytest.CaptureFixture[str], subject: str
) -> None:
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
