import numpy as np
import pytest
import torch

from disentangle_pl.callbacks.pictures import GAP
from disentangle_pl.callbacks.reconstructions import draw_reconstructions


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 8), (1, 4, 6, 8)])
def test_three_strips_show_images_reconstructions_and_differences(shape: tuple[int, ...]) -> None:
    images = torch.rand(4, *shape, generator=torch.Generator().manual_seed(0))
    figure = draw_reconstructions(images, images * 0.5)
    labels = [axis.get_ylabel() for axis in figure.axes[:3]]
    assert labels == ["image", "decoded", "difference"]
    first, second = (np.asarray(axis.images[0].get_array()) for axis in figure.axes[:2])
    width = second.shape[1] // 4 - GAP
    assert second[:, :width].max() <= first[:, :width].max()


def test_a_perfect_reconstruction_has_no_difference() -> None:
    images = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    shown = draw_reconstructions(images, images).axes[2].images[0].get_array()
    assert not np.asarray(shown).any()


def test_the_difference_is_reconstruction_minus_image_on_a_symmetric_scale() -> None:
    images = torch.zeros(1, 1, 4, 4)
    brighter = images.clone()
    brighter[..., 0, 0] = 1
    shown = draw_reconstructions(images, brighter).axes[2].images[0]
    assert np.asarray(shown.get_array())[0, 0] == 1
    low, high = shown.get_clim()
    assert -low == high > 0


def test_volumes_are_few_and_have_the_letters_of_their_sides() -> None:
    images = torch.rand(8, 1, 4, 6, 8, generator=torch.Generator().manual_seed(0))
    figure = draw_reconstructions(images, images)
    assert np.asarray(figure.axes[0].images[0].get_array()).shape[1] == 4 * (4 + 4 + 6 + 4 * GAP)
    letters = [[text.get_text() for text in axis.texts] for axis in figure.axes[:3]]
    assert letters == [list("LRAPLRSIPASI")] * 2 + [[]]
