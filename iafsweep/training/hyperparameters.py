"""What TensorBoard's HParams tab shows of a run: its configuration as columns, its last figures as metrics."""

from __future__ import annotations

import json

from iafsweep.config import RunConfig, field_paths, get_path
from iafsweep.records import Method

VALIDATION_TAG = "final/validation_negative_elbo"
TEST_TAGS: dict[Method, str] = {
    "negative_elbo": "final/test_negative_elbo",
    "importance_sampling": "final/test_nll_importance_sampling",
    "hais": "final/test_nll_hais",
}
FINAL_TAGS = (VALIDATION_TAG, *TEST_TAGS.values())
"""The scalars that are metrics of a run, nats per image."""


def hyperparameters(config: RunConfig) -> dict[str, int | float | str]:
    """Return every field of data, model and training that is set, by its dotted path.

    The number of epochs is left out: a run may go on for more, and TensorBoard keeps what was written first. Lists are
    text, and so are true and false, which TensorBoard would show as 1 and 0.
    """
    columns = {}
    for path in field_paths(RunConfig):
        value = get_path(config, path)
        is_fixed = path.startswith(("data.", "model.", "training.")) and path != "training.epochs"
        if is_fixed and value is not None:
            is_plain = isinstance(value, int | float | str) and not isinstance(value, bool)
            columns[path] = value if is_plain else json.dumps(value)
    return columns
