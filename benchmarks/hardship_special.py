"""What the texts that users write may hold: settings out of this world, hostile names, no numbers at all."""

import json
from collections.abc import Callable
from typing import Any

import yaml

from benchmarks.hardship_binaries import BINARIES
from benchmarks.hardship_damage import ANY, AS_BEFORE, REFUSE, Change, Damage, content, edited, replaced

SCRIPT = "<script>alert(7)</script>"
PWNED = "aside/pwned"
CODE = f'!!python/object/apply:os.system ["touch {PWNED}"]\n'.encode()
LAUGHS = b"".join(
    b"a%d: &a%d [%s]\n" % (i, i, b",".join([b"*a%d" % (i - 1)] * 10 if i else [b"1"] * 10)) for i in range(12)
)
HOSTILE = (
    SCRIPT,
    "../../aside/x",
    "/tmp/x",
    "=cmd()|' /C calc'!A0",
    "a\nb",
    "a\tb",
    "x" * 5000,
    "nul\0l",
    "%s%n{0}",
    "-rf",
    " ",
    "é" * 9,
)


def set_to(path: str, value: Any) -> Change:
    """Set a setting, by its dotted path."""

    def edit(text: bytes) -> bytes:
        whole = yaml.safe_load(text)
        *parents, last = path.split(".")
        inner = whole
        for parent in parents:
            inner = inner[parent]
        inner[last] = value
        return yaml.safe_dump(whole).encode()

    return edited(edit)


def settings(path: str, *values: Any, allowed: str = REFUSE) -> list[Damage]:
    """Set a setting to each of several values."""
    return [Damage(f"{path.split('.')[-1]} = {str(value)[:30]}", set_to(path, value), allowed) for value in values]


def cells(old: str, *values: str, allowed: str = ANY, quote: bool = True) -> list[Damage]:
    """Put each of several values into the place of a cell, quoted where the table would need it."""
    return [
        Damage(f"{old} -> {value[:20]!r}", replaced(old, _quoted(value) if quote else value, 1), allowed)
        for value in values
    ]


def _quoted(value: str) -> str:
    return f'"{value}"' if any(letter in value for letter in "\n\t,") else value


def lines(edit: Callable[[Any], Any]) -> Change:
    """Edit the JSON objects of the lines of a file."""
    return edited(
        lambda text: b"".join(json.dumps(edit(json.loads(line))).encode() + b"\n" for line in text.splitlines())
    )


DATA, MODEL = "data.init_args", "model.init_args"
YAML = [
    Damage("code in a tag", content(CODE), REFUSE),
    Damage("a billion laughs", content(LAUGHS), REFUSE),
    Damage("nested 5,000 deep", content(b"[" * 5000), REFUSE),
    Damage("nested 5,000 deep, closed", content(b"[" * 5000 + b"]" * 5000), REFUSE),
    Damage("a list", content(b"- 1\n- 2\n"), REFUSE),
    Damage("a number", content(b"7\n"), REFUSE),
    Damage("tabs", edited(lambda text: text.replace(b"  ", b"\t")), REFUSE),
    Damage("two documents", edited(lambda text: text + b"---\n" + text), REFUSE),
    Damage("an unknown key", edited(lambda text: text + b"no_such_setting: 1\n"), ANY),
    Damage("all keys twice", edited(lambda text: text + text), ANY),
]
CONFIG = [
    *YAML,
    *settings("seed_everything", -1, 2**70, "x", 1.5, [1], allowed=REFUSE),
    *settings("trainer.max_epochs", "many", -5, 0.5, allowed=REFUSE),
    *settings(f"{DATA}.batch_size", 0, -4, 10**12, "x", None),
    *settings(f"{DATA}.eval_size", 0, -1, 1, "x"),
    *settings(f"{DATA}.steps_per_epoch", 0, -1),
    *settings(f"{DATA}.dataset.init_args.resolution", 0, -5, "x", 1),
    *settings(f"{DATA}.dataset.init_args.x_values", [], [99], [-1], ["x"], [0.5], [0, 0]),
    *settings(
        f"{DATA}.dataset.class_path", "os.system", "no.such.Class", "disentangle_pl.errors.InputError", SCRIPT, ""
    ),
    *settings(f"{MODEL}.latent_dim", 0, -1, "x", 10**12),
    *settings(f"{MODEL}.beta", ".nan", "x", float("nan"), float("inf"), -1),
    *settings(f"{MODEL}.backbone.init_args.encoder_widths", [0], [-3], ["x"], "x", [10**9]),
    *settings(f"{MODEL}.backbone.class_path", "subprocess.Popen", "builtins.eval"),
    *settings("trainer.callbacks", [{"class_path": "os.system", "init_args": {"command": f"touch {PWNED}"}}]),
]
SWEEP = [
    *YAML,
    *settings("method", "best", None, 3),
    *settings("parameters", {}, [], "x", None),
    *settings(
        "parameters.seed_everything", {"values": []}, {"min": 3, "max": 1}, {"distribution": "odd"}, {"values": "x"}, 3
    ),
    *settings("parameters", {"no.such.flag": {"values": [1]}}, {"model.beta": {"values": ["x"]}}),
    *settings("command", "rm -rf", []),
    *settings("command", ["${env}", "${no_such}"], [1, 2], allowed=ANY),
    *settings("metric", {}, {"name": 3}, {"name": "x", "goal": "best"}, "x"),
    *settings("run_cap", 0, -1, "x"),
    *settings("early_terminate", {"type": "x"}, {"type": "hyperband"}, "x"),
]
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
        Damage(f"{x}"[:20], content(json.dumps(x).encode()), REFUSE)
        for x in (3, {}, [3], [[1]], [{"config": 3}], [{"name": "x", "config": [1]}])
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
