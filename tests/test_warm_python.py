"""How tests are spread over processes, and the Python that has imported the package already."""

import subprocess
from pathlib import Path

from tests.command_line import ROOT, start
from tests.conftest import together
from tests.warm_python import warm_python


def test_what_shares_a_costly_fixture_runs_in_one_process() -> None:
    here = ROOT / "tests"
    assert together(here / "studies" / "test_latents.py") == together(here / "studies" / "test_traverse.py") != ""
    assert together(here / "test_docs.py") != together(here / "test_slurm.py")
    assert together(here / "test_losses.py") == ""


def test_a_fork_has_the_arguments_folder_and_files_of_its_caller_and_its_end(tmp_path: Path) -> None:
    command = [warm_python(), "-m", "disentangle_pl", "evaluate", "none.npz"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2
    assert "none.npz" in done.stderr
    assert done.stderr.count("disentangle-pl: error: ") == 1
    assert "Traceback" not in done.stderr


def test_a_fork_ends_with_its_caller() -> None:
    caller = start("evaluate", "/dev/stdin")
    caller.kill()
    caller.communicate(timeout=300)  # a fork that went on would keep the other end open
    assert caller.returncode == -9


def test_other_work_is_done_by_python_itself() -> None:
    command = [warm_python(), "-c", "import sys; sys.exit('torch' in sys.modules)"]
    assert subprocess.run(command, timeout=60, check=False).returncode == 0
