"""Skull stripping by another program, which is given one scan and returns one."""

import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import final

import nibabel as nib
import numpy as np

from disentangle_pl.brain.correction import Correction, Placed
from disentangle_pl.brain.nifti import Scan, read_scan
from disentangle_pl.errors import InputError

GIVEN, RESULT = "{in}", "{out}"
SAME = 1e-2
"""Millimetres by which programs may round where a voxel lies."""


@final
@dataclass(frozen=True)
class Strip(Correction):
    """Run a program for every scan that takes away what is not brain; no shell is between.

    Args:
        command: The program and its arguments; `{in}` stands for the scan and `{out}` for the result, .nii.gz files.

    Raises:
        InputError: If it lacks one of these, cannot be split into words, or its program does not exist.
    """

    command: str

    def __post_init__(self) -> None:
        words = self._words()
        if not all(any(place in word for word in words[1:]) for place in (GIVEN, RESULT)):
            raise InputError(
                f"--strip {self.command!r} must hold {GIVEN} and {RESULT}, such as 'synthstrip -i {GIVEN} -o {RESULT}'"
            )
        if shutil.which(words[0]) is None:
            raise InputError(f"--strip {self.command!r}: there is no program {words[0]}; install it, or give its path")

    def __call__(self, placed: Placed) -> Placed:
        """Replace the voxels by those that the program returns."""
        with TemporaryDirectory(prefix="strip-") as folder:
            given, result = (Path(folder) / name for name in ("in.nii.gz", "out.nii.gz"))
            image = nib.Nifti1Image(placed.scan.voxels, placed.scan.affine)
            image.set_qform(placed.scan.affine, code=1)
            image.set_sform(placed.scan.affine, code=1)
            nib.save(image, given)
            self._run(given, result)
            return placed._replace(scan=placed.scan._replace(voxels=self._taken(result, placed.scan).voxels))

    def _words(self) -> list[str]:
        try:
            return shlex.split(self.command)
        except ValueError as error:
            raise InputError(f"--strip {self.command!r} cannot be split into words ({error})") from error

    def _run(self, given: Path, result: Path) -> None:
        words = [word.replace(GIVEN, str(given)).replace(RESULT, str(result)) for word in self._words()]
        try:
            done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
        except OSError as error:
            raise self._failed(error.strerror or str(error)) from error
        if done.returncode:
            lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
            raise self._failed(lines[-1] if lines else f"exit code {done.returncode}, without a word")

    def _taken(self, result: Path, before: Scan) -> Scan:
        if not result.is_file():
            raise self._failed("it wrote no result")
        try:
            after = read_scan(result)
        except InputError as error:
            raise self._failed(str(error).replace(str(result), "its result")) from error
        corners = np.array(np.meshgrid(*((0, side) for side in before.voxels.shape), [1])).reshape(4, -1)
        if after.voxels.shape != before.voxels.shape or np.abs((after.affine - before.affine) @ corners).max() > SAME:
            raise self._failed(
                f"its result has another grid, shape {after.voxels.shape} instead of {before.voxels.shape} or another "
                "affine: let it keep the scan's own"
            )
        return after

    def _failed(self, why: str) -> InputError:
        return InputError(f"cannot be stripped by {Path(self._words()[0]).name} ({why})")
