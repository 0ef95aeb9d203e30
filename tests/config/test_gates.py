"""Gates as files: where they are found, and errors of invalid files."""

from pathlib import Path

import pytest

from risexp.config.gates import FOLDER, CandidateGates, ChampionGates, Gates, NompGates, load_gates
from risexp.config.yaml import yaml_paths
from risexp.errors import ConfigInvalid

pytestmark = pytest.mark.usefixtures("own_home")


def place(folder: Path, text: str, name: str = "mine") -> Path:
    path = folder / FOLDER / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_shipped_gates_are_found_and_say_what_they_are_for() -> None:
    for name in ("default", "smoke"):
        assert name in yaml_paths(FOLDER)
        assert load_gates(name).about
    smoke, champion = load_gates("smoke"), load_gates("default").champion

    assert "demonstrations only" in smoke.about
    assert 0.0 == smoke.candidate.k_acc_gain_min
    assert [] == smoke.champion.better_in
    assert ["success_rate"] == champion.better_in
    assert (0.01, 0.01) == (champion.success_rate_loss_max, champion.k_acc_loss_max)
    with pytest.raises(ConfigInvalid, match="no gates 'defualt'; did you mean default"):
        load_gates("defualt")


def test_gates_of_the_home_hide_shipped_ones_and_a_path_is_read(tmp_path: Path) -> None:
    path = place(tmp_path, "# smoke: mine.\ncandidate: {ece_max: 0.5}\n", "smoke")

    assert 0.5 == load_gates("smoke").candidate.ece_max == load_gates(str(path)).candidate.ece_max
    assert "mine." == load_gates("smoke").about


def test_an_invalid_file_is_refused_by_field(tmp_path: Path) -> None:
    for text, said in (
        ("candidate: {ece: 0.1}\n", "candidate.ece"),
        ("champion: {better_in: [k_loc]}\n", "champion.better_in.0 = 'k_loc'"),
        ("champion: {k_acc_loss_max: -0.1}\n", "champion.k_acc_loss_max = -0.1"),
        ("champion: {ms_ratio_max: .inf}\n", "champion.ms_ratio_max"),
        ("name: other\n", "name comes from the file's name"),
    ):
        path = place(tmp_path, text)
        with pytest.raises(ConfigInvalid) as caught:
            load_gates(str(path))
        assert said in str(caught.value)
        assert str(path) in str(caught.value)


def test_every_field_is_described() -> None:
    assert [] == [
        (section.__name__, name)
        for section in (Gates, CandidateGates, ChampionGates, NompGates)
        for name, field in section.model_fields.items()
        if not field.description
    ]
