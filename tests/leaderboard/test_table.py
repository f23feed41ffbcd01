from iafsweep.leaderboard import leaderboard_table
from iafsweep.records import LeaderboardRow


def test_figures_of_one_column_measured_otherwise_say_how():
    def scored(trial, samples, settings):
        return LeaderboardRow(
            trial=trial,
            status="completed",
            validation_negative_elbo=100.0,
            nll_importance_sampling=95.0,
            nll_importance_sampling_images=10,
            nll_importance_sampling_samples=samples,
            nll_hais=94.0,
            nll_hais_images=10,
            nll_hais_settings=settings,
        )

    alike = leaderboard_table([scored("t0001", 7, "prior 3x2x1"), scored("t0002", 7, "prior 3x2x1")])
    assert "95.00" in alike.rows[0]
    mixed = leaderboard_table([scored("t0001", 7, "prior 3x2x1"), scored("t0002", 9, "base 3x2x1")])
    assert "95.00 (7 samples)" in mixed.rows[0]
    assert "94.00 (base 3x2x1)" in mixed.rows[1]


def test_the_bound_on_test_images_has_its_error_and_rows_without_it_are_read():
    row = {"trial": "t0001", "status": "completed", "test_negative_elbo": 115.41, "test_negative_elbo_images": 1000}
    without, with_error = LeaderboardRow(**row), LeaderboardRow(**row, test_negative_elbo_error=1.03)
    assert "115.41" in leaderboard_table([without]).rows[0]
    table = leaderboard_table([with_error])
    assert dict(zip(table.header, table.rows[0], strict=True))["test -ELBO (1,000 images)"] == "115.41 ± 1.03"
    assert any("The validation bound has no ±" in note for note in table.notes)
