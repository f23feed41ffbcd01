"""Why a sweep ends before its last trial: one place that all who may end it write to."""

from __future__ import annotations

from typing import Literal, get_args

Cause = Literal["interrupted", "aborted", "full disk", "stopped", "stalled"]
"""A signal or ``stop``; trial after trial failing alike; a trial without room; a budget, or no room for a further
trial; Tune not starting what waits. The first of these that is given counts."""


class StopReason:
    """Why a sweep ends, or would, were trials left.

    Attributes:
        cause: what ends it; None while nothing does.
        text: the same in words.
        error: the traceback that trial after trial ended with; else empty.
        ends_running: whether running trials save and end too; else they train on, and no further one begins.
        exhausted: whether the sampler found nothing new.
    """

    def __init__(self) -> None:
        self.cause: Cause | None = None
        self.text = ""
        self.error = ""
        self.ends_running = False
        self.exhausted = False

    def give(self, cause: Cause, text: str = "", *, error: str = "", ends_running: bool = True) -> None:
        """Say why the sweep should end; what was given before stays unless this counts for more."""
        if self.cause is None or get_args(Cause).index(cause) < get_args(Cause).index(self.cause):
            self.cause, self.text, self.error = cause, text, error
        self.ends_running |= ends_running

    def begin(self) -> None:
        """Forget what ended Tune's loop, and not the sweep."""
        self.exhausted = False
        if self.cause == "stalled":
            self.cause, self.ends_running = None, False
