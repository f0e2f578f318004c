"""Whose images weights were trained on, so that it can be told later without naming anybody.

A checkpoint holds salted hashes of the ids of its training and validation people. The salt is drawn anew for every
training, so that two checkpoints cannot be compared with each other, and no list of hashes made beforehand fits. It
does not hide anybody from somebody who holds the checkpoint and can guess ids: the ids of most studies are short, and
all of them are hashed in seconds. Whoever must keep secret who took part must keep the checkpoint secret. Nor does it
recognise a person under another id, or tell two people of one id in two studies apart.
"""

import hashlib
import re
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from disentangle_pl.errors import InputError

LETTERS = 20  # of a hash, 80 bits: among a million people two are alike with a chance of 1e-12


class Training(NamedTuple):
    """The people of one training with one split.

    Attributes:
        salt: Goes before everything that is hashed.
        train: Hashes of the people trained on.
        val: Hashes of those by whom a checkpoint may have been chosen.
        split: Hash of who was in which part.
    """

    salt: str
    train: frozenset[str]
    val: frozenset[str]
    split: str


class Provenance(NamedTuple):
    """All trainings that weights have gone through.

    Attributes:
        trainings: One for every split of people; none for weights that were trained on nobody.
        complete: False if weights came from a checkpoint that does not say whom it was trained on.
    """

    trainings: tuple[Training, ...] = ()
    complete: bool = True


UNTRAINED = Provenance()
UNKNOWN = Provenance(complete=False)


def loose_name(name: str) -> str:
    """Spell an id without sub-, blanks around it, capitals, and zeros in front of numbers."""
    return re.sub(r"(?<!\d)0+(?=\d)", "", name.strip().casefold().removeprefix("sub-"))


def hash_people(people: Iterable[str], salt: str) -> dict[str, str]:
    """Return the hash that stands for every one of some people, by id.

    It is that of the id as `loose_name` spells it; of the exact one, but for sub-, where that would take two of these
    people for one.
    """
    names = list(dict.fromkeys(people))
    alike = Counter(loose_name(bare) for bare in {_bare(name) for name in names})
    return {name: _hash(salt, _loose(name) if alike[loose_name(name)] == 1 else _exact(name)) for name in names}


def extended(before: Provenance, parts: Mapping[str, str]) -> Provenance:
    """Add a training to those that weights have gone through; people once trained on stay in it.

    Args:
        before: What is known of the weights.
        parts: train, val or test, by id. The same split as that of the last training adds nothing.
    """
    last = before.trainings[-1:]
    if last and last[0].split == _split_hash(parts, last[0].salt):
        return before
    salt = secrets.token_hex(16)
    hashes = hash_people(parts, salt)
    train, val = (frozenset(hashes[name] for name, part in parts.items() if part == kind) for kind in ("train", "val"))
    return before._replace(trainings=(*before.trainings, Training(salt, train, val, _split_hash(parts, salt))))


def joined(one: Provenance, other: Provenance) -> Provenance:
    """Put the trainings of two records together."""
    return Provenance(tuple(dict.fromkeys((*one.trainings, *other.trainings))), one.complete and other.complete)


def trained_on(provenance: Provenance, people: Iterable[str]) -> set[str]:
    """Return those of some people whom weights were trained on."""
    return {name for name in people if any(_is_among(name, each.train, each.salt) for each in provenance.trainings)}


def chosen_by(provenance: Provenance, people: Iterable[str]) -> set[str]:
    """Return those of some people who were for validation, whether or not others trained on them since."""
    return {name for name in people if any(_is_among(name, each.val, each.salt) for each in provenance.trainings)}


def to_plain(provenance: Provenance) -> dict[str, Any]:
    """Return texts and lists, for a checkpoint; sorted, so that their order tells nothing."""
    trainings = [
        {"salt": each.salt, "train": sorted(each.train), "val": sorted(each.val), "split": each.split}
        for each in provenance.trainings
    ]
    return {"complete": provenance.complete, "trainings": trainings}


def from_plain(plain: Any) -> Provenance:
    """Read what `to_plain` makes; None, as in checkpoints of earlier versions, says nothing.

    Raises:
        InputError: If it is something else.
    """
    if plain is None:
        return UNKNOWN
    try:
        trainings = [
            Training(str(each["salt"]), frozenset(each["train"]), frozenset(each["val"]), str(each["split"]))
            for each in plain["trainings"]
        ]
        return Provenance(tuple(trainings), bool(plain["complete"]))
    except (KeyError, TypeError) as error:
        raise InputError("what the checkpoint says of the people it was trained on is damaged: fit it again") from error


def _is_among(name: str, hashes: frozenset[str], salt: str) -> bool:
    return bool(hashes) and (_hash(salt, _loose(name)) in hashes or _hash(salt, _exact(name)) in hashes)


def _split_hash(parts: Mapping[str, str], salt: str) -> str:
    return _hash(salt, "\n".join(sorted(f"{_bare(name)}\t{part}" for name, part in parts.items())))


def _hash(salt: str, text: str) -> str:
    return hashlib.sha256(f"{salt}\n{text}".encode()).hexdigest()[:LETTERS]


def _bare(name: str) -> str:
    return name.removeprefix("sub-")


def _loose(name: str) -> str:
    return f"~{loose_name(name)}"


def _exact(name: str) -> str:
    return f"={_bare(name)}"
