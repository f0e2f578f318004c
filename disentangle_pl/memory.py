"""The memory of this machine: how much there is, and what is freed is kept."""

import ctypes
import os
import platform
from pathlib import Path

M_MMAP_MAX, M_TRIM_THRESHOLD = -4, -1
LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
INFO = Path("/proc/meminfo")


def keep_freed_memory() -> None:
    """Let glibc keep freed tensors for the next step: it would unmap each, and page faults cost a third of the time.

    Freed memory stays with the process. Does nothing on other C libraries.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_MAX, 0)  # a threshold would do no more than 32 MiB, the size of a tensor of a 3-D network
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def available_memory() -> int:
    """Return the bytes that this process may still take: those free on the machine, or of the limit of its group."""
    free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if INFO.is_file():
        words = [line.split() for line in INFO.read_text().splitlines()]
        free = next((1024 * int(word[1]) for word in words if word and word[0] == "MemAvailable:"), free)
    limits = [path.read_text().strip() for path in LIMITS if path.is_file()]
    return min([free, *(int(limit) for limit in limits if limit.isdigit())])
