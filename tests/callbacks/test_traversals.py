from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from disentangle_pl.backbones import Backbone
from disentangle_pl.callbacks.pictures import GAP
from disentangle_pl.callbacks.traversals import LogTraversals, Traversal, draw_traversal, traverse
from disentangle_pl.likelihoods import Gaussian
from disentangle_pl.models.beta_vae import BetaVAE
from disentangle_pl.posterior import DiagonalGaussian
from tests.models.tiny import sprites, tiny, trainer

# Means of 5 images in 4 latents. Their average is (0, 1, 0, -2); the first image is nearest to it.
MEANS = torch.tensor(
    [
        [0.1, 1.0, 0.0, -2.0],
        [-0.1, 4.0, 0.0, -1.0],
        [-0.1, -2.0, 0.0, -3.0],
        [0.1, 4.0, 0.0, -3.0],
        [0.0, -2.0, 0.0, -1.0],
    ]
)
VARIANCES = torch.tensor([0.9, 0.1, 1.0, 0.1])
Q = DiagonalGaussian(MEANS, VARIANCES.log().expand(5, 4))
CENTRE = torch.tensor([0.0, 1.0, 0.0, -2.0])
SPREAD = (torch.tensor([0.04 / 5, 36 / 5, 0.0, 4 / 5]) + VARIANCES).sqrt()


class Pixels(Backbone):
    """Shows every latent as a pixel."""

    def moments(self, image: Tensor) -> Tensor:
        raise NotImplementedError

    def decode(self, z: Tensor) -> Tensor:
        return z.view(-1, 1, 1, self.latent_dim)


@pytest.fixture(scope="module")
def model() -> BetaVAE:
    return BetaVAE((1, 1, 4), 4, Pixels, Gaussian())


def test_rows_are_sorted_by_kl(model: BetaVAE) -> None:
    traversal = traverse(model, Q)
    assert traversal.latents.tolist() == [1, 3, 0, 2]
    kl = 0.5 * (MEANS.square().mean(0) + VARIANCES - VARIANCES.log() - 1)
    torch.testing.assert_close(traversal.kl, kl[[1, 3, 0, 2]])


def test_values_run_evenly_around_the_mean_of_the_aggregate_posterior(model: BetaVAE) -> None:
    values = traverse(model, Q, columns=5, span=1.5).values
    steps = torch.tensor([-1.5, -0.75, 0, 0.75, 1.5])
    expected = CENTRE[:, None] + SPREAD[:, None] * steps
    torch.testing.assert_close(values, expected[[1, 3, 0, 2]])


def test_only_the_latent_of_a_row_moves_and_the_others_stay_at_the_typical_image(model: BetaVAE) -> None:
    traversal = traverse(model, Q)
    assert traversal.images.shape == (4, 7, 1, 1, 4)
    for row, latent in enumerate(traversal.latents.tolist()):
        expected = MEANS[0].repeat(7, 1)
        expected[:, latent] = traversal.values[row]
        torch.testing.assert_close(traversal.images[row, :, 0, 0], expected)


def test_the_typical_image_is_measured_in_standard_deviations(model: BetaVAE) -> None:
    # Around the mean 0 the first image is nearer in value, along a narrow latent, and the second in deviations.
    means = torch.tensor([[0.0, 0.5], [1.0, 0.0], [-1.0, 0.0], [9.0, -0.25], [-9.0, -0.25]])
    padded = torch.cat((means, torch.zeros(5, 2)), 1)
    traversal = traverse(model, DiagonalGaussian(padded, torch.full((5, 4), -10.0)), rows=4)
    dead = traversal.latents.tolist().index(3)
    assert traversal.images[dead, 0].flatten()[:3].tolist() == [1, 0, 0]


def test_rows_and_columns_can_be_limited(model: BetaVAE) -> None:
    traversal = traverse(model, Q, columns=3, rows=2)
    assert traversal.latents.tolist() == [1, 3]
    assert [part.shape[:2] for part in (traversal.values, traversal.images)] == [(2, 3), (2, 3)]
    assert not traversal.images.requires_grad


def drawn(shape: tuple[int, ...], rows: int = 3, columns: int = 5) -> Traversal:
    images = torch.rand(rows, columns, *shape, generator=torch.Generator().manual_seed(0))
    values = torch.linspace(-2, 2, columns).expand(rows, columns)
    return Traversal(torch.arange(rows), torch.ones(rows), values, images)


def pictures(traversal: Traversal) -> list[NDArray[np.float32]]:
    """Give what every axis but that of the colour bar shows."""
    return [np.asarray(axis.images[0].get_array()) for axis in draw_traversal(traversal).axes[:-1]]


@pytest.mark.parametrize(
    ("shape", "height", "width"),
    [
        ((1, 6, 8), 6, 8),
        ((3, 6, 8), 6, 8),
        ((1, 4, 6, 8), 8, 4 + 4 + 6 + 3 * GAP),
        ((1, 4, 9, 5), 9, 4 + 4 + 9 + 3 * GAP),
    ],
)
def test_a_figure_has_two_axes_a_row_and_a_colour_bar(shape: tuple[int, ...], height: int, width: int) -> None:
    figure = draw_traversal(drawn(shape))
    assert len(figure.axes) == 2 * 3 + 1
    shown = pictures(drawn(shape))
    size = (height, (5 if len(shape) == 3 else 3) * (width + GAP))
    assert [picture.shape for picture in shown] == [(*size, 3) if shape[0] == 3 else size, size] * 3
    labels = [axis.get_ylabel() for axis in figure.axes[:-1]]
    assert labels == ["z0\nKL 1.00", "change", "z1\nKL 1.00", "change", "z2\nKL 1.00", "change"]


def test_changes_are_differences_to_the_middle_image_on_one_symmetric_scale() -> None:
    traversal = drawn((1, 6, 8))
    figure = draw_traversal(traversal)
    difference = traversal.images[1, 0, 0] - traversal.images[1, 2, 0]
    np.testing.assert_allclose(pictures(traversal)[3][:, :8], difference, rtol=1e-6)
    np.testing.assert_array_equal(pictures(traversal)[3][:, 2 * (8 + GAP) : 3 * (8 + GAP)], 0)
    limits = {axis.images[0].get_clim() for axis in figure.axes[1:-1:2]}
    ((low, high),) = limits
    assert low == -high
    assert 0.5 < high < 1


def test_images_outside_zero_and_one_use_the_whole_grey_scale() -> None:
    traversal = drawn((1, 6, 8))
    shown = pictures(traversal._replace(images=100 * traversal.images - 7))[0]
    assert shown.min() == pytest.approx(0, abs=0.05)
    np.testing.assert_allclose(shown, pictures(traversal)[0], atol=1e-5)


def test_a_traversal_that_changes_nothing_can_be_drawn() -> None:
    traversal = drawn((1, 6, 8))
    shown = pictures(traversal._replace(images=torch.ones_like(traversal.images)))
    assert not shown[1].any()


@pytest.mark.parametrize(
    ("voxel", "row", "column"),
    [
        ((0, 5, 4), 1, 0),  # axial: anterior is up, in the middle of the height of the others
        ((0, 0, 4), 6, 0),
        ((3, 3, 7), 0, 4 + GAP + 3),  # coronal: superior is up
        ((3, 3, 0), 7, 4 + GAP + 3),
        ((2, 0, 7), 0, 2 * (4 + GAP)),  # sagittal: superior is up, posterior on the left
        ((2, 5, 0), 7, 2 * (4 + GAP) + 5),
    ],
)
def test_middle_slices_of_volumes_stand_upright(voxel: tuple[int, int, int], row: int, column: int) -> None:
    images = torch.zeros(1, 1, 1, 4, 6, 8)
    images[0, 0, 0, *voxel] = 1
    traversal = Traversal(torch.tensor([0]), torch.ones(1), torch.zeros(1, 1), images)
    shown = pictures(traversal)[0][:, : 2 * (4 + GAP) + 6]
    assert shown[row, column] == 1
    assert shown.sum() == 1


def test_volumes_have_the_letters_of_their_sides_and_their_ends() -> None:
    traversal = drawn((1, 4, 6, 8), columns=7)
    figure = draw_traversal(traversal)
    for top, bottom in zip(figure.axes[0:-1:2], figure.axes[1:-1:2], strict=True):
        assert [text.get_text() for text in top.texts] == list("LRAPLRSIPASI")
        assert not bottom.texts
    change = pictures(traversal)[1]
    width = change.shape[1] // 3
    assert not change[:, width : 2 * width].any(), "the middle step"
    wanted = (traversal.images[0, 6] - traversal.images[0, 3])[0, :, :, 4].T.flip(0)
    np.testing.assert_allclose(change[1:7, 2 * width : 2 * width + 4], wanted, atol=1e-6)
    assert not draw_traversal(drawn((1, 6, 8))).axes[0].texts, "images have no sides"


def test_the_callback_draws_the_validation_set_once_a_validation(tmp_path: Path) -> None:
    callback = LogTraversals(columns=3, rows=2)
    trainer(tmp_path, callbacks=[callback], limit_train_batches=1).fit(tiny(), sprites(8))
    assert list(tmp_path.iterdir()) == []
    trainer(tmp_path, callbacks=[callback]).validate(tiny(), sprites(8), verbose=False)
    assert [path.name for path in (tmp_path / "traversals").iterdir()] == ["step-0000000.png"]
    trainer(tmp_path, callbacks=[LogTraversals(1, 3, 2)]).fit(tiny(), sprites(8))
    assert sorted(path.name for path in (tmp_path / "traversals").iterdir()) == ["step-0000000.png", "step-0000003.png"]
