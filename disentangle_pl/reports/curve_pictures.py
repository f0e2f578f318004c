"""The training curves of one run or of many."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from disentangle_pl.reports.blocks import Picture
from disentangle_pl.reports.charts import Curve, line_chart
from disentangle_pl.reports.curves import History
from disentangle_pl.reports.scales import colour_class

TITLES = {
    "loss": "Loss, nats an image",
    "nll": "Reconstruction: -log p(x|z), nats an image",
    "kl": "KL of the posterior from the prior, nats an image",
}
SCORED = ("mig", "dci_disentanglement", "sap", "modularity")
BEYOND = "What lies far beyond the rest at the start of a training is cut off."
KNOWN = ("train/", "val/")
FEWEST = 3  # points of the longest line: the end of a run logs its last step twice


class Source(NamedTuple):
    """A history and how its lines look.

    Attributes:
        name: Of the run or its group; empty where there is but one.
        colour: Number of its colour.
        history: The numbers.
    """

    name: str
    colour: int
    history: History


def term_pictures(sources: Sequence[Source]) -> list[Picture]:
    """Draw every term of the loss that any run has logged, training and validation together; loss, nll and KL first."""
    terms = dict.fromkeys(
        name.partition("/")[2] for source in sources for name in source.history.values if name.startswith(KNOWN)
    )
    ordered = [*(term for term in TITLES if term in terms), *(term for term in terms if term not in TITLES)]
    return [picture for term in ordered if (picture := _term(term, sources)) is not None]


def score_pictures(sources: Sequence[Source]) -> list[Picture]:
    """Draw the quick scores of validations during training, and the density of masks, where there are several."""
    if len(sources) == 1:
        lines = [(name, f"disentanglement/{name}") for name in SCORED]
        pictures = [_several("Scores of validations during training", lines, sources[0].history)]
        pictures.append(_several("Density of the mask", [("density", "sparsity/density")], sources[0].history))
        return [picture for picture in pictures if picture is not None]
    columns = {"disentanglement/mig": "MIG of validations during training", "sparsity/density": "Density of the mask"}
    found = [_overlay(title, [(column, False)], sources) for column, title in columns.items()]
    return [picture for picture in found if picture is not None]


def _term(term: str, sources: Sequence[Source]) -> Picture | None:
    title = TITLES.get(term, term.replace("_", " "))
    columns = [(f"{part}{term}", part != "train/") for part in KNOWN]
    if len(sources) > 1:
        shown = columns if len(sources) <= 3 else _fullest(columns, sources)
        return _overlay(title, shown, sources)
    history = sources[0].history
    curves = list(_curves([(column.split("/")[0], column, broken) for column, broken in columns], history))
    return _drawn(title, curves, [(colour_class(curve.colour), curve.name) for curve in curves])


def _fullest(columns: Sequence[tuple[str, bool]], sources: Sequence[Source]) -> list[tuple[str, bool]]:
    """Keep training or validation, whichever has more points: many runs and both would hide each other."""
    sizes = [sum(len(source.history.values.get(column, ())) for source in sources) for column, _ in columns]
    return [(columns[sizes.index(max(sizes))][0], False)]


def _overlay(title: str, columns: Sequence[tuple[str, bool]], sources: Sequence[Source]) -> Picture | None:
    curves = [
        Curve(
            f"{source.name}, {column}",
            source.history.steps[column],
            source.history.values[column],
            source.colour,
            dashed,
        )
        for source in sources
        for column, dashed in columns
        if len(source.history.values.get(column, ())) > 1
    ]
    keys = dict.fromkeys((colour_class(source.colour), source.name) for source in sources)
    which = " and ".join(column.split("/")[0] for column, _ in columns if column.startswith(KNOWN))
    broken = ", validation broken" if len(columns) > 1 else ""
    return _drawn(f"{title}{f' ({which}{broken})' if which else ''}", curves, list(keys))


def _several(title: str, lines: Sequence[tuple[str, str]], history: History) -> Picture | None:
    curves = [
        curve
        for number, (name, column) in enumerate(lines)
        for curve in _curves([(name, column, False)], history, number)
        if len(curve.steps) > 1
    ]
    return _drawn(title, curves, [(colour_class(curve.colour), curve.name) for curve in curves])


def _curves(columns: Iterable[tuple[str, str, bool]], history: History, colour: int | None = None) -> Iterable[Curve]:
    for number, (name, column, _) in enumerate(columns):
        values: Mapping[str, list[float]] = history.values
        if values.get(column):
            yield Curve(name, history.steps[column], values[column], number if colour is None else colour)


def _drawn(title: str, curves: Sequence[Curve], keys: Sequence[tuple[str, str]]) -> Picture | None:
    if max((len(curve.steps) for curve in curves), default=0) < FEWEST:
        return None
    return Picture(title, chart=line_chart(title, curves), keys=keys)
