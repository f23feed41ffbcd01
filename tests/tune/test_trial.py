"""The trainable itself, without Ray: what it reports, saves, restores and refuses."""

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from ray.tune import PlacementGroupFactory

import iafsweep
from iafsweep.config.sweep import SweepConfig
from iafsweep.errors import ConfigError, DataError, RunFolderError, SweepError
from iafsweep.run_files import metrics_file
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.search_space.candidate import candidate
from iafsweep.search_space.distributions import Choice
from iafsweep.search_space.space import Parameter, SearchSpace
from iafsweep.training import Trainer
from iafsweep.training.checkpoint import load_best, load_last
from iafsweep.tune import trainable
from tests.finished import blobs
from tests.tune.plain import DEPTH, RATE, base, images, made, told

CPU = torch.device("cpu")


def weights(checkpoint):
    return load_last(RunFolder(Path(checkpoint)), CPU)


def same(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def test_a_trial_trains_as_one_of_our_sweeps_would(tmp_path, trial):
    kind = made(epochs=2)
    one = trial(kind, {DEPTH: 1, RATE: 0.004})
    reports = [one.train() for _ in range(2)]
    looked = one._base  # is told what was found in the images, which tells configurations apart
    parameters = (Parameter(DEPTH, Choice((1,))), Parameter(RATE, Choice((0.004,))))
    space = SearchSpace(looked, parameters, SweepConfig(seed=looked.training.seed, sampler="listed", scheduler="none"))
    found = candidate(space, {DEPTH: 1, RATE: 0.004})
    assert found is not None
    assert found.config.training.seed != looked.training.seed

    trainer = Trainer.start(found.config, blobs(), RunFolder(tmp_path / "run"), CPU)
    expected = [trainer.run_epoch() for _ in range(2)]
    trainer.close()
    for report, metrics in zip(reports, expected, strict=True):
        figures = {name: value for name, value in metrics.model_dump().items() if value is not None}
        for name in figures.keys() - {"seconds", "images_per_second"}:
            assert report[name] == figures[name], name
    assert [report["status"] for report in reports] == ["running", "completed"]
    assert [report["done"] for report in reports] == [report["should_checkpoint"] for report in reports]
    assert [report["training_iteration"] for report in reports] == [1, 2]


def test_saved_and_restored_it_goes_on_bit_for_bit(tmp_path, trial):
    kind, values = made(optimiser="adamw", weight_average=0.9), {DEPTH: 1, RATE: 0.004}
    undisturbed = trial(kind, values)
    expected = [told(undisturbed.train()) for _ in range(3)]
    undisturbed.save(str(tmp_path / "whole"))

    first, second = trial(kind, values), trial(kind, values)
    reports = [told(first.train())]
    saved = first.save(str(tmp_path / "one"))
    second.restore(saved)
    reports += [told(second.train())]
    saved = second.save(str(tmp_path / "two"))
    assert second.reset(dict(values))  # the same process, taken for another trial
    second.restore(saved)
    reports += [told(second.train())]
    assert reports == expected
    second.save(str(tmp_path / "three"))
    assert same(weights(tmp_path / "three").model, weights(tmp_path / "whole").model)
    assert same(weights(tmp_path / "three").optimiser, weights(tmp_path / "whole").optimiser)
    assert same(weights(tmp_path / "three").average, weights(tmp_path / "whole").average)
    rows = [metrics_file.read(RunFolder(tmp_path / name).metrics) for name in ("three", "whole")]
    assert [row.validation_negative_elbo for row in rows[0]] == [row.validation_negative_elbo for row in rows[1]]
    first.restore(str(tmp_path / "whole"))  # all epochs are done: the last report once more
    assert told(first.train()) == expected[-1]


def test_a_checkpoint_is_a_run_folder_that_holds_the_best_weights_and_no_code(tmp_path, trial):
    one = trial(made(), {DEPTH: 1, RATE: 0.004})
    one.train()
    one.save(str(tmp_path / "one"))
    assert load_best(RunFolder(tmp_path / "one"), CPU).epoch == 1
    assert {path.name for path in (tmp_path / "one").iterdir()} == {
        *("base.toml", "config.toml", "metrics.jsonl", "state.json", "run.log", "best.pt", "last.pt", "data.png"),
        *("samples.png", "reconstructions.png"),
    }
    for path in (tmp_path / "one").glob("*.pt"):
        torch.load(path, weights_only=True)
    assert iafsweep.load_run(tmp_path / "one", "cpu").model.sample(2).shape == (2, 1, 28, 28)


def test_a_member_of_a_population_goes_on_from_anothers_weights_with_its_own_values(tmp_path, trial):
    kind = made()
    donor = trial(kind, {RATE: 0.004})
    donor.train()
    saved = donor.save(str(tmp_path / "donor"))
    after = []
    member = trial(kind, {RATE: 0.001})
    for name in ("one", "two"):
        member.restore(saved)
        member.save(str(tmp_path / name))
        assert same(weights(tmp_path / name).model, weights(tmp_path / "donor").model)
        assert same(weights(tmp_path / name).optimiser["state"], weights(tmp_path / "donor").optimiser["state"])
        after.append(told(member.train()))
        assert member.reset({RATE: 0.001})
    assert after[0] == after[1]
    assert (after[0]["epoch"], after[0]["learning_rate"]) == (2, 0.001)
    with pytest.raises(ConfigError, match=r"`model\.flow\.depth` cannot change from 2 to 1 while a model trains"):
        trial(kind, {RATE: 0.001, DEPTH: 1}).restore(saved)
    with pytest.raises(DataError, match="different images"):
        trial(trainable(base(), images=images(seed=1)), {RATE: 0.004}).restore(saved)
    last = tmp_path / "donor" / "last.pt"
    last.write_bytes(last.read_bytes()[:1000])
    with pytest.raises(RunFolderError, match="truncated"):
        trial(kind, {RATE: 0.001}).restore(saved)


def test_what_is_no_configuration_fails_before_an_epoch(trial):
    kind = made()
    with pytest.raises(ConfigError, match=r"unknown key `model\.latnt_size`: did you mean `model\.latent_size`\?"):
        kind({"model.latnt_size": 4})
    with pytest.raises(ConfigError, match=r"training\.learning_rate: must be greater than 0, found -1\.0"):
        kind({RATE: -1.0})
    reused = trial(kind, {DEPTH: 1})
    assert reused.reset({"model.latnt_size": 4})  # Tune loses a trial that says no here
    with pytest.raises(ConfigError, match="unknown key"):
        reused.train()


def test_a_process_used_before_trains_as_a_fresh_one_and_seeds_differ(trial):
    kind = made()
    used, fresh = trial(kind, {DEPTH: 0}), trial(kind, {DEPTH: 1, "repeat": 1})
    used.train()
    place, reports = Path(used._place.name), []
    for repeat in (1, 2):
        assert used.reset({DEPTH: 1, "repeat": repeat})
        reports.append(told(used.train()))
    assert not place.exists()
    assert told(fresh.train()) == reports[0] != reports[1]


def test_a_trial_that_diverges_ends_with_a_bound_that_schedulers_understand(tmp_path, trial):
    one = trial(made(), {RATE: 1e30})
    report = one.train()
    assert (report["status"], report["done"], report["validation_negative_elbo"]) == ("diverged", True, math.inf)
    one.save(str(tmp_path / "one"))
    assert RunFolder(tmp_path / "one").read_state().epochs == 0


def test_a_trial_takes_its_share_of_a_gpu_and_its_cores(trial, monkeypatch):
    shares, one = [], trial(made(), {})
    bundle = PlacementGroupFactory([{"CPU": 2, "GPU": 0.5}])
    monkeypatch.setattr(one, "_trial_info", SimpleNamespace(trial_resources=bundle))
    if not torch.cuda.is_available():
        with pytest.raises(SweepError, match="was given a GPU but sees none"):
            one.step()
    monkeypatch.setattr("iafsweep.tune.trial.take_device", lambda share: shares.append(share) or CPU)
    before = torch.get_num_threads()
    try:
        report = one.step()
    finally:
        threads = torch.get_num_threads()
        torch.set_num_threads(before)
    assert (shares, report["gpus"], threads) == ([0.5], 0.5, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"data": {"source": "mnist_mini", "validation_images": 0}, "evaluation": {"checkpoint": "last"}},
            "chooses by",
        ),
        ({"data": {"source": "mnist_mini"}, "evaluation": {"checkpoint": "last"}}, "best epoch"),
    ],
)
def test_a_base_must_have_images_to_choose_by(changes, message):
    values = base().model_dump() | changes
    with pytest.raises(ConfigError, match=message):
        trainable(iafsweep.RunConfig.model_validate(values))
