"""A page for every verb of the command line: what its --help says."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from unittest.mock import patch

from disentangle_pl.fit import run_lightning
from disentangle_pl.verbs import VERBS
from docs.extension.docstrings import escaped
from docs.extension.rst import code, leaf, table, title

LIGHTNING = {
    "fit": "Train a model, and score it in the end.",
    "validate": "Score a run again.",
    "test": "Score a run on its test data.",
    "predict": "Write the codes of every image of a run.",
}


def said(verb: str) -> str:
    """Return the help of a verb."""
    out = io.StringIO()
    wide = patch.dict(os.environ, COLUMNS="100")
    try:
        with wide, redirect_stdout(out), patch.object(sys, "argv", ["disentangle-pl", verb, "--help"]):
            run_lightning() if verb in LIGHTNING else VERBS[verb](["--help"])
    except SystemExit as end:
        if end.code:
            raise
    return out.getvalue().replace(str(Path.cwd()), ".")


def does(verb: str) -> str:
    """Return what a verb does, in a sentence."""
    return LIGHTNING.get(verb) or (VERBS[verb].__doc__ or "").partition("\n")[0]


def pages() -> Iterator[tuple[str, str]]:
    """Yield name and text of the page of every verb, and of the page that lists them."""
    names = [*LIGHTNING, *sorted(VERBS)]
    for verb in names:
        top = leaf(verb, "Every verb", "verbs")
        yield f"verbs/{verb}", "\n".join([top, f"{escaped(does(verb))}\n", code(said(verb), "text")])
    rows = [(f":doc:`{verb} <verbs/{verb}>`", escaped(does(verb))) for verb in names]
    words = "What every ``--help`` says. Any setting of ``fit`` is a flag, a sweep key and a W&B column.\n"
    yield "verbs", "\n".join([title("Every verb"), words, table(("verb", "what it does"), rows)])
