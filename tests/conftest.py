"""What every test starts from: no account, no run id of another test, plots without a screen, one precision."""

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from xdist.scheduler import LoadScopeScheduling

from disentangle_pl import fit
from disentangle_pl.callbacks import score_table
from disentangle_pl.machine import fast_precision
from disentangle_pl.runs import RUN_ID
from tests import warm_python

HERE = Path(__file__).parent
PRECISION = "DISENTANGLE_PL_PRECISION"
os.environ.setdefault(PRECISION, "32-true")  # what `fit` chooses in a test does not depend on the processor
LONGEST = ("test_brain_chapter.py", "test_docs.py", "test_slurm.py")
TRAINS = "trains in the precision that fit chooses"
chosen = pytest.StashKey[bool]()
running: list[pytest.Item] = []
before_fit = fit.CLI.before_fit


def _noted_choice(accelerator: str) -> str:
    running[-1].stash[chosen] = True
    return fast_precision(accelerator)


def _noted_training(cli: fit.CLI) -> None:
    before_fit(cli)  # what is refused here or before is refused in every precision
    item = running[-1]
    alike = any(item.get_closest_marker(name) for name in ("both_precisions", "any_precision"))
    if item.stash.get(chosen, False) and not alike:
        item.user_properties.append((TRAINS, True))


_noting = pytest.MonkeyPatch()
_noting.setattr(fit, "fast_precision", _noted_choice)
_noting.setattr(fit.CLI, "before_fit", _noted_training)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Know which test begins a training, also in a fixture that it is the first to use."""
    running.append(item)
    return (yield)


@pytest.fixture(scope="session")
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, _cache: Path) -> Iterator[None]:
    monkeypatch.setattr(score_table, "references_folder", lambda: _cache)
    for name in ("WANDB_RUN_ID", "WANDB_API_KEY", "WANDB_SWEEP_PARAM_PATH", "SLURM_JOB_ID", "TORCHELASTIC_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(RUN_ID, "")
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.setattr(sys, "argv", ["disentangle-pl"])
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture(autouse=True)
def _same_draws_in_any_order() -> None:
    torch.manual_seed(0)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--complete", action="store_true", help="fail if a test is skipped for want of a program or a package"
    )
    parser.addoption(
        "--list-precision", metavar="FILE", type=Path, help="list the tests that a change of precision can change"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the folder of the Python that has imported the package, which all processes of this session share."""
    if warm_python.FOLDER not in os.environ:
        folder = warm_python.make_program()

        def remove() -> None:
            del os.environ[warm_python.FOLDER]
            shutil.rmtree(folder)

        config.add_cleanup(remove)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest: some tests of the whole program, then its others."""
    items.sort(key=lambda item: (item.path.name not in LONGEST, item.path.parent != HERE))


class Together(LoadScopeScheduling):  # type: ignore[misc]
    """Gives what shares a costly fixture to one process, and all other tests to the next that is free.

    The groups of xdist itself, by marks, are lost without a word under pytest 9.2: they are written into the names of
    tests, which pytest no longer lets be changed.
    """

    def _split_scope(self, nodeid: str) -> str:
        """Return what a test is run together with: its file, the files that have its fixture, or itself alone."""
        path = nodeid.partition("::")[0]
        return together(self.config.rootpath / path) or nodeid


@cache
def together(path: Path) -> str:
    """Return the name of the group of a file of tests, nothing if each of them may run anywhere."""
    text = path.read_text()
    if "brain_runs" in text:  # a fixture of several files
        return "brain_runs"
    if "from tests.ranks import" in text:
        return "ranks"
    return str(path) if 'scope="module"' in text else ""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
    """Keep groups together where tests run in several processes."""
    return Together(config, log) if config.getoption("dist") == "loadgroup" else None


def pytest_sessionfinish(session: pytest.Session) -> None:
    """List the tests that choose a precision, and those that lack something.

    A test that lacks a program or a package is skipped with a reason that begins with `needs` and says how to get it.
    """
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if terminal is None:  # a worker process
        return
    listing = session.config.getoption("--list-precision")
    if listing:
        reports = [report for reports in terminal.stats.values() for report in reports]
        names = {report.nodeid for report in reports if dict(getattr(report, "user_properties", ())).get(TRAINS)}
        listing.parent.mkdir(parents=True, exist_ok=True)
        listing.write_text("".join(f"{name}\n" for name in sorted(names)))
    skipped = [report.longrepr for report in terminal.stats.get("skipped", [])]
    reasons = {place[2].removeprefix("Skipped: ") for place in skipped if isinstance(place, tuple)}
    missing = sorted(reason for reason in reasons if reason.startswith("needs "))
    if missing and session.config.getoption("--complete"):
        terminal.write_line("\n".join(["", "tests were left out, and --complete was given:", *missing]), red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(autouse=True)
def _no_wandb_service_is_left() -> Iterator[None]:
    """End the service of W&B that a test has started: the next one may use the name of a run again."""
    yield
    if (wandb := sys.modules.get("wandb")) is not None:
        wandb.teardown()
