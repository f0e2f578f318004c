"""The verbs of the command line that make data of brain scans ready."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from disentangle_pl.brain.alignment import GAUSS_NEWTON, LEAST, Affine, Alignment, Rigid
from disentangle_pl.brain.cohort_settings import Settings
from disentangle_pl.brain.correction import N4
from disentangle_pl.brain.intensity import (
    Histogram,
    Intensity,
    Percentiles,
    WhiteStripe,
    Window,
    ZScore,
    read_landmarks,
)
from disentangle_pl.brain.itk_registration import SimpleItk
from disentangle_pl.brain.mapping import SHIPPED
from disentangle_pl.brain.midspace import Midspace
from disentangle_pl.brain.scan_choice import Suffix, choice_of
from disentangle_pl.brain.split import FRACTIONS
from disentangle_pl.brain.stripping import Strip
from disentangle_pl.brain.volumes import Preparation
from disentangle_pl.errors import InputError
from disentangle_pl.studies.prepare import report_prepared
from disentangle_pl.studies.scans import ClinicalTables, SplitPlan, report_scans
from disentangle_pl.studies.simulate import simulate
from disentangle_pl.verb_parser import VerbParser, verb_parser


def scans(args: Sequence[str]) -> None:
    """Say what is in a folder of brain scans, and write it as one table.

    Examples:
        disentangle-pl scans /data/bids --out scans.tsv
        disentangle-pl scans /data/caps --clinical ADNIMERGE.csv --mapping adnimerge --window 0.25 --split split.tsv
        disentangle-pl scans /data/oasis3 --clinical UDSb4.csv people.csv --mapping oasis3_udsb4 oasis3_demographics
        disentangle-pl scans /data/bids --filter acq=mprage desc=none --rescans
        disentangle-pl scans /data/ukb --withdrawn w12345.csv --clinical ukb12345.csv --mapping uk_biobank
        disentangle-pl scans scans.tsv --out again.tsv --split sites.tsv --group site
        disentangle-pl fit --config configs/brain_ada_gvae.yaml --data.root=scans.tsv --data.split_file=split.tsv
    """
    does = (
        "Find T1-weighted scans (BIDS, CAPS of Clinica, OASIS-3, UK Biobank, or a table), leave out what cannot be "
        "used and say why, join clinical tables by the nearest visit, and split participants."
    )
    parser = verb_parser("scans", does, scans.__doc__)
    parser.add_argument("source", type=Path, help="a folder of scans, or a table: participant_id, session_id, path")
    parser.add_argument("--out", type=Path, default=Path("scans.tsv"), help="the table to write, .tsv or .csv")
    parser.add_argument(
        "--clinical", nargs="+", type=Path, default=[], help="clinical tables (Clinica: the BIDS folder)"
    )
    parser.add_argument(
        "--mapping",
        nargs="+",
        type=str,
        default=[],
        help=f"what their columns mean: {', '.join(SHIPPED)}, or YAML files",
    )
    parser.add_argument("--window", type=float, default=0.5, help="most years between a scan and its clinical visit")
    parser.add_argument(
        "--bounds",
        type=bool,
        default=False,
        help="take cells such as >1700 and 89+ as 1700 and 89, 65-70 as 67.5, not as missing",
    )
    parser.add_argument(
        "--split",
        type=Path | None,
        help="also write who is for train, val and test; whom the file has a part for keeps it, new people are added",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the split")
    parser.add_argument(
        "--fractions",
        nargs=3,
        type=float,
        default=[],
        help=f"shares of train, val and test (default: those of a split that is there, else {FRACTIONS})",
    )
    parser.add_argument("--group", type=str | None, help="split by whole groups of this column, such as site")
    parser.add_argument(
        "--strict", action="store_true", help="stop at the first scan, or cell of a table, that cannot be used"
    )
    parser.add_argument("--rescans", action="store_true", help="list every run of a visit: ses-M000, ses-M000_run-2")
    parser.add_argument(
        "--measures", nargs="+", type=Path, default=[], help="tables a scan to add, such as those of asegstats2table"
    )
    _which(parser)
    given = parser.parse_args(list(args))
    report_scans(
        given.source,
        given.out,
        ClinicalTables(given.clinical, given.mapping, given.window, given.bounds),
        SplitPlan(given.split, given.seed, tuple(given.fractions) or None, given.group) if given.split else None,
        given.strict,
        given.rescans,
        choice_of(given.filter, given.suffix),
        given.withdrawn,
        given.measures,
    )


def prepare(args: Sequence[str]) -> None:
    """Prepare brain scans once, as one file that trains fast.

    Examples:
        disentangle-pl prepare /data/bids --out prepared --jobs -1
        disentangle-pl prepare scans.tsv --out prepared --size 96 112 96 --spacing 2 --n4=true
        disentangle-pl prepare stripped.tsv --out aligned --align 12 --zscore=true
        disentangle-pl prepare stripped.tsv --out standard --histogram=true --split split.tsv
        disentangle-pl prepare others.tsv --out others --landmarks standard/prepared.json
        disentangle-pl prepare heads --out aligned --strip "synthstrip -i {in} -o {out}" --align 12 --midspace=true
        disentangle-pl fit --config brain.yaml --data.root=prepared --data.size=null --data.spacing=null
    """
    does = (
        "Check, correct, resample, crop and rescale scans into one array, with a table, measures of quality and "
        "pictures of every scan. The same command goes on after a kill, and with more scans it prepares only those."
    )
    parser = verb_parser("prepare", does, prepare.__doc__)
    parser.add_argument("source", type=Path, help="a folder of scans, or a table of `scans`")
    parser.add_argument("--out", type=Path, required=True, help="folder of prepared scans, new or of an earlier call")
    parser.add_argument("--size", nargs=3, type=int, default=[64, 64, 64], help="voxels to the right, front and top")
    parser.add_argument("--spacing", type=float, default=3.0, help="edge of the cubic voxels in mm")
    parser.add_argument(
        "--percentiles", nargs=2, type=float, default=[0.5, 99.5], help="those of intensity that become 0 and 1"
    )
    parser.add_argument(
        "--zscore", type=bool, default=False, help="instead: mean 0 and deviation 1 over what is not background"
    )
    parser.add_argument(
        "--window", nargs=2, type=float, default=[], help="instead: intensities that become 0 and 1 in every scan"
    )
    parser.add_argument(
        "--whitestripe",
        type=bool,
        default=False,
        help="instead: mean 0 and deviation 1 over white matter (stripped T1)",
    )
    parser.add_argument(
        "--histogram", type=bool, default=False, help="instead: percentiles of the brain become those of training scans"
    )
    parser.add_argument("--split", type=Path | None, help="with --histogram: who is for training (default: by a hash)")
    parser.add_argument("--landmarks", type=Path | None, help="instead: those of this prepared.json, or JSON file")
    parser.add_argument(
        "--strip",
        type=str | None,
        help='first strip the skull with a program of yours, such as "synthstrip -i {in} -o {out}"',
    )
    parser.add_argument("--n4", type=bool, default=False, help="remove the coil's slow changes of brightness (N4)")
    parser.add_argument(
        "--align",
        type=Literal[6, 12] | None,
        help="align stripped brains to MNI152: 6 keeps head size in the image, 12 only in the table (scale)",
    )
    parser.add_argument(
        "--align_overlap",
        type=float,
        default=LEAST.overlap,
        help="overlap (Dice) with the template's brain below which a scan is left out; 0: none is. Whole human "
        "brains measured 0.952 and more, brains of a monkey's shape 0.929",
    )
    parser.add_argument(
        "--nan_as_background", action="store_true", help="take NaN as background, instead of leaving such scans out"
    )
    parser.add_argument(
        "--align_engine",
        type=Literal["gauss_newton", "simple_itk"],
        default="gauss_newton",
        help="what finds the alignment: our own, or SimpleITK, which takes many times as long",
    )
    parser.add_argument(
        "--midspace",
        type=bool,
        default=False,
        help="align all scans of a person together: to the middle between them, and from there to MNI152 at once",
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes, -1: one a core; the result is the same")
    parser.add_argument("--strict", action="store_true", help="stop at the first scan that cannot be prepared")
    parser.add_argument("--bounds", type=bool, default=False, help="take cells such as 89+ as 89, not as missing")
    _which(parser)
    given = parser.parse_args(list(args))
    if given.align is None and given.align_overlap != LEAST.overlap:
        raise InputError("--align_overlap is of aligned brains: give --align 6 or --align 12 with it")
    alignment = _alignment(given.align, given.align_engine, given.align_overlap)
    if given.midspace and alignment is None:
        raise InputError("--midspace goes on to the template: give --align 6 or --align 12 with it")
    alone = () if alignment is None or given.midspace else (alignment,)
    preparation = Preparation(
        tuple(given.size),
        given.spacing,
        _intensity(given),
        (*((Strip(given.strip),) if given.strip else ()), *((N4(),) if given.n4 else ()), *alone),
        nan_as_background=given.nan_as_background,
        midspace=Midspace(alignment) if alignment and given.midspace else None,
    )
    report_prepared(
        given.source,
        given.out,
        preparation,
        given.jobs,
        given.strict,
        given.bounds,
        choice_of(given.filter, given.suffix),
        given.withdrawn,
        given.histogram,
        given.split,
    )


def _which(parser: VerbParser) -> None:
    parser.add_argument(
        "--filter",
        nargs="+",
        type=str,
        default=[],
        metavar="KEY=VALUE",
        help="of several scans of a session those whose name has acq-mprage: acq=mprage; desc=none: has no desc-",
    )
    parser.add_argument("--suffix", type=Suffix, default="T1w", help="the kind of scans of a folder")
    parser.add_argument("--withdrawn", type=Path | None, help="a file of people to leave out, such as w12345.csv")


def _alignment(freedom: int | None, engine: str, overlap: float) -> Alignment | None:
    by = {"gauss_newton": GAUSS_NEWTON, "simple_itk": SimpleItk()}[engine]
    return {None: None, 6: Rigid(by, overlap), 12: Affine(by, overlap)}[freedom]


def _intensity(given: Any) -> Intensity:
    """Return the map that is asked for; that of --histogram is made later, of the scans."""
    names = [name for name in ("zscore", "window", "whitestripe", "histogram", "landmarks") if given[name]]
    if len(names) > 1:
        raise InputError(f"--{names[0]} and --{names[1]} exclude each other: give one")
    if given.split and not given.histogram:
        raise InputError("--split says whose histograms are learnt from: it is of use with --histogram=true alone")
    if given.window:
        return Window(*given.window)
    if given.landmarks:
        return Histogram(read_landmarks(given.landmarks))
    if given.whitestripe:
        return WhiteStripe()
    return ZScore() if given.zscore else Percentiles(*given.percentiles)


def simulated_cohort(args: Sequence[str]) -> None:
    """Write a simulated longitudinal brain cohort.

    Examples:
        disentangle-pl simulate --subjects 150 --out cohort
        disentangle-pl simulate --subjects 2000 --out cohort --size 96 --jobs -1 --rescans 0.1
        disentangle-pl simulate --subjects 150 --out cohort --anatomies heads.npz --visits 0 12 24
    """
    does = (
        "Write a simulated longitudinal brain cohort: T1-weighted scans as BIDS, scores, genotypes, and what is true "
        "of them. The same command goes on after a kill, and with more --subjects it adds to the cohort."
    )
    parser = verb_parser("simulate", does, simulated_cohort.__doc__)
    parser.add_argument("--subjects", type=int, required=True, help="people")
    parser.add_argument("--out", type=Path, required=True, help="folder of the cohort, new or of an earlier call")
    parser.add_argument("--seed", type=int, default=0, help="another seed is another cohort")
    parser.add_argument("--size", type=int, default=64, help="voxels along every axis of 192 mm: 64 are 3 mm, 96 2 mm")
    parser.add_argument("--visits", nargs="+", type=int, default=[0, 6, 12, 24, 36], help="planned months")
    parser.add_argument("--anatomies", type=Path | None, help=".npz of tissue fractions (default: MNI152 template)")
    parser.add_argument("--rescans", type=float, default=0.0, help="share of people with two scans on the first day")
    parser.add_argument("--snps", type=int, default=500, help="variants; of every 25 one acts on each static factor")
    parser.add_argument("--jobs", type=int, default=1, help="processes, -1: one a core")
    given = parser.parse_args(list(args)).as_dict()
    out, jobs = given.pop("out"), given.pop("jobs")
    made = simulate(Settings(**{**given, "visits": tuple(given["visits"])}), out, jobs)
    print(f"{made} new scans of {given['subjects']} people in {out}: see {out / 'README'}")
