"""What turns a decoder's maps into p(x|z): ``base`` what all do · ``off`` nothing · ``pixelcnn``."""

from __future__ import annotations

from iafsweep.config import AutoregressiveConfig
from iafsweep.models.heads.base import Head
from iafsweep.models.likelihoods import Likelihood, PixelLikelihood


def with_head(likelihood: PixelLikelihood, config: AutoregressiveConfig) -> Likelihood:
    """Return the likelihood of images whose pixels follow each other as ``config.kind`` says.

    Raises:
        PluginError: its plugin is not loaded.
    """
    head: type[Head] = config.family.load(config.kind)
    return head.from_config(config, likelihood)


__all__ = ["Head", "with_head"]
