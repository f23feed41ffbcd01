from pathlib import Path

import pytest

from iafsweep.config import TrainingConfig
from iafsweep.config.files import load_config
from iafsweep.search_space.files import load_space
from iafsweep.sweep.cluster.footprint import drawn_configurations
from iafsweep.training import RunFolder, Trainer
from iafsweep.training.schedules import kl_weight, learning_rate, never_reached
from tests.training.test_trainer import changed


def test_the_reference_schedule():
    recipe = TrainingConfig()
    assert [kl_weight(recipe, epoch) for epoch in (0, 1, 100, 199, 200, 2499)] == [0, 1 / 200, 0.5, 199 / 200, 1, 1]
    rates = [learning_rate(recipe, epoch) for epoch in (0, 799, 800, 1599, 1600, 2499)]
    assert rates == pytest.approx([1e-3, 1e-3, 5e-4, 5e-4, 2.5e-4, 1.25e-4])


def test_no_warm_up_is_full_weight_at_once():
    assert kl_weight(TrainingConfig(kl_warmup_epochs=0), 0) == 1


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ({"epochs": 201}, []),
        ({"epochs": 200}, []),  # ends with a weight of 199/200
        ({"epochs": 180}, ["the weight of the KL term rises to 0.9 only: shorten training.kl_warmup_epochs (200)"]),
        ({"epochs": 1}, ["the weight of the KL term rises to 0 only: shorten training.kl_warmup_epochs (200)"]),
        ({"epochs": 9, "kl_warmup_epochs": 0, "learning_rate_warmup_epochs": 9}, []),
        (
            {"epochs": 9, "kl_warmup_epochs": 20, "learning_rate_warmup_epochs": 12},
            [
                "the weight of the KL term rises to 0.4 only: shorten training.kl_warmup_epochs (20)",
                "the warm-up of the learning rate gets to 75% only: shorten training.learning_rate_warmup_epochs (12)",
            ],
        ),
        ({"epochs": 9, "kl_warmup_epochs": 0, "objective_from_epoch": 9}, []),  # the ELBO from first to last
        (
            {"epochs": 9, "kl_warmup_epochs": 0, "objective_samples": 5, "objective_from_epoch": 9},
            ["training ends before its objective begins: lower training.objective_from_epoch (9)"],
        ),
    ],
)
def test_what_training_ends_before_is_named(recipe, said):
    found = never_reached(TrainingConfig.model_validate(recipe))
    assert found == "; ".join(f"{each}, or raise training.epochs ({recipe['epochs']})" for each in said)


@pytest.mark.parametrize("path", sorted(Path("search_spaces").glob("*.toml")), ids=lambda path: path.stem)
def test_what_we_ship_reaches_all_of_its_recipe(path):
    is_space = "[search]" in path.read_text()
    for config in drawn_configurations(load_space(path)) if is_space else [load_config(path)]:
        assert never_reached(config.training) == ""


def test_it_is_told_when_a_run_starts_and_no_more_when_it_resumes(config, images, tmp_path, cpu):
    recipe = changed(config, training={"epochs": 2, "kl_warmup_epochs": 200})
    folder = RunFolder(tmp_path / "run")
    trainer = Trainer.start(recipe, images, folder, cpu)
    assert "shorten training.kl_warmup_epochs (200), or raise training.epochs (2)" in trainer.note
    assert trainer.note in folder.log.read_text()
    trainer.run_epoch()
    trainer.close()
    resumed = Trainer.resume(recipe, images, folder, cpu)
    resumed.close()
    assert "kl_warmup_epochs" not in resumed.note
