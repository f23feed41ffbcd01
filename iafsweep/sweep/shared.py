"""Images in memory that processes share."""

from __future__ import annotations

import warnings

import numpy as np
import torch


def tensor_over(array: np.ndarray) -> torch.Tensor:
    """Return a tensor over shared memory, which nobody writes to."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)
