"""Sites taken out of all that predicts scores: latents, volumes and images alike, or none of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from disentangle_pl.brain.longitudinal import LongitudinalData
from disentangle_pl.metrics.prediction_folds import Rows
from disentangle_pl.metrics.prediction_inputs import principal_components
from disentangle_pl.metrics.score import Values
from disentangle_pl.studies.clinical_codes import Encoded
from disentangle_pl.studies.clinical_inputs import fixed
from disentangle_pl.studies.clinical_known import rest
from disentangle_pl.studies.clinical_people import Sides
from disentangle_pl.studies.clinical_pictures import Pictures
from disentangle_pl.studies.clinical_questions import Known
from disentangle_pl.studies.clinical_table import PCA, VOLUMES
from disentangle_pl.studies.clinical_words import RIVALS
from disentangle_pl.studies.harmonisation import (
    Batches,
    Harmonisation,
    Line,
    auc_lines,
    batches_of_data,
    sentences_of,
    without_sites,
    write_lines,
)


@dataclass
class Harmoniser:
    """Takes sites out by ComBat, and measures how well they are told before and after.

    It is fitted to controls among the people the encoder was trained on, and a person's later scans do not count for
    an earlier one: some targets lie ahead of the scan.

    Args:
        batches: Of all scans; None to leave everything as it is.
        sides: Training and held-out scans.
        lines: Measured so far.
        remarks: Said so far.
    """

    batches: Batches | None
    sides: Sides
    lines: list[Line] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, settings: Harmonisation, data: LongitudinalData, sides: Sides) -> Self:
        """Make one for data that are set up.

        Raises:
            InputError: As `batches_of`.
        """
        if settings.batch is None:
            return cls(None, sides)
        batches = batches_of_data(settings, data, sides.train)
        return cls(batches, sides, remarks=[*batches.remarks])

    def volumes(self, known: Known) -> Known:
        """Take sites out of measured volumes, as columns of a table."""
        if self.batches is None or not known.volumes.shape[1]:
            return known
        after = self._done(known.volumes, self.batches)
        self._measure("", VOLUMES, known.volumes, after, self.batches)
        changed = known._replace(volumes=after)
        return changed._replace(rivals=[rest(fixed(VOLUMES, after), changed)])

    @property
    def images(self) -> Callable[[NDArray[np.float32], NDArray[np.float32]], None] | None:
        """Take sites out of images (N, V), voxel by voxel, and write them to an array (N, V); None to leave them."""
        batches = self.batches
        return None if batches is None else lambda before, after: self._write(before, after, batches)

    def codes(self, models: Sequence[Encoded]) -> list[Encoded]:
        """Take sites out of the codes of every model."""
        if self.batches is None:
            return [*models]
        changed = [each._replace(codes=self._done(each.codes, self.batches)) for each in models]
        for each, done in zip(models, changed, strict=True):
            self._measure(each.name.model, "latents", each.codes, done.codes, self.batches)
        return changed

    def components(self, pictures: Pictures, count: int) -> None:
        """Measure the components of the images."""
        if self.batches is None or pictures.products is None or pictures.unchanged is None:
            return
        rows = self.sides.held_out
        before, after = (
            principal_components(products[np.ix_(rows, rows)], count)
            for products in (pictures.unchanged, pictures.products)
        )
        self.lines += auc_lines("", PCA, before, after, self.batches, rows)

    def report(self, out: Path) -> list[str]:
        """Write `harmonisation.tsv`, and return what is to be said."""
        if not self.lines:
            return []
        write_lines(self.lines, out)
        lines = [{**line, "of": RIVALS.get(str(line["of"]), line["of"])} for line in self.lines]
        return [*sentences_of(lines), *dict.fromkeys(self.remarks)]

    def _done(self, values: Values, batches: Batches) -> Values:
        done, remarks = without_sites(values, batches, self._asked, ahead=True)
        self.remarks += remarks
        return np.asarray(done, dtype=np.float64)

    def _write(self, before: NDArray[np.float32], after: NDArray[np.float32], batches: Batches) -> None:
        self.remarks += without_sites(before, batches, self._asked, ahead=True, out=after)[1]

    def _measure(self, model: str, of: str, before: Values, after: Values, batches: Batches) -> None:
        rows = self.sides.held_out
        self.lines += auc_lines(model, of, before[rows], after[rows], batches, rows)

    @property
    def _asked(self) -> Rows:
        return self.sides.held_out
