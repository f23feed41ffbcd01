"""The base of every record, and the figure that chooses."""

import json
from typing import Literal

from pydantic import BaseModel, ConfigDict

from iafsweep.version import Writer, stamp, take_stamp

METRIC = "validation_negative_elbo"
"""The figure that schedules and ranks trials: the validation bound at full KL weight."""

MODE: Literal["min"] = "min"
"""Smaller is better."""


class Record(BaseModel):
    """A frozen record; numbers that are not finite are written as the strings JSON lacks ("NaN", "Infinity").

    A new field of a record that is kept in files has a default: what it means that an earlier version's file does not
    have it. Whoever writes gives the value.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


def with_stamp(record: Record) -> str:
    """Return a record as a file of its own keeps it, with the version that writes it."""
    return json.dumps(stamp() | json.loads(record.model_dump_json()), indent=2) + "\n"


def without_stamp(content: bytes) -> tuple[bytes, Writer]:
    """Return the JSON of a record's file without what says who wrote it, and who did; what is no JSON stays."""
    try:
        values = json.loads(content)
    except ValueError:
        return content, Writer()
    if not isinstance(values, dict):
        return content, Writer()
    writer = take_stamp(values)
    return json.dumps(values).encode(), writer
