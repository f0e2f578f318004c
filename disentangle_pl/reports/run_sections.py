"""The sections of a report of one run."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from disentangle_pl.metrics.sheet import ABOUT, APPROXIMATE, Line
from disentangle_pl.reports.blocks import Cell, Fold, Picture, Section, Table, score_cell, score_of
from disentangle_pl.reports.charts import scale_mark
from disentangle_pl.reports.images import embed
from disentangle_pl.reports.run_details import Details
from disentangle_pl.reports.settings import Setting, Unknown, settings_of
from disentangle_pl.studies.labels import short_value
from disentangle_pl.studies.run_report import MAIN

MOST = 8  # earlier traversals shown
LEGEND = (
    "The ticks are what noise (floor), perfect codes under random rotations (orange) and perfect codes (ceiling) score "
    "on the same factors: means of five draws, with their range. A score that a rotation costs little does not see "
    "rotations: do not quote it alone."
)
NO_ENDS = (
    "Floor, rotation and ceiling were not computed (disentanglement.references=false): disentangle-pl evaluate on the "
    "checkpoint adds them. Without them a number says little: many scores give noise more than 0."
)
NO_SCORES = (
    "There are no final scores: the run has not come to its end, or its data have no known factors that can be scored."
)
NO_IMAGES = "Pictures are left out, as asked by --images=false: the licence of the data may forbid to pass them on."
TITLES = {"reconstructions": "images, what the model makes of them, and the difference"}


def settings_section(details: Details) -> Section:
    """Show what was chosen, and folded the rest."""
    if not details.config:
        return Section("settings", "Configuration", ["There is no config.yaml that can be read."])
    settings = settings_of(details.config)
    chosen = [setting for setting in settings if setting.chosen]
    rest = [setting for setting in settings if not setting.chosen]
    words = [f"{len(chosen)} settings differ from their defaults, or have none; {len(rest)} are as they would be."]
    folds = [Fold(f"The other {len(rest)} settings", tables=[_settings_table(rest)])] if rest else []
    if details.versions:
        versions = [[Cell(name), Cell(version)] for name, version in details.versions.items()]
        folds.append(Fold("Machine and versions", tables=[Table(("what", "which"), versions)]))
    return Section("settings", "Configuration", words, tables=[_settings_table(chosen)], folds=folds)


def _settings_table(settings: list[Setting]) -> Table:
    rows = [[Cell(setting.key, css="name"), Cell(_text(setting.value)), _default(setting)] for setting in settings]
    return Table(("setting", "value", "default"), rows)


def _text(value: Any) -> str:
    return str(value) if type(value) is int else short_value(value, longest=400)


def _default(setting: Setting) -> Cell:
    if isinstance(setting.default, Unknown):
        return Cell(setting.default.why)
    return Cell(_text(setting.default))


def scores_section(details: Details) -> Section:
    """Show every score beside the ends of its scale."""
    if not details.sheet:
        return Section("scores", "Scores", [NO_SCORES])
    known = any(math.isfinite(end) for line in details.sheet for end in line[2:5])
    words = ["These are the scores of one run with one seed: how far another seed would fall from them is not known."]
    words.append(LEGEND if known else NO_ENDS)
    if known and any(line.name in APPROXIMATE for line in details.sheet):
        words.append(ABOUT)
    if high := [line.name.replace("_", " ") for line in details.sheet if line.high_chance]:
        words.append(
            f"Noise reaches over a quarter of the ceiling in {', '.join(high)}: read these against their floor."
        )
    if details.kinds:
        words.append("Factors: " + "; ".join(f"{name}: {kind}" for name, kind in details.kinds.items()) + ".")
    head = ["score", "value", *(("floor", "rotated", "ceiling", "a rotation costs") if known else ())]
    main = [line for line in details.sheet if line.name in MAIN]
    rest = [line for line in details.sheet if line.name not in MAIN]
    tables = [Table(head, [_score_row(line, known) for line in main or rest])]
    folds = []
    if main and rest:
        folds.append(Fold(f"The other {len(rest)} scores", tables=[Table(head, [_score_row(x, known) for x in rest])]))
    if details.left_out:
        reasons = [f"{name}: {reason}" for name, reason in details.left_out.items()]
        folds.append(Fold(f"{len(reasons)} scores could not be computed", words=reasons))
    return Section("scores", "Scores", words, tables=tables, folds=folds)


def _score_row(line: Line, known: bool) -> list[Cell]:
    inside = 0 <= line.value <= 1
    mark = scale_mark(line.value, line.floor, line.rotated, line.ceiling) if inside else Cell("").mark
    number = score_cell(line.value)._replace(mark=mark)
    cells = [Cell(line.name.replace("_", " "), css="name"), number]
    if known:
        cells.append(_with_range(line.floor, line.floor_low, line.floor_high))
        cells.append(_with_range(line.rotated, line.rotated_low, line.rotated_high))
        cells.append(score_cell(line.ceiling))
        cells.append(Cell(lost(line), css="n"))
    return cells


def _with_range(mean: float, low: float, high: float) -> Cell:
    cell, ends = score_cell(mean), (score_cell(low).text, score_cell(high).text)
    if not math.isfinite(high - low) or ends[0] == ends[1]:
        return cell
    return cell._replace(text=f"{cell.text} [{ends[0]}, {ends[1]}]")


def lost(line: Line) -> str:
    """Say which share of the scale from noise to perfect codes a rotation costs; nothing where there is no scale."""
    return f"{line.cost_of_rotation:.0%}" if math.isfinite(line.cost_of_rotation) else ""


def latents_section(details: Details) -> Section | None:
    """Show the KL of every latent, and which share of every factor it knows; None if neither is stored."""
    kl, shares = details.latents, details.information
    if kl is None and shares is None:
        return None
    words = []
    if kl is not None:
        words.append("KL is the mean divergence of the posterior from the prior in nats; a latent of 0 is not used.")
    if shares is not None:
        words.append(
            "The colours are shares of a factor's entropy that a latent alone knows, without the part that chance "
            "explains: a disentangled model has one dark cell in a row, and one in a column."
        )
    names = list((kl or shares).rows) if (kl or shares) else []  # type: ignore[union-attr]
    strength = {name: kl.rows[name][0] if kl and name in kl.rows else max(_shares(details, name)) for name in names}
    head = ["latent", *(kl.columns if kl else ()), *(shares.columns if shares else ())]
    rows = []
    for name in sorted(names, key=lambda each: -strength[each]):
        numbers = [score_cell(value) for value in kl.rows[name]] if kl else []
        rows.append([Cell(name), *numbers, *(_heat(share) for share in _shares(details, name))])
    titles = [{"kl": "KL, nats", "spread": "sd of means"}.get(name, name) for name in head]
    return Section("latents", "Latents and factors", words, tables=[Table(titles, rows, sortable=True)])


def _shares(details: Details, name: str) -> list[float]:
    found = details.information
    if found is None:
        return []
    return list(found.rows.get(name, [math.nan] * len(found.columns)))


def _heat(share: float) -> Cell:
    if not math.isfinite(share):
        return Cell("")
    return Cell(score_of(share)[:4], share, f"n h{min(10, max(0, round(10 * share)))}")


def pictures_sections(details: Details, images: bool) -> Iterator[Section]:
    """Show traversals, the last one large, reconstructions, and the channel graphs of a masked network."""
    traversals = details.pictures["traversals"]
    if not images:
        yield Section("traversals", "Traversals", [NO_IMAGES])
        return
    if traversals:
        *earlier, last = traversals
        shown = _picture(last, "traversals", wide=True)
        yield Section("traversals", "Traversals", [EXPLAINED], [shown], folds=list(_earlier(earlier)))
    else:
        yield Section("traversals", "Traversals", ["There are none: the run has not come to its end."])
    titles = (("reconstructions", "Reconstructions"), ("sparsity", "Channel graph of the mask"), ("layers", "Layers"))
    for kind, title in titles:
        if details.pictures[kind]:
            yield Section(kind, title, pictures=[_picture(details.pictures[kind][-1], kind, wide=True)])


EXPLAINED = (
    "One latent a row, by falling KL: it moves through two standard deviations either way, the others stay. Beneath it "
    "the change against the middle image, on one scale for all: red is brighter, blue is darker."
)


def _earlier(paths: list[Path]) -> Iterator[Fold]:
    if not paths:
        return
    every = -(-len(paths) // MOST)
    chosen = paths[::every]
    some = "" if every == 1 else f", {len(chosen)} of {len(paths)}"
    yield Fold(f"Earlier in the training{some}", pictures=[_picture(path, "traversals") for path in chosen])


def _picture(path: Path, kind: str, *, wide: bool = False) -> Picture:
    step = path.stem.removeprefix("step-").lstrip("0") or "0"
    what = TITLES.get(kind, {"sparsity": "who is connected to whom", "layers": "scores of layers"}.get(kind, kind))
    return embed(path, f"{what}, after {step} steps", f"{kind} after {step} training steps", wide=wide)
