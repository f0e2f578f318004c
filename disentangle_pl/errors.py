"""The one exception that means: what the user gave is wrong, and here is what to do."""

import errno
import os
import re
import sys
from collections.abc import Sequence
from typing import NoReturn

NOISE = re.compile(
    "Does not validate against|Subtypes:|Errors:|Problem with given class_path|Given value|"
    "Expected a <class 'NoneType'>"
)
BREAKS = re.compile(r"\s*[\r\n]\s*")
NO_MEMORY = re.compile("not enough memory|can't allocate memory|CUDA out of memory")
ERROR = "disentangle-pl: error: "
KEY = re.compile(r'(?:Parser key|Key) "([^"]+)":?')


class InputError(Exception):
    """Wrong input from outside: a file, a table, a setting.

    The message is one sentence that says what is wrong, where, and what to do. The command line prints it without a
    traceback and leaves with exit code 2; any other exception is a bug of ours and keeps its traceback.
    """


def find_input_error(error: BaseException) -> InputError | None:
    """Find the wrong input behind an exception, following what caused what.

    Args:
        error: What reached the command line; argument parsers wrap the exceptions of the constructors they call.
    """
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, InputError):
        cause = cause.__cause__
    return cause


def find_full_disk(error: BaseException) -> OSError | None:
    """Find the write without room, or beyond a quota, behind an exception, following what it came with.

    Args:
        error: What reached the command line.
    """
    cause: BaseException | None = error
    while cause is not None and not (isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)):
        cause = cause.__cause__ or cause.__context__
    return cause


def find_lack_of_memory(error: BaseException) -> BaseException | None:
    """Find the request for more memory than there is behind an exception, following what it came with.

    Args:
        error: What reached the command line.
    """
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, MemoryError) and not NO_MEMORY.search(str(cause)):
        cause = cause.__cause__ or cause.__context__
    return cause


def one_line(message: str) -> str:
    """Boil the many lines of a jsonargparse error down to the key and what is wrong with it."""
    keys = KEY.findall(message)
    lines = [KEY.sub("", line).strip(" -") for line in message.splitlines() if not NOISE.search(line)]
    reasons = list(dict.fromkeys(line for line in lines if line))
    return f"{'.'.join(keys)}: {'; '.join(reasons)}" if keys else "; ".join(reasons)


def leave(message: str, code: int = 2) -> NoReturn:
    """Print what is wrong, on one line, and leave with an exit code.

    Args:
        message: One sentence; ends of lines and control characters of what it quotes become blanks.
        code: The exit code.
    """
    plain = "".join(letter if letter.isprintable() else " " for letter in BREAKS.sub(" ", message.strip()))
    print(f"{ERROR}{plain}", file=sys.stderr)
    sys.exit(code)


def leave_if_wrong(error: BaseException) -> None:
    """Leave with one sentence if the input, the memory or the disk is to blame.

    DISENTANGLE_PL_TRACEBACK=1 in the environment shows the traceback instead.

    Args:
        error: What reached the command line.
    """
    if os.environ.get("DISENTANGLE_PL_TRACEBACK"):
        return
    wrong = find_input_error(error)
    if wrong:
        leave(str(wrong))
    lack = find_lack_of_memory(error)
    if lack:
        said = next(iter(str(lack).splitlines()), "") or type(lack).__name__
        leave(f"there is not enough memory ({said}): check the sizes in files and settings, or give smaller ones")
    full = find_full_disk(error)
    if full:
        place = f" at {full.filename}" if full.filename else ""
        leave(f"the disk is full{place}: make room and give the same command again, the run goes on", os.EX_IOERR)


def listing(items: Sequence[str], most: int = 10) -> str:
    """Join the first items of a long list, and say how many more there are."""
    more = f"; and {len(items) - most} more" if len(items) > most else ""
    return "; ".join(items[:most]) + more
