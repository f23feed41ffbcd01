"""Texts for people that are the same wherever they stand: names of parameters, their values, durations."""

import re
from collections.abc import Collection


def short_name(path: str, others: Collection[str]) -> str:
    """Return the shortest end of a dotted path that is no other path's end.

    Example:
        >>> short_name("model.encoder.kind", ["model.encoder.kind", "model.decoder.kind"])
        'encoder.kind'
    """
    parts = path.split(".")
    ends = (".".join(parts[-count:]) for count in range(1, len(parts) + 1))
    return next((end for end in ends if sum(f".{other}".endswith(f".{end}") for other in others) == 1), path)


def value_text(value: bool | int | float | str | None) -> str:
    """Return a parameter's value as people read it; a dash where it was inactive.

    Example:
        >>> [value_text(value) for value in (True, 0.00123456, 64, "mlp", None)]
        ['true', '0.001235', '64', 'mlp', '-']
    """
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def readable_settings(settings: str) -> str:
    """Return an estimator's settings as people read them: samples with separators of thousands.

    Example:
        >>> [readable_settings(each) for each in ("16000 samples", "1 sample", "posterior 1280x3x8")]
        ['16,000 samples', '1 sample', 'posterior 1280x3x8']
    """
    return re.sub(r"^\d+(?= samples$)", lambda count: f"{int(count[0]):,}", settings)


def seconds_left(done: float, left: float, seconds: float) -> float | None:
    """Return how long what is left takes at the pace of what was done in ``seconds``; None before there is a pace.

    Example:
        >>> seconds_left(2, 3, 60.0), seconds_left(0, 3, 60.0)
        (90.0, None)
    """
    return seconds / done * left if done > 0 else None


def duration(seconds: float) -> str:
    """Return seconds as people read them.

    Example:
        >>> [duration(seconds) for seconds in (89, 90, 5399, 5400)]
        ['89 s', '2 min', '90 min', '1.5 h']
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
