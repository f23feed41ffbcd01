"""The text of ``--hais``: where chains start, and how much is spent."""

from __future__ import annotations

import re
from typing import Any

from pydantic import ValidationError

from iafsweep.config import HaisConfig
from iafsweep.config.problems import explain
from iafsweep.errors import UserError

_TEXT = re.compile(r"(posterior|prior|base)(?::(\d{1,7})x(\d{1,7})x(\d{1,7}))?")

# What suits one start does not suit another: a new start takes its own defaults.
_OF_THE_START = ("chains", "temperatures", "leapfrog_steps", "schedule", "target_acceptance")


def with_hais(config: HaisConfig, text: str) -> HaisConfig:
    """Return ``config`` as ``--hais`` asks: ``off``, ``prior``, or ``prior:500x10x16``.

    Raises:
        UserError: the text is none of these.
    """
    if text == "off":
        return config.model_copy(update={"enabled": False})
    match = _TEXT.fullmatch(text)
    if match is None:
        raise UserError(
            f"--hais {text!r} is not understood; write off, posterior, prior or base, perhaps with temperatures x "
            f"leapfrog steps x chains, as in prior:500x10x16"
        )
    start, *sizes = match.groups()
    kept = config.model_dump(exclude=set(_OF_THE_START))
    changes: dict[str, Any] = {"enabled": True, "start": start}
    if sizes[0] is not None:
        changes |= dict(zip(("temperatures", "leapfrog_steps", "chains"), map(int, sizes), strict=True))
    try:
        return HaisConfig.model_validate(kept | changes)
    except ValidationError as error:
        raise explain(error, f"--hais {text}") from None
