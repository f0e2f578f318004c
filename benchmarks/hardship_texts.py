"""How settings and cells are put into texts."""

import json
from collections.abc import Callable
from typing import Any

import yaml

from benchmarks.hardship_damage import ANY, REFUSE, Change, Damage, edited, replaced

SCRIPT = "<script>alert(7)</script>"
PWNED = "aside/pwned"
CODE = f'!!python/object/apply:os.system ["touch {PWNED}"]\n'.encode()
LAUGHS = b"".join(
    b"a%d: &a%d [%s]\n" % (i, i, b",".join([b"*a%d" % (i - 1)] * 10 if i else [b"1"] * 10)) for i in range(12)
)
HOSTILE = (
    SCRIPT,
    "../../aside/x",
    "/tmp/x",
    "=cmd()|' /C calc'!A0",
    "a\nb",
    "a\tb",
    "x" * 5000,
    "nul\0l",
    "%s%n{0}",
    "-rf",
    " ",
    "é" * 9,
)


def set_to(path: str, value: Any) -> Change:
    """Set a setting, by its dotted path."""

    def edit(text: bytes) -> bytes:
        whole = yaml.safe_load(text)
        *parents, last = path.split(".")
        inner = whole
        for parent in parents:
            inner = inner[parent]
        inner[last] = value
        return yaml.safe_dump(whole).encode()

    return edited(edit)


def settings(path: str, *values: Any, allowed: str = REFUSE) -> list[Damage]:
    """Set a setting to each of several values."""
    return [Damage(f"{path.split('.')[-1]} = {str(value)[:30]}", set_to(path, value), allowed) for value in values]


def cells(old: str, *values: str, allowed: str = ANY, quote: bool = True) -> list[Damage]:
    """Put each of several values into the place of a cell, quoted where the table would need it."""
    return [
        Damage(f"{old} -> {value[:20]!r}", replaced(old, _quoted(value) if quote else value, 1), allowed)
        for value in values
    ]


def _quoted(value: str) -> str:
    return f'"{value}"' if any(letter in value for letter in "\n\t,") else value


def lines(edit: Callable[[Any], Any]) -> Change:
    """Edit the JSON objects of the lines of a file."""
    return edited(
        lambda text: b"".join(json.dumps(edit(json.loads(line))).encode() + b"\n" for line in text.splitlines())
    )
