import math

import pytest
import torch
from torch import Tensor

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.consistency import Consistency, Map, consistency


def score(matrix: list[list[float]], *, pairs: int = 10_000, seed: int = 0) -> Consistency:
    """Score codes that are a linear map of the latents, computed by generator and encoder together."""
    weights, source = torch.tensor(matrix, dtype=torch.float32), torch.Generator().manual_seed(seed)

    def generate(latents: Tensor) -> Tensor:
        return (2 * latents @ weights.T)[..., None]

    return consistency(generate, lambda x: x[..., 0] / 2, len(matrix), pairs=pairs, batch_size=2500, generator=source)


def close(actual: Tensor, expected: list[float], tolerance: float = 0.03) -> None:
    torch.testing.assert_close(actual, torch.tensor(expected, dtype=torch.float64), atol=tolerance, rtol=0)


def test_perfect_reconstruction_has_ones() -> None:
    scores = score([[1, 0, 0], [0, -3, 0], [0, 0, 0.1]])
    for values in scores:
        close(values, [1, 1, 1], 1e-9)
    assert scores.means() == pytest.approx((1, 1, 1))


@pytest.mark.parametrize("degrees", [20, 45, 80])
def test_a_rotation_leaves_the_squared_cosine(degrees: float) -> None:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    scores = score([[cos, -sin], [sin, cos]])
    close(scores.consistency, [cos**2, cos**2])
    close(scores.restrictiveness, [cos**2, cos**2])
    close(scores.disentanglement, [cos**4, cos**4])


def test_a_latent_that_leaks_is_not_restrictive_and_the_code_it_leaks_into_is_not_consistent() -> None:
    scores = score([[1, 0, 0], [1, 1, 0], [0, 0, 1]])
    close(scores.consistency, [1, 0.5, 1])
    close(scores.restrictiveness, [2 / 3, 1, 1])
    close(scores.disentanglement, [2 / 3, 0.5, 1])
    assert scores.means() == pytest.approx((2.5 / 3, 8 / 9, 6.5 / 9), abs=0.03)


def test_codes_in_another_order_have_zeros() -> None:
    scores = score([[0, 1], [1, 0]])
    close(scores.consistency, [0, 0])
    close(scores.restrictiveness, [0, 0])


def test_sampling_noise_does_not_take_it_below_zero() -> None:
    lowest = [float(torch.cat(score([[0.3, -1], [1, 0.3]], pairs=2, seed=seed)).min()) for seed in range(10)]
    assert min(lowest) == 0


def test_a_dead_latent_is_not_consistent() -> None:
    scores = score([[1, 0], [0, 0]], pairs=1000)
    close(scores.consistency, [1, 0], 1e-9)
    close(scores.restrictiveness, [0, 1], 1e-9)
    close(scores.disentanglement, [0, 0], 1e-9)


def test_a_latent_of_tiny_variance_is_not_lost_beside_a_large_one() -> None:
    close(score([[1e9, 0], [0, 1]], pairs=1000).restrictiveness, [1, 1], 1e-9)


def test_every_pair_counts_once_whatever_the_batch() -> None:
    sizes = []

    def encode(images: Tensor) -> Tensor:
        sizes.append(len(images))
        return images

    consistency(lambda z: z, encode, 2, pairs=7, batch_size=3)
    assert sizes == 4 * [3] + 4 * [3] + 4 * [1]


def test_the_generator_decides_the_draws() -> None:
    def turned(seed: int) -> list[float]:
        source = torch.Generator().manual_seed(seed)
        return consistency(lambda z: z + z.flip(-1) / 2, lambda x: x, 2, pairs=50, generator=source)[0].tolist()

    assert turned(0) == turned(0)
    assert turned(0) != turned(1)


def test_no_graph_is_kept() -> None:
    layer = torch.nn.Linear(2, 2)
    assert not consistency(layer, lambda x: x, 2, pairs=10).consistency.requires_grad


@pytest.mark.parametrize(
    ("latent_dim", "pairs", "encode", "message"),
    [
        (1, 10, lambda x: x, "2 latents"),
        (2, 0, lambda x: x, "a pair"),
        (2, 10, lambda x: x[:, :1], "as many codes as latents"),
        (2, 10, lambda x: x * torch.nan, "NaN"),
    ],
)
def test_wrong_input_is_refused(latent_dim: int, pairs: int, encode: Map, message: str) -> None:
    with pytest.raises(InputError, match=message):
        consistency(lambda z: z, encode, latent_dim, pairs=pairs)
