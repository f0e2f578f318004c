"""The configuration of a run beside the defaults: what was chosen first."""

import inspect
import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, NamedTuple

from disentangle_pl.defaults import DEFAULTS
from disentangle_pl.studies.run_files import cell
from disentangle_pl.studies.run_groups import same

OURS = re.compile(r"(disentangle_pl|torch\.optim|lightning\.pytorch)(\.\w+)+")  # no other code is imported for a page
SECTIONS = {
    "trainer": "lightning.pytorch.Trainer",
    "checkpoint": "lightning.pytorch.callbacks.ModelCheckpoint",
    "disentanglement": "disentangle_pl.callbacks.disentanglement.LogDisentanglement",
    "sharing": "disentangle_pl.callbacks.sharing.LogSharing",
    "sparsity": "disentangle_pl.callbacks.sparsity.LogSparsity",
    "layers": "disentangle_pl.callbacks.layers.LogLayers",
    "traversals": "disentangle_pl.callbacks.traversals.LogTraversals",
    "reconstructions": "disentangle_pl.callbacks.reconstructions.LogReconstructions",
}
TOP = {"fast": True, "compile": False, "report": True, "optimizer": None, "lr_scheduler": None}
PLACES = ("runs_dir", "run_id", "project", "ckpt_path", "weights_only")  # where a run lies, not what it is


class Unknown(NamedTuple):
    """Stands for a default that is not known."""

    why: str


class Setting(NamedTuple):
    """One setting.

    Attributes:
        key: Its flag without the dashes.
        value: What was given.
        default: What it would have been, or `Unknown`.
    """

    key: str
    value: Any
    default: Any

    @property
    def chosen(self) -> bool:
        """Whether the value is another than the default."""
        return isinstance(self.default, Unknown) or _comparable(self.value) != _comparable(self.default)


ELSEWHERE = Unknown("not known here")
NEVER = Unknown("unknown to this version")
GIVEN = Unknown("none: it must be given")


def settings_of(config: Mapping[str, Any]) -> list[Setting]:
    """Return all settings of a configuration beside their defaults.

    Args:
        config: A config.yaml as it was loaded.
    """
    found: list[Setting] = []
    for name, value in config.items():
        key = str(name)
        if key in SECTIONS and isinstance(value, Mapping):
            found += _of_class(key, SECTIONS[key], value)
        elif key in PLACES:
            found.append(Setting(key, cell(value), cell(value)))
        elif key == "seed_everything":
            found.append(Setting(key, value, 0))
        else:
            found += _walk(key, value, TOP.get(key, NEVER if key not in ("model", "data") else GIVEN))
    return found


def _walk(key: str, value: Any, default: Any) -> Iterator[Setting]:
    if isinstance(value, Mapping) and "class_path" in value:
        path = str(value["class_path"])
        yield Setting(key, path, _path_of(default))
        arguments = value.get("init_args")
        yield from _of_class(key, path, arguments if isinstance(arguments, Mapping) else {})
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            known = default if isinstance(default, Unknown) else getattr(default, str(name), NEVER)
            yield from _walk(f"{key}.{name}", inner, known)
    else:
        yield Setting(key, cell(value), default if isinstance(default, Unknown) else _plain(default))


def _of_class(key: str, path: str, arguments: Mapping[str, Any]) -> Iterator[Setting]:
    kind = _class(path)
    for name, value in arguments.items():
        default = ELSEWHERE if kind is None else _default(kind, str(name))
        yield from _walk(f"{key}.{name}", value, DEFAULTS.get(f"{key}.{name}", default))


def _class(path: str) -> type | None:
    """Return a class of this package, of torch.optim or of Lightning; None for any other, and for one that is gone."""
    if not OURS.fullmatch(path):
        return None
    module, _, name = path.rpartition(".")
    try:
        kind = getattr(import_module(module), name)
    except (ImportError, AttributeError):
        return None
    return kind if isinstance(kind, type) else None


def _default(kind: type, name: str) -> Any:
    for above in kind.__mro__:
        parameter = _parameters(above).get(name)
        if parameter is not None and parameter.default is not inspect.Parameter.empty:
            return parameter.default
        if parameter is not None:
            return GIVEN
    return NEVER


def _parameters(kind: type) -> Mapping[str, inspect.Parameter]:
    own = vars(kind).get("__init__")
    return inspect.signature(own).parameters if inspect.isfunction(own) else {}


def _path_of(default: Any) -> Any:
    if isinstance(default, type):
        return f"{default.__module__}.{default.__qualname__}"
    return default if isinstance(default, Unknown) or default is None else ELSEWHERE


def _plain(default: Any) -> Any:
    if default is None or isinstance(default, bool | int | float | str):
        return default
    if isinstance(default, list | tuple | dict):
        return cell(list(default) if isinstance(default, tuple) else default)
    return None if isinstance(default, type) else ELSEWHERE


def _comparable(value: Any) -> Any:
    return same(value.replace(" ", "") if isinstance(value, str) else value)
