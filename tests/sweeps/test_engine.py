"""The coordinator of a sweep, with runs that start in no time: what ends how, and what happens after a kill."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from disentangle_pl.errors import InputError
from disentangle_pl.sweeps.engine import DISK_FULL, Coordinator
from disentangle_pl.sweeps.environment import free_devices
from disentangle_pl.sweeps.journal import Journal, Trial
from disentangle_pl.sweeps.processes import Process, end_leftover
from disentangle_pl.sweeps.sweep_file import Sweep, read_sweep

FAKE = [sys.executable, "-S", str(Path(__file__).with_name("fake_run.py")), "${args}"]


def make_sweep(folder: Path, method: str = "grid", more: dict[str, Any] | None = None, **values: Any) -> Sweep:
    """Make a sweep of fake runs; a list is swept, anything else is constant."""
    parameters = {key: {"values": value if isinstance(value, list) else [value]} for key, value in values.items()}
    metric = {"name": "val/score", "goal": "maximize"}
    written = {"method": method, "metric": metric, "parameters": parameters, "command": FAKE} | (more or {})
    path = folder / "s.yaml"
    path.write_text(yaml.safe_dump(written))
    return read_sweep(path)


def coordinate(
    sweep: Sweep, folder: Path, parallel: int = 2, count: int | None = None, retry: bool = False
) -> Coordinator:
    """Make a coordinator, as a fresh process of the same command would."""
    (folder / "out").mkdir(exist_ok=True)
    return Coordinator(sweep, Journal(folder / "out" / "trials.jsonl", sweep.source, "s"), parallel, count, retry)


def run(coordinator: Coordinator) -> int:
    """Run a sweep that nobody watches."""
    return coordinator.run(lambda now: None, lambda now: None)


def states(coordinator: Coordinator) -> list[str]:
    """Return the states of the runs in order."""
    return [trial.state for trial in coordinator.trials]


def starts(coordinator: Coordinator, trial: Trial) -> int:
    """Count the processes that a run has had."""
    return len((coordinator.run_folder(trial) / "starts").read_text().splitlines())


def test_a_grid_runs_once_and_a_second_call_runs_nothing(tmp_path: Path) -> None:
    sweep = make_sweep(tmp_path, slope=[1, 2, 3], steps=2)
    first = coordinate(sweep, tmp_path)
    assert run(first) == 0
    assert states(first) == ["finished"] * 3
    assert [first.history(trial).values() for trial in first.trials] == [[1, 2], [2, 4], [3, 6]]
    again = coordinate(sweep, tmp_path)
    assert run(again) == 0
    assert [starts(again, trial) for trial in again.trials] == [1, 1, 1]


def test_a_grid_that_has_grown_makes_only_the_new_runs(tmp_path: Path) -> None:
    first = coordinate(make_sweep(tmp_path, slope=[1, 2], steps=2), tmp_path)
    assert run(first) == 0
    names = [trial.name for trial in first.trials]
    wider = coordinate(make_sweep(tmp_path, slope=[0, 2, 3], steps=[2, 3]), tmp_path)
    assert wider.removed() == ["slope=1 is no longer in the sweep: runs that had it stay as they are (1)"]
    assert run(wider) == 0
    assert [trial.name for trial in wider.trials][:2] == names
    assert [starts(wider, trial) for trial in wider.trials] == [1] * 7
    made = [(trial.values["slope"], trial.values["steps"]) for trial in wider.trials]
    assert made == [(1, 2), (2, 2), (0, 2), (0, 3), (2, 3), (3, 2), (3, 3)]
    assert states(wider) == ["finished"] * 7
    back = coordinate(make_sweep(tmp_path, slope=[1, 2], steps=2), tmp_path)
    assert run(back) == 0
    assert len(back.trials) == 7


def test_a_run_that_waits_is_not_made_once_its_value_is_taken_away_and_is_if_it_comes_back(tmp_path: Path) -> None:
    first = coordinate(make_sweep(tmp_path, slope=[1, 2]), tmp_path)
    first.journal.add({"slope": 0}, {"slope": 1})
    second = coordinate(make_sweep(tmp_path, slope=[2, 3]), tmp_path)
    assert run(second) == 0
    assert states(second) == ["stopped", "finished", "finished"]
    assert "no longer in the sweep file" in second.trials[0].message
    third = coordinate(make_sweep(tmp_path, slope=[1, 2, 3]), tmp_path)
    assert run(third) == 0
    assert states(third) == ["finished"] * 3
    assert len(third.trials) == 3


def test_no_more_than_parallel_runs_at_a_time(tmp_path: Path) -> None:
    coordinator = coordinate(make_sweep(tmp_path, slope=[1, 2, 3, 4, 5], steps=2, pause=0.1), tmp_path, parallel=2)
    most = []
    coordinator.run(lambda now: None, lambda now: most.append(len(now.live)))
    assert max(most) == 2


def test_count_is_a_total_over_calls(tmp_path: Path) -> None:
    sweep = make_sweep(tmp_path, "random", {"parameters": {"slope": {"min": 0.0, "max": 1.0}}})
    assert run(coordinate(sweep, tmp_path, count=2)) == 0
    more = coordinate(sweep, tmp_path, count=3)
    assert run(more) == 0
    assert len(more.trials) == 3
    assert len({trial.values["slope"] for trial in more.trials}) == 3


def test_a_sweep_without_end_needs_a_count(tmp_path: Path) -> None:
    sweep = make_sweep(tmp_path, "random", {"parameters": {"slope": {"min": 0.0, "max": 1.0}}})
    with pytest.raises(InputError, match="--count"):
        coordinate(sweep, tmp_path)
    assert coordinate(sweep._replace(run_cap=2), tmp_path).limit == 2


def test_a_failed_run_says_why_and_is_tried_again_only_on_request(tmp_path: Path) -> None:
    sweep = make_sweep(tmp_path, end=[0, 3], once=1)
    first = coordinate(sweep, tmp_path)
    assert run(first) == 0
    assert states(first) == ["finished", "failed"]
    assert first.trials[1].message == "told to end with 3 (exit code 3)"
    assert run(coordinate(sweep, tmp_path)) == 0
    assert starts(first, first.trials[1]) == 1
    again = coordinate(sweep, tmp_path, retry=True)
    assert run(again) == 0
    assert states(again) == ["finished", "finished"]
    assert [starts(again, trial) for trial in again.trials] == [1, 2]


def test_a_sweep_whose_first_runs_all_fail_stops(tmp_path: Path) -> None:
    coordinator = coordinate(make_sweep(tmp_path, end=3, slope=list(range(9))), tmp_path, parallel=1)
    with pytest.raises(InputError, match=r"told to end with 3.*--retry"):
        run(coordinator)
    assert states(coordinator) == ["failed"] * 3


def test_a_killed_run_goes_on_and_is_given_up_at_the_third_kill(tmp_path: Path) -> None:
    once = coordinate(make_sweep(tmp_path, steps=2, end=-9, once=1), tmp_path)
    assert run(once) == 0
    assert states(once) == ["finished"]
    assert once.history(once.trials[0]).values() == [1, 2]
    (tmp_path / "b").mkdir()
    always = coordinate(make_sweep(tmp_path / "b", steps=2, end=[0, -9]), tmp_path / "b")
    assert run(always) == 0
    assert states(always) == ["finished", "crashed"]
    assert starts(always, always.trials[1]) == 3
    assert "exit code -9" in always.trials[1].message


def test_a_full_disk_stops_the_sweep_and_costs_the_run_nothing(tmp_path: Path) -> None:
    sweep = make_sweep(tmp_path, end=DISK_FULL, once=1, slope=[1, 2])
    coordinator = coordinate(sweep, tmp_path, parallel=1)
    assert run(coordinator) == DISK_FULL
    assert states(coordinator) == ["queued"]
    assert coordinator.trials[0].attempts == 0


def test_the_worse_runs_are_ended_early(tmp_path: Path) -> None:
    rule = {"early_terminate": {"type": "hyperband", "min_iter": 2, "eta": 2}}
    sweep = make_sweep(tmp_path, more=rule, slope=[9, 8, 1], steps=20, pause=0.2, trap=1)
    coordinator = coordinate(sweep, tmp_path, parallel=3)
    assert run(coordinator) == 0
    assert states(coordinator)[0] == "finished"
    assert states(coordinator)[2] == "stopped"
    assert "band" in coordinator.trials[2].message
    assert len(coordinator.history(coordinator.trials[2]).values()) < 20


def test_a_reached_target_ends_the_search(tmp_path: Path) -> None:
    more = {"metric": {"name": "val/score", "goal": "maximize", "target": 2}}
    coordinator = coordinate(make_sweep(tmp_path, more=more, slope=[1, 2, 3, 4]), tmp_path, parallel=1)
    assert run(coordinator) == 0
    assert len(coordinator.trials) == 2


def test_a_metric_that_is_never_logged_is_said_and_ends_a_search_by_bayes(tmp_path: Path) -> None:
    grid = coordinate(make_sweep(tmp_path, mute=1), tmp_path)
    assert run(grid) == 0
    assert grid.trials[0].message == "val/score was never logged; there is other"
    (tmp_path / "b").mkdir()
    bayes = coordinate(make_sweep(tmp_path / "b", "bayes", mute=1, slope=[1, 2]), tmp_path / "b", count=9)
    with pytest.raises(InputError, match=r"val/score was never logged.*metric"):
        run(bayes)


def test_bayes_runs_to_its_count(tmp_path: Path) -> None:
    parameters = {"parameters": {"slope": {"min": -1.0, "max": 1.0}}}
    coordinator = coordinate(make_sweep(tmp_path, "bayes", parameters), tmp_path, count=12)
    assert run(coordinator) == 0
    assert states(coordinator) == ["finished"] * 12


def test_a_command_that_does_not_exist_is_one_sentence(tmp_path: Path) -> None:
    coordinator = coordinate(make_sweep(tmp_path, more={"command": ["nowhere-at-all"]}, slope=1), tmp_path)
    with pytest.raises(InputError, match="nowhere-at-all cannot be started"):
        run(coordinator)


@pytest.mark.parametrize("what", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1], ids=lambda what: what.name)
def test_a_told_sweep_lets_runs_save_and_goes_on_later(what: signal.Signals, tmp_path: Path) -> None:
    sweep = make_sweep(tmp_path, slope=[1, 2], steps=20, pause=0.1, trap=1)
    coordinator = coordinate(sweep, tmp_path)

    def tell(now: Coordinator) -> None:
        if all(now.history(trial).values() for trial in now.trials):
            os.kill(os.getpid(), what)

    assert coordinator.run(lambda now: None, tell) == 128 + what
    assert states(coordinator) == ["queued", "queued"]
    assert signal.getsignal(what) != coordinator._told
    later = coordinate(sweep, tmp_path)
    assert run(later) == 0
    assert states(later) == ["finished", "finished"]
    assert later.history(later.trials[0]).values() == list(range(1, 21))
    assert [trial.attempts for trial in later.trials] == [1, 1]


def ended(process: Process) -> int:
    """Wait for a process and return its exit code."""
    deadline = time.monotonic() + 30
    while (code := process.poll()) is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert code is not None
    return code


def start_and_abandon(sweep: Sweep, folder: Path) -> tuple[Process, Trial]:
    """Start a run as a coordinator would that is killed at once afterwards: nobody waits for its process."""
    coordinator = coordinate(sweep, folder)
    coordinator._start(lambda now: None)
    trial = coordinator.trials[0]
    deadline = time.monotonic() + 20
    while not coordinator.history(trial).values() and time.monotonic() < deadline:
        time.sleep(0.02)
    return coordinator.live[trial.name], trial


@pytest.mark.parametrize("trap", ["1", ""], ids=["saves", "dies"])
def test_a_run_left_over_by_a_killed_coordinator_is_ended_before_it_goes_on(trap: str, tmp_path: Path) -> None:
    sweep = make_sweep(tmp_path, steps=60, pause=0.05, trap=trap)
    process, trial = start_and_abandon(sweep, tmp_path)
    later = coordinate(sweep, tmp_path)
    assert ended(process) == (143 if trap else -signal.SIGTERM)
    assert states(later) == ["queued"]
    assert run(later) == 0
    assert later.history(trial).values() == list(range(1, 61))


def test_a_run_that_finished_while_nobody_looked_is_not_run_again(tmp_path: Path) -> None:
    sweep = make_sweep(tmp_path, steps=2)
    process, _ = start_and_abandon(sweep, tmp_path)
    assert ended(process) == 0
    later = coordinate(sweep, tmp_path)
    assert states(later) == ["finished"]
    assert run(later) == 0
    assert starts(later, later.trials[0]) == 1


def test_a_kill_before_the_start_is_written_down_costs_no_second_run(tmp_path: Path) -> None:
    sweep = make_sweep(tmp_path, steps=5, pause=0.1)
    process, _ = start_and_abandon(sweep, tmp_path)
    journal = tmp_path / "out" / "trials.jsonl"
    journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:-1]))
    later = coordinate(sweep, tmp_path)
    assert states(later) == ["queued"]
    assert run(later) == 0
    assert ended(process) == 0
    assert states(later) == ["finished"]
    assert starts(later, later.trials[0]) == 1


def test_a_process_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    )
    process = Process([sys.executable, "-S", "-c", stubborn], tmp_path, dict(os.environ))
    while not (tmp_path / "output.log").read_text():
        time.sleep(0.02)
    with pytest.raises(BlockingIOError):
        Process(["true"], tmp_path, dict(os.environ))
    began = time.monotonic()
    end_leftover(tmp_path, process.pid, patience=0.3)
    assert time.monotonic() - began < 20
    assert ended(process) == -signal.SIGKILL


def test_without_a_known_process_a_left_over_run_is_waited_for(tmp_path: Path) -> None:
    process = Process([sys.executable, "-S", "-c", "import time; time.sleep(0.5)"], tmp_path, dict(os.environ))
    end_leftover(tmp_path, None)
    assert ended(process) == 0
    end_leftover(tmp_path / "nowhere", None)


def test_runs_share_the_cores_and_keep_what_the_user_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISENTANGLE_PL_RUN_ID", "mine")
    monkeypatch.setenv("WANDB_SWEEP_ID", "theirs")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    show = ["sh", "-c", "env > $DISENTANGLE_PL_RUNS_DIR/$WANDB_RUN_ID/env"]
    sweep = make_sweep(tmp_path, more={"command": show}, a=1)
    coordinator = coordinate(sweep, tmp_path, parallel=1000)
    run(coordinator)
    env = (coordinator.run_folder(coordinator.trials[0]) / "env").read_text().splitlines()
    assert "OMP_NUM_THREADS=1" in env
    assert "WANDB_RUN_GROUP=s" in env
    assert not [line for line in env if line.startswith(("DISENTANGLE_PL_RUN_ID", "WANDB_SWEEP_ID"))]


@pytest.mark.parametrize(
    ("devices", "parallel", "taken", "free"),
    [
        ("0", 2, ["0"], "0"),
        ("01", 2, ["0"], "1"),
        ("01", 3, ["0", "1"], "0"),
        ("0123", 2, ["0,1"], "2,3"),
        ("01234", 2, ["0,1", "2,3"], "0,1"),
        ("0123", 4, ["0", "3", "1"], "2"),
    ],
)
def test_runs_share_the_gpus(devices: str, parallel: int, taken: list[str], free: str) -> None:
    assert free_devices(list(devices), parallel, taken) == free
