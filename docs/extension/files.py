"""A page for every YAML file of configs/: what its classes say, their formulas and flags, and the file itself."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from docs.extension.docstrings import escaped
from docs.extension.objects import about, settings
from docs.extension.rst import code, described, leaf, table, title

CONFIGS = Path(__file__).parents[2] / "configs"
HOST = "disentangle_pl.data.synthetic.SyntheticData"  # holds any data set, so it says nothing of one


class Kind(NamedTuple):
    """A folder of configs/.

    Attributes:
        folder: Its name.
        title: Of the page that lists its files.
        words: What stands at the top of that page.
        command: How a file is used; FILE stands for its path, and PAIRS for pairs where it needs them.
    """

    folder: str
    title: str
    words: str
    command: str


FIT = "disentangle-pl fit --config "
KINDS = {
    "models": Kind(
        "model",
        "Models",
        "A model is an objective; network, mask, pairs, likelihood and optimiser are its arguments and combine freely.",
        f"{FIT}configs/data/sprites.yaml PAIRS--config FILE",
    ),
    "masks": Kind(
        "mask",
        "Masks",
        "Masks on channel pairs, one more argument of every model: :math:`K' = K \\odot M`.",
        f"{FIT}configs/sprites_beta_vae.yaml --config FILE",
    ),
    "pairs": Kind(
        "pairs",
        "Pairs",
        "How the images of a pair or group belong together: what weak supervision knows.",
        f"{FIT}configs/data/sprites.yaml --config FILE --config configs/model/ada_gvae.yaml",
    ),
    "schedules": Kind(
        "scheduler",
        "Schedules",
        "How the learning rate moves from step to step; every group of parameters keeps its ratio to the others.",
        f"{FIT}configs/sprites_beta_vae.yaml --config FILE",
    ),
    "data": Kind(
        "data",
        "Data",
        "Images with known factors, drawn on the fly or read from the published files, and brain scans.",
        f"{FIT}FILE --config configs/model/beta_vae.yaml",
    ),
}


class Part(NamedTuple):
    """A class that a file names.

    Attributes:
        dotted: Its dotted name.
        flag: What its settings are called on the command line.
    """

    dotted: str
    flag: str


def files(kind: Kind) -> list[Path]:
    """Return the files of a kind."""
    return sorted((CONFIGS / kind.folder).glob("*.yaml"))


def classes(value: Any, flag: str = "-") -> Iterator[Part]:
    """Yield our classes in a configuration, outer ones first."""
    if isinstance(value, str) and value.startswith("disentangle_pl."):
        yield Part(value, flag)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from classes(
                inner, flag if key in ("class_path", "init_args") else f"{flag}.{key}".replace("-.", "--")
            )


def described_parts(path: Path) -> list[Part]:
    """Return the classes of a file that have something to say on its page: what they make, not what holds them."""
    named = [part for part in classes(yaml.safe_load(path.read_text())) if part.dotted != HOST]
    return [part for part in named if part.dotted.rpartition(".")[2][0].isupper()]


def comment(path: Path) -> str:
    """Return the comment at the top of a file as one line."""
    lines = path.read_text().splitlines()
    top = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return " ".join(line.lstrip("# ") for line in lines[:top])


def page(name: str, path: Path) -> str:
    """Return the page of a file of a kind."""
    kind = KINDS[name]
    written = f"configs/{kind.folder}/{path.name}"
    pieces = [leaf(path.stem, kind.title, name), f"{escaped(comment(path))}\n" if comment(path) else ""]
    several = len(described_parts(path)) > 1
    for part in described_parts(path):
        owner, _, short = part.dotted.rpartition(".")
        module = owner.partition(".")[2]
        pieces += [title(short, "-")] if several else []
        pieces += [*described(about(part.dotted)), _flags(part)]
        pieces.append(f"All of it: :doc:`{module} </generated/api/{module}>`.\n")
    pieces += [title("Use it", "-"), code(_command(kind, path, written), "bash"), f"``{written}``:\n"]
    return "\n".join([*pieces, code(path.read_text(), "yaml")])


def pages() -> Iterator[tuple[str, str]]:
    """Yield name and text of all these pages, and of those that list them."""
    for name, kind in KINDS.items():
        rows = []
        for path in files(kind):
            yield f"{name}/{path.stem}", page(name, path)
            # a model is told apart by what is put into it, data by what they are put into
            said = about(described_parts(path)[-1 if name == "models" else 0].dotted).summary
            rows.append((f":doc:`{path.stem} <{name}/{path.stem}>`", escaped(f"{said} {comment(path)}".strip())))
        listed = table(("file", "what it is"), rows)
        yield name, "\n".join([title(kind.title), f"{kind.words}\n", listed])


def _flags(part: Part) -> str:
    rows = [
        (f"``{part.flag}.{each.name}``", f"``{each.default}``" if each.default else "", escaped(each.meaning))
        for each in settings(part.dotted)
        if each.default or part.flag != "--model.mask"  # what has no default comes from the layer
    ]
    return table(("flag", "default", "meaning"), rows) if rows else ""


def _command(kind: Kind, path: Path, written: str) -> str:
    named = re.search(r"configs/pairs/(\w+\.yaml)?", comment(path))
    pairs = f"--config configs/pairs/{named[1] or 'uniform.yaml'} " if named else ""
    brain = path.stem == "longitudinal"
    command = f"{FIT}configs/brain_beta_vae.yaml --config FILE --data.root=bids" if brain else kind.command
    return command.replace("PAIRS", pairs).replace("FILE", written)
