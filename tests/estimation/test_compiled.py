"""The compiled search: the answers of torch, whatever the panel and whoever searches beside it."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from risexp.config.run import RunConfig
from risexp.estimation import backend, compiled
from risexp.estimation.backend import backend_of
from risexp.estimation.compiled import quick_sources
from risexp.estimation.count_rule import CountRule
from risexp.estimation.kernels import compilation
from risexp.estimation.pursuit import quick_pursuit
from risexp.estimation.receiver_model import ReceiverModel, noise_power
from risexp.inference.estimate import Estimate
from risexp.inference.nomp import Nomp
from risexp.physics.geometry import Wavefront
from tests.support.localisation import WAVEFRONTS, at_snr, config_of, scenes_of
from tests.support.looping import for_each

SCENES = 48
CPU = torch.device("cpu")


def receivers(config: RunConfig) -> tuple[ReceiverModel, ReceiverModel]:
    fast = ReceiverModel.of(config.replace({"localisation.backend": "compiled"}))
    return fast, replace(fast, backend="torch")


def same(one: Estimate, other: Estimate) -> bool:
    values = zip(vars(one).values(), vars(other).values(), strict=True)
    return all(torch.equal(a.nan_to_num(-1.0), b.nan_to_num(-1.0)) for a, b in values)


def shift(one: Estimate, other: Estimate) -> Tensor:
    """Largest difference of an angle of scenes with equal counts."""
    equal = one.count == other.count
    gaps = [(one.phi_rad - other.phi_rad)[equal], (one.theta_rad - other.theta_rad)[equal]]
    return torch.stack(gaps).nan_to_num(0.0).abs().amax((0, -1))


@for_each("wavefront", WAVEFRONTS)
def test_the_quick_search_leaves_no_more_than_torch_leaves(wavefront: Wavefront) -> None:
    config = config_of(f"physics.wavefront={wavefront}", "physics.elements_h=9")
    frames = scenes_of(config, SCENES).frames
    fast, slow = receivers(config)

    found, expected = quick_pursuit(fast, frames, 2), quick_pursuit(slow, frames, 2)

    worse = (found.misfit - expected.misfit) / expected.noise_power.unsqueeze(-1)
    assert float(worse[:, :2].abs().max()) < 0.5
    assert float((worse > 1.0).double().mean()) < 0.02
    assert abs(float(worse.mean())) < 0.5
    assert torch.allclose(found.noise_power, expected.noise_power, rtol=1e-5)
    first = (found.points - expected.points)[:, 0].abs().amax(-1)
    assert float(first.quantile(0.9)) < 1e-3


@for_each(
    ("panel", "snr_db", "sources"), [((12, 12), 20.0, 5), ((7, 10), 10.0, 3), ((6, 6), 0.0, 4)]
)
def test_the_classical_localiser_answers_as_torch_answers(
    panel: tuple[int, int], snr_db: float, sources: int
) -> None:
    size = f"physics.elements_h={panel[0]}", f"physics.elements_v={panel[1]}"
    config = config_of(*size, f"data.sources_max={sources}", at_snr(snr_db))
    frames = scenes_of(config, SCENES).frames
    fast, slow = receivers(config)
    rules: tuple[CountRule, ...] = ("evidence", "bic", "aic")

    for rule in rules:
        found, expected = Nomp(fast, rule)(frames), Nomp(slow, rule)(frames)

        agree = float((found.count == expected.count).double().mean())
        assert agree >= (0.9 if rule == "aic" else 1.0 - 2.0 / SCENES), rule
        gap = (found.count_probabilities - expected.count_probabilities).abs().amax(-1)
        assert float(gap.quantile(0.8)) < 0.02, rule
        assert float(shift(found, expected).quantile(0.8)) < 2e-3, rule


def test_no_answer_depends_on_the_scenes_beside_it_or_on_the_threads() -> None:
    config = config_of()
    frames = scenes_of(config, 37).frames
    localise = Nomp(receivers(config)[0])
    threads = torch.get_num_threads()

    together = localise(frames)
    alone = Estimate.join([localise(frames[scene : scene + 1]) for scene in range(37)])
    try:
        torch.set_num_threads(3)
        threaded = localise(frames)
    finally:
        torch.set_num_threads(threads)

    assert same(together, alone)
    assert same(together, threaded)


def test_the_quick_search_does_not_depend_on_the_scenes_beside_it() -> None:
    receiver = receivers(config_of())[0]
    frames = scenes_of(config_of(), 21).frames
    noise = noise_power(frames, "frame")

    together = quick_sources(receiver, frames, noise, 2)
    parts = [slice(0, 1), slice(1, 4), slice(4, 21)]
    apart = [quick_sources(receiver, frames[part], noise[part], 2) for part in parts]

    for place, values in enumerate(together):
        assert torch.equal(values, torch.cat([part[place] for part in apart]))


def test_the_measurements_are_left_as_they_were() -> None:
    receiver = receivers(config_of())[0]
    frames = scenes_of(config_of(), 3).frames
    before = [part.clone() for part in (frames.y, frames.channel, frames.codes)]
    noise = noise_power(frames, "frame")
    known = noise.clone()

    quick_sources(receiver, frames, noise, 2)

    after = (frames.y, frames.channel, frames.codes)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert torch.equal(noise, known)


def test_codes_of_each_scene_are_its_own() -> None:
    config = config_of()
    frames = scenes_of(config, 6).frames
    own = frames.codes.expand(6, -1, -1).clone()
    localise = Nomp(receivers(config)[0])

    shared, single = localise(frames), localise(replace(frames, codes=own))
    own[3] = own[3].flip(0)
    changed = localise(replace(frames, codes=own))

    assert same(shared, single)
    assert same(changed[:3], shared[:3])
    assert not same(changed[3:4], shared[3:4])


def test_frames_without_a_finite_answer_end_all_the_same() -> None:
    receiver = receivers(config_of())[0]
    frames = scenes_of(config_of(), 4).frames
    silent = replace(frames, y=torch.zeros_like(frames.y))
    broken = replace(frames, y=torch.full_like(frames.y, torch.nan))

    assert bool(quick_pursuit(receiver, silent, 2).misfit.isfinite().all())
    assert quick_pursuit(receiver, broken, 2).points.shape == (4, 5, 3)


def test_auto_is_torch_where_numba_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert backend_of("auto") == "compiled"
    monkeypatch.setattr(backend, "find_spec", lambda _: None)

    assert backend_of("auto") == "torch"
    with pytest.raises(Exception, match="pip install numba"):
        backend_of("compiled")


def test_fresh_symbols_and_other_devices_use_torch() -> None:
    held = receivers(config_of())[0]

    assert held.is_compiled(CPU)
    assert not held.is_compiled(torch.device("cuda"))
    assert not replace(held, symbols="snapshot").is_compiled(CPU)


def test_a_first_search_says_that_it_compiles(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    frames = scenes_of(config_of(), 1).frames
    for kept, said in ((True, 0), (False, 1)):
        monkeypatch.setattr(compiled, "is_cached", lambda kept=kept: kept)
        compiled._receiver.cache_clear()

        for _ in range(2):
            quick_pursuit(receivers(config_of())[0], frames, 1)

        assert said == capfd.readouterr().err.count("compiling the search, once"), kept


def test_what_was_compiled_is_kept_on_disk_where_a_folder_can_be_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert compilation.is_cached()
    folder = compilation._cache_folder.__wrapped__
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))
    monkeypatch.setattr("os.access", lambda path, _: path.is_relative_to(tmp_path))
    assert Path(folder()).parent == tmp_path / "mlruns" / "kernels"

    monkeypatch.setattr("os.access", lambda *_: False)
    assert folder() == ""


def test_another_processor_has_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = compilation._cache_folder.__wrapped__
    own = folder()

    monkeypatch.setattr("llvmlite.binding.get_host_cpu_name", lambda: "another")

    assert Path(folder()).name != Path(own).name
    Path(folder()).rmdir()


def test_elements_that_send_nothing_are_elements_all_the_same() -> None:
    frames = scenes_of(config_of(), SCENES).frames
    codes = frames.codes.clone()
    codes[..., ::2] = 0.0
    half = replace(frames, codes=codes)

    found, expected = (Nomp(each)(half) for each in receivers(config_of()))

    assert torch.equal(found.count, expected.count)
    gap = (found.count_probabilities - expected.count_probabilities).abs().amax(-1)
    assert float(gap.mean()) < 0.01


def test_frames_may_be_lazily_conjugated() -> None:
    frames = scenes_of(config_of(), 3).frames
    lazy = replace(frames, channel=frames.channel.conj().resolve_conj().conj())

    assert same(*(Nomp(receivers(config_of())[0])(each) for each in (frames, lazy)))
