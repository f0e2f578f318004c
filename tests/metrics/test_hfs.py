import numpy as np
import pytest
import torch

from disentangle_pl.errors import InputError
from disentangle_pl.losses import hausdorff_support
from disentangle_pl.metrics.chance import noise_codes, perfect_codes, rotated_codes
from disentangle_pl.metrics.hfs import hfs
from tests.metrics.golden import draw

FACTORS = draw((2, 3), 640)


def test_a_perfect_code_of_a_full_grid_has_none_even_where_factors_correlate() -> None:
    assert hfs(perfect_codes(FACTORS, 2)) == 0
    random = np.random.default_rng(0)
    first = random.integers(0, 3, 640)
    second = np.where(random.random(640) < 0.6, first, random.integers(0, 3, 640))
    factors = np.stack([first, second], axis=1)
    codes = perfect_codes(factors, 2)
    assert np.corrcoef(*codes.T).min() > 0.5
    assert hfs(codes, rows=200) == 0


def test_a_rotation_empties_the_corners() -> None:
    turned = [hfs(rotated_codes(FACTORS, 2, seed=seed)) for seed in range(3)]
    assert min(turned) > 0.1


def test_it_has_no_unit_and_a_dead_latent_no_part() -> None:
    codes = noise_codes(640, 3)
    assert hfs(codes * 1e-3) == pytest.approx(hfs(codes))
    assert hfs(codes, normalised=False) == pytest.approx(hfs(codes * 1e-3, normalised=False) * 1e6)
    idle = np.hstack([codes, np.zeros((640, 1))])
    assert hfs(idle, normalised=False) == pytest.approx(hfs(codes, normalised=False))
    assert hfs(np.ones((640, 3))) == 0
    assert hfs(codes[:, :1]) == 0


def test_it_is_the_mean_distance_of_disjoint_batches() -> None:
    codes = noise_codes(100, 3)
    order = np.random.default_rng(0).permutation(100)
    batches = [torch.from_numpy(codes[order[start : start + 30]]) for start in (0, 30, 60)]
    expected = np.mean([hausdorff_support(batch).item() for batch in batches])
    assert hfs(codes, rows=30, normalised=False) == pytest.approx(expected)
    assert hfs(codes) == pytest.approx(hfs(codes, draws=1))
    everything = hausdorff_support(torch.from_numpy(codes)).item()
    assert hfs(codes, rows=1000, normalised=False) == pytest.approx(everything)


def test_batches_of_one_row_are_refused() -> None:
    with pytest.raises(InputError, match="2 rows"):
        hfs(noise_codes(100, 3), rows=1)
