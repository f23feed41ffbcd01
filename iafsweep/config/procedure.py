"""How a sweep proposes and decides, recorded when it begins so that later versions go on with it as it was."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from iafsweep.config.section import Section


class Procedure(Section):
    """The constants and rules behind ``[sweep]``, the table ``[procedure]`` of a sweep's own ``sweep.toml``.

    The defaults are what 0.1.0 did, whose sweeps have no such table: they stay. A version that does otherwise says so
    in :data:`NEW_SWEEPS`, and keeps doing the former for sweeps that say it.
    """

    startup_share: int = Field(4, ge=1, description="`tpe`: the first of so many trials are drawn at random,")
    startup_fewest: int = Field(4, ge=1, description="but so many at least,")
    startup_most: int = Field(10, ge=1, description="and so many at most.")
    duplicates: int = Field(100, ge=1, description="So many proposals in a row that were tried before end the sweep.")
    tpe_duplicates: int = Field(25, ge=1, description="`tpe`: after so many of them the rest are drawn at random.")
    grid_digits: int | None = Field(
        12, ge=1, le=17, description="Digits that steps of a float are rounded to; unset: they are decimal numbers."
    )
    told: Literal["best_bound_or_pruned"] = Field(
        "best_bound_or_pruned",
        description="What `tpe` is told: the best bound of a completed trial; a stopped one is pruned at its last "
        "bound, others at a bad one; unfinished ones are running.",
    )
    stops: Literal["above_quantile"] = Field(
        "above_quantile",
        description="`asha`: a trial stops whose bound is above the 1/reduction_factor quantile of those at its rung "
        "before it; the first rung is at the epochs that `sweep.grace_epochs` says.",
    )
    generations: int = Field(8, ge=1, description="`pbt`: generations, unless `sweep.generation_epochs` is set.")
    copied_share: int = Field(4, ge=2, description="`pbt`: one in so many members copies one in so many.")
    moved_by: float = Field(0.2, gt=0, lt=1, description="`pbt`: a copy's values are moved by this share of them.")
    redrawn: float = Field(0.25, ge=0, le=1, description="`pbt`: probability that a value is drawn anew instead.")


NEW_SWEEPS = Procedure(grid_digits=None)
"""What sweeps begin with that begin with this version."""
