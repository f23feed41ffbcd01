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
