"""Process groups of their own for Ray's daemons, so that a signal to the driver's group spares them.

A terminal's Ctrl-C, GNU ``timeout`` and batch queues signal the whole group. Ray's daemons (GCS, raylet, monitors) are
children of the driver in its group, and without them the driver can neither let trials save nor end. In groups of their
own they outlive such a signal, as do the trials' processes, which are the raylet's children. When the driver is
killed, the kernel still ends them: that goes by parent, not by group.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

_asked: ContextVar[bool] = ContextVar("own process groups for new children", default=False)


@contextmanager
def own_process_groups() -> Iterator[None]:
    """Put every process that this thread starts meanwhile, and that runs Python before its program, in its own group.

    Ray starts its daemons with a ``preexec_fn``, and for such children Python calls what is registered for forks.
    """
    _register()
    token = _asked.set(True)
    try:
        yield
    finally:
        _asked.reset(token)


@cache
def _register() -> None:
    os.register_at_fork(after_in_child=_leave_group)  # once: there is no way to take it back


def _leave_group() -> None:
    if _asked.get():
        os.setpgrp()
