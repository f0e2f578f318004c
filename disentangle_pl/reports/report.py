"""`disentangle-pl report`: one page a run, or one that compares many, in a file that needs no network."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console

from disentangle_pl.errors import InputError
from disentangle_pl.reports.blocks import DASH, Page, Section, score_of, time_of
from disentangle_pl.reports.compared_runs import compared
from disentangle_pl.reports.comparison import (
    curves_section,
    differences_section,
    overview_section,
    traversals_section,
)
from disentangle_pl.reports.comparison import (
    scores_section as group_section,
)
from disentangle_pl.reports.curve_pictures import BEYOND, Source, score_pictures, term_pictures
from disentangle_pl.reports.included import included_section, panels_of_run
from disentangle_pl.reports.look import render
from disentangle_pl.reports.run_details import Details, LatentTable, read_details
from disentangle_pl.reports.run_sections import (
    latents_section,
    pictures_sections,
    scores_section,
    settings_section,
)
from disentangle_pl.reports.scales import COLOURS
from disentangle_pl.run_state import FINISHED
from disentangle_pl.studies.labels import short_value
from disentangle_pl.studies.run_report import MAIN
from disentangle_pl.studies.run_table import tidy

REPORT, COMPARISON = "report.html", "comparison.html"
WARNINGS = 10
TELLING = ("model", "data.dataset", "data", "model.aggregation", "model.mask")


def write_reports(
    paths: Sequence[Path],
    out: Path | None = None,
    *,
    images: bool = True,
    include: Sequence[Path] = (),
    information: LatentTable | None = None,
    volumes: Sequence[Section] = (),
) -> Path:
    """Write the report of a run, or the comparison of several, and say where.

    Args:
        paths: Run folders, and folders of them.
        out: The file, or a folder for it; None for `report.html` in the folder of a run, and `comparison.html` here.
        images: Show pictures; the licence of data may forbid to pass them on.
        include: Folders that other verbs have written to, to show as well.
        information: Shares of factors that the latents of a single run know, if the run has not stored them.
        volumes: Sections to scroll through, of a single run.

    Returns:
        The file.

    Raises:
        InputError: If there is no run, a path or a folder to include is not there, or the file cannot be written.
    """
    tables = [path for path in paths if path.is_file()]
    if tables:
        raise InputError(f"report takes run folders, and {tables[0]} is a file: give the folder it lies in")
    table = tidy(paths)
    folders = [Path(folder) for folder in table["folder"]]
    more = [included_section(folder, number, images) for number, folder in enumerate(include)]
    if len(folders) == 1:
        place = _place(out, folders[0] / REPORT)
        page = run_page(read_details(folders[0]), images, more, information, volumes)
    else:
        place = _place(out, Path(COMPARISON))
        page = comparison_page(table, [read_details(folder) for folder in folders], images, more)
    _write(place, render(page))
    for text in page.warnings:
        Console().print(text, soft_wrap=True, markup=False, highlight=False)
    Console().print(f"report: {place}", soft_wrap=True, markup=False, highlight=False)
    return place


def write_own_report(folder: Path) -> None:
    """Write `report.html` of a run that has just ended into its folder.

    Raises:
        InputError: If it cannot be written.
    """
    _write(folder / REPORT, render(run_page(read_details(folder), True, [], None)))


def run_page(
    details: Details,
    images: bool,
    more: Sequence[Section],
    information: LatentTable | None,
    volumes: Sequence[Section] = (),
) -> Page:
    """Make the page of one run."""
    row = details.row
    if information is not None:
        details = details._replace(information=information)
    curves = [Source("", 0, details.history)]
    pictures = [*term_pictures(curves), *score_pictures(curves)]
    latents = latents_section(details)
    sections = [
        scores_section(details),
        *([latents] if latents else []),
        *pictures_sections(details, images),
        *volumes,
        Section("curves", "Training curves", [BEYOND] if pictures else ["Nothing was logged."], pictures),
        settings_section(details),
        *(
            included_section(folder, 100 + number, images)
            for number, folder in enumerate(panels_of_run(Path(row.folder)))
        ),
        *more,
    ]
    warnings = [details.history.remark] if details.history.remark and details.history.remark not in row.message else []
    if row.state != FINISHED:
        said = f": {row.message}" if row.message else ""
        warnings.insert(0, f"This run is {row.state}{said}. What follows is what its folder holds.")
    return Page(row.run, _lead(details), _facts(details), warnings, sections)


def _lead(details: Details) -> str:
    config = details.row.config
    named = [short_value(config[key]) for key in TELLING if config.get(key)]
    return f"{', '.join(dict.fromkeys(named))}. One run, one seed." if named else "A run whose settings are not known."


def _facts(details: Details) -> list[tuple[str, str]]:
    row = details.row
    facts = [
        ("state", row.state),
        ("seed", short_value(row.config.get("seed_everything"))),
        ("training steps", f"{row.steps:,.0f}" if row.steps == row.steps else DASH),
        ("time", time_of(row.seconds)),
    ]
    terms = {"val/nll": "validation -log p(x|z)", "val/kl": "validation KL"}
    facts += [(title, f"{row.scores[name]:.4g} nats") for name, title in terms.items() if name in row.scores]
    known = {line.name: line for line in details.sheet}
    facts += [(name.replace("_", " "), score_of(known[name].value)) for name in MAIN[:3] if name in known]
    return facts


def comparison_page(table: pd.DataFrame, details: Sequence[Details], images: bool, more: Sequence[Section]) -> Page:
    """Make the page that compares runs."""
    runs = compared(table, details)
    bad = table[table["state"] != FINISHED]
    warnings = [_complaint(row["run"], row["state"], row["message"]) for row in bad.to_dict("records")]
    if len(warnings) > WARNINGS:
        warnings = [*warnings[:WARNINGS], f"{len(warnings) - WARNINGS} more runs did not come to their end."]
    facts = [
        ("runs", str(len(table))),
        ("groups", str(len(runs.groups))),
        ("came to their end", str(len(table) - len(bad))),
    ]
    sections = [
        group_section(runs),
        overview_section(runs),
        traversals_section(runs, images),
        curves_section(runs),
        differences_section(runs),
        *more,
    ]
    lead = f"{len(table)} runs in {len(runs.groups)} groups; the runs of a group differ in their seed alone."
    if len(runs.groups) > COLOURS:
        lead += f" There are {COLOURS} colours: from the next group on they begin again."
    return Page("Comparison of runs", lead, facts, warnings, sections)


def _complaint(run: object, state: object, message: object) -> str:
    return f"{run} is {state}: {message}." if message else f"{run} is {state}."


def _place(out: Path | None, usual: Path) -> Path:
    if out is None:
        return usual
    return out / usual.name if out.is_dir() or not out.suffix else out


def _write(place: Path, text: str) -> None:
    draft = place.with_name(f"{place.name}.tmp")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(text, encoding="utf-8", errors="replace")
        draft.replace(place)
    except OSError as error:
        if draft.is_file():
            draft.unlink(missing_ok=True)
        raise InputError(f"{place} cannot be written ({error.strerror}): choose another place with --out") from error
