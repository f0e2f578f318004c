import sys
from pathlib import Path

import numpy as np
import pytest

from disentangle_pl.brain.stripping import Strip
from disentangle_pl.brain.volumes import Preparation
from disentangle_pl.errors import InputError
from tests.brain.scans import anatomy, write

TOOL = """
import gzip, sys
if "exit" in {change!r}:
    {change}
import numpy as np
raw = bytearray(gzip.open(sys.argv[1]).read())
header, values = raw[:352], np.frombuffer(raw[352:], "<f4").copy()
{change}
gzip.open(sys.argv[2], "wb").write(bytes(header) + values.tobytes())
"""
"""A program without nibabel, which would take most of the time."""


def strip(folder: Path, change: str) -> Strip:
    tool = folder / "a tool.py"
    tool.write_text(TOOL.format(change=change))
    return Strip(f"{sys.executable} '{tool}' {{in}} {{out}}")


def test_the_result_of_the_program_is_taken(tmp_path: Path) -> None:
    path = write(tmp_path / "head.nii.gz", anatomy(), np.diag([-2.0, 1.0, 1.5, 1.0]))
    made = strip(tmp_path, "values[values < 50] = 0")
    preparation = Preparation((12, 12, 12), 1.0, corrections=(made,))
    facts = preparation.examine(path).facts
    assert facts["foreground"] == 5 * 7 * 6, "what is measured is the brain"
    assert preparation.settings["corrections"] == [{"class": "Strip", "command": made.command}]
    assert preparation.key != Preparation((12, 12, 12), 1.0).key


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            "print('a first line', 'weights are missing', sep='\\n', file=sys.stderr); sys.exit(3)",
            "(weights are missing)",
        ),
        ("sys.exit(3)", "(exit code 3, without a word)"),
        ("sys.exit(0)", "(it wrote no result)"),
        (
            "header[42:44] = b'\\x0b\\0'; values = values[144:]",
            "another grid, shape (11, 12, 12) instead of (12, 12, 12)",
        ),
        ("header[292:296] = np.float32(1).tobytes()", "another grid"),
        ("values[:] = 0", "its result has the same value 0 in every voxel"),
        ("values[500] = np.nan", "its result has 1 voxels that are NaN or infinite"),
    ],
)
def test_what_goes_wrong_is_one_sentence(tmp_path: Path, change: str, why: str) -> None:
    path = write(tmp_path / "head.nii.gz", anatomy())
    preparation = Preparation((12, 12, 12), 1.0, corrections=(strip(tmp_path, change),))
    with pytest.raises(InputError) as error:
        preparation(path)
    assert str(error.value).startswith(f"{path} cannot be stripped by python")
    assert why in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("python {in}", r"must hold \{in\} and \{out\}"),
        ("", r"must hold \{in\} and \{out\}"),
        ("python '{in} {out}", "cannot be split into words"),
        ("no_such_program_anywhere {in} {out}", "there is no program no_such_program_anywhere"),
    ],
)
def test_a_command_that_cannot_work_is_refused_at_once(command: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        Strip(command)


def test_no_shell_reads_the_command(tmp_path: Path) -> None:
    path = write(tmp_path / "head.nii.gz", anatomy())
    made = strip(tmp_path, "assert sys.argv[3] == '$(touch x);'")
    Preparation((12, 12, 12), 1.0, corrections=(Strip(f"{made.command} '$(touch x);'"),))(path)
