"""A call, one file of it that is damaged, and what the call may make of it."""

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.hardship_damage import ANY, AS_BEFORE, REFUSE, Damage, cuts, flips, kinds, tables, texts
from benchmarks.hardship_special import SPECIAL


@dataclass(frozen=True)
class Ground:
    """A call, one file of it, and what may happen to that.

    Attributes:
        kind: What the file is, for the table.
        made: Its maker, in `hardship_material.MAKERS`.
        target: The file.
        args: The call, in the box.
        results: Of `out`, what must be as before if that is asked for.
        allowed: What may come of damage that cannot be seen for sure: REFUSE, AS_BEFORE or ANY.
        first: Calls that make what is damaged.
        flips: How many flipped bits to try.
        text: Whether it is a text.
        separator: Of its columns, if it is a table.
        cut: What may come of a truncation.
        linked: What may come of a link out of the folder.
        absent: What may come of no file, or of another one in its place.
        note: A pattern of result files, and the word in them that says that the damaged file was left out.
        common_only: Leave out what is special to the kind: another call has tried it.
    """

    kind: str
    made: str
    target: str
    args: list[str]
    results: tuple[str, ...]
    allowed: str = ANY
    first: tuple[list[str], ...] = ()
    flips: int = 6
    text: bool = False
    separator: str = ""
    cut: str = REFUSE
    linked: str = AS_BEFORE
    absent: str = REFUSE
    note: tuple[str, str] = ("", "")
    common_only: bool = False

    def __hash__(self) -> int:
        """Tell grounds apart by what they are."""
        return id(self)

    @property
    def verb(self) -> str:
        """The verb that reads the file."""
        return self.args[0]

    def damages(self, seed: int) -> Iterator[Damage]:
        """Yield all that is done to the file."""
        yield from cuts(self.cut)
        yield from flips(self.allowed, self.flips, seed)
        yield from kinds(self.absent, self.linked)
        if self.text:
            yield from texts()
        if self.separator:
            yield from tables(self.separator)
        yield from SPECIAL.get(self.kind, ())
