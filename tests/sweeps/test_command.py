"""The command of a run equals the one that the installed W&B agent would build."""

import sys
from typing import Any

import pytest
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

from disentangle_pl.sweeps.command import build_command, own_arguments

VALUES: dict[str, Any] = {"a.b": 1e-05, "flag": True, "off": False, "name": "x y", "list": [1, "z"]}


MACROS = """args args_no_equals args_no_hyphens args_no_boolean_flags args_json args_append_hydra args_override_hydra"""


@pytest.mark.parametrize("macro", MACROS.split())
def test_macros_equal_those_of_the_agent(macro: str) -> None:
    theirs = create_sweep_command_args({"args": {key: {"value": value} for key, value in VALUES.items()}})[macro]
    assert build_command([f"${{{macro}}}"], None, VALUES) == theirs


def test_variables_are_filled_in_as_by_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOMEWHERE", "/data")
    monkeypatch.delenv("NOWHERE", raising=False)
    command = ["a=${envvar:SOMEWHERE}/x", "${envvar:NOWHERE}"]
    assert build_command(command, None, {}) == create_sweep_command(list(command)) == ["a=/data/x", "NOWHERE"]


def test_the_rest_of_the_command() -> None:
    made = build_command(["${env}", "${interpreter}", "${program}", "${unknown}", "--x"], "p.py", {})
    assert made == ["/usr/bin/env", sys.executable, "p.py", "${unknown}", "--x"]


@pytest.mark.parametrize(
    ("command", "own"),
    [
        (["/usr/bin/env", "python", "-m", "disentangle_pl", "fit", "--a=1"], ["fit", "--a=1"]),
        (["srun", "-n", "2", "/x/bin/disentangle-pl", "fit"], ["fit"]),
        (["python", "train.py", "fit"], None),
    ],
)
def test_own_arguments_are_found_behind_any_launcher(command: list[str], own: list[str] | None) -> None:
    assert own_arguments(command) == own
