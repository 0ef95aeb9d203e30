"""Scenarios that disturb what they say, and a table of what that costs."""

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from matplotlib.image import imread
from torch import Tensor

from risexp.app.methods import Method
from risexp.app.robustness import (
    Outcome,
    RobustnessTable,
    measure_robustness,
    without_broken,
)
from risexp.app.robustness_document import document, records
from risexp.app.robustness_files import write_files
from risexp.app.robustness_plots import draw_levels
from risexp.app.robustness_scenarios import SCENARIOS, Level, Scenario, chosen_scenarios
from risexp.app.robustness_tables import text_tables
from risexp.config.run import RunConfig
from risexp.data.frames import Scenes
from risexp.data.scenes import SceneGenerator, panel_of, source_steering
from risexp.errors import ConfigInvalid
from risexp.inference.estimate import Estimate
from risexp.physics.signals import received
from tests.accuracies import SMOKE, accurate, silent, snr_of, wrong
from tests.estimates import perfect, with_count

SCENES = 24
BUILT = chosen_scenarios(["all"], SMOKE)
FIELDS = ("wavefront", "amplitude", "amplitude-near", "phase", "dead", "label")
"""Scenarios that leave the sources and what they send as they are."""
LEVELS = [
    pytest.param(scenario, level, id=f"{name} {level.name}")
    for name, scenario in BUILT.items()
    for level in scenario.levels
    if level.name != scenario.undisturbed
]


def moody(scenes: Scenes) -> Estimate:
    """Right where the SNR is told right, silent where it is not."""
    right = (snr_of(scenes) - 10.0).abs() < 1e-3
    return with_count(perfect(scenes.truth), scenes.truth.count * right)


def fallible(scenes: Scenes) -> Estimate:
    """The truth, but for one scene of three whose range comes out as no number."""
    broken = torch.arange(len(scenes)) % 3 == 0
    truth = scenes.truth
    return replace(
        perfect(truth), range_m=truth.range_m.masked_fill(broken.unsqueeze(-1), math.nan)
    )


METHODS: Mapping[str, Method] = {"accurate": accurate, "moody": moody, "silent": silent}


def measured(
    *names: str,
    methods: Mapping[str, Method] = METHODS,
    snr_db: tuple[float, ...] = (10.0,),
    scenes: int = SCENES,
) -> RobustnessTable:
    """A table of methods that are no methods."""
    chosen = {name: BUILT[name] for name in names}
    return measure_robustness(SMOKE, lambda _: methods, chosen, snr_db, scenes, lambda _: None)


@pytest.fixture(scope="module")
def table() -> RobustnessTable:
    return measured("wavefront", "pairs", "label")


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name != "pairs"])
def test_the_undisturbed_level_changes_no_bit(name: str) -> None:
    scenario = BUILT[name]
    scenes = drawn(scenario)

    heard = level_of(scenario, scenario.undisturbed).disturb(scenes)

    for before, after in zip(values(scenes), values(heard), strict=True):
        torch.testing.assert_close(before, after, rtol=0.0, atol=0.0, equal_nan=True)


@pytest.mark.parametrize(("scenario", "level"), LEVELS)
def test_every_other_level_changes_the_scenes_or_the_receiver(
    scenario: Scenario, level: Level
) -> None:
    scenes = drawn(scenario)
    calm = level_of(scenario, scenario.undisturbed)

    before, after = calm.disturb(scenes), level.disturb(scenes)

    heard = not torch.equal(before.frames.y, after.frames.y)
    told = not torch.equal(snr_of(before), snr_of(after))
    assert heard or told or level.receiver != calm.receiver


@pytest.mark.parametrize("name", FIELDS)
def test_a_wrong_belief_leaves_the_truth_and_the_noise(name: str) -> None:
    scenario = BUILT[name]
    scenes = drawn(scenario)

    for level in scenario.levels:
        heard = level.disturb(scenes)
        assert heard.truth is scenes.truth
        assert heard.frames.channel is scenes.frames.channel
        assert heard.frames.codes is scenes.frames.codes
        if name != "label":
            assert heard.frames.snr_db is scenes.frames.snr_db


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name != "pairs"])
def test_positions_and_counts_stay(name: str) -> None:
    scenario = BUILT[name]
    scenes = drawn(scenario)

    for level in scenario.levels:
        truth = level.disturb(scenes).truth
        for field in ("count", "phi_rad", "theta_rad", "range_m"):
            before, after = getattr(scenes.truth, field), getattr(truth, field)
            torch.testing.assert_close(before, after, rtol=0.0, atol=0.0, equal_nan=True)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scene_is_disturbed_alike_in_any_batch(name: str) -> None:
    scenario = BUILT[name]
    scenes = drawn(scenario)

    for level in scenario.levels:
        whole, alone = level.disturb(scenes)[7:9], level.disturb(scenes[7:9])
        torch.testing.assert_close(whole.frames.y, alone.frames.y, rtol=1e-4, atol=0.0)


@pytest.mark.parametrize(("degrees", "level"), [(10.0, "10"), (40.0, "40")])
def test_phase_errors_cost_coherence_as_a_normal_law_says(degrees: float, level: str) -> None:
    scenario = BUILT["phase"]
    scenes = drawn(scenario, 200)

    before, after = clean(scenes), clean_of(scenes, level_of(scenario, level).disturb(scenes))

    coherence = (before.conj() * after).sum((-2, -1)).real / before.abs().square().sum((-2, -1))
    expected = math.exp(-(math.radians(degrees) ** 2) / 2.0)
    assert float(coherence.mean()) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(("percent", "level"), [(10.0, "10"), (20.0, "20")])
def test_dead_elements_take_their_share_of_the_energy(percent: float, level: str) -> None:
    scenario = BUILT["dead"]
    scenes = drawn(scenario, 200)

    before, after = clean(scenes), clean_of(scenes, level_of(scenario, level).disturb(scenes))

    kept = after.abs().square().sum((-2, -1)) / before.abs().square().sum((-2, -1))
    assert float(kept.mean()) == pytest.approx(1.0 - percent / 100.0, abs=0.02)


def test_what_is_dead_stays_dead_at_the_next_level() -> None:
    """The field of a dead element is the same difference at every level it is dead at."""
    scenario = BUILT["dead"]
    scenes = drawn(scenario, 60)

    some, more = (
        level_of(scenario, level).disturb(scenes).frames.y - scenes.frames.y
        for level in ("1", "20")
    )

    harmed = some.abs().sum((-2, -1)) > 0.0
    assert 0.1 < float(harmed.double().mean()) < 0.6
    assert bool((more.abs().sum((-2, -1)) > 0.0)[harmed].all())


def test_the_scenario_of_amplitudes_is_the_formula() -> None:
    scenario = BUILT["amplitude-near"]
    scenes = drawn(scenario)
    panel = panel_of(SMOKE.physics)
    h_m, v_m = panel.positions()
    phi, theta, r = (
        each.nan_to_num(nan=1.0).unsqueeze(-1)
        for each in (scenes.truth.phi_rad, scenes.truth.theta_rad, scenes.truth.range_m)
    )
    across, up = r * phi.sin() * theta.cos() - h_m, r * theta.sin() - v_m
    distance = (across.square() + up.square() + (r * phi.cos() * theta.cos()).square()).sqrt()

    heard = level_of(scenario, "1/distance").disturb(scenes)

    steering = source_steering(panel, scenes.truth) * (r / distance)
    field = (scenes.truth.gains.to(steering.dtype) @ steering).to(torch.complex64)
    expected = received(scenes.frames.channel, scenes.frames.codes, field)
    torch.testing.assert_close(expected, clean_of(scenes, heard), rtol=1e-3, atol=1e-7)
    assert float(scenes.truth.range_m.nan_to_num(nan=1.0).max()) <= 2.0


def test_receivers_believe_what_the_scenario_says() -> None:
    models = {level.name: level.receiver.physics.wavefront for level in BUILT["wavefront"].levels}
    powers = {level.name: level.receiver.physics.power for level in BUILT["power"].levels}

    assert {name: name for name in models} == models
    assert {"free_space": "free_space", "equal": "free_space", "equal, told": "equal"} == powers
    for name in ("amplitude", "phase", "dead", "pairs", "label"):
        assert {SMOKE.sha()} == {level.receiver.sha() for level in BUILT[name].levels}


def test_scenarios_of_fresh_symbols_and_true_waves_bring_their_own_law() -> None:
    parabolic = SMOKE.replace({"physics.wavefront": "parabolic", "sampled.method": "joint"})

    built = chosen_scenarios(["wavefront", "coherent", "phase"], parabolic)

    assert "spherical" == built["wavefront"].config.physics.wavefront
    assert "snapshot" == built["coherent"].config.physics.symbols
    assert parabolic == built["phase"].config


def test_methods_that_know_lose_nothing_and_methods_that_trust_lose_all(
    table: RobustnessTable,
) -> None:
    label = outcome_of(table, "label")

    for name, level in label.answers.items():
        calm = name == "0"
        lost = level["moody"].lost
        assert (lost is None) == calm
        assert (1.0 if calm else 0.0) == level["moody"].interval.value.success_rate
        assert 1.0 == level["accurate"].interval.value.success_rate
        if lost is not None:
            assert (1.0, 1.0) == (lost.value.success_rate, lost.low.success_rate)
    assert 0.0 == label.answers["+3"]["silent"].interval.value.success_rate


def test_scenes_are_the_first_of_the_split_that_hold_enough_sources() -> None:
    heard: list[Scenes] = []

    def listening(scenes: Scenes) -> Estimate:
        heard.append(scenes)
        return accurate(scenes)

    measured("label", methods={"one": listening}, scenes=260)
    measured("coherent", methods={"one": listening}, scenes=260)

    config = BUILT["label"].config.replace({"data.snr_db": [10.0, 10.0]})
    expected = SceneGenerator(config.physics, config.data).scenes("test", 0, 260)
    first = [each for each in heard if each.truth.symbols.shape[1] == 1]
    assert torch.equal(expected.frames.y[:256], first[0].frames.y)
    assert [256, 4] == [len(each) for each in first[:: len(BUILT["label"].levels)]]
    coherent = [each for each in heard if each.truth.symbols.shape[1] > 1]
    assert 260 * len(BUILT["coherent"].levels) == sum(map(len, coherent))
    assert 2 == min(int(each.truth.count.min()) for each in coherent)


def test_methods_are_built_for_the_receiver_of_the_level() -> None:
    believed: list[str] = []

    def build(config: RunConfig) -> Mapping[str, Method]:
        believed.append(config.physics.wavefront)
        return {"accurate": accurate}

    measure_robustness(SMOKE, build, {"wavefront": BUILT["wavefront"]}, (10.0,), 2, lambda _: None)

    assert ["spherical", "fresnel", "parabolic"] == believed[-3:]


def test_progress_counts_every_answer() -> None:
    told: list[int] = []
    chosen = {"label": BUILT["label"]}

    measure_robustness(SMOKE, lambda _: METHODS, chosen, (0.0, 10.0), 5, told.append)

    assert 2 * 7 * 3 * 5 == sum(told)


def test_what_is_no_number_is_no_source_and_is_counted() -> None:
    table = measured("wavefront", methods={"fallible": fallible}, scenes=30)

    (outcome,) = table.outcomes
    for level in outcome.answers.values():
        assert 10 == level["fallible"].broken
        assert 20 / 30 == pytest.approx(level["fallible"].interval.value.success_rate)
    assert "scored as no source: fallible 30" in next(iter(text_tables(table))).title


def test_a_sound_answer_is_left_as_it_is() -> None:
    estimate = accurate(drawn(BUILT["label"]))

    kept, broken = without_broken(estimate)

    assert 0 == broken
    assert torch.equal(estimate.count, kept.count)


def test_sources_are_found_in_the_bin_of_their_range() -> None:
    def shortsighted(scenes: Scenes) -> Estimate:
        """Far sources half as far away as they are."""
        truth = scenes.truth
        near = truth.range_m.where(truth.range_m < 4.0, 0.5 * truth.range_m)
        return replace(perfect(truth), range_m=near)

    table = measured("wavefront", methods={"shortsighted": shortsighted}, scenes=60)

    found = table.outcomes[0].found_by_range("fresnel", "shortsighted")
    assert ["below 1 m", "1 to 2 m", "2 to 4 m", "above 4 m"] == list(found)
    assert [1.0, 1.0, 1.0, 0.0] == list(found.values())


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], "names none"),
        (["phse"], "did you mean phase"),
        (["dead", "dead"], "dead twice"),
        (["all", "dead"], "no scenario 'all'"),
    ],
)
def test_scenarios_that_are_none_are_refused(names: list[str], said: str) -> None:
    with pytest.raises(ConfigInvalid, match=said):
        chosen_scenarios(names, SMOKE)


def test_pairs_of_one_source_are_refused() -> None:
    with pytest.raises(ConfigInvalid, match=r"pairs needs data.sources_max >= 2"):
        chosen_scenarios(["pairs"], SMOKE.replace({"data.sources_max": 1}))


def test_the_document_holds_every_answer_and_no_nan(table: RobustnessTable) -> None:
    found = document(table)

    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (SMOKE.sha(), SCENES, [10.0]) == (
        found["config_sha"],
        found["scenes_per_snr"],
        found["snr_db"],
    )
    assert ["wavefront", "pairs", "label"] == list(found["scenarios"])
    for name, scenario in found["scenarios"].items():
        assert [level.name for level in BUILT[name].levels] == scenario["levels"]
        answers = scenario["snr"]["10"]
        assert list(METHODS) == list(answers[scenario["undisturbed"]])
        assert answers[scenario["undisturbed"]]["silent"]["lost"] is None
        assert answers[scenario["undisturbed"]]["silent"]["aoa_rmse"] is None
    moody_ = found["scenarios"]["label"]["snr"]["10"]["+3"]["moody"]
    assert (1.0, [1.0, 1.0]) == (
        moody_["lost"]["success_rate"],
        moody_["lost_interval"]["success_rate"],
    )


def test_the_files_are_complete_and_can_be_read(table: RobustnessTable, tmp_path: Path) -> None:
    write_files(table, tmp_path)

    expected = {"levels_10dB.png", "levels_10dB.svg", "robustness.csv", "robustness.json"}
    assert expected == {path.name for path in tmp_path.iterdir()}
    assert document(table) == json.loads((tmp_path / "robustness.json").read_text("utf-8"))
    picture = imread(tmp_path / "levels_10dB.png")
    assert picture.shape[1] == pytest.approx(1432, abs=2)
    with (tmp_path / "robustness.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == (3 + 7 + 7) * len(METHODS)
    for kept, known in zip(rows, records(table), strict=True):
        assert {name: "" if each is None else str(each) for name, each in known.items()} == kept


def test_the_figure_has_a_panel_for_each_scenario_and_one_figure_an_snr() -> None:
    table = measured("phase", "label", snr_db=(0.0, 10.0), scenes=4)

    figures = [draw_levels(table, snr_db) for snr_db in (0.0, 10.0)]

    for figure in figures:
        assert ["phase", "label"] == [axes.get_title() for axes in figure.axes]
        assert ["0", "5", "10", "20", "40"] == [
            label.get_text() for label in figure.axes[0].get_xticklabels()
        ]


def test_text_fits_into_a_hundred_columns(table: RobustnessTable) -> None:
    methods = {"nomp:bic": accurate, "music:true-k": wrong}

    for block in [
        *text_tables(table),
        *text_tables(measured("power", "amplitude", methods=methods)),
    ]:
        cells = [block.headings, *block.rows]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        assert sum(widths) + 2 * (len(widths) - 1) <= 100
        assert max(map(len, block.title.splitlines())) <= 100


def test_text_tells_scores_and_losses(table: RobustnessTable) -> None:
    wavefront, by_range, _, label = text_tables(table)

    assert ("level", "method", "k_acc", "success", "strict", "aoa", "range", "k_loc", "lost") == (
        wavefront.headings
    )
    assert "below 1 m" in by_range.headings
    rows = {row[:2]: row[2:] for row in label.rows}
    assert "-" == rows["0", "moody"][-1]
    assert "1.000 [1.00,1.00]" == rows["-5", "moody"][-1]
    assert ("1.00 [1.00,1.00]", "1.000", "1.000", "0.00", "0.00", "-1.00", ".000 [.00,.00]") == (
        rows["-5", "accurate"]
    )


def drawn(scenario: Scenario, scenes: int = SCENES) -> Scenes:
    """Scenes of a scenario before they are disturbed, as many as hold enough sources of these."""
    config = scenario.config.replace({"data.snr_db": [10.0, 10.0]})
    found = SceneGenerator(config.physics, config.data).scenes("test", 0, scenes)
    kept = found.truth.count >= scenario.sources_min
    frames, truth = found.frames, found.truth
    return Scenes(
        replace(frames, y=frames.y[kept], channel=frames.channel[kept], snr_db=snr_of(found)[kept]),
        type(truth)(*(value[kept] for _, value in truth.items())),
    )


def level_of(scenario: Scenario, name: str) -> Level:
    return next(level for level in scenario.levels if level.name == name)


def outcome_of(table: RobustnessTable, name: str) -> Outcome:
    return next(outcome for outcome in table.outcomes if outcome.name == name)


def values(scenes: Scenes) -> list[Tensor]:
    return [value for _, value in [*scenes.frames.items(), *scenes.truth.items()]]


def clean(scenes: Scenes) -> Tensor:
    """What would be heard of the truth without noise and without disturbance."""
    field = scenes.truth.gains @ source_steering(panel_of(SMOKE.physics), scenes.truth)
    return received(scenes.frames.channel, scenes.frames.codes, field)


def clean_of(scenes: Scenes, heard: Scenes) -> Tensor:
    """What is heard once the noise of the undisturbed scenes is taken away."""
    return heard.frames.y - (scenes.frames.y - clean(scenes))
