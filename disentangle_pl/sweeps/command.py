"""The command line of a run, as the W&B agent builds it from a sweep file."""

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

VARIABLE = re.compile(r"\$\{envvar:([A-Z0-9_]*)\}")
MACRO = re.compile(r"\$\{(\w+)\}")
OURS = (("-m", "disentangle_pl"), ("disentangle-pl",))


def build_command(command: Sequence[str], program: str | None, values: Mapping[str, Any]) -> list[str]:
    """Fill in the macros of a sweep's command.

    `${interpreter}` is the Python that runs this program; the W&B agent takes `python` from the path.

    Args:
        command: The items of the sweep file.
        program: What `${program}` stands for.
        values: The parameters, in the order of the flags.
    """
    flags = [f"{key}={value}" for key, value in values.items()]
    macros = {
        "env": ["/usr/bin/env"],
        "interpreter": [sys.executable],
        "program": [str(program)],
        "args": [f"--{flag}" for flag in flags],
        "args_no_hyphens": flags,
        "args_no_equals": [part for key, value in values.items() for part in (f"--{key}", str(value))],
        "args_no_boolean_flags": [
            f"--{key}" if value is True else f"--{key}={value}" for key, value in values.items() if value is not False
        ],
        "args_json": [json.dumps(dict(values))],
        "args_append_hydra": [f"+{flag}" for flag in flags],
        "args_override_hydra": [f"++{flag}" for flag in flags],
    }
    made = []
    for item in command:
        # an unset variable stays as its name, as with the agent
        filled = VARIABLE.sub(lambda found: os.environ.get(found[1], found[1]), item)
        macro = MACRO.fullmatch(filled)
        made += macros.get(macro[1], [filled]) if macro else [filled]
    return made


def own_arguments(command: Sequence[str]) -> list[str] | None:
    """Return what a command passes to this program, launchers such as srun left out; None if it starts another."""
    for number in range(len(command)):
        for name in OURS:
            if tuple(part.rsplit("/", 1)[-1] for part in command[number : number + len(name)]) == name:
                return list(command[number + len(name) :])
    return None
