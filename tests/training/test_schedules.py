from pathlib import Path

import pytest

from iafsweep.config import TrainingConfig
from iafsweep.config.files import load_config
from iafsweep.search_space.files import load_space
from iafsweep.sweep.cluster.footprint import drawn_configurations
from iafsweep.training.schedules import kl_weight, learning_rate, never_reached


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
        ({"epochs": 200}, ["the KL term never has its full weight, because training.kl_warmup_epochs = 200"]),
        ({"epochs": 9, "kl_warmup_epochs": 0}, []),
        (
            {"epochs": 9, "kl_warmup_epochs": 9, "learning_rate_warmup_epochs": 12},
            [
                "the KL term never has its full weight, because training.kl_warmup_epochs = 9",
                "the learning rate only rises, because training.learning_rate_warmup_epochs = 12",
            ],
        ),
        ({"epochs": 9, "kl_warmup_epochs": 0, "objective_from_epoch": 9}, []),  # the ELBO from first to last
        (
            {
                "epochs": 9,
                "kl_warmup_epochs": 0,
                "objective": "iwae",
                "objective_samples": 5,
                "objective_from_epoch": 9,
            },
            ["the objective `iwae` never begins, because training.objective_from_epoch = 9"],
        ),
    ],
)
def test_what_training_ends_before_is_named(recipe, said):
    found = never_reached(TrainingConfig.model_validate(recipe))
    whole = f" is not below training.epochs = {recipe['epochs']}: lower it, or train longer"
    assert found == "; ".join(each + whole for each in said)


@pytest.mark.parametrize("path", sorted(Path("search_spaces").glob("*.toml")), ids=lambda path: path.stem)
def test_what_we_ship_reaches_all_of_its_recipe(path):
    is_space = "[search]" in path.read_text()
    for config in drawn_configurations(load_space(path)) if is_space else [load_config(path)]:
        assert never_reached(config.training) == ""
