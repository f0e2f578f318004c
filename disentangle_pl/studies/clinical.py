"""`disentangle-pl predict-scores`: what frozen codes say of dementia scores, beside what is known without them."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import Progress

from disentangle_pl.brain.longitudinal import LongitudinalData
from disentangle_pl.errors import InputError
from disentangle_pl.studies.clinical_ahead import visits_around
from disentangle_pl.studies.clinical_codes import Encoded, encoded_models, reference
from disentangle_pl.studies.clinical_harmonised import Harmoniser
from disentangle_pl.studies.clinical_inputs import ICV, Source, fixed, images
from disentangle_pl.studies.clinical_known import Settings, known_of, rest
from disentangle_pl.studies.clinical_people import refuse_seen, sides_of
from disentangle_pl.studies.clinical_pictures import MOST, brief_pictures, refuse_twins
from disentangle_pl.studies.clinical_questions import PLACES, Known, confound_rows, place_rows, target_rows
from disentangle_pl.studies.clinical_reliability import measure_lines
from disentangle_pl.studies.clinical_report import Study, write_report
from disentangle_pl.studies.clinical_reporting import reporting_of
from disentangle_pl.studies.clinical_survival import survival_rows
from disentangle_pl.studies.clinical_table import LATENTS, PCA, Name, reliability_rows, table_of
from disentangle_pl.studies.clinical_targets import CONVERTS, SCORES, Target, made_targets
from disentangle_pl.studies.clinical_verdicts import with_verdicts
from disentangle_pl.studies.exposure import cautions_of

Rows = list[dict[str, object]]


def report_clinical(
    checkpoints: Sequence[Path],
    data: LongitudinalData,
    out: Path,
    baseline: Sequence[Path] = (),
    settings: Settings | None = None,
) -> pd.DataFrame:
    """Predict scores from the codes of models, and write `scores.tsv`, `report.html` and pictures.

    The same call goes on after a kill: every answer is kept in `answers`.

    Args:
        checkpoints: Of the models.
        data: Brain scans with clinical tables joined.
        out: Folder to write to.
        baseline: Checkpoints of the model to compare with; without any, the only setting without aggregation.
        settings: How.

    Returns:
        The table as written.

    Raises:
        InputError: If a model was trained on people to be tested, people are on two sides, a target is unknown, nothing
            can be predicted, or as `load_model`.
    """
    settings = settings or Settings()
    data.prepare_data()
    data.setup("validate")
    around, found = visits_around(data.visits, settings.records)
    targets, remarks = made_targets(settings.targets, data.visits, settings.conversion, around)
    remarks = found + remarks
    sides = sides_of(data, settings.part)
    tested = data.visits["participant_id"].iloc[sides.held_out].unique().tolist()
    files = list(dict.fromkeys([*checkpoints, *baseline]))
    exposed = [refuse_seen(path, data, tested) for path in files]
    known, more = known_of(data, sides, settings, out / "answers")
    harmoniser = Harmoniser.of(settings.harmonisation, data, sides)
    known = harmoniser.volumes(known)
    pictures = brief_pictures(data, known.folder, change=harmoniser.images)
    refuse_twins(data.visits, pictures.digests)
    models = harmoniser.codes(encoded_models(files, data, pictures.digests, known.folder))
    if pictures.products is None:
        remarks.append(f"components of {len(data.visits)} images are left out: they are made of at most {MOST}")
    else:
        count = max(each.codes.shape[1] for each in models)
        components = images(PCA, pictures.products, count)
        harmoniser.components(pictures, count)
        known = known._replace(rivals=[*known.rivals, rest(components, known)])
    against = reference(models, files, baseline)
    sources = [(each.name, rest(fixed(LATENTS, each.codes), known)) for each in models]
    rows, refused = ask_all(targets, sources, known, against, named=bool(settings.targets))
    if not settings.targets or CONVERTS in settings.targets:
        times, untimed = survival_rows(sources, known, around, against)
        rows, refused = rows + times, refused + untimed
    measured, missing = _measures(models, known)
    remarks = [*harmoniser.report(out), *remarks, *more, *dict.fromkeys(refused + missing)]
    table = with_verdicts(table_of(rows + measured), against)
    latents = max(each.codes.shape[1] for each in models)
    study = Study(
        table, tested, len(sides.held_out), settings.protocol, settings.part, settings.plan, against,
        tuple(settings.residualise), remarks, settings.conversion, tuple(cautions_of(exposed)),
        all(each.certain for each in exposed), reporting_of(targets, sources, latents, known),
    )  # fmt: skip
    write_report(study, out)
    return table


def ask_all(
    targets: Sequence[Target],
    models: Sequence[tuple[Name, Source]],
    known: Known,
    baseline: str | None,
    *,
    named: bool,
) -> tuple[Rows, list[str]]:
    """Put all questions to models and rivals.

    Args:
        targets: Of all scans.
        models: Names and latents.
        known: All else.
        baseline: The setting to compare with.
        named: Whether the targets were named by the user.

    Returns:
        Rows of the table; what could not be answered, in sentences.

    Raises:
        InputError: If a target that was named cannot be predicted, or none can.
    """
    asked: list[tuple[str, bool, Callable[[], Rows]]] = []
    for target in targets:
        asked += [(target.name, named, ask) for ask in target_rows(target, models, known, baseline)]
        asked.append((f"{target.name}, {PLACES}", False, partial(place_rows, target, models, known, baseline)))
    asked += [(name, False, ask) for name, ask in confound_rows(models, known)]
    rows: Rows = []
    remarks = []
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("probing", total=len(asked))
        for name, needed, ask in asked:
            bar.update(task, description=f"probing {name}")
            try:
                rows += ask()
            except InputError as error:
                if needed:
                    raise InputError(f"{name} cannot be predicted: {error}") from error
                remarks.append(f"{name}: {error}")
            bar.advance(task)
    if not rows:
        raise InputError(f"no target can be predicted; {remarks[0]}")
    return rows, remarks


def _measures(models: Sequence[Encoded], known: Known) -> tuple[Rows, list[str]]:
    """Say how reliable latents are, and beside them scores and volumes."""
    rows: Rows = []
    remarks = []
    held_out = known.sides.held_out
    for each in models:
        names = [f"z{i}" for i in range(each.codes.shape[1])]
        lines, missing = measure_lines(names, each.codes, known.visits, held_out, identify=True)
        rows += reliability_rows(each.name, lines, len(held_out))
        remarks += missing
    scores = [(name, known.visits[name].to_numpy(np.float64)) for name in SCORES if name in known.visits.columns]
    sizes = [each for each in zip(known.volume_names, known.volumes.T, strict=True) if each[0].lower() not in ICV]
    for name, values in [*scores, *sizes]:
        lines, _ = measure_lines([name], values[:, None], known.visits, held_out)
        own = [line for line in lines if name not in SCORES or line.number != "icc"]  # a rescan has the visit's score
        rows += reliability_rows(Name(), own, len(held_out))
    return rows, remarks
