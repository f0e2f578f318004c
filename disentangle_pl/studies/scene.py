"""Where the volumes of a data set lie, and which of their planes are worth a look."""

from typing import NamedTuple

from disentangle_pl.brain.export import Cut, Grid, cut_at, grid_of
from disentangle_pl.brain.longitudinal import LongitudinalData
from disentangle_pl.brain.sampling import rows_of
from disentangle_pl.data.module import ImageData

AXIAL, CORONAL = 16.0, -20.0  # millimetres of MNI152: the bodies of the ventricles; ventricles and hippocampus
MEAN_OF = 64


class Scene(NamedTuple):
    """Where the volumes lie and which planes of them are shown; nothing for flat images.

    Attributes:
        grid: Of the volumes, None for images.
        cuts: The planes.
    """

    grid: Grid | None
    cuts: tuple[Cut, ...]


def scene_of(data: ImageData) -> Scene:
    """Locate the volumes of a data module that is set up, and the planes through ventricles and hippocampus."""
    if len(data.shape) != 4 or not isinstance(data, LongitudinalData):
        shape = data.shape[1:]
        middles = tuple(Cut(axis, shape[axis] // 2, "at the middle") for axis in (2, 1)) if len(shape) == 3 else ()
        return Scene(None, middles)
    assert data.volumes is not None, "setup comes first"
    visits = data.parts.train
    mean = data.volumes.images(rows_of(visits[:MEAN_OF])).mean(0)[0].numpy()
    grid = grid_of(data.centres[visits.index.to_numpy()], mean, data.preparation.spacing)
    return Scene(grid, (cut_at(grid, mean, 2, AXIAL), cut_at(grid, mean, 1, CORONAL)))
