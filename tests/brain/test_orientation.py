"""Letters stand where the sides are, in volumes of unequal edges too."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from disentangle_pl.brain.orientation import Frame, frames_of, side_by_side, write_letters

SHAPE = (4, 9, 6)


def test_planes_stand_in_the_middle_of_the_tallest() -> None:
    axial, coronal, sagittal = frames_of(SHAPE, (2, 1, 0), gap=2)
    assert axial == Frame(0, 0, 4, 9)
    assert coronal == Frame(6, 1, 4, 6)
    assert sagittal == Frame(12, 1, 9, 6)


@pytest.mark.parametrize(
    ("axis", "first", "second"), [(2, "left", "anterior"), (1, "left", "superior"), (0, "posterior", "superior")]
)
def test_letters_name_the_sides_of_what_is_drawn(axis: int, first: str, second: str) -> None:
    volume = np.zeros(SHAPE, np.float32)
    sides = {"left": (0, 0), "posterior": (1, 0), "anterior": (1, 8), "superior": (2, 5)}
    for side in (first, second):  # the whole face of the volume
        volume[tuple(sides[side][1] if i == sides[side][0] else slice(None) for i in range(3))] += 1
    cuts = [(2, 3), (1, 4), (0, 2)]
    picture, frames = side_by_side(volume, cuts, fill=-1.0), frames_of(SHAPE, [each for each, _ in cuts])
    frame = frames[[each for each, _ in cuts].index(axis)]
    plane = picture[frame.y : frame.y + frame.height, frame.x : frame.x + frame.width]
    assert plane[:, 0].min() == 1
    assert plane[0].min() == 1
    assert plane[1:, 1:].max() == 0
    drawn = Figure().add_subplot()
    write_letters(drawn, axis, frame, 8)
    left, _, above, _ = drawn.texts
    assert left.get_text() == first[0].upper()
    assert above.get_text() == second[0].upper()
    assert left.get_position()[0] < above.get_position()[0]
    assert above.get_position()[1] < left.get_position()[1]
    assert all(frame.x < x < frame.x + frame.width for x, _ in (text.get_position() for text in drawn.texts))
