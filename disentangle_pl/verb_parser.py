"""The parser that all verbs of the command line share."""

import json
import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Container, Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any, NoReturn

import yaml
from jsonargparse import ArgumentParser, DefaultHelpFormatter, Namespace

from disentangle_pl.errors import leave, one_line


class VerbHelp(RawDescriptionHelpFormatter, DefaultHelpFormatter):
    """Help that leaves the lines of examples as they are."""


class VerbParser(ArgumentParser):
    """A parser whose errors are one sentence."""

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, *more: Any, **options: Any
    ) -> Namespace:
        """Parse; a flag of several values takes them one after another, or as `--scores=[mig,dci]`."""
        lists = {flag for action in self._actions if _several(action.nargs) for flag in action.option_strings}
        return super().parse_args(_spread(sys.argv[1:] if args is None else args, lists), *more, **options)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print what is wrong and leave with exit code 2; a parser inside another one raises instead."""
        if not self.exit_on_error:
            super().error(message, ex)
        leave(f"{one_line(message)} (see {self.prog} --help)")


def _several(nargs: int | str | None) -> bool:
    return nargs in ("+", "*") or (isinstance(nargs, int) and nargs > 0)


def _spread(args: Sequence[str], lists: Container[str]) -> list[str]:
    """Write `--flag=[a,b]` and `--flag [a,b]` as `--flag a b` for these flags."""
    words: list[str] = []
    for arg in args:
        flag, equals, text = arg.partition("=")
        opening = [flag] if equals and flag in lists else []
        value = text if opening else arg
        follows = bool(opening) or (bool(words) and words[-1] in lists)
        if follows and value.startswith("[") and value.endswith("]"):
            names = (name.strip().strip("'\"") for name in value[1:-1].split(","))
            words += [*opening, *filter(None, names)]
        else:
            words.append(arg)
    return words


def verb_parser(verb: str, description: str, doc: str | None = None) -> VerbParser:
    """Make the parser of a verb; the examples in its docstring end its help."""
    examples = dedent((doc or "").partition("\n\n")[2])
    return VerbParser(
        prog=f"disentangle-pl {verb}", description=description, epilog=examples or None, formatter_class=VerbHelp
    )


def data_of_run(args: Sequence[str]) -> list[str]:
    """Return a configuration with the data of the run of the first checkpoint, to merge under what the user gives."""
    named = next((Path(arg) for arg in args if not arg.startswith("-") and arg.endswith(".ckpt")), None)
    config = named.absolute().parent.parent / "config.yaml" if named else None
    if config is None or not config.is_file() or any(arg.split("=")[0] in ("--data", "--config") for arg in args):
        return []
    data = (yaml.safe_load(config.read_text()) or {}).get("data")
    return [f"--config={json.dumps({'data': data})}"] if data else []
