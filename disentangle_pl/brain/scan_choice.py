"""Which scan of a session is taken where there are several: the same kind for all sessions of a person.

Source of the entities: the Brain Imaging Data Structure specification 1.9, appendix on entities.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import pandas as pd
from lightning.pytorch.utilities import rank_zero_info

from disentangle_pl.brain.fields import KEYS
from disentangle_pl.brain.tables import listing
from disentangle_pl.errors import InputError

Suffix = Literal["T1w", "T2w", "FLAIR"]
Entities = Mapping[str, str]
Rank = tuple[int, int, bool, str]

SCANS = (".nii", ".nii.gz", ".mgz")
ABSENT = "none"
PLAIN = "plain"

_PLACE = ("sub", "ses", "sess", "run")


@dataclass(frozen=True)
class Choice:
    """Which scans are wanted.

    Args:
        suffix: Their kind.
        entities: What their names must have, such as {"acq": "mprage"}; "none" for names without it.
    """

    suffix: Suffix = "T1w"
    entities: Entities = field(default_factory=dict)


class Candidate(NamedTuple):
    """A scan that a session has.

    Attributes:
        who: Participant and session.
        path: Where it lies.
        entities: The key-value pairs of its name, or what a layout without such names has in their place.
        listed: Whether a table of the session lists it.
    """

    who: tuple[str, str]
    path: Path
    entities: Entities
    listed: bool = False

    @property
    def kind(self) -> str:
        """What its name says beyond person, session and run: acq-mprage_rec-norm; plain if nothing."""
        return _named((key, value) for key, value in self.entities.items() if key not in _PLACE)


def choice_of(filters: Sequence[str], suffix: Suffix = "T1w") -> Choice:
    """Read pairs such as acq=mprage or desc=none.

    Raises:
        InputError: If one is no such pair, or a key is there twice.
    """
    pairs = [text.partition("=")[::2] for text in filters]
    wrong = [text for text, (key, value) in zip(filters, pairs, strict=True) if not (key.isalnum() and value)]
    if wrong or len(dict(pairs)) < len(pairs):
        raise InputError(
            f"the filter {listing(wrong or list(filters))} cannot be used: give each entity of BIDS names once, "
            f"as in acq=mprage, and {ABSENT} for names without it, as in desc={ABSENT}"
        )
    return Choice(suffix, dict(pairs))


def is_scan(path: Path, suffix: Suffix) -> bool:
    """Tell by its name whether a file is a scan of a kind."""
    return path.name.endswith(tuple(f"{suffix}{ending}" for ending in SCANS)) and not path.name.startswith(".")


def entities_of(path: Path) -> Entities:
    """Return the key-value pairs of a BIDS name, in its order."""
    pairs = [part.partition("-") for part in path.name.partition(".")[0].split("_")]
    return {key: value for key, dash, value in pairs if dash}


def plainest(entities: Entities) -> int:
    """Rank a scan as it came before those that are made of it or special: by the entities beside acq."""
    return sum(key not in (*_PLACE, "acq") for key in entities)


def one_each(
    candidates: Sequence[Candidate], choice: Choice, order: Callable[[Entities], int] = plainest
) -> pd.DataFrame:
    """Take one scan of every participant and session, and say where there was a choice.

    Of the scans with the entities asked for, those that a table of the session lists, if it lists any. Of these the
    kind (see `Candidate.kind`) that the most sessions of the person have; of several such kinds the first by `order`,
    then the one that the most sessions of the data set have, then the plain one, then the first by name. Of one kind
    the lowest run.

    Args:
        candidates: All scans.
        choice: What is asked for.
        order: Ranks entities; lower comes first.

    Returns:
        Columns participant_id, session_id, path (absolute).

    Raises:
        InputError: If there are scans, but none with the entities asked for.
    """
    sessions: dict[tuple[str, str], list[Candidate]] = {}
    for each in _fitting(candidates, choice):
        sessions.setdefault(each.who, []).append(each)
    sessions = {who: [each for each in scans if each.listed] or scans for who, scans in sessions.items()}
    kinds = {who: {each.kind: order(each.entities) for each in scans} for who, scans in sessions.items()}
    counts = Counter(kind for ranked in kinds.values() for kind in ranked)
    ranks = {
        kind: (rank, -counts[kind], kind != PLAIN, kind) for ranked in kinds.values() for kind, rank in ranked.items()
    }
    taken = _alike(kinds, ranks)
    chosen = {
        who: min((each for each in scans if each.kind == taken[who]), key=lambda each: _by_run(each.path))
        for who, scans in sessions.items()
    }
    for line in [*_several(sessions, chosen, choice), *_ties(kinds, ranks, taken), *_changes(taken)]:
        rank_zero_info(line)
    rows = [(*who, str(scan.path.absolute())) for who, scan in chosen.items()]
    return pd.DataFrame(rows, columns=[*KEYS, "path"])


def _fitting(candidates: Sequence[Candidate], choice: Choice) -> list[Candidate]:
    fitting = [each for each in candidates if _fits(each.entities, choice)]
    entities = _named(choice.entities.items())
    if candidates and not fitting:
        counts = Counter(each.kind for each in candidates)
        raise InputError(f"no {choice.suffix} scan has {entities}: there are {_counted(counts)}")
    without = sorted({each.who for each in candidates} - {each.who for each in fitting})
    if without:
        names = listing([" ".join(who) for who in without], 3)
        rank_zero_info(
            f"{len(without)} sessions have no {choice.suffix} scan with {entities} and are left out: {names}"
        )
    return fitting


def _fits(entities: Entities, choice: Choice) -> bool:
    return all(
        _plain(entities.get(key, ABSENT if value.lower() == ABSENT else "")) == _plain(value)
        for key, value in choice.entities.items()
    )


def _plain(value: str) -> str:
    return str(int(value)) if value.isdigit() else value.lower()


def _alike(kinds: Mapping[tuple[str, str], Mapping[str, int]], ranks: Mapping[str, Rank]) -> dict[tuple[str, str], str]:
    """Choose the kind of every session, with as few changes between those of a person as can be."""
    people: dict[str, list[tuple[str, str]]] = {}
    for who in kinds:
        people.setdefault(who[0], []).append(who)
    taken: dict[tuple[str, str], str] = {}
    for open_sessions in people.values():
        while open_sessions:
            shared = Counter(kind for who in open_sessions for kind in kinds[who])
            best = min(shared, key=lambda kind: (-shared[kind], ranks[kind]))
            taken |= {who: best for who in open_sessions if best in kinds[who]}
            open_sessions = [who for who in open_sessions if who not in taken]
    return taken


def _several(
    sessions: Mapping[tuple[str, str], Sequence[Candidate]],
    chosen: Mapping[tuple[str, str], Candidate],
    choice: Choice,
) -> list[str]:
    several = [who for who, scans in sessions.items() if len(scans) > 1]
    if not several:
        return []
    taken = Counter(chosen[who].kind for who in several)
    passed = Counter(_passed(each, chosen[who]) for who in several for each in sessions[who] if each != chosen[who])
    return [
        f"{len(several)} of {len(sessions)} sessions have several {choice.suffix} scans: taken are {_counted(taken)}, "
        f"such as {chosen[several[0]].path.name}; not taken are {_counted(passed)}; another choice is made by --filter"
    ]


def _passed(scan: Candidate, taken: Candidate) -> str:
    return f"run {scan.entities.get('run', scan.path.name)}" if scan.kind == taken.kind else scan.kind


def _ties(
    kinds: Mapping[tuple[str, str], Mapping[str, int]],
    ranks: Mapping[str, Rank],
    taken: Mapping[tuple[str, str], str],
) -> list[str]:
    """Tell which kinds nothing but the alphabet has chosen between."""
    shared = Counter((who[0], kind) for who, ranked in kinds.items() for kind in ranked)
    pairs = {
        (taken[who], kind)
        for who, ranked in kinds.items()
        for kind in ranked
        if kind != taken[who]
        and ranks[kind][:-1] == ranks[taken[who]][:-1]
        and shared[who[0], kind] == shared[who[0], taken[who]]
    }
    return [
        f"{kind} and {other} are in equally many sessions: {kind} is taken for its name; choose by --filter"
        for kind, other in sorted(pairs)[:3]
    ]


def _changes(taken: Mapping[tuple[str, str], str]) -> list[str]:
    """Tell whose sessions have scans of different kinds, and that people differ in it."""
    people: dict[str, dict[str, str]] = {}
    for (person, session), kind in taken.items():
        people.setdefault(person, {})[session] = kind
    changing = [
        f"{person} ({', '.join(f'{session} {kind}' for session, kind in sessions.items())})"
        for person, sessions in people.items()
        if len(set(sessions.values())) > 1
    ]
    lines = []
    if changing:
        lines.append(
            f"the sessions of {len(changing)} people have no kind of scan in common, and what changes between them may "
            f"be the sequence: {listing(changing, 3)}"
        )
    counts = Counter(taken.values())
    if len(counts) > 1:
        lines.append(f"the scans taken are of {len(counts)} kinds: {_counted(counts)}")
    return lines


def _named(pairs: Iterable[tuple[str, str]]) -> str:
    return "_".join(f"{key}-{value}" for key, value in pairs) or PLAIN


def _counted(counts: "Counter[str]") -> str:
    return listing([f"{kind} ({count})" for kind, count in counts.most_common()], 5)


def _by_run(path: Path) -> tuple[int, int, str]:
    folder, run = re.search(r"/anat(\d+)/", path.as_posix()), re.search(r"_run-(\d+)_", path.name)
    return int(folder[1]) if folder else 0, int(run[1]) if run else 0, path.name
