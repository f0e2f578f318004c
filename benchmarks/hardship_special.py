"""What the texts that users write may hold: hostile names, no numbers at all; and all that is special to a kind."""

import json

from benchmarks.hardship_binaries import BINARIES
from benchmarks.hardship_damage import ANY, AS_BEFORE, REFUSE, Damage, content, edited, replaced
from benchmarks.hardship_texts import HOSTILE, SCRIPT, cells, lines, settings
from benchmarks.hardship_yaml import CONFIG, SWEEP, YAML

PEOPLE = [
    *cells("sub-02", *HOSTILE),
    *cells("ses-M000", *HOSTILE[:6]),
    Damage("a path out of the folder", replaced("bids/sub-02/ses-M000", "../aside/sub-02/ses-M000"), ANY),
    Damage("a path of /dev/zero", replaced("bids/sub-02/ses-M000/anat/sub-02_ses-M000_T1w.nii.gz", "/dev/zero"), ANY),
    Damage("no path", replaced("bids/sub-02/ses-M000/anat/sub-02_ses-M000_T1w.nii.gz", ""), ANY),
    *cells("\t72\t", *(f"\t{age}\t" for age in ("old", "-5", "1e400", "nan", "inf", "7,5", "")), quote=False),
    *cells("score", SCRIPT, "age", "participant_id", "a b", "", "years", quote=False),
]
CLINIC = [
    *cells("sub-02", *HOSTILE),
    *cells(",12,", *(f",{x}," for x in ("soon", "-12", "1e400", "nan", "")), quote=False),
    *cells(",20.0", *(f",{x}" for x in ("many", ">25", "inf", "1e999", "--")), quote=False),
]
MAPPING = [
    *YAML,
    *settings("table", SCRIPT, "../x", "age", 3),
    *settings("time.unit", "moons", None),
    *settings("time.column", "nothing"),
    *settings("participant", {"column": "id", "pattern": "("}, {"column": "id", "pattern": "(a+)+$"}, {}, "id"),
    *settings("traits.diagnosis.values", {"(": "CN"}, {"1": [1]}, "x"),
    *settings("scores", {"age": "MMSE"}, {"mmse": {"column": "nothing"}}, "x", [1]),
]
NAMES = [
    *cells("z0", "../../../aside/evil", "a/b", SCRIPT, "a\nb", "=1+1", "x" * 300, "", ".", "z1", "FID", quote=False),
    Damage("a phenotype of one value", edited(lambda text: _column(text, "1.0")), REFUSE),
    Damage("a phenotype of nothing", edited(lambda text: _column(text, "NA")), REFUSE),
    Damage("an infinite value", edited(lambda text: _cell(text, "inf")), REFUSE),
    Damage("1e308", edited(lambda text: _cell(text, "1e308")), ANY),
    Damage("a word for a value", edited(lambda text: _cell(text, "high")), REFUSE),
]
COVARIATES = [
    Damage("a covariate of one value", edited(lambda text: _column(text, "1.0")), ANY),
    Damage("a covariate of nothing", edited(lambda text: _column(text, "NA")), REFUSE),
    Damage("a covariate of 60 texts", edited(lambda text: _texts(text)), REFUSE),
    Damage("an infinite value", edited(lambda text: _cell(text, "inf")), REFUSE),
    *cells("age", "z0", "../../aside/evil", SCRIPT, quote=False),
]


def _column(text: bytes, value: str) -> bytes:
    head, *rows = text.decode().splitlines()
    return "\n".join([head, *("\t".join([*row.split("\t")[:-1], value]) for row in rows), ""]).encode()


def _texts(text: bytes) -> bytes:
    head, *rows = text.decode().splitlines()
    return "\n".join([head, *("\t".join([*row.split("\t")[:-1], f"t{i}"]) for i, row in enumerate(rows)), ""]).encode()


def _cell(text: bytes, value: str) -> bytes:
    head, row, *rows = text.decode().splitlines()
    return "\n".join([head, "\t".join([*row.split("\t")[:-1], value]), *rows, ""]).encode()


SPECIAL: dict[str, list[Damage]] = {
    **BINARIES,
    "configuration (YAML)": CONFIG,
    "sweep (YAML)": SWEEP,
    "table of scans (tsv)": PEOPLE,
    "clinical table (csv)": CLINIC,
    "mapping (YAML)": MAPPING,
    "split (tsv)": [*cells("train", "training", "", SCRIPT), *cells("sub-01", *HOSTILE[:5])],
    "phenotypes (tsv)": NAMES,
    "covariates (tsv)": COVARIATES,
    "variants (.bim)": [
        *cells("\t1000\t", *(f"\t{x}\t" for x in ("-7", "x", "1e30", "nan", "1.5", "9" * 20)), quote=False),
        *cells("rs1\t", f"{SCRIPT}\t", "../x\t", "rs2\t", quote=False),
    ],
    "people (.fam)": [*cells("P3", "P4", SCRIPT, "../x", "a b", quote=False)],
    "predictions (.loco)": [
        *cells("P3_P3", "P4_P4", "x", quote=False),
        Damage("a word", replaced("1 ", "1 x ", 1), ANY),
    ],
    "run: state.json": [
        Damage("a list", content(b"[1, 2]"), AS_BEFORE),
        Damage("odd types", content(b'{"state": [1], "seconds": "x"}'), AS_BEFORE),
    ],
    "runs: state.json": [
        Damage("a list", content(b"[1, 2]"), ANY),
        Damage("odd types", content(b'{"state": [1], "seconds": "x"}'), ANY),
        Damage("a hostile message", replaced('"message": ""', f'"message": "{SCRIPT}\\n=1+1\\t7"'), ANY),
    ],
    "runs: config.yaml": [*YAML[:5], *settings("seed_everything", SCRIPT, "=1+1", "a\tb\nc", allowed=ANY)],
    "runs: metrics.csv": [
        *cells("0.1", "nan", "inf", "x", "1e999", "", "7,7", quote=False),
        *cells("train/loss", "step", SCRIPT, "", quote=False),
    ],
    "runs: scores.json": [
        Damage(f"scores of {x}", content(json.dumps({"scores": x}).encode()), ANY)
        for x in (None, [1], {"mig": 3}, {"mig": {"value": "x"}})
    ],
    "export of runs (csv)": cells("r1", *HOSTILE),
    "export of runs (json)": [
        Damage(text[:20], content(text.encode()), REFUSE)
        for text in ("3", "{}", "[3]", "[[1]]", '[{"config": 3}]', '[{"name": "x", "config": [1]}]')
    ],
    "preparation: journal.jsonl": [
        Damage("rows below zero", lines(lambda line: {**line, "row": -1} if "row" in line else line), AS_BEFORE),
        Damage("rows without end", lines(lambda line: {**line, "row": 10**15} if "row" in line else line), AS_BEFORE),
        Damage("other sums", lines(lambda line: {**line, "crc": 7} if "crc" in line else line), AS_BEFORE),
        Damage("lists for objects", lines(lambda line: [line]), AS_BEFORE),
    ],
    "study: journal.jsonl": [
        Damage("lists for objects", lines(lambda line: [line]), AS_BEFORE),
        Damage("words for numbers", lines(lambda line: dict.fromkeys(line, "x")), AS_BEFORE),
    ],
}  # fmt: skip
