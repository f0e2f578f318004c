"""One name for a setting everywhere: flag of the command line = key of a sweep = column of a table."""

from collections.abc import Iterator
from typing import Any

UNNAMED = ("class_path", "init_args")
SHORT = {"seed_everything": "seed", "model.optimizer.lr": "lr", "model.optimizer.weight_decay": "weight_decay"}
ROOTS = ("model", "data", "trainer")  # where two have a name in common the first has the short one


def flatten(config: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of a nested configuration under the dotted names that the command line takes.

    The `init_args` of a class are left out of the name: the flag is `--model.beta`, and so is the column.
    """
    for key, value in config.items():
        name = prefix.rstrip(".") if key in UNNAMED else f"{prefix}{key}"
        if isinstance(value, dict):
            yield from flatten(value, f"{name}.")
        else:
            yield name, value


def flat_name(key: str) -> str:
    """Return the short form of a dotted key, `model.beta` for `model.init_args.beta`; other keys as they are."""
    return ".".join(part for part in key.split(".") if part not in UNNAMED)


def short_name(key: str) -> str:
    """Return the name of a setting without dots, which W&B cannot filter by: `beta`, `seed`, `mask_strength`."""
    name = flat_name(key)
    if name in SHORT:
        return SHORT[name]
    root, _, tail = name.partition(".")
    return (tail if tail and root in ROOTS else name).replace(".", "_")
