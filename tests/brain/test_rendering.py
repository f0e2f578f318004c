"""What is written down about a scan is what is in it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from disentangle_pl.brain.anatomy import TISSUES
from disentangle_pl.brain.rendering import WHITE_LEVEL, Change, Head, make_head, pull_back, render
from disentangle_pl.brain.scanner import Acquisition, acquire, bias_field, make_scanner, scan
from disentangle_pl.brain.seeds import Stream, draws
from tests.brain.heads import SIZE, prepared

STILL = Change(np.zeros(4), 0.0, -1.0, 0.0)
ML = 0.216


@pytest.fixture(scope="module")
def head() -> Head:
    anatomy, _, fields = prepared()
    return make_head(anatomy, fields, np.random.default_rng(0))


@pytest.fixture
def plain() -> Acquisition:
    drawn = acquire(make_scanner(0, 1, 1), np.random.default_rng(0))
    return replace(drawn, turn=np.zeros(3), shift=np.zeros(3), gain=0.0, gamma=0.0, bias_rms=0.0, noise=0.0)


def test_the_truth_is_measured_on_the_drawn_maps(head: Head, plain: Acquisition) -> None:
    from_maps = head._replace(maps=torch.cat([head.maps[:10], torch.zeros(4, SIZE, SIZE, SIZE)]))
    drawn = render(from_maps, Change(np.array([0.4, -0.1, -0.2, -0.05]), 0.03, -9.0, 0.0), plain)
    means = np.array([96, 160, 44, 44, 96, 132, 112, 88, 136, 116]) / 160 * WHITE_LEVEL
    sums = np.array([drawn.millilitres[name] for name in TISSUES])
    assert float(drawn.signal.sum()) * ML == pytest.approx(float(sums @ means), rel=1e-4)
    assert sums.sum() == pytest.approx(drawn.millilitres["icv"], rel=1e-5)
    assert int(drawn.mask.sum()) * ML == pytest.approx(drawn.millilitres["icv"], rel=0.03)


def test_a_factor_moves_its_own_volume(head: Head, plain: Acquisition) -> None:
    for k, name in enumerate(("ventricles", "cortex", "hippocampus", "white_matter")):
        step = np.eye(4)[k] / 10
        more, less = (render(head, STILL._replace(amounts=x), plain).millilitres for x in (step, -step))
        ratio = {n: np.log(more[n] / less[n]) / 2 for n in ("ventricles", "cortex", "hippocampus", "white_matter")}
        assert ratio.pop(name) == pytest.approx(0.1, rel=0.3)
        assert max(map(abs, ratio.values())) < 0.03


def test_a_larger_head_holds_more_of_everything(head: Head, plain: Acquisition) -> None:
    before, after = (render(head, STILL._replace(log_scale=x), plain).millilitres for x in (-0.1, -0.06))
    for name in ("icv", "cortex", "ventricles", "white_matter"):
        assert np.log(after[name] / before[name]) == pytest.approx(0.12, abs=0.02)


def test_hyperintensities_grow_and_darken_white_matter(head: Head, plain: Acquisition) -> None:
    drawn = [render(head, STILL._replace(hyperintensity=load), plain) for load in (-1.0, 0.0, 1.0)]
    loads = [each.millilitres["wmh"] for each in drawn]
    assert loads[0] < loads[1] < loads[2]
    assert (drawn[2].signal <= drawn[1].signal + 1e-6).all()
    lost = float((drawn[1].signal - drawn[2].signal).sum()) * ML
    assert lost == pytest.approx(0.22 * WHITE_LEVEL * (loads[2] - loads[1]), rel=1e-3)
    assert drawn[0].millilitres["white_matter"] == drawn[2].millilitres["white_matter"]


def test_brighter_white_matter_changes_no_volume(head: Head, plain: Acquisition) -> None:
    dark, bright = (render(head, STILL._replace(white=x), plain) for x in (0.0, 0.1))
    assert dark.millilitres == bright.millilitres
    gained = float((bright.signal - dark.signal).sum()) * ML
    assert gained == pytest.approx(0.1 * WHITE_LEVEL * dark.millilitres["white_matter"], rel=1e-3)


def test_nobody_looks_like_anybody_else(head: Head, plain: Acquisition) -> None:
    anatomy, _, fields = prepared()
    twin, other = (make_head(anatomy, fields, np.random.default_rng(seed)) for seed in (0, 1))
    assert torch.equal(twin.maps, head.maps)
    assert torch.equal(twin.shape, head.shape)
    move = (pull_back(head, STILL, plain) - pull_back(other, STILL, plain)) * head.spacing
    assert 0.5 < float(move.square().sum(0).mean().sqrt()) < 5
    mirrored = torch.stack([-head.shape[0], head.shape[1], head.shape[2]]).flip(1)
    assert float((head.shape - mirrored).norm() / head.shape.norm()) < 0.7


def test_gain_gamma_and_bias_are_what_they_say(plain: Acquisition) -> None:
    signal, mask = torch.full((SIZE,) * 3, 0.5), torch.ones((SIZE,) * 3, dtype=torch.bool)
    rng = np.random.default_rng(0)
    assert scan(signal, mask, plain, rng) == pytest.approx(0.5)
    assert scan(signal, mask, replace(plain, gain=0.2), rng) == pytest.approx(0.5 * np.exp(0.2), rel=1e-5)
    assert scan(signal, mask, replace(plain, gamma=0.1), rng) == pytest.approx(0.5 ** np.exp(0.1), rel=1e-5)
    logs = np.log(scan(signal, mask, replace(plain, bias_rms=0.1), rng) / 0.5)
    assert np.sqrt((logs**2).mean()) == pytest.approx(0.1, rel=1e-4)
    assert np.abs(np.diff(logs, axis=0)).max() < 0.1


def test_the_bias_field_is_measured_within_the_mask() -> None:
    mask = torch.zeros((SIZE,) * 3, dtype=torch.bool)
    mask[:5] = True
    field = bias_field(make_scanner(0, 1, 1).bias, mask, 0.3)
    assert float(field[mask].square().mean().sqrt()) == pytest.approx(0.3, rel=1e-5)


def test_noise_is_rician_and_ends_at_the_mask(plain: Acquisition) -> None:
    signal, mask = torch.zeros((SIZE,) * 3), torch.zeros((SIZE,) * 3, dtype=torch.bool)
    mask[: SIZE // 2] = True
    noisy = replace(plain, noise=0.02)
    dark = scan(signal, mask, noisy, np.random.default_rng(0))
    assert dark[SIZE // 2 :].max() == 0
    assert dark[: SIZE // 2].mean() == pytest.approx(0.02 * np.sqrt(np.pi / 2), rel=0.02)
    bright = scan(signal + 0.75, mask, noisy, np.random.default_rng(1))[: SIZE // 2]
    assert bright.std() == pytest.approx(0.02, rel=0.02)


def test_scanners_differ_and_stay() -> None:
    scanners = [make_scanner(0, site, number) for site in range(1, 9) for number in (1, 2)]
    assert len({scanner.name for scanner in scanners}) == 16
    assert {scanner.tesla for scanner in scanners} == {1.5, 3.0}
    assert make_scanner(0, 3, 2).gain == scanners[5].gain
    same = [acquire(scanners[0], draws(0, Stream.SCAN, k)) for k in range(300)]
    gains, rms = np.array([a.gain for a in same]), np.array([a.bias_rms for a in same])
    assert gains.mean() == pytest.approx(scanners[0].gain, abs=0.02)
    assert gains.std() == pytest.approx(0.08, rel=0.15)
    assert (rms > 0).all()
    shared = np.mean([np.corrcoef(a.bias.ravel(), scanners[0].bias.ravel())[0, 1] for a in same])
    assert 0.6 < shared < 0.95
