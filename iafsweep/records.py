"""Typed records that cross a boundary between stages, to and from JSON.

All figures are in nats per image; smaller is better for ``negative_elbo`` and ``nll``.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

METRIC = "validation_negative_elbo"
"""The figure that schedules and ranks trials: the validation bound at full KL weight."""
DeviceChoice = Literal["auto", "cpu", "cuda"]

MODE: Literal["min"] = "min"
"""Smaller is better."""


class Record(BaseModel):
    """A frozen record; numbers that are not finite are written as the strings JSON lacks ("NaN", "Infinity")."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class EpochMetrics(Record):
    """One line of ``metrics.jsonl``: what one training epoch gave.

    Attributes:
        epoch: epochs done, 1 after the first.
        kl_weight: weight of the KL term during the epoch, from 0 to 1.
        learning_rate: Adam's step size during the epoch.
        train_loss: mean training loss (KL term weighted), train mode.
        train_negative_elbo: mean of -log p(x|z) + log q(z|x) - log p(z) over the epoch, train mode, full KL weight.
        train_reconstruction: mean of -log p(x|z).
        train_kl: mean of log q(z|x) - log p(z).
        validation_negative_elbo: the bound on the validation images, eval mode, full KL weight; None without them.
        images_per_second: training images a second, validation not counted.
        seconds: seconds of the epoch, validation counted.
    """

    epoch: int
    kl_weight: float
    learning_rate: float
    train_loss: float
    train_negative_elbo: float
    train_reconstruction: float
    train_kl: float
    validation_negative_elbo: float | None
    images_per_second: float
    seconds: float


class Best(Record):
    """The best epoch so far, by the validation bound."""

    epoch: int
    validation_negative_elbo: float


Method = Literal["negative_elbo", "importance_sampling", "hais"]
Split = Literal["train", "validation", "test"]


class Estimate(Record):
    """One figure: an estimate of a split's mean negative log-likelihood, or of a bound on it.

    Attributes:
        method: how it was estimated; ``negative_elbo`` is the one-sample bound.
        split: which images.
        images: how many of them (the first so many).
        nll: the mean over images, nats per image.
        standard_error: standard error of that mean over images (the images are the sample).
        estimator_error: standard error from the estimator's own randomness alone; None where it cannot be had.
        effective_sample_size: mean over images of (sum w)^2 / sum w^2; None for the bound.
        log_weight_variance: mean over images of the variance of log-weights; None for the bound.
        untrusted_share: share of images whose log-weights vary by more than 1 or whose Pareto k-hat is above 0.7.
        settings: the method's settings in one line, such as ``1000 samples``.
        seed: seed of the estimator's noise.
        binarisation_seed: seed of the fixed binarisation of the images.
        acceptance_rate: mean acceptance rate of HMC moves; None without them.
        step_size: frozen leapfrog step size; None without HMC.
        network_evaluations: evaluations of decoder (and flow) an image.
        gradient_evaluations: how many of them with a gradient.
        seconds: wall-clock seconds.
    """

    method: Method
    split: Split
    images: int
    nll: float
    standard_error: float
    estimator_error: float | None = None
    effective_sample_size: float | None = None
    log_weight_variance: float | None = None
    untrusted_share: float | None = None
    settings: str
    seed: int
    binarisation_seed: int
    acceptance_rate: float | None = None
    step_size: float | None = None
    network_evaluations: int
    gradient_evaluations: int
    seconds: float


class Evaluation(Record):
    """``evaluation.json``: every figure of one run, and what it was measured on.

    Attributes:
        checkpoint: ``best`` or ``last``.
        epoch: the epoch that checkpoint holds.
        parameters: trainable parameters of the model.
        device: where it was scored.
        estimates: the figures.
    """

    checkpoint: Literal["best", "last"]
    epoch: int
    parameters: int
    device: str
    estimates: tuple[Estimate, ...]


RunStatus = Literal["running", "completed", "diverged", "interrupted"]


class RunState(Record):
    """``state.json`` of a run folder: how far the run is, kept beside the checkpoints for people and tools.

    Attributes:
        status: ``running`` until the run ends one way or another.
        epochs: epochs done.
        best: the best epoch, None without validation or before the first epoch.
        seconds: training seconds so far, interruptions not counted.
        parameters: trainable parameters.
    """

    status: RunStatus
    epochs: int
    best: Best | None
    seconds: float
    parameters: int


class TextTable(Record):
    """A table for people: text in cells, ready for a terminal, Markdown or HTML.

    Attributes:
        header: names of the columns.
        rows: the cells, a row each, as many as the header has.
        notes: lines to print below.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


TrialStatus = Literal["pending", "running", "completed", "stopped", "diverged", "failed", "oom", "interrupted"]
"""How a trial stands; ``stopped`` is early, by the scheduler; ``oom`` ran out of GPU memory."""


class LeaderboardRow(Record):
    """One trial on the leaderboard.

    Attributes:
        rank: 1 for the best validation bound among completed trials, None for others; set by ``leaderboard.ranked``.
        trial: the trial's id, unique in the sweep.
        status: how it ended.
        parameters: value of each searched parameter that was active, by its dotted path.
        epochs: epochs done.
        best_epoch: the epoch of the best validation bound, which is the one scored.
        validation_negative_elbo: the bound on the validation images at that epoch, full KL weight.
        validation_images: how many images that is.
        test_negative_elbo: the one-sample bound on test images.
        test_negative_elbo_images: how many images that is.
        nll_importance_sampling: test NLL by importance sampling.
        nll_importance_sampling_error: its standard error over images.
        nll_importance_sampling_images: how many images it rests on.
        nll_importance_sampling_samples: samples an image.
        nll_importance_sampling_untrusted: share of images whose weights say that the figure should not be trusted.
        nll_hais: test NLL by HAIS.
        nll_hais_error: its standard error over images.
        nll_hais_images: how many images it rests on.
        nll_hais_settings: start, temperatures, leapfrog steps and chains in one line.
        nll_hais_untrusted: share of images whose weights say that the figure should not be trusted.
        nll_importance_sampling_on_hais_images: importance sampling on the very images of HAIS, to compare the two.
        nll_importance_sampling_on_hais_images_error: its standard error over those images.
        retrained_seeds: seeds that the configuration was trained with again, from scratch.
        retrained_test_negative_elbo: mean of their one-sample bounds on test images.
        retrained_test_negative_elbo_spread: standard deviation of one seed's.
        retrained_nll_importance_sampling: mean of their test NLLs by importance sampling.
        retrained_nll_importance_sampling_spread: standard deviation of one seed's.
        retrained_nll_hais: mean of their test NLLs by HAIS.
        retrained_nll_hais_spread: standard deviation of one seed's.
        hais_gap: upper minus lower bound on data simulated from the model, where it was measured.
        parameters_count: trainable parameters.
        seconds_per_epoch: training seconds of an epoch.
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
    test_negative_elbo: float | None = None
    test_negative_elbo_images: int | None = None
    nll_importance_sampling: float | None = None
    nll_importance_sampling_error: float | None = None
    nll_importance_sampling_images: int | None = None
    nll_importance_sampling_samples: int | None = None
    nll_importance_sampling_untrusted: float | None = None
    nll_hais: float | None = None
    nll_hais_error: float | None = None
    nll_hais_images: int | None = None
    nll_hais_settings: str | None = None
    nll_hais_untrusted: float | None = None
    nll_importance_sampling_on_hais_images: float | None = None
    nll_importance_sampling_on_hais_images_error: float | None = None
    retrained_seeds: int | None = None
    retrained_test_negative_elbo: float | None = None
    retrained_test_negative_elbo_spread: float | None = None
    retrained_nll_importance_sampling: float | None = None
    retrained_nll_importance_sampling_spread: float | None = None
    retrained_nll_hais: float | None = None
    retrained_nll_hais_spread: float | None = None
    hais_gap: float | None = None
    parameters_count: int | None = None
    seconds_per_epoch: float | None = None
    pareto: bool | None = None
    seconds: float | None = None
    gpu_seconds: float | None = None
    seed: int | None = None
    checkpoint: str | None = None
    error: str | None = None
