"""One trial on the leaderboard."""

from __future__ import annotations

from typing import Literal

from iafsweep.records.base import Record
from iafsweep.records.run import Precision

TrialStatus = Literal["pending", "running", "completed", "stopped", "diverged", "failed", "oom", "interrupted"]
"""How a trial stands; ``stopped`` is early, by the scheduler; ``oom`` ran out of memory."""


class LeaderboardRow(Record):
    """One trial on the leaderboard.

    Attributes:
        rank: 1 for the best validation bound among completed trials, None for others; set by ``leaderboard.ranked``.
        trial: the trial's id, unique in the sweep.
        status: how it ended.
        parameters: value of each searched parameter that was active, by its dotted path.
        epochs: epochs done.
        best_epoch: the epoch of the best validation bound, which is the one scored.
        validation_negative_elbo: the bound on the validation images at that epoch, full KL weight. It has no error:
            trials have the same images and bits, and differ by less than a standard error over images says.
        validation_images: how many images that is.
        train_negative_elbo: the training bound of the same epoch, train mode; None where its run folder does not tell.
        settling: momentum of batch norm x steps up to that epoch; below 5 its moving averages have not settled, and
            bounds and test figures are far too high. None without batch norm, or without a bound.
        test_negative_elbo: the one-sample bound on test images.
        test_negative_elbo_error: its standard error over images.
        test_negative_elbo_images: how many images that is.
        nll_importance_sampling: test NLL by importance sampling.
        nll_importance_sampling_error: its standard error over images.
        nll_importance_sampling_images: how many images it rests on.
        nll_importance_sampling_samples: samples an image.
        nll_importance_sampling_estimator_error: standard error from the estimator's own randomness alone.
        nll_importance_sampling_untrusted: share of images whose weights say that the figure should not be trusted.
        nll_hais: test NLL by HAIS.
        nll_hais_error: its standard error over images.
        nll_hais_images: how many images it rests on.
        nll_hais_estimator_error: standard error from the estimator's own randomness alone.
        nll_hais_settings: start, temperatures, leapfrog steps and chains in one line.
        nll_hais_untrusted: share of images whose weights say that the figure should not be trusted.
        nll_importance_sampling_on_hais_images: importance sampling on the very images of HAIS, to compare the two.
        nll_importance_sampling_on_hais_images_error: its standard error over those images.
        retrained_seeds: seeds that the configuration was trained with again, from scratch, and scored.
        retrained_test_negative_elbo: mean of their one-sample bounds on test images.
        retrained_test_negative_elbo_spread: standard deviation of one seed's.
        retrained_test_negative_elbo_seeds: of how many seeds: those scored on as many images.
        retrained_test_negative_elbo_images: how many images that is.
        retrained_nll_importance_sampling: mean of their test NLLs by importance sampling.
        retrained_nll_importance_sampling_spread: standard deviation of one seed's.
        retrained_nll_importance_sampling_seeds: of how many seeds: those scored alike, on as many images.
        retrained_nll_importance_sampling_images: how many images that is.
        retrained_nll_importance_sampling_samples: samples an image.
        retrained_nll_hais: mean of their test NLLs by HAIS.
        retrained_nll_hais_spread: standard deviation of one seed's.
        retrained_nll_hais_seeds: of how many seeds: those scored alike, on as many images.
        retrained_nll_hais_images: how many images that is.
        retrained_nll_hais_settings: start, temperatures, leapfrog steps and chains in one line.
        hais_gap: upper minus lower bound on images simulated from the model, with HAIS.
        hais_gap_error: its standard error over those images.
        hais_gap_images: how many images were simulated.
        hais_gap_settings: of which HAIS the gap is: start, temperatures, leapfrog steps and chains in one line. Those
            of ``nll_hais`` where they were measured; they may be others.
        parameters_count: trainable parameters.
        seconds_per_epoch: median wall-clock seconds of an epoch, the first left out; where the run folder's record does
            not tell (one epoch, or the folder is gone), the mean, compiling not counted.
        precision: what the networks computed in during training.
        compiled: whether the training step was compiled.
        compile_seconds: how many of the training seconds were spent compiling.
        pareto: whether no completed trial has both a lower bound and faster epochs; set by ``leaderboard.ranked``.
        seconds: training seconds.
        gpu_seconds: training seconds times GPUs held.
        seed: seed of the training.
        checkpoint: path of the scored checkpoint, relative to the sweep folder.
        error: one line that says what went wrong.
    """

    rank: int | None = None
    trial: str
    status: TrialStatus
    parameters: dict[str, bool | int | float | str] = {}
    epochs: int = 0
    best_epoch: int | None = None
    validation_negative_elbo: float | None = None
    validation_images: int | None = None
    train_negative_elbo: float | None = None
    settling: float | None = None
    test_negative_elbo: float | None = None
    test_negative_elbo_error: float | None = None
    test_negative_elbo_images: int | None = None
    nll_importance_sampling: float | None = None
    nll_importance_sampling_error: float | None = None
    nll_importance_sampling_images: int | None = None
    nll_importance_sampling_samples: int | None = None
    nll_importance_sampling_estimator_error: float | None = None
    nll_importance_sampling_untrusted: float | None = None
    nll_hais: float | None = None
    nll_hais_error: float | None = None
    nll_hais_images: int | None = None
    nll_hais_estimator_error: float | None = None
    nll_hais_settings: str | None = None
    nll_hais_untrusted: float | None = None
    nll_importance_sampling_on_hais_images: float | None = None
    nll_importance_sampling_on_hais_images_error: float | None = None
    retrained_seeds: int | None = None
    retrained_test_negative_elbo: float | None = None
    retrained_test_negative_elbo_spread: float | None = None
    retrained_test_negative_elbo_seeds: int | None = None
    retrained_test_negative_elbo_images: int | None = None
    retrained_nll_importance_sampling: float | None = None
    retrained_nll_importance_sampling_spread: float | None = None
    retrained_nll_importance_sampling_seeds: int | None = None
    retrained_nll_importance_sampling_images: int | None = None
    retrained_nll_importance_sampling_samples: int | None = None
    retrained_nll_hais: float | None = None
    retrained_nll_hais_spread: float | None = None
    retrained_nll_hais_seeds: int | None = None
    retrained_nll_hais_images: int | None = None
    retrained_nll_hais_settings: str | None = None
    hais_gap: float | None = None
    hais_gap_error: float | None = None
    hais_gap_images: int | None = None
    hais_gap_settings: str | None = None
    parameters_count: int | None = None
    seconds_per_epoch: float | None = None
    precision: Precision | None = None
    compiled: bool | None = None
    compile_seconds: float | None = None
    pareto: bool | None = None
    seconds: float | None = None
    gpu_seconds: float | None = None
    seed: int | None = None
    checkpoint: str | None = None
    error: str | None = None
