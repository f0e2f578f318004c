"""YAML of users: plain values only, not nested without end, and no larger than it looks."""

from typing import Any

import yaml

DEEPEST = 200
LARGEST = 1_000_000
LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


class EndlessYAMLError(yaml.YAMLError):
    """A text of a few lines that would fill the memory, or the stack."""


def load_yaml(text: str | bytes) -> Any:
    """Read the plain values of a YAML text.

    Args:
        text: One document; bytes are decoded as YAML says.

    Raises:
        yaml.YAMLError: If it is no YAML, asks for other objects, or fails `check_yaml`.
    """
    check_yaml(text)
    return yaml.load(text, Loader=LOADER)


def check_yaml(text: str | bytes) -> None:
    """Refuse a text that is nested beyond 200 levels, or has beyond a million values when its aliases are written out.

    The text is read as a stream: neither depth nor aliases cost anything here.

    Raises:
        yaml.YAMLError: If it is no YAML, or is refused.
    """
    sizes: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = [(None, 0)]
    try:
        for event in yaml.parse(text, Loader=LOADER):
            _count(event, open_nodes, sizes)
    except UnicodeDecodeError as error:
        raise yaml.YAMLError(str(error)) from error


def _count(event: yaml.Event, open_nodes: list[tuple[str | None, int]], sizes: dict[str, int]) -> None:
    if isinstance(event, yaml.CollectionStartEvent):
        open_nodes.append((event.anchor, 1))
        if len(open_nodes) > DEEPEST:
            raise EndlessYAMLError(f"it is nested more than {DEEPEST} levels deep")
        return
    if isinstance(event, yaml.CollectionEndEvent):
        anchor, size = open_nodes.pop()
    elif isinstance(event, yaml.ScalarEvent):
        anchor, size = event.anchor, 1
    elif isinstance(event, yaml.AliasEvent):
        if event.anchor in [name for name, _ in open_nodes]:
            raise EndlessYAMLError(f"the alias {event.anchor} stands within what it names")
        anchor, size = None, sizes.get(str(event.anchor), 1)
    else:
        return
    if anchor:
        sizes[anchor] = size
    outer, before = open_nodes[-1]
    if before + size > LARGEST:
        raise EndlessYAMLError(f"its aliases stand for more than {LARGEST:,} values")
    open_nodes[-1] = (outer, before + size)
