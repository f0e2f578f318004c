"""What can happen to a file, whatever is in it, and what a text or a table may hold that nobody asked for."""

import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

REFUSE, AS_BEFORE, ANY = "refuse", "as before", "any"
"""What a call may do with the damage: refuse it; or also give the result of the whole file; or also a finite one."""
Change = Callable[[Path], None]
CUTS = (0.0, 0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)


class Damage(NamedTuple):
    """A change of one file.

    Attributes:
        name: What is done, in a few words.
        change: Does it.
        allowed: REFUSE, AS_BEFORE or ANY.
        powerless: Only to be tried without the rights of root.
    """

    name: str
    change: Change
    allowed: str
    powerless: bool = False


def content(new: bytes) -> Change:
    """Write other contents."""

    def change(path: Path) -> None:
        path.write_bytes(new)

    return change


def edited(edit: Callable[[bytes], bytes]) -> Change:
    """Write the contents again, edited."""

    def change(path: Path) -> None:
        path.write_bytes(edit(path.read_bytes()))

    return change


def replaced(old: str, new: str, times: int = -1) -> Change:
    """Replace a text, which must be there."""

    def edit(text: bytes) -> bytes:
        if old.encode() not in text:
            raise ValueError(f"the material has no {old!r}")
        return text.replace(old.encode(), new.encode(), times)

    return edited(edit)


def cut(share: float) -> Change:
    """Keep the first part of a file."""
    return edited(lambda whole: whole[: int(share * len(whole))])


def flipped(seed: int, low: float = 0.0, high: float = 1.0, bits: int = 1) -> Change:
    """Flip bits at random places between two shares of a file."""

    def edit(whole: bytes) -> bytes:
        dice, other = random.Random(seed), bytearray(whole)
        for _ in range(bits):
            place = min(int(dice.uniform(low, high) * len(other)), len(other) - 1)
            other[place] ^= 1 << dice.randrange(8)
        return bytes(other)

    return edited(edit)


def zeroed(start: float, length: int = 64) -> Change:
    """Overwrite bytes by zeros, as a file system does with what it had not written at a power cut."""

    def edit(whole: bytes) -> bytes:
        place = int(start * len(whole))
        size = len(whole[place : place + length])
        return whole[:place] + bytes(size) + whole[place + size :]

    return edited(edit)


def cuts(allowed: str) -> Iterator[Damage]:
    """Yield truncations at many places."""
    for share in CUTS:
        yield Damage(f"cut to {share:.0%}", cut(share), allowed)
    yield Damage("last byte missing", edited(lambda whole: whole[:-1]), allowed)


def flips(allowed: str, count: int, seed: int) -> Iterator[Damage]:
    """Yield flipped bits, half of them in the first tenth, where headers are."""
    for number in range(count):
        high = 0.1 if number % 2 == 0 else 1.0
        yield Damage(f"flipped bit {number} below {high:.0%}", flipped(1000 * seed + number, 0, high), allowed)
    yield Damage("40 flipped bits", flipped(1000 * seed + count, 0, 1, 40), allowed)
    yield Damage("64 zero bytes at 50%", zeroed(0.5), allowed)


def kinds(allowed: str = REFUSE, linked: str = AS_BEFORE) -> Iterator[Damage]:
    """Yield what is no file, or another one: the path is there, and what is behind it is not what its name says."""
    yield Damage("other contents: text", content(b"no such thing\n" * 20), allowed)
    yield Damage("other contents: a PNG", content(b"\x89PNG\r\n\x1a\n" + bytes(range(256))), allowed)
    yield Damage("a folder in its place", _folder, allowed)
    yield Damage("missing", Path.unlink, allowed)
    yield Damage("a link to nothing", _link("nowhere"), allowed)
    yield Damage("a link to itself", _link_to_itself, allowed)
    yield Damage("a link out of the folder", _linked_out, linked)
    yield Damage("a pipe nobody writes to", _pipe, allowed)
    yield Damage("no permission to read", _closed, allowed, powerless=True)


def texts(allowed: str = ANY) -> Iterator[Damage]:
    """Yield wrong encodings of a text."""
    yield Damage("byte order mark", edited(lambda text: b"\xef\xbb\xbf" + text), allowed)
    yield Damage("UTF-16", edited(lambda text: text.decode().encode("utf-16")), REFUSE)
    yield Damage(
        "Latin-1 bytes", edited(lambda text: text[: len(text) // 2] + b"\xe9\xff" + text[len(text) // 2 :]), ANY
    )
    yield Damage("ends of lines of Windows", edited(lambda text: text.replace(b"\n", b"\r\n")), allowed)
    yield Damage("a zero byte", edited(lambda text: text[: len(text) // 2] + b"\0" + text[len(text) // 2 :]), ANY)
    yield Damage("a thousand empty lines", edited(lambda text: text + b"\n" * 1000), ANY)
    yield Damage("a line of 1 MB", edited(lambda text: text + b"x" * 2**20 + b"\n"), ANY)


def tables(separator: str, allowed: str = ANY) -> Iterator[Damage]:
    """Yield tables that are not what a table ought to be."""
    yield Damage("header only", edited(lambda text: text.splitlines(keepends=True)[0]), REFUSE)
    yield Damage("no header", edited(lambda text: b"".join(text.splitlines(keepends=True)[1:])), REFUSE)
    yield Damage("first row twice", edited(_twice), allowed)
    yield Damage("all rows twice", edited(lambda text: text + b"".join(text.splitlines(keepends=True)[1:])), allowed)
    yield Damage("a cell too many", edited(lambda text: _last(text, separator.encode() + b"7")), allowed)
    yield Damage("half a row", edited(lambda text: text + text.splitlines()[1][:5]), allowed)
    yield Damage("a quote that never ends", edited(lambda text: text + b'"'), allowed)
    yield Damage("another separator", edited(lambda text: text.replace(separator.encode(), b";")), REFUSE)
    yield Damage("a column twice", edited(lambda text: _column_twice(text, separator.encode())), allowed)


def _twice(text: bytes) -> bytes:
    lines = text.splitlines(keepends=True)
    return b"".join([*lines[:2], *lines[1:]])


def _last(text: bytes, more: bytes) -> bytes:
    return text.rstrip(b"\n") + more + b"\n"


def _column_twice(text: bytes, separator: bytes) -> bytes:
    return b"".join(line + separator + line.split(separator)[-1] + b"\n" for line in text.splitlines())


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _link(target: str) -> Change:
    def change(path: Path) -> None:
        path.unlink()
        path.symlink_to(target)

    return change


def _link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _linked_out(path: Path) -> None:
    """Move the file to the folder `aside` of the box, and leave a link."""
    box = next(parent for parent in path.parents if (parent / "aside").is_dir())
    target = box / "aside" / path.name
    shutil.move(path, target)
    path.symlink_to(target)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _closed(path: Path) -> None:
    path.chmod(0)
