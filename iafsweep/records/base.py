"""The base class of records, and the metric that trials are ranked by."""

import json
from typing import Literal

from pydantic import BaseModel, ConfigDict

from iafsweep.version import Writer, stamp, take_stamp

METRIC = "validation_negative_elbo"
"""The metric that schedules and ranks trials: the validation bound at full KL weight."""

MODE: Literal["min"] = "min"
"""Smaller is better."""


class Record(BaseModel):
    """A frozen record; non-finite numbers, which JSON lacks, are written as strings ("NaN", "Infinity").

    A new field of a record stored in files needs a default, which is its value in files of earlier versions. Code that
    writes the record passes the value.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


def with_stamp(record: Record) -> str:
    """Return the content of a record's own file, stamped with the version that writes it."""
    return json.dumps(stamp() | json.loads(record.model_dump_json()), indent=2) + "\n"


def without_stamp(content: bytes) -> tuple[bytes, Writer]:
    """Return the JSON of a record's file without its stamp, and the stamp; content that is not JSON is unchanged."""
    try:
        values = json.loads(content)
    except ValueError:
        return content, Writer()
    if not isinstance(values, dict):
        return content, Writer()
    writer = take_stamp(values)
    return json.dumps(values).encode(), writer
