"""Hear the notice that this process must soon stop: SIGUSR1, which a scheduler sends ahead of the end.

Standard library only, so that the notice is heard from the first line on, also during seconds of imports.
"""

import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

SIGNAL = signal.SIGUSR1


class Notice:
    """Whether the notice has come, and what happens when it does.

    Attributes:
        heard: The notice has come.
    """

    def __init__(self) -> None:
        self.heard = False
        self._process = 0
        self._leave: Callable[[], NoReturn] | None = None
        self._within = 0.0

    def listen(self) -> None:
        """Hear SIGUSR1 from now on; processes forked later remember it but do not act."""
        self._process = os.getpid()
        signal.signal(SIGNAL, self._on_notice)

    def forget(self) -> None:
        """Start afresh: nothing was heard, and nothing happens but remembering."""
        self.heard = False
        self.remember()

    def remember(self) -> None:
        """From now on only remember a notice: the work in hand looks for it at its own safe points."""
        self._leave = None
        signal.setitimer(signal.ITIMER_REAL, 0)

    def leave(self, leave: Callable[[], NoReturn], within: float = 0.0) -> None:
        """From now on call `leave` so many seconds after a notice, which may have come already.

        Args:
            leave: What ends the work in hand, by an exception.
            within: How long the work in hand may take to come to a safe point of its own.
        """
        self._leave, self._within = leave, within
        if self.heard:
            self._end()

    def _on_notice(self, signum: int, frame: FrameType | None) -> None:
        if os.getpid() == self._process:
            self.heard = True
            self._end()

    def _end(self) -> None:
        leave = self._leave
        if leave is None:
            return
        if self._within == 0:
            leave()
        signal.signal(signal.SIGALRM, lambda signum, frame: leave())
        signal.setitimer(signal.ITIMER_REAL, self._within)


NOTICE = Notice()
