import numpy as np
from PIL import Image

from disentangle_pl.data.resize import lanczos


def test_images_are_those_of_the_reference() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 128, 128, 3)).astype(np.uint8)
    small = lanczos(images, (64, 64))
    assert small.shape == (3, 64, 64, 3)
    for image, found in zip(images, small, strict=True):
        picture = Image.fromarray(image)
        picture.thumbnail((64, 64), Image.Resampling.LANCZOS)
        np.testing.assert_array_equal(found, np.asarray(picture))


def test_grey_images_keep_their_orientation_and_range() -> None:
    image = np.zeros((1, 96, 96), np.uint8)
    image[:, :48, :24] = 255
    small = lanczos(image, (64, 32))
    assert small.shape == (1, 64, 32)
    assert small[0, 5, 2] == 255
    assert not small[0, 40:].any()
    assert not small[0, :, 12:].any()
