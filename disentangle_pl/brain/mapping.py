"""What the columns of a clinical table mean, written by the user or shipped, in YAML."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Literal

import yaml
from jsonargparse import ArgumentError, ArgumentParser

from disentangle_pl.brain.fields import COLUMNS, TRAITS, tidy
from disentangle_pl.errors import InputError, one_line
from disentangle_pl.yaml_text import load_yaml

SHIPPED = {
    file.name.removesuffix(".yaml"): file
    for file in sorted((resources.files("disentangle_pl.brain") / "mappings").iterdir(), key=lambda file: file.name)
    if file.name.endswith(".yaml")
}


@dataclass(frozen=True)
class Participant:
    r"""How the table writes a participant, and how the scans do.

    Args:
        column: Where it is; sub-* session tables of a folder have the name of their participant as participant_id.
        pattern: Regular expression of the whole cell.
        template: The participant_id of the scans, with \1 for the first group of the pattern.
    """

    column: str
    pattern: str = r"(?:sub-)?(.+)"
    template: str = r"sub-\1"


@dataclass(frozen=True)
class Time:
    """When a row was taken.

    Args:
        column: Where it is.
        unit: years, months or days since study entry; the label of a visit such as bl, m06, ses-M006, d0757; or a date,
            counted from the participant's first date in the table.
        format: Of dates, as in `datetime.strptime`; ISO 8601 by default.
        label: Column of the labels of visits (bl, m06), which tell the time where `column` does not, and which of two
            rows a scan belongs to that has the same label.
    """

    column: str
    unit: Literal["years", "months", "days", "label", "date"] = "years"
    format: str = "ISO8601"
    label: str | None = None


@dataclass(frozen=True)
class Age:
    """Which age the table has.

    Args:
        column: Where it is, in years.
        at: At the row's own visit, or at study entry, to which the time since then is added.
    """

    column: str
    at: Literal["visit", "entry"] = "visit"


@dataclass(frozen=True)
class Column:
    """A column and what its cells mean.

    Args:
        column: Its name in the table.
        values: Regular expressions of whole cells, upper and lower case alike, and what to write instead; null is
            missing. Other cells stay as they are.
    """

    column: str
    values: dict[str, str | float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Mapping:
    """What the columns of a clinical table mean.

    Args:
        table: Short name; the distance to the visit becomes `<table>_gap_years`.
        participant: Who.
        time: When; without it the table has one row a participant, true at every visit.
        age: How old.
        traits: Text columns by our names: sex, site, diagnosis.
        scores: Columns of numbers, by our names.
        missing: Cells that mean missing, beside empty ones, NA, n/a, NaN, null and the like; numbers mean these
            numbers, however they are written.
        optional: Columns that the table need not have; what they would tell is not known then.
        wide: Of a table with one row a person and a column for every visit: a regular expression of its columns with
            the groups `column` and `session` (see `long_rows`); rows are then joined to the sessions of scans, and all
            columns but that of the participant are optional.

    Raises:
        InputError: If a name is not a trait of ours or no name for a score, a pattern is no regular expression, or an
            optional column is none of the mapping.
    """

    table: str
    participant: Participant
    time: Time | None = None
    age: Age | None = None
    traits: dict[str, Column] = field(default_factory=dict)
    scores: dict[str, Column] = field(default_factory=dict)
    missing: Sequence[str] = ()
    optional: Sequence[str] = ()
    wide: str | None = None

    def __post_init__(self) -> None:
        strange = [name for name in self.traits if name not in TRAITS]
        strange += [name for name in (self.table, *self.scores) if name in COLUMNS or name != tidy(name)]
        if strange:
            raise InputError(
                f"{strange[0]!r} cannot be used: traits are {', '.join(TRAITS)}; the table and its scores have names "
                f"of small letters, digits and _, other than {', '.join(COLUMNS)}"
            )
        patterns = [pattern for column in (*self.traits.values(), *self.scores.values()) for pattern in column.values]
        for pattern in (self.participant.pattern, *patterns):
            _compile(str(pattern))
        if self.wide is not None and not {"column", "session"} <= _compile(self.wide).groupindex.keys():
            raise InputError(f"wide {self.wide!r} needs the groups (?P<column>...) and (?P<session>...)")
        strays = [name for name in self.optional if name not in self.columns or name == self.participant.column]
        if strays:
            raise InputError(f"{strays[0]!r} is optional, but none of the columns of time, age, traits and scores")

    @property
    def columns(self) -> list[str]:
        """The columns that the mapping knows."""
        columns = (self.participant, self.time, self.age, *self.traits.values(), *self.scores.values())
        label = [self.time.label] if self.time and self.time.label else []
        return list(dict.fromkeys([*(each.column for each in columns if each), *label]))

    @property
    def required(self) -> list[str]:
        """The columns that the table must have."""
        return [name for name in self.columns if name not in self.optional]


def load_mapping(name: str) -> Mapping:
    """Read a mapping.

    Args:
        name: One of `SHIPPED`, or a YAML file with the arguments of `Mapping`; a trait or score may be just the name of
            its column.

    Raises:
        InputError: If there is no such mapping, or it is wrong.
    """
    source = SHIPPED.get(name) or Path(name)
    if not source.is_file():
        raise InputError(f"there is no mapping {name}: give a YAML file, or one of {', '.join(SHIPPED)}")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Mapping)
    try:
        parsed = parser.instantiate(parser.parse_object(_spelt_out(load_yaml(source.read_text("utf-8")))))
    except (ArgumentError, yaml.YAMLError, TypeError, UnicodeDecodeError) as error:
        raise InputError(f"the mapping {source} is wrong: {one_line(str(error))}") from error
    try:
        return Mapping(**parsed.as_dict())
    except InputError as error:
        raise InputError(f"the mapping {source} is wrong: {error}") from error


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise InputError(f"{pattern!r} is no regular expression ({error})") from error


def _spelt_out(given: object) -> dict[str, object]:
    """Write `mmse: MMSE` as `mmse: {column: MMSE}`."""
    if not isinstance(given, dict):
        raise TypeError("it must have the keys table and participant")
    sections = {name: given[name] for name in ("traits", "scores") if isinstance(given.get(name), dict)}
    return {
        **given,
        **{name: {key: _column(of) for key, of in dict(section).items()} for name, section in sections.items()},
    }


def _column(column: object) -> object:
    return {"column": column} if isinstance(column, str) else column
