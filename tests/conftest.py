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
from _pytest.runner import runtestprotocol
from xdist.scheduler import LoadScopeScheduling

from tests import warm_python

# The process that hands out tests needs neither torch nor the package, so fixtures import them.

HERE = Path(__file__).parent
PRECISION = "DISENTANGLE_PL_PRECISION"  # what `fit` chooses in a test does not depend on the processor
# A test in which `fit` chooses runs in each of these, unless the variable names one for all
PRECISIONS = os.environ.setdefault("TESTED_PRECISIONS", os.environ.get(PRECISION, "32-true bf16-mixed")).split()
os.environ[PRECISION] = PRECISIONS[0]
LONGEST = ("test_brain_chapter.py", "test_docs.py", "test_slurm.py")
chosen = pytest.StashKey[bool]()
trained = pytest.StashKey[bool]()
running: list[pytest.Item] = []


@pytest.fixture(scope="session", autouse=True)
def _noted_choice() -> Iterator[None]:
    """Note the tests that train in the precision that `fit` chooses."""
    from disentangle_pl import fit
    from disentangle_pl.machine import fast_precision

    before_fit = fit.CLI.before_fit

    def choose(accelerator: str) -> str:
        running[-1].stash[chosen] = True
        return fast_precision(accelerator)

    def train(cli: fit.CLI) -> None:
        before_fit(cli)  # what is refused here or before is refused in every precision
        item = running[-1]
        alike = any(item.get_closest_marker(name) for name in ("both_precisions", "any_precision"))
        item.stash[trained] = item.stash.get(chosen, False) and not alike

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "fast_precision", choose)
        patch.setattr(fit.CLI, "before_fit", train)
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Repeat a test that trains in the other precision, with the fixtures of its file made anew."""
    running.append(item)
    result = yield
    if item.stash.get(trained, False):
        elsewhere = next((other for other in item.session.items if other.path != item.path), None)
        for precision in PRECISIONS[1:]:
            item.session._setupstate.teardown_exact(elsewhere)
            os.environ[PRECISION] = precision
            item.add_report_section("call", "precision", f"This was run in {precision}.")
            runtestprotocol(item, nextitem=nextitem)
        os.environ[PRECISION] = PRECISIONS[0]
    return result


@pytest.fixture(scope="session")
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, _cache: Path) -> Iterator[None]:
    from disentangle_pl.callbacks import score_table
    from disentangle_pl.runs import RUN_ID

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
    import torch

    torch.manual_seed(0)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--complete", action="store_true", help="fail if a test is skipped for want of a program or a package"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the Python that has imported the package, of which the processes that run tests are forks."""
    if warm_python.FOLDER not in os.environ:
        folder = warm_python.make_program()

        def remove() -> None:
            del os.environ[warm_python.FOLDER]
            shutil.rmtree(folder)

        config.add_cleanup(remove)
        counted = config.getoption("cov_source", [])  # what imports run counts as well
        if config.getoption("numprocesses", 0) and not counted:
            config.option.tx = [f"popen//python={warm_python.warm_python()}" for _ in config.option.tx]


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
    if "boosting import" in text:  # whose trees the first one compiles
        return "boosting"
    return str(path) if 'scope="module"' in text else ""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
    """Keep groups together where tests run in several processes."""
    return Together(config, log) if config.getoption("dist") == "loadgroup" else None


def pytest_sessionfinish(session: pytest.Session) -> None:
    """List the tests that lack something, and fail with --complete.

    A test that lacks a program or a package is skipped with a reason that begins with `needs` and says how to get it.
    """
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if terminal is None:  # a worker process
        return
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
