"""The base of every record, and the figure that chooses."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

METRIC = "validation_negative_elbo"
"""The figure that schedules and ranks trials: the validation bound at full KL weight."""

MODE: Literal["min"] = "min"
"""Smaller is better."""


class Record(BaseModel):
    """A frozen record; numbers that are not finite are written as the strings JSON lacks ("NaN", "Infinity")."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")
