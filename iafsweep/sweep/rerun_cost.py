"""About how long it takes to score a trial."""

from __future__ import annotations

from iafsweep.config import EvaluationConfig

_FORWARD = 1 / 3
"""A forward pass costs about a third of a training step (forward, backward with respect to input and weights)."""
_GRADIENT = 2 / 3
_MARGIN = 1.5


def rerun_seconds(evaluation: EvaluationConfig, test_images: int, seconds_an_image: float) -> float:
    """Return about how many seconds one process needs to score one trial on the test images.

    Args:
        evaluation: what is measured.
        test_images: how many test images there are.
        seconds_an_image: seconds of training an image.
    """
    sampling, hais = evaluation.importance_sampling, evaluation.hais
    passes = _FORWARD * _images(evaluation.bound_images, test_images)
    passes += _FORWARD * sampling.samples * _images(sampling.images, test_images)
    if hais.enabled:
        images = _images(hais.images, test_images)
        steps = hais.resolved_chains * hais.resolved_temperatures * hais.resolved_leapfrog_steps
        passes += _GRADIENT * steps * (images + hais.pilot_passes * min(hais.pilot_images, images))
        passes += _FORWARD * sampling.samples * images
    return _MARGIN * passes * seconds_an_image


def _images(asked: int | None, there_are: int) -> int:
    return there_are if asked is None else min(asked, there_are)
