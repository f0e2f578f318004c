"""The parser that all verbs of the command line share."""

import json
from argparse import RawDescriptionHelpFormatter
from collections.abc import Sequence
from pathlib import Path
from textwrap import dedent
from typing import NoReturn

import yaml
from jsonargparse import ArgumentParser, DefaultHelpFormatter

from disentangle_pl.errors import leave, one_line


class VerbHelp(RawDescriptionHelpFormatter, DefaultHelpFormatter):
    """Help that leaves the lines of examples as they are."""


class VerbParser(ArgumentParser):
    """A parser whose errors are one sentence."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print what is wrong and leave with exit code 2; a parser inside another one raises instead."""
        if not self.exit_on_error:
            super().error(message, ex)
        leave(f"{one_line(message)} (see {self.prog} --help)")


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
